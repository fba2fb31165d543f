"""The work on a chunk: its documents are encoded, and measured together if they are short, else one by one."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial

from attnviz.analysis.corpus.alone import heads_of, measure_alone
from attnviz.analysis.corpus.crossing import measure_pair
from attnviz.analysis.corpus.metrics import Measured
from attnviz.analysis.corpus.packed import measure
from attnviz.analysis.corpus.together import nobody
from attnviz.analysis.plan import are_many, part
from attnviz.analysis.text.observing import is_causal
from attnviz.batch.document import Document
from attnviz.batch.engine.chunk import Chunk
from attnviz.batch.output.result import DocumentResult
from attnviz.encoding import Encoding, Lexicon, Windows, encode_many, slide_windows
from attnviz.errors import AttnvizError, InputError, UsageError
from attnviz.interface import Model
from attnviz.interface.opened import no_decoder
from attnviz.model.cost import limits as foresee
from attnviz.model.inputs import as_error
from attnviz.record import Request


@dataclass(frozen=True)
class EncodedPair:
    """The tokens of a pair: what the encoder reads, and what the decoder reads."""

    source: Encoding
    target: Encoding


Encoded = Encoding | EncodedPair | AttnvizError
OnProgress = Callable[[int, int], None]
"""Called with the number of documents and of tokens that were done since the last call."""


@dataclass(frozen=True)
class WorkOptions:
    """What is done with each document: ``windows`` slide over those that are longer than the model, by ``stride``.

    The ``words`` of a list are cut whole. ``pairs``: documents have a target, whose attention to them is measured.
    """

    request: Request = field(default_factory=Request)
    windows: bool = True
    stride: int | None = None
    words: Lexicon | None = None
    pairs: bool = False


class Worker:
    """Measures chunks with one model.

    Raises:
        UsageError: the stride is longer than a window; pairs for a model that has no cross-attention.
        UnsupportedModel: its layers have different numbers of heads.
        ModelError: it can't be run.
    """

    def __init__(self, model: Model, how: WorkOptions) -> None:
        self.model = model
        self.how = how
        if how.pairs and "cross" not in model.backend.kinds:
            raise no_decoder(model.name)
        self.heads = heads_of(model.backend, model.checkpoint.tokenizer, cross=how.pairs)
        """How many heads each layer has, by the model's own number of the layer."""
        # Texts are read ahead in another thread, and tokenizers don't bear to be set up in one and used in another.
        self._tokenizing = threading.Lock()
        self._require_stride()

    def _require_stride(self) -> None:
        """Raise at once what ``slide_windows`` would of each document."""
        limit, stride = self.model.backend.limit, self.how.stride
        if limit is None or stride is None:
            return
        room = limit - self.model.checkpoint.tokenizer.num_special_tokens_to_add(False)
        if stride > room:
            raise UsageError(f"`stride` is {stride}, expected 1 to {room}: a window has {room} tokens of the text")

    @cached_property
    def causal(self) -> bool:
        """Whether no query sees a later key."""
        return is_causal(self.model.backend, self.model.backend.kinds[0])

    def encode(self, chunk: Chunk) -> list[Encoded]:
        """Encode each document, or return the error that says why it can't be."""
        if self.how.pairs:
            with self._tokenizing:
                return [self._encode_pair(each) for each in chunk.documents]
        texts = [each.text for each in chunk.documents if not each.reason]
        with self._tokenizing:
            found = iter(encode_many(self.model.checkpoint.tokenizer, texts, words=self.how.words))
        return [InputError(each.reason) if each.reason else self._fitting(next(found)) for each in chunk.documents]

    def _encode_pair(self, document: Document) -> Encoded:
        try:
            if document.reason:
                raise InputError(document.reason)
            source, target = self.model.inputs(document.text, target=document.target, words=self.how.words)
        except AttnvizError as error:
            return error
        return InputError("it has no target") if target is None else EncodedPair(source, target)

    def _fitting(self, encoded: Encoded) -> Encoded:
        """``encoded``, or an error if the model has too few positions for it, or the machine too little memory."""
        if not isinstance(encoded, Encoding):
            return encoded
        limit = self.model.backend.limit
        if limit is None or len(encoded) <= limit:
            try:
                foresee.require_memory(self.model.checkpoint, self.model.options, len(encoded))
            except InputError as error:
                return error
        elif not self.how.windows:
            over = f"the text has {len(encoded)} tokens, the model takes {limit}: {len(encoded) - limit} too many"
            return InputError(over)
        return encoded

    def measure(
        self, chunk: Chunk, encoded: Sequence[Encoded], on_progress: OnProgress = nobody
    ) -> list[DocumentResult]:
        """Measure each document of the ``chunk``; one that fails does not affect the others."""
        if self.how.pairs:
            pairs = zip(chunk.documents, encoded, strict=True)
            return [self._pair(document, each, on_progress) for document, each in pairs]
        documents = chunk.documents
        short, long = part(encoded, max(self.heads.values()), self.model.backend.limit)
        found = {
            i: _not_encoded(documents[i], each) for i, each in enumerate(encoded) if not isinstance(each, Encoding)
        }
        on_progress(len(found), 0)
        many = are_many(sum(self.heads.values()), map(len, short.values()), first=chunk.number == 0)
        together = self._together([documents[i] for i in short], [*short.values()], on_progress, many=many)
        found |= zip(short, together, strict=True)
        found |= {i: self._alone(documents[i], each, on_progress) for i, each in long.items()}
        return [found[i] for i in range(len(documents))]

    def _pair(self, document: Document, each: Encoded, on_progress: OnProgress) -> DocumentResult:
        """Measure a pair."""
        start = time.perf_counter()
        if not isinstance(each, EncodedPair):
            on_progress(1, 0)
            return _not_encoded(document, each)
        try:
            got: Measured | AttnvizError = measure_pair(self.model.backend, each.source, each.target, self.how.request)
        except (AttnvizError, RuntimeError, MemoryError) as error:  # such as a GPU that has no memory left
            got = as_error(error)
        on_progress(1, len(each.source) + len(each.target))
        found = _found(document, each.source, got, time.perf_counter() - start)
        return replace(found, target=each.target)

    def _together(
        self, documents: Sequence[Document], encodings: Sequence[Encoding], on_progress: OnProgress, *, many: bool
    ) -> list[DocumentResult]:
        """Measure short documents in packs; the time is shared out by tokens."""
        if not documents:
            return []
        start = time.perf_counter()
        found = measure(self.model.backend, encodings, self.how.request, on_progress, many=many)
        tokens = sum(map(len, encodings))
        each = (time.perf_counter() - start) / tokens
        rows = zip(documents, encodings, found, strict=True)
        return [_found(document, encoding, got, each * len(encoding)) for document, encoding, got in rows]

    def _alone(self, document: Document, encoding: Encoding, on_progress: OnProgress) -> DocumentResult:
        """Measure a long document: whole if the model can read it, else in windows."""
        start = time.perf_counter()
        try:
            windows = self.windows(encoding)
            got: Measured | AttnvizError = measure_alone(
                self.model.backend,
                encoding,
                self.how.request,
                windows,
                causal=self.causal,
                on_progress=partial(on_progress, 0),
            )
        except (AttnvizError, RuntimeError, MemoryError) as error:  # such as a GPU that has no memory left
            windows, got = None, as_error(error)
        on_progress(1, 0)
        found = _found(document, encoding, got, time.perf_counter() - start)
        return replace(found, windows=len(windows)) if windows else found

    def windows(self, encoding: Encoding) -> Windows | None:
        """The windows in which a document is read; None if the model reads it whole.

        Raises:
            InputError, UsageError: as ``slide_windows``.
        """
        limit = self.model.backend.limit
        if limit is None or len(encoding) <= limit:
            return None
        tokenizer = self.model.checkpoint.tokenizer
        with self._tokenizing:
            return slide_windows(tokenizer, encoding, limit=limit, causal=self.causal, stride=self.how.stride)


def _not_encoded(document: Document, error: Encoded) -> DocumentResult:
    return DocumentResult(document, reason=error.message if isinstance(error, AttnvizError) else "it is a pair")


def _found(document: Document, encoding: Encoding, got: Measured | AttnvizError, seconds: float) -> DocumentResult:
    if isinstance(got, Measured):
        return DocumentResult(document, encoding, got, 1, seconds)
    return DocumentResult(document, encoding, None, 0, seconds, got.message)
