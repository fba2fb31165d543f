"""Corpora that are made up, for the tests of what is collected and shown of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from attnviz.analysis.corpus.accumulation import Collector, Corpus, DocumentRows
from attnviz.analysis.corpus.metrics import METRICS
from attnviz.analysis.corpus.typical_links import LinkRows

LAYERS, HEADS = (0, 1, 3), 4
Figures = dict[str, NDArray[np.float64]]
Row = tuple[int, int, int, str, str, int, float]
"""A link: document, layer, head, query, key, distance, weight."""


def documents(
    numbers: Sequence[int], *, words: int = 20, reasons: Mapping[int, str] | None = None, source: str = "corpus.txt"
) -> DocumentRows:
    reasons = reasons or {}
    count = len(numbers)
    return DocumentRows(
        np.array(numbers, np.int64),
        [source] * count,
        [number + 1 for number in numbers],
        np.full(count, words),
        np.full(count, words + 4),
        [reasons.get(number, "") for number in numbers],
        [""] * count,
        np.full(count, 2),
    )


def figures(count: int, layers: int = len(LAYERS), heads: int = HEADS, **given: float) -> Figures:
    """Figures (count, L, H) that differ by document and head; those ``given`` are the same everywhere."""
    random = np.random.default_rng(count)
    found = {metric.name: 0.2 + 0.05 * random.random((count, layers, heads)) for metric in METRICS}
    found |= {name: np.zeros((count, layers, heads)) for name in ("sink_position", "received_position")}
    found["offset"] = np.full((count, layers, heads), -1.0)
    return found | {name: np.full((count, layers, heads), value) for name, value in given.items()}


def links(rows: Sequence[Row] = ()) -> LinkRows:
    document, layer, head, query, key, distance, weight = list(zip(*rows, strict=True)) or [()] * 7
    words = sorted({*query, *key})
    numbers = [np.array(column, np.int64) for column in (document, layer, head)]
    ends = [np.array([words.index(word) for word in column], np.int64) for column in (query, key)]
    return LinkRows(*numbers, *ends, np.array(distance, np.int64), np.array(weight, np.float64), words)


def corpus(count: int = 30, rows: Sequence[Row] = (), layers: int = len(LAYERS), **given: float) -> Corpus:
    numbers = LAYERS if layers == len(LAYERS) else range(layers)
    collector = Collector(numbers, HEADS)
    collector.add(documents(range(count)), figures(count, layers, **given), links(rows))
    return collector.corpus()
