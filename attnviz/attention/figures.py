"""The figures of heads, computed from the sums of B texts. Each figure is defined here, for texts of any length."""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from attnviz.attention.sums import SCALARS, Sums
from attnviz.attention.texts import Bools, Floats, Ints, Texts

EDGES = (1, 10, 100, 1_000, 10_000, 100_000, 1_000_000)
"""The distances at which the bands begin; distance 0, the query itself, is a band of its own."""
Figures = dict[str, NDArray[np.float64]]


def figures(sums: Sums, texts: Texts) -> Figures:
    """All figures of one layer by name, (H, B) each, NaN where a text has none.

    They are the means of the ``totals``, and six more: ``sink`` and ``sink_position``, the largest mean weight that one
    key takes, and which key that is; ``received`` and ``received_position``, the most that one key receives, and which
    key that is; ``offset`` and ``offset_share``, the key − query at which most queries have their largest weight, and
    the share of these queries.
    """
    found = {name: total / np.where(count, count, np.nan) for name, (total, count) in totals(sums, texts).items()}
    keys = int(texts.keys[-1])
    found["sink"], found["sink_position"] = sinks(sums, texts)
    found["received"], found["received_position"] = _largest(sums.received[:, :keys], texts.keys)
    most, offset = _largest(sums.counts, texts.offsets)
    told = np.add.reduceat(sums.counts, texts.offsets[:-1], axis=1)
    found["offset"] = np.where(told, offset - texts.zeros, np.nan)
    found["offset_share"] = most / np.where(told, told, np.nan)
    return found


def totals(sums: Sums, texts: Texts) -> dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """By name, the sum of each figure over the queries that count (H, B), and the number of these queries (B,).

    ``entropy`` is −Σ A ln A, in nats; ``normalised_entropy`` is divided by ln n, n the keys that a query may see.
    ``largest`` is the largest weight, and ``confidence`` the same without the special tokens behind the text.
    ``duplicate`` is the weight on earlier tokens of the same id, over the queries that have some. ``distance`` is
    Σ A·|q − k|, ``signed_distance`` Σ A·(q − k). ``self``, ``previous`` and ``next`` are the weights at the offsets 0,
    −1 and +1, over the queries that have such a key, ``first`` that of the first key. Each set has the weight on its
    keys; the number of queries is 0 if the text has none of these.
    """
    counts = _counts(texts)
    found = {name: (sums.scalars[..., i], counts[name]) for i, name in enumerate(SCALARS)}
    starts = texts.offsets[:-1]
    offsets = _offsets(texts)
    diagonals = sums.diagonals[:, : len(offsets)]
    for name, by in (("distance", abs(offsets)), ("signed_distance", -offsets)):
        found[name] = np.add.reduceat(diagonals * by, starts, axis=1), counts[name]
    for name, step in (("self", 0), ("previous", -1), ("next", 1)):
        there = counts[name] > 0
        at = np.where(there, starts + texts.zeros + step, 0)
        found[name] = np.where(there, diagonals[:, at], 0.0).astype(np.float64), counts[name]
    found["first"] = sums.received[:, texts.keys[:-1]].astype(np.float64), counts["first"]
    for name, keys in texts.sets.items():
        positions = np.flatnonzero(keys)
        before = np.zeros((len(sums.received), len(positions) + 1))
        np.cumsum(sums.received[:, positions], axis=1, dtype=np.float64, out=before[:, 1:])
        edges = np.searchsorted(positions, texts.keys)
        found[name] = before[:, edges[1:]] - before[:, edges[:-1]], np.where(np.diff(edges), counts["first"], 0)
    return found


def sinks(sums: Sums, texts: Texts) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The largest mean weight that one key takes, and which key that is, (H, B) each (Gu et al. 2025).

    The mean is over the queries from the key on, or over all queries if the texts are not causal; a query whose window
    excludes the key counts with 0. Only keys that at least half of all queries could see are compared, since the last
    keys of a causal text have too few.
    """
    after = _after(texts)
    every = np.repeat(np.diff(_before(texts.counting)[texts.queries]), np.diff(texts.keys))
    received = sums.received[:, : len(after)]
    taken = np.where(after * 2 >= every, received / np.maximum(after, 1).astype(np.float64), -1)
    return _largest(taken, texts.keys)


def profile(sums: Sums, texts: Texts) -> NDArray[np.float64]:
    """The mean share of attention on the query itself and on each band of distances, (H, 1 + EDGES).

    The first key is left out. ``sums`` are of one text, with the weights of its first key.
    """
    counted = max(1, int(texts.counting.sum()))
    bounds = (0, *EDGES, 1 << 40)
    distances = abs(_offsets(texts))
    firsts = texts.positions + texts.first
    shares = [
        sums.diagonals[:, (near <= distances) & (distances < far)].sum(-1, dtype=np.float64)
        - sums.firsts[:, (near <= firsts) & (firsts < far)].sum(-1, dtype=np.float64)
        for near, far in pairwise(bounds)
    ]
    return np.stack(shares, axis=-1).clip(min=0) / counted


@lru_cache(maxsize=8)
def _counts(texts: Texts) -> dict[str, NDArray[np.float64]]:
    """The number of queries that each total sums over, (B,)."""
    at, lengths = texts.positions + texts.first, np.repeat(np.diff(texts.keys), np.diff(texts.queries))
    masks = dict.fromkeys((*SCALARS, "distance", "signed_distance", "first"), texts.counting)
    masks["confidence"] = texts.confident
    masks["duplicate"] = texts.counting & (texts.earlier >= 0)
    for name, by in (("self", 0), ("previous", -1), ("next", 1)):
        masks[name] = texts.counting & (at + by >= 0) & (at + by < lengths)
    return {name: np.diff(_before(mask)[texts.queries]).astype(np.float64) for name, mask in masks.items()}


@lru_cache(maxsize=8)
def _offsets(texts: Texts) -> NDArray[np.float64]:
    """The offset key − query of each column of ``Sums.diagonals``."""
    starts = np.repeat(texts.offsets[:-1] + texts.zeros, np.diff(texts.offsets))
    return np.arange(texts.offsets[-1], dtype=np.float64) - starts


@lru_cache(maxsize=8)
def _after(texts: Texts) -> Ints:
    """The number of queries that a key's mean is over (K,): those that count from its position on, or all."""
    before = _before(texts.counting)
    ends = np.repeat(before[texts.queries[1:]], np.diff(texts.keys))
    if not texts.causal:
        return np.asarray(ends - np.repeat(before[texts.queries[:-1]], np.diff(texts.keys)))
    return np.asarray(ends - before[:-1])


def _before(mask: Bools) -> Ints:
    """The number of true values of ``mask`` (n,) before each index, (n + 1,)."""
    return np.concatenate(([0], mask.cumsum()))


def _largest(values: Floats | NDArray[np.int32], starts: Ints) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The largest of the ``values`` (H, …) of each text, and the first index in the text that has it, (H, B) each."""
    most = np.maximum.reduceat(values, starts[:-1], axis=1)
    same = values == np.repeat(most, np.diff(starts), axis=1)
    numbers = np.where(same, np.arange(values.shape[1], dtype=np.int32), values.shape[1])
    first = np.minimum.reduceat(numbers, starts[:-1], axis=1) - starts[:-1]
    return most.astype(np.float64), first.astype(np.float64)
