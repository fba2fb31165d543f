"""An observer that hands on the tiles of one of an encoder–decoder's three maps."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from attnviz.attention.shared import many, starts
from attnviz.attention.tile import Kind, Observer, Task, Tile


class Only(Observer):
    """Hands on the tiles of one ``kind``."""

    def __init__(self, kind: Kind, observers: Sequence[Observer]) -> None:
        self.kind, self.observers = kind, observers
        self.starts, self.many = starts(observers), many(observers)

    def wants(self, layer: int, kind: Kind) -> bool:
        """Whether the kind is right, and one of the observers needs the layer."""
        return kind == self.kind and any(observer.wants(layer, kind) for observer in self.observers)

    def tile(self, tile: Tile) -> None:
        """Hand on a tile of the kind."""
        if tile.kind == self.kind:
            for observer in self.observers:
                observer.tile(tile)

    def parts(self, task: Task) -> Iterable[Observer]:
        """The observers that see a task of the kind."""
        if task.kind == self.kind:
            for observer in self.observers:
                if observer.wants(task.layer, task.kind):
                    yield from observer.parts(task)
