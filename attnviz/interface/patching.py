"""What an opened model is asked about two texts: which head, and which way, moves the answer to one back."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

from attnviz.encoding import Encoding, decoder_start
from attnviz.errors import UsageError, not_one_of
from attnviz.interface.opened import Opened

if TYPE_CHECKING:
    from attnviz.analysis.effects.path_patching import Edge
    from attnviz.analysis.effects.sides import Sides
    from attnviz.attention.tile import Kind
    from attnviz.interface.replacing import Heads
    from attnviz.interface.tables import Table


class Patching(Opened):
    """An opened model whose heads run in one text with what they do in another."""

    def patch(
        self,
        clean: str,
        corrupt: str,
        pair: str | None = None,
        *,
        target: str | int | None = None,
        against: str | int | None = None,
        what: Literal["output", "pattern"] = "output",
        path: str | tuple[int, int] | Heads | None = None,
        through_mlps: bool = False,
        heads: Heads | None = None,
        attention: Kind | None = None,
        decoder_text: str | None = None,
        truncate: bool = False,
        chat: bool = False,
        on_progress: Callable[[int, int], None] = lambda *_: None,
    ) -> Table:
        """Which head moves the answer to a corrupt text back to that of a clean one, as ``attnviz patch`` says it.

        The corrupt text runs once for each head, which does what it does in the clean text; or, with ``path``, once for
        each way straight from a head to what reads it.

        Args:
            clean, corrupt: two texts of as many tokens.
            pair: a second text for models of pairs, the same on both sides.
            target: a word that the model may say next, or a label of a classifier; None is what it predicts of
                ``clean``.
            against: the word or label whose logit is subtracted; None where there is no ``target`` either is what it
                predicts of ``corrupt``.
            what: what of a head comes from the clean text: its ``output``, or its ``pattern``, the weights.
            path: ``"all"``; a head, (layer, head), to have all ways from it; two of them in a list, to have those from
                the first to the second; or the same by name, ``"5.7"`` and ``"5.7,6.1"``.
            through_mlps: with ``path``: ways may lead through MLPs, as Wang et al. (2022) count them.
            heads: only these; None for all. With ``path="all"``, the ways from these.
            attention: ``encoder``, ``decoder`` or ``cross``, of an encoder–decoder: whose heads are patched.
            decoder_text: what its decoder reads on both sides before the target; None is the start alone.
            truncate, chat: as for ``attend``.
            on_progress: is told how many runs are done, and of how many.

        Raises:
            InputError: a text can't be read; they have different numbers of tokens.
            UsageError: there is no such head, word or label; the model says nothing that could be measured, or does not
                run natively and a ``path`` is asked for; there are too many ways.
            ModelError: the model can't be run.
            UnsupportedModel: it attends by itself.
        """
        from attnviz.analysis.effects.patching import patch_heads
        from attnviz.analysis.effects.places import choose_places, count_heads, read_heads
        from attnviz.interface.tables import Table

        if what not in ("output", "pattern"):
            raise not_one_of("`what`", str(what), ("output", "pattern"))
        if through_mlps and path is None:
            raise UsageError("`through_mlps` is of ways, and no `path` is given", hint="Give a head as `path`.")
        sides = self._sides((clean, corrupt), pair, (target, against), decoder_text, truncate=truncate, chat=chat)
        about = {"model": self.name} | ({} if decoder_text is None else {"decoder_text": decoder_text})
        if path is None:
            counts = count_heads(self.backend, sides.clean.encoding, sides.clean.target)
            places = choose_places(counts, None if heads is None else read_heads(heads), attention)
            return Table.of(patch_heads(sides, places, what, about=about, on_progress=on_progress))
        if what == "pattern":
            raise UsageError("`path` is a way of what heads write, and `what` is pattern", hint="Leave one out.")
        from attnviz.analysis.effects.path_patching import patch_paths

        edges = self._edges(sides, path, heads, attention, through_mlps=through_mlps)
        return Table.of(
            patch_paths(sides, edges, through_mlps=through_mlps, about=about, on_progress=on_progress)
        )  # fmt: skip

    def _sides(
        self, texts: tuple[str, str], pair: str | None, asked: tuple[str | int | None, str | int | None],
        decoder_text: str | None, *, truncate: bool, chat: bool,
    ) -> Sides:  # fmt: skip
        from attnviz.analysis.effects.sides import sides_of
        from attnviz.model.outcomes import Readout

        clean, corrupt = (
            Readout(self.backend, *self._read(text, pair, decoder_text, truncate=truncate, chat=chat)) for text in texts
        )
        return sides_of(self.checkpoint.tokenizer, clean, corrupt, *asked)

    def _read(
        self, text: str, pair: str | None, decoder_text: str | None, *, truncate: bool, chat: bool
    ) -> tuple[Encoding, Encoding | None]:
        """What the model reads of one side; a decoder that is given no text reads its start alone."""
        self.follow()
        backend = self.backend
        if decoder_text is not None or "cross" not in backend.kinds or backend.labels is not None:
            return self.inputs(text, pair, decoder_text, truncate=truncate, chat=chat)
        encoding = self.encode(text, pair, truncate=truncate, chat=chat)
        start = encoding.ids[-1] if backend.start is None else backend.start
        return encoding, decoder_start(self.checkpoint.tokenizer, start)

    def _edges(
        self,
        sides: Sides,
        path: str | tuple[int, int] | Heads,
        heads: Heads | None,
        attention: Kind | None,
        *,
        through_mlps: bool,
    ) -> list[Edge]:
        """The ways that are asked for."""
        from attnviz.analysis.effects.path_patching import edges_from
        from attnviz.analysis.effects.places import choose_places, count_heads, read_heads

        if self.backend.name != "native":
            raise UsageError(
                f"{self.name} has no paths here: they are of models that attnviz runs natively",
                hint="Its heads can be patched without `path`.",
            )
        counts = count_heads(self.backend, sides.clean.encoding, sides.clean.target)
        if path == "all":
            senders, receiver = choose_places(counts, None if heads is None else read_heads(heads), attention), None
        else:
            if heads is not None:
                raise UsageError("both a path and heads are given", hint="Heads go with `path` all, or without `path`.")
            first, *rest = read_heads(_ends(path))
            if len(rest) > 1 or (rest and rest[0][1] is None):
                raise UsageError(f"`path` is {path!r}, expected one head, two, or all", hint="Write 2.1 or 2.1,5.4.")
            if rest and len(counts) == 1:
                choose_places(counts, rest, attention)
            senders, receiver = choose_places(counts, [first], attention), rest[0] if rest else None
        network = self.backend.network
        return [
            edge for each in senders for edge in edges_from(network, each, receiver, through_mlps=through_mlps)
        ]  # fmt: skip


def _ends(path: str | tuple[int, int] | Heads) -> Heads:
    """The one or two heads of a path."""
    if isinstance(path, str):
        return path.split(",")
    return [path] if isinstance(path[0], int) else path  # type: ignore[list-item, return-value]
