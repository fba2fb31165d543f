"""No array of all weights is ever made: the largest that the kernel and its observers make is as large as a tile."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from attnviz.attention import kernel
from attnviz.attention.kernel import Observer, attend
from attnviz.attention.observers import (
    Band,
    Confidence,
    DuplicateTokens,
    HeadStats,
    InUnits,
    Pairs,
    Received,
    Tiles,
    TopLinks,
    Weights,
)
from attnviz.attention.window import CAUSAL, EVERYTHING, KeyWindow

LENGTH = 3000
BOUND = 1 << 19
"""Weights of a tile; the map of the two heads has 34 times as many."""


class Allocations(TorchDispatchMode):
    """Notes how many bytes the largest storage has that any operation gave back."""

    largest = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        del types
        found = func(*args, **(kwargs or {}))
        sizes = [each.untyped_storage().nbytes() for each in tree_leaves(found) if isinstance(each, Tensor)]
        self.largest = max(self.largest, *sizes, 0)
        return found


def largest(observers: list[Observer], window: KeyWindow, *, biased: bool = False) -> int:
    """The bytes of the largest array that a layer of 3,000 tokens makes."""
    q, k, v = (torch.randn(heads, LENGTH, 4) for heads in (2, 1, 1))
    bias = (lambda at, to: (at[:, None] - to).abs().float()[None] / -9) if biased else None
    with Allocations() as made:
        attend(q, k, v, scale=0.5, window=window, bias=bias, observers=observers)
        for observer in observers:
            if isinstance(observer, HeadStats):
                assert observer.figures["entropy"].shape == (1, 2)
    return made.largest


def all_observers() -> list[Observer]:
    words = [int(at) for at in np.flatnonzero(np.random.default_rng(0).random(LENGTH) < 0.7) if at]
    inner: list[Observer] = [TopLinks(8), Band((1, 10, 100), 8), Tiles(60, 60), Pairs([5]), Received()]
    return [
        *inner,
        TopLinks(8, torch.arange(LENGTH) % 3 > 0),
        HeadStats({"some": np.arange(LENGTH) % 7 == 0}, per_query=True),
        Received((0, 500, 1700)),
        DuplicateTokens([i % 40 for i in range(LENGTH)]),
        Confidence(LENGTH - 5),
        Tiles(50, 40, how="mean"),
        InUnits([TopLinks(8), Band((1, 10, 100), 8), Tiles(60, 60)], [0, *words], [0, *words], itself=False),
    ]


@pytest.mark.parametrize(
    ("window", "biased"),
    [(CAUSAL, False), (EVERYTHING, False), (EVERYTHING, True), (KeyWindow(left=700, right=700), False)],
)
def test_no_array_is_larger_than_a_tile(window: KeyWindow, biased: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel, "TILE", BOUND)
    # A tile's places have numbers of 8 bytes, and its rows may be filled up to whole blocks.
    bound = 8 * BOUND * (LENGTH + kernel.BLOCK) // LENGTH
    assert largest(all_observers(), window, biased=biased) <= bound < 4 * LENGTH**2 / 8


def test_an_array_of_all_weights_would_be_seen() -> None:
    assert largest([Weights({"self": 0})], EVERYTHING) >= 4 * 2 * LENGTH**2
