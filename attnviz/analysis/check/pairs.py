"""The check of a pair's figures and links, as they go into the tables, by transformers' own cross-attention."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from attnviz.analysis.check.differences import Differences
from attnviz.analysis.check.plain import Plain, mark_cross_text
from attnviz.analysis.check.tables import Layer, MeasuredDocument
from attnviz.analysis.corpus.metrics import METRICS, NAMES
from attnviz.analysis.text.links import counting
from attnviz.analysis.text.units import read_in
from attnviz.attention.window import EVERYTHING
from attnviz.encoding import Encoding, Window


@dataclass(frozen=True, eq=False)
class MeasuredPair(MeasuredDocument):
    """A document whose ``target`` looks at its ``encoding``."""

    @property
    def queries(self) -> Encoding:
        """The text that looks."""
        if self.target is None:
            raise ValueError("a pair has a target")
        return self.target

    def pieces(self) -> list[tuple[Window | None, Tensor]]:
        """The whole pair, and all of its queries."""
        return [(None, torch.arange(len(self.queries)))]

    def in_full(self) -> dict[int, list[int]]:
        """None but those whose rows are seen, which are all."""
        return {number: [] for number in self.numbers}

    def layer(self, place: int, _heads: Sequence[int], differences: Differences) -> Layer:
        """What holds the layer at a ``place`` to the rows of all of its heads."""
        return _PairLayer(self, place, differences)


class _PairLayer(Layer):
    """A layer of the cross-attention: its rows are of all queries, so that every head is made in full."""

    def __init__(self, document: MeasuredPair, place: int, differences: Differences) -> None:
        super().__init__(document.heads)
        self._document, self._place, self._differences = document, place, differences

    def see_rows(self, _window: Window | None, _rows: Tensor, weights: Tensor) -> None:
        """As ``Layer.see_rows``: hold the figures and links."""
        _hold_figures(self._document, self._place, weights, self._differences)
        _hold_links(self._document, self._place, weights.double(), self._differences)


def _hold_figures(document: MeasuredPair, place: int, weights: Tensor, differences: Differences) -> None:
    """Hold the figures of the layer at a ``place`` to what its ``weights`` (H, N, M) give."""
    source, target = document.encoding, document.queries
    # Special tokens behind the source count for the confidence of a pair.
    text = replace(mark_cross_text(target, source), stop=max(len(source), len(target)))
    plain = Plain(len(weights), len(source), EVERYTHING, differences.tolerance, by_text=True, causal=False)
    plain.add(text, 0, 0, weights)
    plain.end(text)
    found = plain.figures
    nothing = torch.full((len(weights),), torch.nan, dtype=torch.float64)
    shown = {name: torch.from_numpy(document.measured.figures[place, :, i]) for i, name in enumerate(NAMES)}
    for metric in METRICS:
        if metric.of_one_text:
            differences.values(metric.name, shown[metric.name], nothing)
        elif metric.kind == "amount":
            differences.values(metric.name, shown[metric.name], found.get(metric.name, nothing))
    plain.judge_sink(differences, shown["sink_position"])
    plain.judge_most(differences, shown["received_position"])


def _hold_links(document: MeasuredPair, place: int, weights: Tensor, differences: Differences) -> None:
    """Hold the links of a layer to its ``weights`` (H, N, M): each is right, in its best head, and none is missing."""
    links, request = document.measured.links, document.request
    some = np.flatnonzero(links.layer == place)
    head, query, key, weight = (
        torch.from_numpy(np.asarray(getattr(links, name)[some])) for name in ("head", "query", "key", "weight")
    )
    head, query, key = head.long(), query.long(), key.long()
    words = read_in("word", document.queries, document.encoding, (), request.language)
    looking, looked_at, _ = counting(words, causal=False, special=request.special, everything=request.everything)
    in_words = torch.stack([
        torch.stack([weights[:, a.start : a.stop, b.start : b.stop].sum(2).mean(1) for b in document.encoding.words], 1)
        for a in document.queries.words
    ], 1)  # (H, n, m)  # fmt: skip
    counted = torch.from_numpy(looking)[:, None] & torch.from_numpy(looked_at)
    best = torch.where(counted, in_words, 0.0).amax(0)  # (n, m)
    places = query * best.shape[1] + key
    differences.never("links", happens=(len(set(places.tolist())) != len(places)) or len(some) > request.links)
    differences.never("links", happens=~counted[query, key])
    differences.links("links", weight, in_words[head, query, key])
    differences.at_most("links", best[query, key], weight)
    differences.at_most("links", weight[1:], weight[:-1])
    best[query, key] = 0
    if best.numel() and request.links:
        least = weight[-1].double() if len(some) == request.links else torch.zeros(()).double()
        differences.at_most("links", best.amax(), least)
