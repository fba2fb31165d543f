"""Which links and which part of the maps are kept, and what was found of a layer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from attnviz.attention.sums import Bools, Floats


@dataclass(frozen=True, eq=False)
class LinkSelection:
    """Which links are kept: of each query the ``k`` strongest, and ``listed`` of each band of distances.

    Args:
        k: how many of each unit that looks.
        queries: the units whose links are kept (N,); None is all.
        keys: the units that are looked at (M,); None is all.
        itself: the unit of a query's own number is looked at, too.
        first: the first unit whose links are kept, and ``stop`` the end; None is the end of the text.
        edges: where the bands of distances begin, in units to either side; the last has no end.
        listed: how many of each band.
        near: the units that look in the bands (N,); None is ``queries``.
    """

    k: int
    queries: Bools | None = None
    keys: Bools | None = None
    itself: bool = True
    first: int = 0
    stop: int | None = None
    edges: tuple[int, ...] = ()
    listed: int = 0
    near: Bools | None = None


@dataclass(frozen=True, eq=False)
class MapSelection:
    """Which part of the maps is kept: the units from ``top`` to ``bottom`` and from ``left`` to ``right``.

    A cell is the largest weight of ``down`` × ``across`` units that look and are looked at (N,), (M,); None is all.
    ``layers`` are those that have a map; None is all.
    """

    top: int
    bottom: int
    left: int
    right: int
    down: int = 1
    across: int = 1
    queries: Bools | None = None
    keys: Bools | None = None
    layers: tuple[int, ...] | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """How many rows and columns of cells there are."""
        return -(-(self.bottom - self.top) // self.down), -(-(self.right - self.left) // self.across)


NO_MAP = MapSelection(0, 0, 0, 0)


def step(size: int, most: int) -> int:
    """How many of ``size`` units a cell joins so that there are at most ``most`` cells: powers of 2, or many 64."""
    wanted = -(-size // most)
    return -(-wanted // 64) * 64 if wanted > 64 else 1 << max(0, wanted - 1).bit_length()


@dataclass(frozen=True, eq=False)
class LayerFindings:
    """What was found of a layer.

    Attributes:
        weights: the strongest links of each unit, in order, 0 where there are fewer (H, n, k).
        keys: whom they look at, −1 where there are fewer.
        strong: the strongest of each band (H, bands, listed); with ``strong_queries`` and ``strong_keys``.
        cells: the map (H, rows, columns).
        rows: the sums over the heads of the rows that are averaged (rows, M).
    """

    weights: Floats
    keys: NDArray[np.int32]
    strong: Floats
    strong_queries: NDArray[np.int32]
    strong_keys: NDArray[np.int32]
    cells: Floats
    rows: NDArray[np.float64]
