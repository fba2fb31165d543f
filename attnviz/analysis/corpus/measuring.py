"""Measure any number of texts of a corpus: what its heads do, without tables of its documents."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from attnviz.analysis.corpus.accumulation import Collector, Corpus, DocumentRows
from attnviz.analysis.corpus.alone import heads_of, measure_alone
from attnviz.analysis.corpus.cost import PART, PART_TOKENS
from attnviz.analysis.corpus.induction import induction
from attnviz.analysis.corpus.metrics import NAMES, Measured
from attnviz.analysis.corpus.packed import Found, measure
from attnviz.analysis.corpus.typical_links import LinkRows
from attnviz.analysis.plan import are_many, part
from attnviz.encoding import Encoding, encode_many, slide_windows
from attnviz.errors import AttnvizError, InputError
from attnviz.record import Request

if TYPE_CHECKING:
    from tokenizers import Tokenizer

    from attnviz.model.hosted import Hosted
    from attnviz.model.native.backend import Native

Text = str | AttnvizError
"""A text, or why it could not be read."""
OnProgress = Callable[[int, int], None]
"""Called with the number of documents and of tokens that were done since the last call."""
_CHARACTERS = 4 * PART_TOKENS
_REQUEST = Request(links=0)


@dataclass(frozen=True, eq=False)
class Reader:
    """Measures texts with one model, whole, in packs, or in windows.

    Args:
        backend, tokenizer: the model.
        causal: whether no query sees a later key.
        on_progress: what is told of the progress.
        seen: is called with each document that was measured.
    """

    backend: Native | Hosted
    tokenizer: Tokenizer
    causal: bool
    on_progress: OnProgress = lambda *_: None
    seen: Callable[[Encoding], None] = lambda _: None

    def corpus(self, texts: Iterable[Text], *, seed: int = 0) -> Corpus:
        """The figures of all heads over the ``texts``, with ``induction`` on random tokens of that ``seed``.

        Texts that fail are counted and have their reasons; links are none.

        Raises:
            InputError: there are no texts, or none that could be measured; the message has the first reason.
            ModelError: the model can't be run, or its layers have different numbers of heads.
        """
        heads = heads_of(self.backend, self.tokenizer)
        collector = Collector([*heads], max(heads.values()))
        before = 0
        for some in _chunks(texts):
            self._add(collector, some, before, sum(heads.values()))
            before += len(some)
        corpus = collector.corpus()
        if not corpus.counts.documents:
            raise InputError("there are no texts in what is to be read", hint="Blank lines are none. Is it empty?")
        if not corpus.counts.measured:
            raise InputError(f"no text could be measured: {corpus.failures[0].text}")
        return replace(corpus, induction=induction(self.backend, self.tokenizer, seed=seed))

    def _add(self, collector: Collector, some: Sequence[Text], before: int, heads: int) -> None:
        """Measure some texts, which come after ``before`` others, and add what was found."""
        read = iter(encode_many(self.tokenizer, [text for text in some if isinstance(text, str)]))
        encoded = [next(read) if isinstance(text, str) else text for text in some]
        short, long = part(encoded, collector.heads, self.backend.limit)
        many = are_many(heads, map(len, short.values()), first=not before)
        found: dict[int, Found] = {i: each for i, each in enumerate(encoded) if not isinstance(each, Encoding)}
        self.on_progress(len(found), 0)
        together = measure(self.backend, [*short.values()], _REQUEST, self.on_progress, many=many) if short else []
        found |= zip(short, together, strict=True)
        found |= {i: self._alone(each) for i, each in long.items()}
        _collect(collector, encoded, [found[i] for i in range(len(encoded))], before)
        for i, text in enumerate(encoded):
            if isinstance(text, Encoding) and isinstance(found[i], Measured):
                self.seen(text)

    def _alone(self, encoding: Encoding) -> Found:
        """Measure a long text by itself, in windows where it is longer than the model."""
        from attnviz.model.inputs import as_error

        limit = self.backend.limit
        try:
            windows = None
            if limit is not None and len(encoding) > limit:
                windows = slide_windows(self.tokenizer, encoding, limit=limit, causal=self.causal)
            got: Found = measure_alone(
                self.backend, encoding, _REQUEST, windows, causal=self.causal,
                on_progress=lambda tokens: self.on_progress(0, tokens),
            )  # fmt: skip
        except (AttnvizError, RuntimeError, MemoryError) as error:
            got = as_error(error)
        self.on_progress(1, 0)
        return got


def _chunks(texts: Iterable[Text]) -> Iterator[list[Text]]:
    """The texts in parts that fit into memory, as ``batch`` cuts them."""
    rest = iter(texts)
    while some := [*islice(rest, 1)]:
        size = len(some[0]) if isinstance(some[0], str) else 0
        while len(some) < PART and size < _CHARACTERS and (more := [*islice(rest, 1)]):
            some += more
            size += len(more[0]) if isinstance(more[0], str) else 0
        yield some


def _collect(
    collector: Collector, encoded: Sequence[Encoding | AttnvizError], found: Sequence[Found], before: int
) -> None:
    """Add what was ``found`` of each text to the collector, which has documents ``before`` these."""
    n = len(found)
    counts = [
        (len(each.words) - sum(each.special), len(each), sum(each.special)) if isinstance(each, Encoding) else (0, 0, 0)
        for each in encoded
    ]
    words, tokens, special = np.array(counts, np.int64).reshape(n, 3).T
    reasons = ["" if isinstance(got, Measured) else got.message or "nothing was measured" for got in found]
    nothing: list[int | None] = [None] * n
    rows = DocumentRows(
        np.arange(before, before + n), [""] * n, nothing, words, tokens, reasons, [""] * n, special, nothing
    )
    measured = [got.figures for got in found if isinstance(got, Measured)]
    shape = (0, len(collector.layers), collector.heads, len(NAMES))
    stacked = np.stack(measured) if measured else np.empty(shape)
    integers = {
        name: np.empty(0, np.int64) for name in ("document", "layer", "head", "query", "key", "distance")
    }  # fmt: skip
    links = LinkRows(weight=np.empty(0), words=[], **integers)
    collector.add(rows, {name: stacked[..., i] for i, name in enumerate(NAMES)}, links)
