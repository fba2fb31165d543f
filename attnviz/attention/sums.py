"""Sums of attention over the queries of texts, by key and by offset, from which all figures are computed.

``add`` defines each sum, in torch or numpy; ``compiled.passes`` computes the same in one pass on the CPU.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attnviz.attention.arrays import AnyArray, as_numbers, entropies, functions_of, like, widened, zeros
from attnviz.attention.block_sizes import LANES
from attnviz.attention.texts import Bools, Floats, Ints, Texts
from attnviz.attention.window import KeyWindow

SCALARS = ("entropy", "normalised_entropy", "confidence", "duplicate", "largest")
"""The sums of one number per query: −Σ A ln A; the same divided by ln n, n the keys that the query may see; the largest
weight without the special tokens behind the text; the weight on earlier tokens of the same id; the largest weight.
"""


@dataclass(frozen=True, eq=False)
class Sums:
    """The sums of one layer of B texts, over the queries that count.

    Attributes:
        scalars: (H, B, SCALARS).
        received: the weight that each key receives (H, K …).
        own: the part of it that comes from queries of the key's own passage (H, K or 0).
        firsts: the weight of each query on the first key, not summed (H, Q or 0).
        diagonals: the weight at each offset key − query (H, ``Texts.offsets`` …).
        counts: the number of ``telling`` queries whose largest weight is at each offset (H, …).
    """

    scalars: NDArray[np.float64]
    received: Floats
    own: Floats
    firsts: NDArray[np.float64]
    diagonals: Floats
    counts: NDArray[np.int32]

    @staticmethod
    def new(heads: int, texts: Texts, *, firsts: bool = False, single: bool = False) -> Sums:
        """Sums that are all zero; ``single`` makes them float32, padded for whole vectors."""
        kind, room = (np.float32, LANES) if single else (np.float64, 0)
        keys, offsets = int(texts.keys[-1]), int(texts.offsets[-1])
        return Sums(
            np.zeros((heads, len(texts), len(SCALARS))),
            np.zeros((heads, keys + room), kind),
            np.zeros((heads, keys if texts.passages else 0), kind),
            np.zeros((heads, int(texts.queries[-1]) if firsts else 0)),
            np.zeros((heads, offsets + room), kind),
            np.zeros((heads, offsets), np.int32),
        )


def add(
    sums: Sums,
    texts: Texts,
    weights: AnyArray,
    window: KeyWindow,
    *,
    text: int = 0,
    head: int = 0,
    query: int = 0,
    key: int = 0,
) -> None:
    """Add the ``weights`` (B, h, n, m) of texts of equal length, from the number ``text`` on.

    They are the weights of the heads, queries and keys from ``head``, ``query`` and ``key`` on.
    """
    some, a, xp = _Some(texts, weights, text, query, key), widened(weights), functions_of(weights)
    count, h, n, m = a.shape
    heads = slice(head, head + h)
    entropy, largest = entropies(a), xp.amax(a, -1)
    whole = bool(some.before_stop.all())
    peaks = largest if whole else xp.amax(xp.where(some.before_stop[:, None, None], a, 0), -1)
    repeated = xp.zeros_like(largest) if texts.before is None else xp.where(some.same[:, None], a, 0).sum(-1)
    shares = shares_of_spread(texts, window, text)[query : query + n]
    columns = (
        (entropy, some.counting),
        (entropy * like(shares, a), some.counting),
        (peaks, some.confident),
        (repeated, some.counting),
        (largest, some.counting),
    )
    scalars = xp.stack([(column * rows[:, None]).sum(-1) for column, rows in columns], -1)  # (B, h, SCALARS)
    sums.scalars[heads, text : text + count] += _by_heads(scalars)
    counted = _add_received(sums, texts, a, some.counting, text=text, head=head, query=query, key=key)
    first = int(texts.zeros[text]) - some.place - n + 1
    diagonals = _of_texts(sums.diagonals, texts.offsets, text, count)[heads, :, first : first + n + m - 1]
    diagonals += _by_heads(_skewed(counted).sum(2))
    counts = _count_offsets(as_numbers(a.argmax(-1)), as_numbers(some.telling), m)
    found = _of_texts(sums.counts, texts.offsets, text, count)[heads, :, first : first + n + m - 1]
    found += counts.swapaxes(0, 1)
    if sums.firsts.shape[1] and key == 0:
        sums.firsts[heads, query : query + n] = as_numbers(counted[0, ..., 0])


def add_received(sums: Sums, texts: Texts, weights: AnyArray, *, head: int = 0, query: int = 0, key: int = 0) -> None:
    """Add to what the keys of one text receive the ``weights`` (h, n, m), as ``add`` does, and to no other sum."""
    a = widened(weights) if isinstance(weights, np.ndarray) else weights
    counting = like(texts.counting[None, query : query + a.shape[1]], a)
    _add_received(sums, texts, a[None], counting, head=head, query=query, key=key)


def _add_received(
    sums: Sums, texts: Texts, a: AnyArray, counting: AnyArray, *, text: int = 0, head: int, query: int, key: int
) -> AnyArray:
    """Add what keys receive of ``a`` (B, h, n, m); return it with 0 where queries (B, n) are not ``counting``."""
    count, h, n, m = a.shape
    counted, heads = a if counting.all() else a * counting[:, None, :, None], slice(head, head + h)
    _of_texts(sums.received, texts.keys, text, count)[heads, :, key : key + m] += _by_heads(counted.sum(2))
    if sums.own.shape[1]:
        begins, ends = (each[query : query + n] for each in texts.own)
        edges = np.flatnonzero(np.diff(ends)) + 1
        for start, stop in pairwise((0, *edges.tolist(), n)):  # the rows of each passage
            low, high = max(int(begins[start]), key), min(int(ends[start]), key + m)
            if low < high:
                own = counted[0, :, start:stop, low - key : high - key]
                sums.own[heads, low:high] += as_numbers(own.sum(1))
    return counted


class _Some:
    """The masks of the queries and keys of some weights, of their kind and on their device."""

    def __init__(self, texts: Texts, weights: AnyArray, text: int, query: int, key: int) -> None:
        count, _, n, m = weights.shape
        numbers = slice(text, text + count)
        at = texts.queries[numbers, None] + query + np.arange(n)  # (B, n)
        keys = key + np.arange(m)
        self.place = texts.first + query - key
        """The column of the key at the position of the first query."""

        self.counting, self.telling, self.confident = (
            like(each[at], weights) for each in (texts.counting, texts.telling, texts.confident)
        )
        self.before_stop = like(keys < texts.stop[numbers, None], weights)  # (B, m)
        self.same = like(np.zeros((1, 1, 1), np.bool_), weights)
        if texts.before is not None:
            others = texts.same[(texts.keys[numbers, None] + keys).clip(max=len(texts.same) - 1)]
            earlier = keys < query + np.arange(n)[:, None]
            self.same = like((texts.same[at][:, :, None] == others[:, None]) & earlier, weights)  # (B, n, m)


@lru_cache(maxsize=64)
def shares_of_spread(texts: Texts, window: KeyWindow, text: int = 0) -> NDArray[np.float64]:
    """1 / ln n for each query of a text, n the number of keys that it may see; 0 for n = 1."""
    queries, keys = (int(each[text + 1] - each[text]) for each in (texts.queries, texts.keys))
    at = np.arange(queries) + texts.first
    high = keys - 1 if window.right is None else np.minimum(at + window.right, keys - 1)
    seen = high - (0 if window.left is None else (at - window.left).clip(min=0)) + np.ones_like(at)
    return np.where(seen > 1, 1 / np.log(np.maximum(seen, 2)), 0)


def _skewed(a: AnyArray) -> AnyArray:
    """Shift the rows of ``a`` (B, h, n, m) so that each column holds one offset, (B, h, n, n + m − 1)."""
    count, h, n, m = a.shape
    # Shifted by its own number, a row has the weights of each offset in the columns of all others.
    rows = zeros(a, count, h, n, n + m)
    rows[..., :m] = functions_of(a).flip(a, (2,))
    return rows.reshape(count, h, n * (n + m))[..., : n * (n + m - 1)].reshape(count, h, n, n + m - 1)


def _count_offsets(keys: Ints, telling: Bools, m: int) -> NDArray[np.int32]:
    """How many of the ``telling`` queries (B, n) have their largest weight, at ``keys`` (B, h, n), at each offset."""
    count, h, n = keys.shape
    rows = np.arange(count * h).reshape(count, h, 1) * (n + m - 1)
    places = (rows + keys - np.arange(n) + n - 1)[np.broadcast_to(telling[:, None], keys.shape)]
    return np.bincount(places, minlength=count * h * (n + m - 1)).reshape(count, h, -1).astype(np.int32)


def _of_texts(array: NDArray[Any], starts: Ints, text: int, count: int) -> NDArray[Any]:
    """A view of ``array`` (H, …) at some texts of one length, (H, B, length)."""
    return array[:, starts[text] : starts[text + count]].reshape(len(array), count, -1)


def _by_heads(a: AnyArray) -> NDArray[Any]:
    """``a`` (B, h, …) as numbers (h, B, …)."""
    return as_numbers(a).swapaxes(0, 1)
