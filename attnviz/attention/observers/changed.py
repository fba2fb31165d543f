"""Observers that show others what is made of the weights, in their place."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from attnviz.attention.observers.statistics import HeadSums
from attnviz.attention.observers.windows import InWindows
from attnviz.attention.shared import many, starts
from attnviz.attention.texts import Texts
from attnviz.attention.tile import Kind, Observer, Task, Tile
from attnviz.encoding import Window

if TYPE_CHECKING:
    from torch import Tensor

    from attnviz.attention.values import Values


class Changed(InWindows):
    """Shows ``observers`` tiles in which the weights are replaced; those that the kernel goes on with stay."""

    def __init__(self, observers: Sequence[Observer]) -> None:
        self.observers = observers
        self.starts, self.many = starts(observers), many(observers)

    def change(self, tile: Tile) -> Tile:
        """The tile that is shown in the place of one."""
        raise NotImplementedError

    def enter(self, window: Window) -> None:
        """Tell the observers which window comes next."""
        for observer in self.observers:
            if isinstance(observer, InWindows):
                observer.enter(window)

    def wants(self, layer: int, kind: Kind) -> bool:
        """Whether one of the observers needs the layer."""
        return any(observer.wants(layer, kind) for observer in self.observers)

    def tile(self, tile: Tile) -> None:
        """Show the observers what is made of a tile."""
        changed = self.change(tile)
        for observer in self.observers:
            if observer.wants(tile.layer, tile.kind):
                observer.tile(changed)

    def parts(self, task: Task) -> Iterable[Observer]:
        """Who sees what is made of the tiles of a task."""
        seers = [observer for observer in self.observers if observer.wants(task.layer, task.kind)]
        parts = [part for observer in seers for part in observer.parts(task)]
        for own in (True, False):
            if some := [part for part in parts if part.own == own]:
                yield self.part(task, some) if own else _ChangedPart(self, some, own=False)

    def part(self, task: Task, parts: Sequence[Observer]) -> Observer:  # noqa: ARG002
        """What shows changed tiles to the ``parts`` of a task that see them in its thread."""
        return _ChangedPart(self, parts)


class _ChangedPart(Observer):
    """The parts of a task that see changed tiles."""

    def __init__(self, whole: Changed, parts: Sequence[Observer], *, own: bool = True) -> None:
        self._whole, self._parts, self.own = whole, parts, own

    def tile(self, tile: Tile) -> None:
        changed = self._whole.change(tile)
        for part in self._parts:
            part.tile(changed)

    def end(self) -> None:
        for part in self._parts:
            part.end()


class ValueNorms(Changed):
    """Shows A[i, j] · ‖f(x_j)‖ of each head, which is the norm of what token i gets from j (Kobayashi et al. 2020)."""

    valued = True

    def __init__(self, observers: Sequence[Observer]) -> None:
        super().__init__(observers)
        self._norms: tuple[Kind, int, Tensor] | None = None
        self._rooms = threading.local()

    def see_values(self, layer: int, kind: Kind, values: Values) -> None:
        """Keep the norms of the layer that comes next."""
        if self.wants(layer, kind):
            self._norms = kind, layer, values.norms()

    def change(self, tile: Tile) -> Tile:
        """The tile, each column times the norm of its key in the head."""
        return replace(tile, weights=tile.weights * self.norms(tile))

    def norms(self, tile: Tile) -> Tensor:
        """The norms of the keys of a tile in its heads, (h, 1, m), in the type of its weights."""
        if self._norms is None or self._norms[:2] != (tile.kind, tile.layer):
            raise RuntimeError(f"the values of layer {tile.layer} were not shown")
        h, _, m = tile.weights.shape
        norms: Tensor = self._norms[2][tile.head : tile.head + h, None, tile.key : tile.key + m]
        return norms.to(tile.weights.dtype)

    def part(self, task: Task, parts: Sequence[Observer]) -> Observer:
        """The part that can make norms and shares of scores, if there is one that shares are for."""
        shares = next((part for part in parts if isinstance(part, _SharesOfTask)), None)
        return _NormsOfTask(self, parts, shares, task) if task.compiled and shares else _ChangedPart(self, parts)

    def room(self, size: int) -> Tensor:
        """Memory for ``size`` numbers, which is the thread's for good: taking new for each tile would take long."""
        import torch

        room: Tensor | None = getattr(self._rooms, "room", None)
        if room is None or len(room) < size:
            self._rooms.room = room = torch.empty(size)
        return room[:size]


class _NormsOfTask(_ChangedPart):
    """The parts of a task that see norms, made of scores by the compiled pass."""

    def __init__(self, whole: ValueNorms, parts: Sequence[Observer], shares: _SharesOfTask, task: Task) -> None:
        super().__init__(whole, parts)
        self._norms_of, self._shares = whole, shares
        (plain,) = HeadSums(_no_texts(*task.shape[1:])).parts(task)
        self._plain = plain

    def weigh(self, tile: Tile, scores: Tensor, sinks: Tensor | None) -> bool:
        """Turn scores into weights, and show norms; the shares of norms are the softmax of other scores.

        A[i, j] · ‖f(x_j)‖ over the sum of its row is the softmax of the scores plus ln ‖f(x_j)‖. The definitions see
        the tile where a norm is 0, and where a score without a value may take so much that the row's sum is 0.
        """
        import torch

        norms = self._norms_of.norms(tile)
        if sinks is not None or not norms.log().isfinite().all():
            return False
        h, n, m = tile.weights.shape
        room = self._norms_of.room(len(scores))
        changed = replace(tile, weights=room.view(h, n, -1)[..., :m])
        torch.add(tile.weights, norms.log(), out=changed.weights)
        if not self._plain.weigh(tile, scores, sinks):
            return False
        seen = self._shares.weigh_shares(changed, room)
        torch.mul(tile.weights, norms, out=changed.weights)
        for part in self._parts:
            if not (seen and part is self._shares):
                part.tile(changed)
        return True


@lru_cache(maxsize=8)
def _no_texts(queries: int, keys: int) -> Texts:
    """A text of which no query counts, so that nothing is added up."""
    return Texts.one(queries, keys, counting=np.zeros(queries, np.bool_))


class KeptValues(Observer):
    """Keeps the values of all layers, L·G·M·D numbers of each kind."""

    valued = True

    def __init__(self) -> None:
        self.found: dict[Kind, dict[int, Values]] = {}

    def see_values(self, layer: int, kind: Kind, values: Values) -> None:
        """Keep the values of a layer."""
        self.found.setdefault(kind, {})[layer] = values


class KeptContexts(Observer):
    """Keeps the outputs (H, N, D) of the heads of all layers, L·H·N·D numbers of each kind."""

    valued = contexts = True

    def __init__(self) -> None:
        self.found: dict[Kind, dict[int, Tensor]] = {}

    def see_context(self, layer: int, kind: Kind, context: Tensor) -> None:
        """Keep the outputs of the heads of a layer."""
        self.found.setdefault(kind, {})[layer] = context.clone()


class RowShares(Changed):
    """Shows each row divided by its sum, for figures that are of shares; a row of zeros stays."""

    def change(self, tile: Tile) -> Tile:
        """The tile with rows that sum to 1."""
        total = tile.weights.sum(-1)[..., None]
        return replace(tile, weights=tile.weights / (total + (total == 0)))

    def part(self, task: Task, parts: Sequence[Observer]) -> Observer:  # noqa: ARG002
        """The part that can make shares of scores."""
        return _SharesOfTask(self, parts)


class _SharesOfTask(_ChangedPart):
    """The parts of a task that see rows that sum to 1."""

    def weigh_shares(self, tile: Tile, scores: Tensor) -> bool:
        """Turn the scores of a tile into shares and show them; return False, and leave them alone, if it can't be."""
        first = next((part for part in self._parts if part.weigh(tile, scores, None)), None)
        for part in self._parts if first else ():
            if part is not first:
                part.tile(tile)
        return first is not None
