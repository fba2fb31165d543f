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
from attnviz.attention.observers import HeadSums, LinkSelection, MapSelection, Pairs, Units, Weights
from attnviz.attention.texts import Texts, earlier_tokens
from attnviz.attention.window import CAUSAL, EVERYTHING, KeyWindow

LENGTH = 1500
BOUND = 1 << 17
"""Weights of a tile; the map of the two heads has 34 times as many."""


@pytest.fixture(autouse=True)
def one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """The notes are of the thread that takes them."""
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)


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
    """The bytes of the largest array that a layer of 1,500 tokens makes."""
    q, k, v = (torch.randn(heads, LENGTH, 4) for heads in (2, 1, 1))
    bias = (lambda at, to: (at[:, None] - to).abs().float()[None] / -9) if biased else None
    with Allocations() as made:
        attend(q, k, v, scale=0.5, window=window, bias=bias, observers=observers)
        for observer in observers:
            if isinstance(observer, HeadSums):
                assert observer.figures["entropy"].shape == (1, 2)
    return made.largest


def all_observers() -> list[Observer]:
    words = [0, *(int(at) for at in np.flatnonzero(np.random.default_rng(0).random(LENGTH) < 0.7) if at)]
    sets, before = {"some": np.arange(LENGTH) % 7 == 0}, np.array(earlier_tokens([i % 40 for i in range(LENGTH)]))
    texts = Texts.one(LENGTH, sets=sets, stop=LENGTH - 5, before=before, passages=(0, 500, 1100))
    links = LinkSelection(8, keys=np.arange(len(words)) % 3 > 0, itself=False, edges=(1, 10, 100), listed=8)
    map_ = MapSelection(0, len(words), 0, len(words), 64, 64)
    units = Units(words, words, links=links, map_=lambda _: map_, averaged=[3])
    return [Pairs([5]), HeadSums(texts, firsts=True), units]


@pytest.mark.parametrize("compiled", [True, False], ids=["numba", "torch"])
@pytest.mark.parametrize(
    ("window", "biased"),
    [(CAUSAL, False), (EVERYTHING, False), (EVERYTHING, True), (KeyWindow(left=350, right=350), False)],
)
def test_no_array_is_larger_than_a_tile(
    window: KeyWindow, biased: bool, compiled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernel, "TILE", BOUND)
    if not compiled:
        monkeypatch.setattr(kernel, "find_loops", lambda _: None)
    # A tile's numbers may have 8 bytes, and its rows may be filled up, once by as much as they are long: by offset.
    bound = 8 * BOUND * (LENGTH + 80) // LENGTH
    assert largest(all_observers(), window, biased=biased) <= bound < 4 * LENGTH**2 / 8


def test_an_array_of_all_weights_would_be_seen() -> None:
    assert largest([Weights({"self": 0})], EVERYTHING) >= 4 * 2 * LENGTH**2
