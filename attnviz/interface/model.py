"""``load``, and the ``Model`` that it gives."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from attnviz import record
from attnviz.checkpoint import DEFAULT, adopt, open_checkpoint, open_gguf
from attnviz.encoding import Encoding
from attnviz.errors import InputError, UsageError
from attnviz.interface.opened import Opened, Words
from attnviz.interface.records import Attention, EncoderDecoder

if TYPE_CHECKING:
    from attnviz.model.check import Check, Judge, Progress
    from attnviz.model.kernel import Observer
    from attnviz.model.observers import Weights
    from attnviz.model.verdict import Inputs

_HEADS = 1024
"""How many heads a model is taken to have that does not say it."""


class Model(Opened):
    """A model that attends. Made by ``load``."""

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
        observers: Sequence[Observer] = (),
    ) -> Attention | EncoderDecoder:
        """Run ``text`` (and ``pair``) through the model with our own attention and keep the weights of all heads.

        An encoder–decoder gives its three maps; its decoder reads ``target``, or what the model writes itself.

        Args:
            generate: how many tokens the model goes on for, greedily: none by default, and 32 for an
                encoder–decoder without a target.
            truncate: cut a text that is too long for the model.
            chat: put the text into the model's chat template.
            words: what is known to be a word, since the text does not part it from others: a list, of which the longest
                that fits is taken; or pairs (start, stop) of characters of ``text``.
            max_memory: the bytes that the weights may take; None is a quarter of free memory.
            observers: others that see the run.

        Raises:
            InputError, UsageError: as ``encode``; a target for a model that takes none; weights that take too much.
            ModelError: the checkpoint is damaged or unsupported, or has no head to generate with.
        """
        from attnviz.model.observers import Weights

        encoding, decoded = self.inputs(
            text, pair, target, generate=generate, truncate=truncate, chat=chat, words=words
        )
        weights = Weights(self.way.layers, max_memory)
        self.way.run(encoding, [weights, *observers], decoded)
        if decoded is None:
            return self._record(weights, "self", encoding)
        return EncoderDecoder(
            encoder=self._record(weights, "encoder", encoding),
            decoder=self._record(weights, "decoder", decoded),
            cross=self._record(weights, "cross", decoded, encoding),
        )

    def is_long(
        self,
        text: str,
        pair: str | None = None,
        *,
        generate: int | None = None,
        truncate: bool = False,
        chat: bool = False,
    ) -> bool:
        """Whether the weights of all heads of the text take so much that ``survey`` is to be preferred to ``attend``.

        Raises:
            InputError, UsageError: as ``encode``.
        """
        from attnviz.model import foresee, ways

        foresee.require_text(self.checkpoint, self.options, text, self.way.limit, truncate=truncate)
        tokens = len(self.encode(text, pair, truncate=truncate, chat=chat)) + (generate or 0)
        heads = self.way.heads[self.way.kinds[0]] or _HEADS
        return heads * tokens * tokens * self.options.dtype.itemsize > ways.LONG

    def survey(
        self,
        text: str,
        pair: str | None = None,
        target: str | None = None,
        *,
        generate: int | None = None,
        truncate: bool = False,
        chat: bool = False,
        kind: record.MapName | None = None,
        observers: Sequence[Observer] = (),
        windows: bool = False,
        stride: int | None = None,
        lexicon: Words | None = None,
        evidence: bool = True,
        **wanted: Any,
    ) -> record.Survey:
        """Run a text of any length and keep what a summary needs of its attention, nothing that grows with N².

        Everything kept is exact. ``analysis.surveyed.summarise_survey`` makes of it what ``show`` prints.

        Args:
            generate, truncate, chat: as for ``attend``.
            kind: which of an encoder–decoder's three maps: encoder, decoder or cross (the default).
            observers: others that see the run.
            windows: where the text has more tokens than the model has positions, slide over it in windows of as many
                as it has, each ``stride`` tokens after the one before (half of one by default). Links are found between
                what stands in one window, at the places of the whole text.
            lexicon: what is known to be a word, the ``words`` of ``attend``.
            evidence: keep some rows of the run, which ``check_record`` judges.
            wanted: fields of ``analysis.survey.Wanted``: ``tokens``, ``special``, ``everything``, ``words``,
                ``passage``, ``top``, ``links``, ``window``, ``layers``, ``size``, ``language``.

        Raises:
            InputError, UsageError, ModelError: as ``attend``; a word, passage or row that the text does not have.
        """
        from attnviz.analysis.survey import Wanted, survey

        if windows or stride is not None:
            if not windows:
                raise UsageError("--stride is given, and no --windows that it could be of")
            given = {"--pair": pair, "--target": target, "--generate": generate, "--truncate": truncate, "--map": kind}
            document, cut = self._windows(
                text, stride, [name for name, value in given.items() if value], chat=chat, words=lexicon
            )
            want = Wanted(**wanted)
            return survey(self.name, self.way, document, None, "self", want, observers, cut, evidence=evidence)
        read, written = self.inputs(text, pair, target, generate=generate, truncate=truncate, chat=chat, words=lexicon)
        if written is None and kind is not None:
            raise UsageError(f"{self.name} has one map, and none for {kind}: it is no encoder–decoder")
        which = "self" if written is None else kind or "cross"
        return survey(self.name, self.way, read, written, which, Wanted(**wanted), observers, evidence=evidence)

    def _record(
        self, weights: Weights, kind: record.Kind, queries: Encoding, keys: Encoding | None = None
    ) -> Attention:
        numbers = weights.layers(kind)
        return Attention(
            self.name,
            self.way.path,
            self.way.causal(kind),
            queries,
            weights.stacked(kind).cpu().numpy(),
            kind,
            keys,
            numbers=() if numbers == tuple(range(len(numbers))) else numbers,
        )

    def check(
        self,
        text: str,
        pair: str | None = None,
        target: str | None = None,
        *,
        generate: int | None = None,
        float64: bool = False,
        truncate: bool = False,
        chat: bool = False,
        progress: Progress | None = None,
        judge: Judge | None = None,
    ) -> Check:
        """Compare our attention with transformers' own, in every layer and head; loads transformers.

        ``check(…).max_abs_diff`` is the largest difference of two weights. Of a long text, the weights of 64 queries
        are compared; ``progress`` is told how far that is. A ``judge`` keeps transformers' model for the next text.

        Raises:
            InputError, UsageError, ModelError: as ``attend``; also a model that transformers can't load.
        """
        encoding, decoded = self.inputs(text, pair, target, generate=generate, truncate=truncate, chat=chat)
        return self.check_encoding(encoding, decoded, float64=float64, progress=progress, judge=judge)

    def check_record(self, found: record.Record | record.Survey, progress: Progress | None = None) -> Check:
        """``check`` of what a record of this model was made from, and of a survey of what it shows.

        Of a text that was read in many windows the first, a middle and the last are checked.

        Raises:
            InputError: the survey was made without ``evidence``, or there is no memory for what its check needs.
        """
        if isinstance(found, record.Survey):
            return self._check_survey(found, progress)
        if isinstance(found, record.EncoderDecoder):
            return self.check_encoding(found.encoder.encoding, found.decoder.encoding, progress=progress)
        if found.kind == "cross" and found.keys is not None:
            return self.check_encoding(found.keys, found.encoding, progress=progress)
        if found.kind != "self":
            raise InputError(
                f"the {found.kind} map does not say what the other half of {self.name} read, and the check needs both",
                hint="The cross map has both texts; so has: attnviz check",
            )
        return self.check_encoding(found.encoding, progress=progress)

    def _check_survey(self, found: record.Survey, progress: Progress | None) -> Check:
        from attnviz.analysis.check.survey import check_survey, texts_of
        from attnviz.model.check import Judge
        from attnviz.model.sampling import Unjudged

        self.require_checkable()
        judge = Judge(self.checkpoint)
        reads = [(read, None) for read in found.windows.sample] if found.windows else [texts_of(found)]
        try:
            check = check_survey(found, self.checkpoint, self.options, self.way, judge, progress)
            return replace(check, inputs=self.inputs_anew(reads))
        except Unjudged:  # transformers' eager attention is no judge here: its hidden states are
            checks = [self.check_encoding(*read, progress=progress, judge=judge) for read in reads]
            return max(checks, key=lambda check: (not check.passed, check.max_abs_diff))

    def check_encoding(
        self,
        encoding: Encoding,
        target: Encoding | None = None,
        *,
        float64: bool = False,
        progress: Progress | None = None,
        judge: Judge | None = None,
    ) -> Check:
        """``check`` of what the model reads; an encoder–decoder needs the ``target`` that its decoder reads too."""
        found = self._check(encoding, target, float64=float64, progress=progress, judge=judge)
        return replace(found, inputs=self.inputs_anew([(encoding, target)]))

    def inputs_anew(self, reads: Iterable[tuple[Encoding, Encoding | None]]) -> Inputs:
        """What transformers' own tokenizer makes of the texts that were read: what differs first."""
        found = [self._reader.compare(*read) for read in reads]
        return next((each for each in found if each.differs), found[0])

    def require_checkable(self) -> None:
        """Take over what has changed in a model in memory.

        Raises:
            UsageError: the model attends by itself, so that there is nothing of ours to check.
        """
        self.follow()
        if self.uncheckable:
            raise UsageError(self.uncheckable)

    def _check(
        self,
        encoding: Encoding,
        target: Encoding | None,
        *,
        float64: bool,
        progress: Progress | None,
        judge: Judge | None,
    ) -> Check:
        """The check of the weights."""
        import torch

        from attnviz.model.check import check

        self.require_checkable()
        own = self.options.dtype
        dtype = torch.float64 if float64 else torch.promote_types(own, torch.float32)
        if dtype is own or self.checkpoint.quantised:
            return check(self.checkpoint, encoding, target, self.options, self.way, progress, judge)
        # Half precision hides all but gross mistakes: what is checked is the same model in float32.
        options = replace(self.options, dtype=dtype)
        return check(self.checkpoint, encoding, target, options, progress=progress, judge=judge)


def load(
    model: str | os.PathLike[str] | tuple[Any, Any] = DEFAULT,
    *,
    revision: str | None = None,
    gguf: str | None = None,
    dtype: str = "float32",
    device: str | None = None,
    trust_remote_code: bool = False,
    source_lang: str | None = None,
    target_lang: str | None = None,
) -> Model:
    """Load a model: the default one, a folder, a Hub id (at ``revision``), or (transformers model, tokenizer).

    Args:
        gguf: a GGUF file, alone or in the folder or Hub repository ``model``.
        dtype: float32, float64, bfloat16 or float16.
        device: cpu, cuda, cuda:1, mps, or auto for the fastest; None is the CPU, or where your own model is.
        trust_remote_code: let transformers run code that the checkpoint brings along.
        source_lang, target_lang: of a translation model, the codes of the languages of the text and of the target, as
            its tokenizer writes them; None is what the tokenizer's settings say.

    Raises:
        ModelError: it can't be found or read.
        UsageError: an unknown type, device or language; or the model needs to know one that nothing says.
    """
    from attnviz.model.ways import read_options

    options = read_options(dtype, device, trust_remote_code=trust_remote_code)
    if isinstance(model, tuple):
        checkpoint = adopt(*model)
    elif gguf is not None:
        checkpoint = open_gguf(gguf, model, revision)
    else:
        checkpoint = open_checkpoint(model, revision)
    return Model(checkpoint.speaking(source_lang, target_lang), options)
