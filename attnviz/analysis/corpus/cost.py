"""Estimate what a corpus costs: documents of one length, with all heads measured and all tables written."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from attnviz.analysis.corpus.metrics import METRICS
from attnviz.analysis.plan import runs_packed
from attnviz.attention.block_sizes import PACK, PACK_CELLS
from attnviz.encoding import Encoding, Word
from attnviz.errors import AttnvizError
from attnviz.model.cost.estimates import TOKEN_BYTES, ModelShape, estimate_cost, state_memory
from attnviz.record import Request

if TYPE_CHECKING:
    from attnviz.model.hosted import Hosted
    from attnviz.model.native.backend import Native

PART = 1024
"""The number of documents in a part file of each table, and in a worker's memory at once."""
PART_TOKENS = 1 << 20
"""The most tokens of a part file, about: of long documents a part file has fewer."""
SENTENCE = 25
"""The tokens of a document of unknown length: a sentence of some 20 words, and special tokens."""
DAY, HOUR = 86_400, 3_600

# Bytes on disk a row, by Parquet with zstd: measured on the tables of 1,024 sentences of English EWT in the default
# model. The low bits of a float are as good as random, and its sign and exponent are nearly always the same.
_FIGURE = 2.75
_LINK = 10
_DOCUMENT = 80
# Bytes in memory: a figure as it is measured (float64) and in its table (float32), a link the same way with its words.
_FIGURE_KEPT = 12
_LINK_KEPT = 100
_WORKERS = os.cpu_count() or 1
"""The number of packs that run at once."""
_LONG_ENOUGH = 1.0
"""The seconds for which documents are run to measure the speed."""
_ARRAYS = 3
"""The number of arrays of the size of the weights that a pack needs: scores, weights, and a temporary one."""

GPU = "H100"
GPU_SHARE = 0.3
"""The share of its peak that a GPU reaches."""
GPU_PEAK = {2: 989e12, 4: 67e12, 8: 67e12}
"""FLOP/s of an H100 SXM by the bytes of a number: float32 without TF32, the others in tensor cores (NVIDIA 2023)."""


@dataclass(frozen=True)
class Tables:
    """The rows or bytes of each table of a corpus; for ``links`` the most there can be."""

    documents: int
    heads: int
    links: int

    @property
    def total(self) -> int:
        """The sum over all tables."""
        return self.documents + self.heads + self.links


@dataclass(frozen=True)
class CorpusCost:
    """The cost of ``documents`` documents of ``tokens`` tokens each, in FLOPs (additions too) and bytes.

    A document is read in so many ``windows``. Of each table there are ``parts`` files, of ``part`` documents each. A
    worker has the ``model``, the ``activations`` of a pack and the ``results`` of a part, beside Python and torch
    themselves; what is unknown is None, and counts nothing in its ``peak``. ``gpu_seconds``: on one GPU.
    """

    documents: int
    tokens: int
    windows: int
    top: int
    linear_flops: int | None
    attention_flops: int
    gpu_seconds: float | None
    rows: Tables
    bytes: Tables
    part: int
    parts: int
    model: int | None
    activations: int
    results: int

    @property
    def all_tokens(self) -> int:
        """The tokens of all documents; tokens that two windows share count once."""
        return self.documents * self.tokens

    @property
    def peak(self) -> int:
        """The memory of a worker."""
        return (self.model or 0) + self.activations + self.results


def corpus_cost(
    shape: ModelShape, documents: int, tokens: int, *, top: int = Request.links, bytes_: int = 4
) -> CorpusCost:
    """The cost of ``documents`` documents of ``tokens`` tokens; a number of the model takes ``bytes_`` bytes.

    Where their lengths differ, attention costs more than at their mean: it grows with the square of each. ``shape`` is
    of one stack.
    """
    read, windows = reading(shape, tokens)
    one = estimate_cost(shape, read, bytes_=bytes_)
    times = documents * windows
    linear = None if one.linear_flops is None else one.linear_flops * times
    blocks = shape.stacks[0].blocks
    heads, links = sum(block.heads for block in blocks), len(blocks) * min(top, tokens * tokens)
    rows = Tables(documents, documents * heads, documents * links)
    part = max(1, min(PART, PART_TOKENS // tokens))
    return CorpusCost(
        documents=documents,
        tokens=tokens,
        windows=windows,
        top=top,
        linear_flops=linear,
        attention_flops=one.attention_flops * times,
        gpu_seconds=None if linear is None else _gpu_seconds(linear, one.attention_flops * times, bytes_),
        rows=rows,
        bytes=Tables(_DOCUMENT * rows.documents, int(_FIGURE * len(METRICS)) * rows.heads, _LINK * rows.links),
        part=part,
        parts=-(-documents // part),
        model=one.model,
        activations=_activations(shape, read, times, bytes_) if is_short(shape, read) else one.activations + one.kept,
        results=min(part, documents)
        * (_FIGURE_KEPT * len(METRICS) * heads + _LINK_KEPT * links + TOKEN_BYTES * tokens),
    )


def reading(shape: ModelShape, tokens: int) -> tuple[int, int]:
    """The tokens that the model reads at once of a document of ``tokens``, and the number of windows, half new each."""
    if shape.limit is None or tokens <= shape.limit:
        return tokens, 1
    return shape.limit, 1 + -(-(tokens - shape.limit) // -(-shape.limit // 2))


def is_short(shape: ModelShape, tokens: int) -> bool:
    """Whether documents run in packs of which the model reads so many ``tokens`` at once."""
    return runs_packed(max(block.heads for block in shape.stacks[0].blocks), tokens, None)


def pace(backend: Native | Hosted, ids: Sequence[int], tokens: int, request: Request) -> float:
    """The seconds that a document of ``tokens``, which are ``ids`` again and again, takes of this machine among many.

    Raises:
        AttnvizError: the model can't run it.
    """
    read = (tuple(ids) * -(-tokens // len(ids)))[:tokens]
    names = tuple(map(str, read))
    words = tuple(Word(name, i, i + 1) for i, name in enumerate(names))
    one = Encoding("", None, read, (0,) * tokens, names, (False,) * tokens, words)
    _seconds(backend, [one], request)  # files are read, loops are compiled
    taken, count = _seconds(backend, [one] * _WORKERS, request), _WORKERS
    most = -(-PACK // tokens) * _WORKERS
    while taken < _LONG_ENOUGH / 2 and count < most:
        count = min(most, math.ceil(count * _LONG_ENOUGH / taken))
        taken = _seconds(backend, [one] * count, request)
    return taken / count


def _seconds(backend: Native | Hosted, documents: Sequence[Encoding], request: Request) -> float:
    from attnviz.analysis.corpus.packed import measure

    start = time.perf_counter()
    for found in measure(backend, documents, request):
        if isinstance(found, AttnvizError):
            raise found
    return time.perf_counter() - start


def workers(seconds: float, within: float) -> int:
    """How many workers finish ``within`` that many seconds what takes one worker ``seconds``."""
    return max(1, math.ceil(seconds / within))


def _activations(shape: ModelShape, tokens: int, texts: int, bytes_: int) -> int:
    """The memory of the packs that run at once, of at most ``texts`` texts of ``tokens`` tokens."""
    pack = max(1, min(PACK // tokens, texts))
    cells = max(block.heads for block in shape.stacks[0].blocks) * tokens * tokens
    weights = max(cells, min(PACK_CELLS, pack * cells)) * max(4, bytes_)
    return min(_WORKERS, -(-texts // pack)) * (state_memory(shape, [pack * tokens], bytes_=bytes_) + _ARRAYS * weights)


def _gpu_seconds(linear: int, attention: int, bytes_: int) -> float:
    """Scores and weights are float32 at least, so attention is not faster in half precision."""
    return (linear / GPU_PEAK[bytes_] + attention / GPU_PEAK[max(4, bytes_)]) / GPU_SHARE
