"""Select the links and the part of the maps to keep; and hold what was found in a layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from attnviz.attention.texts import Bools, Floats


@dataclass(frozen=True, eq=False)
class LinkSelection:
    """Which links are kept: of each query the ``k`` strongest, and ``listed`` of each band of distances.

    Args:
        k: how many links of each query unit.
        queries: the units whose links are kept (N,); None for all.
        keys: the units that count as keys (M,); None for all.
        itself: whether a link from a unit to itself counts.
        first: the first unit whose links are kept.
        stop: the unit behind the last one; None for the end of the text.
        edges: where the bands of distances begin, in units to either side; the last band has no end.
        listed: how many links of each band.
        near: the units whose links in the bands are kept (N,); None for ``queries``.
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

    A cell is the largest weight of ``down`` × ``across`` units. The units ``queries`` (N,) and ``keys`` (M,) count;
    ``layers`` have a map; None for all.
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
    """How many of ``size`` units a cell joins so that there are at most ``most`` cells: a power of 2, or n · 64."""
    wanted = -(-size // most)
    return -(-wanted // 64) * 64 if wanted > 64 else 1 << max(0, wanted - 1).bit_length()


@dataclass(frozen=True, eq=False)
class UsualSelection:
    """That what is usual for each head is added up, and whose weights are kept beside it.

    Args:
        from_: the units whose rows are kept.
        to: the units whose columns are kept.
    """

    from_: Sequence[int] = ()
    to: Sequence[int] = ()


@dataclass(frozen=True, eq=False)
class LayerUsual:
    """What is usual for the heads of a layer, in units; without keys where nothing is added up.

    Attributes:
        received: what each key gets from all queries, (H, m).
        diagonals: the weights at each distance query − key, from 1 − m to n − 1, added up (H, n + m − 1).
        rows: the weights of the chosen queries, (H, queries, m).
        columns: the weights of the chosen keys, (H, n, keys).
    """

    received: NDArray[np.float64]
    diagonals: NDArray[np.float64]
    rows: NDArray[np.float64]
    columns: NDArray[np.float64]


NOTHING_USUAL = LayerUsual(*(np.zeros((0,) * axes) for axes in (2, 2, 3, 3)))


@dataclass(frozen=True, eq=False)
class LayerFindings:
    """What was found in a layer.

    Attributes:
        weights: the strongest links of each unit, in order (H, n, k); 0 if there are fewer.
        keys: the keys of these links; −1 if there are fewer.
        strong: the strongest of each band (H, bands, listed); with ``strong_queries`` and ``strong_keys``.
        cells: the map (H, rows, columns).
        rows: the rows to average, summed over the heads (rows, M).
        usual: what is usual for the heads.
    """

    weights: Floats
    keys: NDArray[np.int32]
    strong: Floats
    strong_queries: NDArray[np.int32]
    strong_keys: NDArray[np.int32]
    cells: Floats
    rows: NDArray[np.float64]
    usual: LayerUsual
