"""What is put in the place of heads, and of which: what ``ablate`` and ``generate`` are given, made ready to apply."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Literal

from attnviz.encoding import Encoding
from attnviz.errors import AttnvizError, UsageError, not_one_of
from attnviz.interface.opened import Opened

if TYPE_CHECKING:
    from attnviz.analysis.effects.ablation import Way
    from attnviz.analysis.effects.places import HeadPlace
    from attnviz.model.outcomes import Readout
    from attnviz.model.targets import Target

Heads = Sequence[tuple[int, int] | tuple[int, None] | str]
"""Heads as (layer, head), (layer, None) for all of a layer, or by name: ``"5.7"``, ``"L5 H7"``."""
Pattern = Literal["uniform", "mean"]


class Replacing(Opened):
    """An opened model that makes ready what a question about effects puts in a head's place."""

    def _heads(
        self, heads: Heads | None, role: str | None, seed: int
    ) -> tuple[list[tuple[int, int | None]] | None, list[str]]:
        """The heads that are wanted, None for all, and what is to be said of them."""
        from attnviz.analysis.corpus.asked import HeadQuestion
        from attnviz.analysis.effects.places import heads_with_role, read_heads

        if role is None:
            return (None if heads is None else read_heads(heads)), []
        if heads is not None:
            raise UsageError("both heads and a role are given", hint="Give one of them.")
        asked = HeadQuestion(self.name, self.backend, self.checkpoint.tokenizer, role, None, seed)
        return heads_with_role(asked.of_random_tokens(), role)

    def _target(self, readout: Readout, target: str | int | None, against: str | int | None) -> Target | None:
        """What is measured in particular, if anything is."""
        if target is None:
            if against is not None:
                raise UsageError("`against` is given and no `target`", hint="Give the word that it is compared with.")
            return None
        if readout.sort == "states":
            raise UsageError(
                f"{readout.why_states}: it has no logit of a target",
                hint="Without --target the change of its last hidden states is measured.",
            )
        from attnviz.model.targets import find_target_of

        return find_target_of(self.checkpoint.tokenizer, readout, target, against)

    def _average(
        self, texts: Iterable[str | AttnvizError] | None, freeze: Pattern | None, readout: Readout,
        every: Sequence[HeadPlace], on_texts: Callable[[int, int], None],
    ) -> Way:  # fmt: skip
        from attnviz.analysis.effects import means

        if freeze not in (None, "uniform", "mean"):
            raise not_one_of("`freeze`", str(freeze), ("uniform", "mean"))
        if freeze == "uniform":
            if texts is not None:
                raise UsageError("weights that are frozen to uniform need no texts", hint="Leave `mean` out.")
            return means.UNIFORM
        if texts is None:
            raise UsageError("the mean of weights needs texts", hint="Give them with `mean`.")
        if isinstance(texts, str):
            raise UsageError("`mean` is one text, expected several", hint="Give them in a list.")
        if freeze is None:
            return means.by_mean(self.backend, self._inputs(texts, None), on_texts)
        return means.by_mean_pattern(
            self.backend, self._inputs(texts, readout), readout, every, on_texts
        )  # fmt: skip

    def _inputs(
        self, texts: Iterable[str | AttnvizError], readout: Readout | None
    ) -> Iterator[tuple[Encoding, Encoding | None] | AttnvizError]:
        """What the model reads of each text; an error in the place of what it can't read.

        With a ``readout`` texts are cut to the length of its text, and the decoder reads what it reads there.
        """
        from attnviz.encoding import encode

        for text in texts:
            try:
                if isinstance(text, AttnvizError):
                    raise text
                if readout is None or (readout.target and self.backend.labels):
                    yield self.inputs(text, truncate=True)
                else:
                    limit = len(readout.encoding)
                    yield encode(self.checkpoint.tokenizer, text, limit=limit, truncate=True), readout.target
            except AttnvizError as error:
                yield error

    def _as(self, other: str, readout: Readout, every: Sequence[HeadPlace], *, truncate: bool, chat: bool) -> Way:
        from attnviz.analysis.effects import means

        again = None if self.backend.labels else 0  # a classifier's decoder reads the text once more
        source, target = self.inputs(other, generate=again, truncate=truncate, chat=chat)
        return means.as_another(self.backend, readout, (source, target or readout.target), every, other)

    def _cut(
        self, cut: tuple[str, str], readout: Readout, places: Sequence[HeadPlace], *, renormalise: bool,
        written: int = 0,
    ) -> Way:  # fmt: skip
        from attnviz.analysis.effects import links

        if isinstance(cut, str) or len(cut) != 2:
            raise UsageError(f"`cut` is {cut!r}, expected two words", hint='Give: cut=("bank", "loan")')
        return links.without_link(self.backend, readout, cut, places, renormalise=renormalise, written=written)


def only_one_way(**ways: bool) -> None:
    """Refuse more than one way in which heads are changed, by the names under which they are given."""
    given = [name for name, is_given in ways.items() if is_given]
    if len(given) > 1:
        names = " and ".join(f"`{name}`" for name in given)
        raise UsageError(f"{names} are given, expected one of them", hint="Each says what is put in a head's place.")
