"""Rows of weights at their positions in the document, and between units; independent of the observers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from attnviz.encoding import Window

Block = tuple[int, int, Tensor]
"""The first query, the first key, and the weights (h, n, m) from there on."""


def in_document(window: Window, query: int, key: int, weights: Tensor, *, sinks: bool) -> Block | None:
    """The rows that are kept of a ``window``, without special tokens as keys, at their positions in the document.

    Args:
        sinks: False if the first token of the window does not count as a key.
    """
    shift = window.start - window.lead
    first, last = max(window.first - shift, query), min(window.last - shift, query + weights.shape[1])
    low, high = max(window.lead, key), min(window.stop - shift, key + weights.shape[2])
    if first >= last or low >= high:
        return None
    part = weights[:, first - query : last - query, low - key : high - key]
    if not sinks and low == 0:
        part = part.clone()
        part[..., 0] = 0
    return first + shift, low + shift, part


class ToUnits:
    """Turns rows of tokens, which come in the order of the text, into rows of units.

    The weight to a unit is the sum over its tokens, and from a unit the mean. A unit is returned when all of its rows
    were seen. ``queries`` and ``keys`` are the first tokens of the units, and the end of the last one.
    """

    def __init__(self, queries: Sequence[int], keys: Sequence[int]) -> None:
        self.queries, self.keys = torch.as_tensor(queries), torch.as_tensor(keys)
        self._open: Block | None = None

    def rows(self, query: int, key: int, weights: Tensor) -> Iterator[Block]:
        """The units that these rows, with those left over from before, complete."""
        if self._open is not None:
            query, key, weights = _joined(self._open, (query, key, weights))
        self._open = None
        edges = self.queries
        first = int(torch.searchsorted(edges, query))
        last = int(torch.searchsorted(edges, query + weights.shape[1], right=True)) - 1
        whole = int(edges[last]) - query
        if whole < weights.shape[1]:
            self._open = query + whole, key, weights[:, whole:].clone()
        if first < last:
            yield self._united(first, last, key, weights[:, :whole])

    def _united(self, first: int, last: int, key: int, weights: Tensor) -> Block:
        high = key + weights.shape[2]
        low = int(torch.searchsorted(self.keys, key, right=True)) - 1
        end = int(torch.searchsorted(self.keys, high))
        if (last - first, end - low) == tuple(weights.shape[1:]):
            return first, low, weights
        columns = torch.searchsorted(self.keys, torch.arange(key, high), right=True) - 1 - low
        summed = weights.new_zeros(*weights.shape[:2], end - low).index_add_(2, columns, weights)
        lengths = self.queries[first : last + 1].diff()
        rows = torch.arange(last - first).repeat_interleave(lengths)
        united = weights.new_zeros(len(weights), last - first, end - low).index_add_(1, rows, summed)
        return first, low, united / lengths[:, None].to(united)


def _joined(one: Block, other: Block) -> Block:
    """Join two consecutive blocks of rows, with the keys of both."""
    key = min(one[1], other[1])
    high = max(block[1] + block[2].shape[2] for block in (one, other))
    rows = []
    for _, low, weights in (one, other):
        wide = weights.new_zeros(*weights.shape[:2], high - key)
        wide[..., low - key : low - key + weights.shape[2]] = weights
        rows.append(wide)
    return one[0], key, torch.cat(rows, dim=1)
