"""Shows other observers a part of each map, as if it were the whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from attnviz.attention.tile import Kind, Observer, Tile
from attnviz.attention.window import EVERYTHING

if TYPE_CHECKING:
    from torch import Tensor


class Cropped(Observer):
    """The queries and keys of ``parts`` (of each kind of map; all where it says nothing), for ``observers``.

    So padding is left out: nothing is lost where the queries of a part give the other keys no weight.
    """

    starts = ()

    def __init__(self, parts: Mapping[Kind, tuple[slice, slice]], observers: Sequence[Observer]) -> None:
        self._parts, self._observers = parts, observers

    def tile(self, tile: Tile) -> None:
        """Show what of the tile lies in the part."""
        queries, keys = self._parts.get(tile.kind, (slice(0, tile.shape[1]), slice(0, tile.shape[2])))
        heads, n, m = tile.weights.shape
        first, last = max(queries.start, tile.query), min(queries.stop, tile.query + n)
        if first >= last:
            return
        low, high = max(keys.start, tile.key), min(keys.stop, tile.key + m)
        rows = tile.weights[:, first - tile.query : last - tile.query]
        if low < high:
            weights = rows[..., low - tile.key : high - tile.key].contiguous()
        else:
            low, weights = keys.start, rows.new_zeros((heads, last - first, 1))
        shape = (tile.shape[0], queries.stop - queries.start, keys.stop - keys.start)
        cut = Tile(
            tile.layer, first - queries.start, low - keys.start, weights, shape, tile.kind, tile.head, EVERYTHING
        )
        for observer in self._observers:
            observer.tile(cut)

    def hidden(self, layer: int, states: Tensor, kind: Kind = "self") -> None:
        """Show the states of the part's queries."""
        part = self._parts.get(kind)
        for observer in self._observers:
            observer.hidden(layer, states if part is None else states[part[0]], kind)
