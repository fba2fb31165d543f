"""What an opened model is asked about effects: what changes without a head, or with something else in its place."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from attnviz.errors import AttnvizError, InputError, UsageError, short
from attnviz.interface.opened import NEW_TOKENS
from attnviz.interface.replacing import Heads, Pattern, Replacing, only_one_way

if TYPE_CHECKING:
    from attnviz.analysis.effects.ablation import OnProgress
    from attnviz.attention.interventions import Intervention
    from attnviz.attention.tile import Kind
    from attnviz.interface.tables import Table


class Intervening(Replacing):
    """An opened model in which heads are cut, frozen and replaced; the model itself is never changed."""

    @contextlib.contextmanager
    def intervene(self, *interventions: Intervention) -> Iterator[None]:
        """Let all runs of the model inside the block, in this thread, apply some interventions.

        Blocks compose: those inside come after those around them. The model itself is checked, so that nothing can be
        checked inside, nor what was attended inside.

        Args:
            interventions: ``attnviz.Zero``, ``Mean``, ``Patch``, ``Freeze`` or ``Cut``, in the order in which they are
                applied.

        Raises:
            UsageError: one is no intervention; there is no such layer or head.
            UnsupportedModel: the model attends by itself, so that nothing can be put in the place of its weights.

        Example:
            >>> with model.intervene(attnviz.Zero(5, 7), attnviz.Cut(keys=(0,))):
            ...     att = model.attend("The bank approved the loan.")
        """
        from attnviz.attention.intervened import require_interventions

        self.follow()
        backend = self.backend
        require_interventions(interventions, backend.layer_heads if backend.name == "native" else None)
        with backend.intervened(interventions):
            yield

    def ablate(
        self,
        text: str,
        pair: str | None = None,
        *,
        decoder_text: str | None = None,
        heads: Heads | None = None,
        role: str | None = None,
        attention: Kind | None = None,
        target: str | int | None = None,
        against: str | int | None = None,
        mean: Iterable[str | AttnvizError] | None = None,
        freeze: Pattern | None = None,
        as_: str | None = None,
        cut: tuple[str, str] | None = None,
        renormalise: bool = True,
        by_word: bool = False,
        rank: str | None = None,
        truncate: bool = False,
        chat: bool = False,
        seed: int = 0,
        on_progress: OnProgress = lambda *_: None,
        on_texts: Callable[[int, int], None] = lambda *_: None,
    ) -> Table:
        """What changes in what the model says without a head, as ``attnviz ablate`` says it.

        A head's output is zero, unless one of ``mean``, ``freeze``, ``as_`` and ``cut`` says otherwise. Each of the
        heads is changed by itself; the others of its layer stand beside it as controls.

        Args:
            text, pair: what the model reads.
            decoder_text: what the decoder of an encoder–decoder reads; None lets the model write it.
            heads: the heads; None for all.
            role: heads that have a role instead, such as ``induction``, by what they do with random tokens.
            attention: ``encoder``, ``decoder`` or ``cross``, of an encoder–decoder.
            target: a word that the model may say next, or a label of a classifier, whose logit is measured.
            against: the word or label whose logit is subtracted.
            mean: texts: a head's output is its mean over all their tokens.
            freeze: a head's weights are ``uniform`` over what a query sees, or their ``mean`` over those texts of
                ``mean`` that have as many tokens at least.
            as_: a head's weights are those of this text, which must have as many tokens.
            cut: the link from a word to a word has no weight in a head.
            renormalise: whether what is left of a row that loses a link is divided by its sum.
            by_word: a row for each head and word.
            rank: the column by which heads are ranked, by size.
            truncate, chat: as for ``attend``.
            seed: of the random tokens for ``role``.
            on_progress: is told how many runs are done, and of how many.
            on_texts: is told how many more documents of ``mean``, and tokens, are done.

        Raises:
            UsageError: there is no such head, role, label, column or word; several ways are asked for at once.
            InputError: the text can't be read; texts differ in length.
            ModelError: the model can't be run.
            UnsupportedModel: it attends by itself.
        """
        from attnviz.analysis.effects.ablation import ZERO, ablate
        from attnviz.analysis.effects.measures import Measures
        from attnviz.analysis.effects.places import choose_places, count_heads
        from attnviz.encoding.spelling import Spelling
        from attnviz.interface.tables import Table
        from attnviz.model.outcomes import Readout

        only_one_way(
            mean=mean is not None and freeze is None,
            freeze=freeze is not None,
            as_=as_ is not None,
            cut=cut is not None,
        )
        source, read = self.inputs(text, pair, decoder_text, truncate=truncate, chat=chat)
        readout = Readout(self.backend, source, read)
        counts = count_heads(self.backend, source, read)
        wanted, notes = self._heads(heads, role, seed)
        places = choose_places(counts, wanted, attention)
        layers = {(place.kind, place.layer) for place in places}
        every = [each for each in choose_places(counts, None, None) if (each.kind, each.layer) in layers]
        measured = self._target(readout, target, against)
        measures = Measures(readout, Spelling(self.checkpoint.tokenizer), measured)
        if measured:
            notes = [*measured.notes, *notes]
        way = ZERO
        if freeze is not None or mean is not None:
            way = self._average(mean, freeze, readout, every, on_texts)
        elif as_ is not None:
            way = self._as(as_, readout, every, truncate=truncate, chat=chat)
        elif cut is not None:
            way = self._cut(cut, readout, places, renormalise=renormalise)
        about = {"model": self.name, "text": text} | ({"decoder_text": read.text} if read else {})
        return Table.of(
            ablate(
                readout, measures, places, every, way,
                by_word=by_word, rank=rank, about=about, notes=notes, on_progress=on_progress,
            )
        )  # fmt: skip

    def generate(
        self,
        text: str,
        without: Heads | None = None,
        *,
        role: str | None = None,
        attention: Kind | None = None,
        mean: Iterable[str | AttnvizError] | None = None,
        freeze: Pattern | None = None,
        cut: tuple[str, str] | None = None,
        renormalise: bool = True,
        tokens: int = NEW_TOKENS,
        truncate: bool = False,
        chat: bool = False,
        seed: int = 0,
        on_texts: Callable[[int, int], None] = lambda *_: None,
    ) -> Table:
        """What the model writes as it is, and without some heads, token by token, as ``attnviz generate`` says it.

        All of the heads are changed at once, while the text is read and at each new token; they are zeroed, unless one
        of ``mean``, ``freeze`` and ``cut`` says otherwise. Both texts are greedy. They stand in ``about``: ``both``,
        how they begin alike, and how they go on, ``plain`` and ``changed``.

        Args:
            text: what the model reads.
            without: the heads; None is all of them for a ``cut``.
            role: heads that have a role instead, by what they do with random tokens.
            attention: ``encoder``, ``decoder`` or ``cross``, of an encoder–decoder.
            mean, freeze, renormalise: as for ``ablate``; weights can be frozen to ``uniform`` only.
            cut: the link from a word to a word of the text has no weight; ``generated`` is all that writes others.
            tokens: how many tokens are written at most.
            truncate, chat, seed, on_texts: as for ``ablate``.

        Raises:
            UsageError, InputError, UnsupportedModel: as for ``ablate``; nothing is to be changed.
            ModelError: the model predicts no tokens.
        """
        from attnviz.analysis.effects.ablation import ZERO
        from attnviz.analysis.effects.places import choose_places, count_heads, named
        from attnviz.analysis.effects.writing import Texts, compare_texts
        from attnviz.encoding.spelling import Spelling
        from attnviz.interface.tables import Table
        from attnviz.model.generation import generate_continuation
        from attnviz.model.outcomes import Readout

        only_one_way(mean=mean is not None and freeze is None, freeze=freeze is not None, cut=cut is not None)
        if without is None and role is None and cut is None:
            raise UsageError("no head is given to do without", hint='Give some: model.generate(text, without=["5.7"])')
        if freeze == "mean":
            raise InputError(
                "the mean of weights is of texts of one length, and this text grows",
                hint="Freeze them to uniform, or let the heads write their mean: `mean` without `freeze`.",
            )
        if not isinstance(tokens, int) or tokens < 1:
            raise UsageError(f"`tokens` is {short(tokens)}, expected a number from 1 on")
        source, _ = self.inputs(text, generate=0, truncate=truncate, chat=chat)
        self.backend.require_changeable()
        plain = generate_continuation(self.checkpoint, self.options, self.backend, source, tokens)
        if cut is not None and attention is None and "cross" in self.backend.kinds:
            attention = "cross" if cut[0] == "generated" else "encoder"
        wanted, notes = self._heads(without, role, seed)
        places = choose_places(count_heads(self.backend, *plain), wanted, attention)
        way = ZERO
        readout = Readout(self.backend, source)
        if freeze is not None or mean is not None:
            way = self._average(mean, freeze, readout, places, on_texts)
        elif cut is not None:
            way = self._cut(cut, readout, places, renormalise=renormalise, written=tokens)
        interventions = [way.make(place) for place in places]
        with self.backend.intervened(interventions):
            changed = generate_continuation(self.checkpoint, self.options, self.backend, source, tokens)
        heads = "all heads" if wanted is None else named(places)
        texts = Texts(self.backend, source, plain, changed, interventions, Spelling(self.checkpoint.tokenizer))
        return Table.of(compare_texts(texts, way, heads, {"model": self.name, "text": text}, notes))
