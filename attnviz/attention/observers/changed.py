"""Observers that show others what is made of the weights, in their place."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from attnviz.attention.observers.windows import InWindows
from attnviz.attention.shared import many, starts
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
                yield _ChangedPart(self, some, own=own)


class _ChangedPart(Observer):
    """The parts of a task that see changed tiles."""

    def __init__(self, whole: Changed, parts: Sequence[Observer], *, own: bool) -> None:
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

    def see_values(self, layer: int, kind: Kind, values: Values) -> None:
        """Keep the norms of the layer that comes next."""
        if self.wants(layer, kind):
            self._norms = kind, layer, values.norms()

    def change(self, tile: Tile) -> Tile:
        """The tile, each column times the norm of its key in the head."""
        if self._norms is None or self._norms[:2] != (tile.kind, tile.layer):
            raise RuntimeError(f"the values of layer {tile.layer} were not shown")
        h, _, m = tile.weights.shape
        norms = self._norms[2][tile.head : tile.head + h, None, tile.key : tile.key + m]
        return replace(tile, weights=tile.weights * norms.to(tile.weights.dtype))


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
