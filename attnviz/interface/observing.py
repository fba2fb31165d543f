"""What a model shows of texts of any length: what a request asks for, without all weights where they are many."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from attnviz import record
from attnviz.errors import UsageError
from attnviz.interface.attending import Attending
from attnviz.interface.keeping import Keep
from attnviz.interface.opened import Words
from attnviz.interface.predicting import Predicting, unlabelled
from attnviz.interface.shown import Survey

if TYPE_CHECKING:
    from attnviz.attention.kernel import Observer


class Observing(Attending):
    """A model that attends and whose attention is observed."""

    def inspect(
        self,
        text: str,
        pair: str | None = None,
        target: str | None = None,
        *,
        request: record.Request,
        words: Words | None = None,
        windows: bool = False,
        stride: int | None = None,
        scores: bool = False,
        neurons: bool = False,
        observers: Sequence[Observer] = (),
        **options: Any,
    ) -> Survey:
        """Observe a text as its length asks for: with all its weights where they are few, else as ``observe`` does.

        Args:
            request: what is asked of the text.
            words, windows, stride, observers: as for ``attend`` and ``observe``.
            scores: keep the scores too, where the text is short.
            neurons: keep the vectors and the scores, as for ``attend``.
            options: ``generate``, ``truncate`` and ``chat`` of ``attend``.

        Raises:
            InputError, UsageError, ModelError: as ``attend`` and ``observe``; ``neurons`` of a text that is too long
                for all its weights to be kept.
        """
        from attnviz.analysis.plan import plan_text
        from attnviz.analysis.text.replaying import replay
        from attnviz.render.page.unfolded import SCORED

        sliding = windows or stride is not None
        size = 0 if sliding else self._size(text, pair, **options)
        if plan_text(size, request, windows=sliding).way == "kept":
            options |= {"keep": Keep.of(scores=scores, neurons=neurons, most=SCORED), "measure": request.weights}
            options |= {"answer": (request.of, request.against)}
            found = self._attend(text, pair, target, None, observers, words=words, **options)
            return Survey.of(replay(found, request))
        if neurons:
            raise UsageError(
                "the text is too long for `neurons`: not even all its weights are kept", hint="Give a shorter text."
            )
        return self.observe(
            text, pair, target, **options, lexicon=words, windows=windows, stride=stride, request=request,
            observers=observers,
        )  # fmt: skip

    def observe(
        self,
        text: str,
        pair: str | None = None,
        target: str | None = None,
        *,
        generate: int | None = None,
        truncate: bool = False,
        chat: bool = False,
        observers: Sequence[Observer] = (),
        windows: bool = False,
        stride: int | None = None,
        lexicon: Words | None = None,
        request: record.Request | None = None,
        **asked: Any,
    ) -> Survey:
        """Run a text of any length and keep what a summary needs of its attention, nothing that grows with N².

        Everything kept is exact. It shows itself in a notebook; ``analysis.text.summary.summarise`` makes of it what
        ``show`` prints.

        Args:
            generate, truncate, chat: as for ``attend``.
            observers: others that see the run.
            windows: where the text has more tokens than the model has positions, slide over it in windows of as many
                as it has, each ``stride`` tokens after the one before (half of one by default). Links are found between
                what stands in one window, at the places of the whole text.
            lexicon: what is known to be a word, the ``words`` of ``attend``.
            request: what is asked of the text.
            asked: fields of a ``Request``, where none is given.

        Raises:
            InputError, UsageError, ModelError: as ``attend``; a word, passage or row that the text does not have.
        """
        from attnviz.analysis.text.observing import observe

        request = request or record.Request(**asked)

        if windows or stride is not None:
            if not windows:
                raise UsageError("`stride` is given, and no `windows` that it could be of")
            given = {
                "`pair`": pair,
                "`target`": target,
                "`generate`": generate,
                "`truncate`": truncate,
                "`map`": request.map,
            }
            read, cut = self._windows(
                text, stride, [name for name, value in given.items() if value], chat=chat, words=lexicon
            )
            if cut is not None:
                found = observe(self.name, self.backend, read, None, request, observers, cut)
                return Survey.of(replace(found, note=unlabelled(self.backend) or self.backend.note))
            written = None
        else:
            read, written = self.inputs(
                text, pair, target, generate=generate, truncate=truncate, chat=chat, words=lexicon, shown=True
            )
        if written is None and request.map is not None:
            raise UsageError(f"{self.name} has one map, and none for {request.map}: it is no encoder–decoder")
        predicting = Predicting(self.backend)
        found = observe(self.name, self.backend, read, written, request, [*predicting.observers, *observers])
        note = self.backend.note or found.note
        return Survey.of(replace(found, prediction=predicting.of(read), note=note))
