"""The records of texts: a model attends, and all of its weights are kept."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, overload

from attnviz import record
from attnviz.errors import UsageError
from attnviz.interface.keeping import Keep
from attnviz.interface.measuring import Measuring
from attnviz.interface.opened import Opened, Words
from attnviz.interface.predicting import Predicting
from attnviz.interface.records import Attention, EncoderDecoder, attention_of
from attnviz.interface.rows import Given, attend_row, read_rows
from attnviz.record.measure import require_answer_of

if TYPE_CHECKING:
    from attnviz.attention.kernel import Observer


class Attending(Opened):
    """An opened model that attends to texts."""

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
        of: str | int | None = None,
        against: str | int | None = None,
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
        of: str | int | None = None,
        against: str | int | None = None,
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
        of: str | int | None = None,
        against: str | int | None = None,
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
                ``norm+residual``, ``rollout``, ``flow``, ``zeroing``, ``contribution``, ``contribution-`` or
                ``gradient``; ``attnviz manual answers`` explains them.
            of: the word that may come next, or the label, whose logit ``gradient`` is of; None is what the model
                predicts.
            against: another, whose logit is subtracted.
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
        require_answer_of(weights, of, against)
        options |= {"keep": Keep.of(scores=scores, neurons=neurons), "measure": weights, "answer": (of, against)}
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
        answer: tuple[str | int | None, str | int | None] = (None, None),
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
        measuring = Measuring(self.backend, measure, max_memory, self.name)
        kept += measuring.observers
        predicting = Predicting(self.backend)
        for each in observers:
            each.see_texts(encoding, decoded)
        self.backend.run(encoding, [*kept, *predicting.observers, *observers], decoded)
        measuring.run(self.checkpoint.tokenizer, encoding, decoded, *answer)
        made = partial(attention_of, self.name, self.backend, weights, states=states, scores=scores)
        made = partial(made, prediction=predicting.of(encoding))
        if decoded is None:
            return measuring.of(made("self", encoding))
        return EncoderDecoder(
            encoder=measuring.of(made("encoder", encoding)),
            decoder=measuring.of(made("decoder", decoded)),
            cross=measuring.of(made("cross", decoded, encoding)),
        )
