"""The ``Model`` that ``load`` gives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, overload

from attnviz import record
from attnviz.errors import UsageError
from attnviz.interface.answering import Answering
from attnviz.interface.judged import Judged
from attnviz.interface.keeping import Keep
from attnviz.interface.measuring import Measuring
from attnviz.interface.opened import Words
from attnviz.interface.predicting import Predicting, unlabelled
from attnviz.interface.records import Attention, EncoderDecoder, Survey, attention_of
from attnviz.interface.rows import Given, attend_row, check_given, read_rows
from attnviz.interface.text_answers import TextAnswering

if TYPE_CHECKING:
    from attnviz.attention.kernel import Observer
    from attnviz.model.check.judge import Check, Judge, OnLayerChecked


class Model(Judged, Answering, TextAnswering):
    """A model that attends. Made by ``load``."""

    @overload
    def attend(
        self,
        text: str,
        pair: str | None = None,
        target: str | None = None,
        *,
        generate: int | None = None,
        truncate: bool = False,
        chat: bool = False,
        words: Words | None = None,
        max_memory: int | None = None,
        scores: bool = False,
        neurons: bool = False,
        weights: record.WeightsName | None = None,
        observers: Sequence[Observer] = (),
    ) -> Attention | EncoderDecoder: ...

    @overload
    def attend(
        self,
        text: list[str] | tuple[str, ...],
        *,
        generate: int | None = None,
        truncate: bool = False,
        chat: bool = False,
        words: Words | None = None,
        max_memory: int | None = None,
        scores: bool = False,
        neurons: bool = False,
        weights: record.WeightsName | None = None,
        observers: Sequence[Observer] = (),
    ) -> list[Attention | EncoderDecoder]: ...

    @overload
    def attend(
        self,
        *,
        input_ids: Any,
        max_memory: int | None = None,
        observers: Sequence[Observer] = (),
        **beside: Any,
    ) -> Any: ...

    def attend(
        self,
        text: str | list[str] | tuple[str, ...] | None = None,
        pair: str | None = None,
        target: str | None = None,
        *,
        generate: int | None = None,
        truncate: bool = False,
        chat: bool = False,
        words: Words | None = None,
        max_memory: int | None = None,
        scores: bool = False,
        neurons: bool = False,
        weights: record.WeightsName | None = None,
        observers: Sequence[Observer] = (),
        input_ids: Any = None,
        **beside: Any,
    ) -> Any:
        """Run ``text`` (and ``pair``) through the model with our own attention and keep the weights of all heads.

        An encoder–decoder gives its three maps; its decoder reads ``target``, or what the model writes itself; that of
        a classifier reads the text once more. Of a
        list of texts each is run by itself, without padding, and there is a list of records, in order.

        In place of texts, ``input_ids`` and what is given ``beside`` them are what the model's own forward takes:
        lists, arrays or tensors, (tokens,) for one record or (rows, tokens) for a list. Padding is left out of the
        records. The rest attends as in the model that is given this very row and mask. Where padding may change that,
        transformers runs the row, and the record's ``note`` says how far its weights are from those of the same tokens
        alone: most models whose positions have vectors of their own (GPT-2, BERT) count padding on the left, unless
        ``position_ids`` say otherwise.

        Args:
            generate: how many tokens the model goes on for, greedily: none by default, and 32 for an
                encoder–decoder without a target.
            truncate: cut a text that is too long for the model.
            chat: put the text into the model's chat template.
            words: what is known to be a word, since the text does not part it from others: a list, of which the longest
                that fits is taken; or pairs (start, stop) of characters of ``text``.
            max_memory: the bytes that the weights (and scores) may take; None is a quarter of free memory.
            scores: keep q·k of all queries and keys too, in ``att.scores``, and what comes after them, in
                ``att.scales``, ``att.softcaps`` and ``att.biases``; ``att.logits`` puts these together. They take as
                much memory as the weights.
            neurons: keep the vectors q and k too, in ``att.query_vectors`` and ``att.key_vectors``, and the scores.
            weights: what ``att.weights`` are: ``attention``, or where information comes from: ``norm``, ``norm+heads``,
                ``norm+residual``, ``rollout``, ``flow`` or ``zeroing``; ``attnviz manual answers`` explains them.
            observers: others that see the run.
            beside: ``attention_mask`` (1 for a token, 0 for padding before or behind the text; without it all are
                tokens), ``token_type_ids``, ``position_ids`` and, for an encoder–decoder, ``decoder_input_ids``.

        Raises:
            InputError, UsageError: as ``encode``; a target for a model that takes none; weights that take too much; ids
                outside of the vocabulary, shapes that don't fit, a mask with holes; texts and ids.
            ModelError: the checkpoint is damaged or unsupported, or has no head to generate with.
        """
        options: dict[str, Any] = {"generate": generate, "truncate": truncate, "chat": chat, "words": words}
        if (scores or neurons) and (input_ids is not None or beside):
            raise UsageError(f"`{'neurons' if neurons else 'scores'}` are of texts, and `input_ids` are given")
        if weights not in (None, "attention") and (input_ids is not None or beside):
            raise UsageError("`weights` are of texts, and `input_ids` are given")
        if input_ids is not None or beside:
            self.follow()
            given = Given.of(text, input_ids, beside, {"pair": pair, "target": target, **options})
            rows, batch = read_rows(self, given)
            found = [attend_row(self, row, max_memory, observers) for row in rows]
            return found if batch else found[0]
        options |= {"keep": Keep.of(scores=scores, neurons=neurons), "measure": weights}
        if isinstance(text, list | tuple):
            if pair is not None or target is not None:
                raise UsageError("a list of texts takes no pair and no target: give them one by one")
            return [self._attend(each, None, None, max_memory, observers, **options) for each in text]
        return self._attend(text, pair, target, max_memory, observers, **options)

    def _attend(
        self,
        text: str | None,
        pair: str | None,
        target: str | None,
        max_memory: int | None,
        observers: Sequence[Observer],
        *,
        keep: Keep,
        measure: record.WeightsName | None,
        **options: Any,
    ) -> Attention | EncoderDecoder:
        from attnviz.attention.observers import HiddenStates, Weights

        if text is None:
            raise UsageError("no text is given", hint='Give one, or input_ids: model.attend("The bank …")')
        encoding, decoded = self.inputs(text, pair, target, **options)
        weights, states = Weights(self.backend.layers, max_memory), HiddenStates(whole=False)
        kept: list[Observer] = [weights] if self.uncheckable else [weights, states]
        scores = keep.beside(weights, observed=bool(self.uncheckable))
        kept += [scores] if scores else []
        measuring = Measuring(self.backend, measure, max_memory)
        kept += measuring.observers
        predicting = Predicting(self.backend)
        self.backend.run(encoding, [*kept, *predicting.observers, *observers], decoded)
        made = partial(attention_of, self.name, self.backend, weights, states=states, scores=scores)
        made = partial(made, prediction=predicting.of(encoding))
        if decoded is None:
            return measuring.of(made("self", encoding))
        return EncoderDecoder(
            encoder=measuring.of(made("encoder", encoding)),
            decoder=measuring.of(made("decoder", decoded)),
            cross=measuring.of(made("cross", decoded, encoding)),
        )

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
                return Survey.of(replace(found, note=unlabelled(self.backend)))
            written = None
        else:
            read, written = self.inputs(
                text, pair, target, generate=generate, truncate=truncate, chat=chat, words=lexicon, shown=True
            )
        if written is None and request.map is not None:
            raise UsageError(f"{self.name} has one map, and none for {request.map}: it is no encoder–decoder")
        predicting = Predicting(self.backend)
        found = observe(self.name, self.backend, read, written, request, [*predicting.observers, *observers])
        return Survey.of(replace(found, prediction=predicting.of(read)))

    def check(
        self,
        text: str | None = None,
        pair: str | None = None,
        target: str | None = None,
        *,
        generate: int | None = None,
        float64: bool = False,
        truncate: bool = False,
        chat: bool = False,
        progress: OnLayerChecked | None = None,
        judge: Judge | None = None,
        input_ids: Any = None,
        **beside: Any,
    ) -> Check:
        """Attend, and judge that by transformers' own attention, in every layer and head; loads transformers.

        ``check(…).max_abs_diff`` is the largest difference of two weights. Of a long text, the weights of 64 queries
        are compared; ``progress`` is told how far that is. A ``judge`` keeps transformers' model for the next text.
        ``input_ids`` and what is given ``beside`` them are as for ``attend``: transformers runs the very rows, with
        padding and mask, and the worst is the verdict.

        Args:
            float64: run both sides in double precision.

        Raises:
            InputError, UsageError, ModelError: as ``attend``; also a model that transformers can't load.
        """
        import torch

        options: dict[str, Any] = {"generate": generate, "truncate": truncate, "chat": chat}
        if input_ids is not None or beside:
            given = Given.of(text, input_ids, beside, {"pair": pair, "target": target, **options})
            return check_given(self, given, float64=float64)
        if text is None:
            raise UsageError("no text is given", hint='Give one, or input_ids: model.check("The bank …")')

        self.require_checkable()
        if float64 and self.options.dtype is not torch.float64 and not self.checkpoint.quantised:
            exact = Model(self.checkpoint, replace(self.options, dtype=torch.float64))
            return exact.check(
                text, pair, target, generate=generate, truncate=truncate, chat=chat, progress=progress, judge=judge
            )
        found = self.inspect(text, pair, target, request=record.Request(), **options)
        return self.check_record(found, progress, judge)
