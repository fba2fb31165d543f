"""Observers that keep weights and hidden states as they are: all, or those of chosen queries."""

from __future__ import annotations

import math
import mmap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from attnviz.attention.arrays import like
from attnviz.attention.memory import Room
from attnviz.attention.tile import Kind, Observer, Tile, require_equal_heads
from attnviz.attention.window import KeyWindow
from attnviz.record import Array

if TYPE_CHECKING:
    from torch import Tensor


class Weights(Observer):
    """Keeps all weights, L·H·N·M numbers of each kind; raises an ``InputError`` if there is no room for them.

    ``layers`` is the number of layers of each kind of attention, if it is known; then weights are written directly into
    one array.
    ``most`` is the number of bytes that all may take; by default a quarter of free memory. Where they are kept
    ``beside`` other numbers, they share the room of these.
    """

    def __init__(
        self, layers: Mapping[Kind, int] | None = None, most: int | None = None, *, beside: Weights | None = None
    ) -> None:
        self.count = layers or {}
        self._beside = beside
        self._most, self._taken = most, 0
        self._room: Room | None = None
        self._whole: dict[Kind, Tensor] = {}
        self._maps: dict[Kind, dict[int, Tensor]] = {}
        self._layer_windows: dict[tuple[Kind, int], KeyWindow] = {}
        self.what = "the weights of all its heads"

    def tile(self, tile: Tile) -> None:
        """Copy the tile to its place; what no tile covers is zero."""
        layers = self._maps.setdefault(tile.kind, {})
        if tile.layer not in layers:
            layers[tile.layer] = self._place(tile)
            self._layer_windows[tile.kind, tile.layer] = tile.window
        (h, n, m), head, q, k = tile.weights.shape, tile.head, tile.query, tile.key
        layers[tile.layer][head : head + h, q : q + n, k : k + m] = tile.weights

    def _place(self, tile: Tile) -> Tensor:
        """Zeros for a new layer (H, N, M)."""
        count = self.count.get(tile.kind, 0)
        if not count:
            self.take(tile.shape, tile.weights, whole=False)
            return _zeros(tile.shape, tile.weights)
        if tile.kind not in self._whole:
            self.take((count, *tile.shape), tile.weights, whole=True)
            self._whole[tile.kind] = _zeros((count, *tile.shape), tile.weights)
        return self._whole[tile.kind][len(self._maps[tile.kind])]  # layers come in their order

    def take(self, shape: tuple[int, ...], like: Tensor, *, whole: bool) -> None:
        """Raise if there is no room for numbers of ``shape`` beside those that are kept already."""
        if self._beside:
            self._beside.take(shape, like, whole=whole)
            return
        self._taken += math.prod(shape) * like.element_size()
        self._room = self._room or Room(self._most, str(like.device))
        self._room.require(self._taken, shape[-1], whole=whole, what=self.what)

    def layers(self, kind: Kind = "self") -> tuple[int, ...]:
        """The numbers of the layers that have attention of ``kind``."""
        return tuple(sorted(self._maps.get(kind, ())))

    def layer(self, number: int, kind: Kind = "self") -> Tensor:
        """The weights of one layer, (H, N, M)."""
        return self._maps[kind][number]

    def window(self, number: int, kind: Kind = "self") -> KeyWindow:
        """The keys that the queries of one layer see."""
        return self._layer_windows[kind, number]

    def stacked(self, kind: Kind = "self") -> Tensor:
        """All weights of ``kind``, (L, H, N, M)."""
        if kind in self._whole:
            return self._whole[kind]
        maps = [self.layer(number, kind) for number in self.layers(kind)]
        require_equal_heads(map(len, maps))
        import torch

        return torch.stack(maps)


def _zeros(shape: tuple[int, ...], like: Tensor) -> Tensor:
    """Zeros of the kind of ``like``.

    On the CPU, pages of zeros cost nothing until they are written to, which half of a causal map never is. For rows
    longer than a page small pages are used; otherwise numpy is faster, since it asks for large ones.
    """
    size = math.prod(shape) * like.element_size()
    if like.device.type != "cpu" or not size:
        return like.new_zeros(shape)
    import torch

    if shape[-1] * like.element_size() < 2 * mmap.PAGESIZE:
        return torch.from_numpy(np.zeros(shape, str(like.dtype).removeprefix("torch.")))
    return torch.frombuffer(mmap.mmap(-1, size), dtype=like.dtype).view(shape)


class Pairs(Observer):
    """Keeps the rows of some ``queries``, for all keys or some: L·H·Q·M numbers."""

    def __init__(self, queries: Sequence[int], keys: Sequence[int] | None = None) -> None:
        self.queries = np.asarray(queries, np.int64)
        self.keys = None if keys is None else np.asarray(keys, np.int64)
        self._rows: dict[int, Tensor] = {}

    def tile(self, tile: Tile) -> None:
        """Copy the rows of the tile that are wanted."""
        heads, _, keys = tile.shape
        (h, n, m), head, key = tile.weights.shape, tile.head, tile.key
        wanted = np.flatnonzero((self.queries >= tile.query) & (self.queries < tile.query + n))
        if tile.layer not in self._rows:
            shape = (heads, len(self.queries), keys if self.keys is None else len(self.keys))
            self._rows[tile.layer] = _zeros(shape, tile.weights)
        if not len(wanted):
            return
        rows = tile.weights[:, like(self.queries[wanted] - tile.query, tile.weights)]  # (h, w, m)
        place = self._rows[tile.layer][head : head + h]
        if self.keys is None:
            place[:, like(wanted, place), key : key + m] = rows
        else:
            there = np.flatnonzero((self.keys >= key) & (self.keys < key + m))
            at = like(wanted[:, None], place), like(there, place)
            place[:, at[0], at[1]] = rows[..., like(self.keys[there] - key, rows)]

    def layer(self, number: int) -> Tensor:
        """The rows of one layer, (H, Q, M), or of the chosen keys, in the order of ``queries`` and ``keys``."""
        return self._rows[number]

    def layers(self) -> tuple[int, ...]:
        """The numbers of the layers that were seen."""
        return tuple(sorted(self._rows))


class HiddenStates(Observer):
    """Keeps the hidden states that enter the first layer and leave each layer, (L + 1, T, C).

    Unless they are needed as a ``whole``, a forward pass may end with the last weights and leave out the last states.
    """

    def __init__(self, *, whole: bool = True) -> None:
        self.whole = whole
        self._states: dict[Kind, list[Tensor]] = {}

    def hidden(self, layer: int, states: Tensor, kind: Kind = "self") -> None:  # noqa: ARG002  (they come in order)
        """Keep the states; the forward pass makes new ones for each layer and never writes to old ones."""
        self._states.setdefault(kind, []).append(states)

    def stacked(self, kind: Kind = "self") -> Tensor:
        """All states, (L + 1, T, C)."""
        return stack(self._states[kind])

    def each(self, kind: Kind = "self") -> tuple[Tensor, ...]:
        """The states (T, C) that were seen, in their order; none for a kind that has none."""
        return tuple(self._states.get(kind, ()))


class LastStates(Observer):
    """Keeps the hidden states (T, C) that leave the last layer, after its norm: what a classifier's head reads."""

    def __init__(self) -> None:
        self.states: Tensor | None = None

    def wants(self, layer: int, kind: Kind) -> bool:  # noqa: ARG002
        """It needs no weights."""
        return False

    def hidden(self, layer: int, states: Tensor, kind: Kind = "self") -> None:  # noqa: ARG002  (the last come last)
        """Keep the states."""
        self.states = states


def stack(states: Sequence[Tensor]) -> Tensor:
    """Stack states (…, T, C); if the last ones of a model are narrower, they are padded with zeros."""
    import torch

    widest = max(state.shape[-1] for state in states)
    return torch.stack([torch.nn.functional.pad(state, (0, widest - state.shape[-1])) for state in states])


def as_array(tensor: Tensor) -> Array:
    """``tensor`` as an array; numpy has no bfloat16."""
    return (tensor.float() if str(tensor.dtype) == "torch.bfloat16" else tensor).cpu().numpy()
