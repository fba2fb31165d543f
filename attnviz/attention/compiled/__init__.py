"""What numba compiles: vectors of floats, and passes over the rows of tiles and of packs."""

from __future__ import annotations

from collections.abc import Callable

ON_COMPILE: list[Callable[[], None]] = []
"""Functions to call when numba begins to compile. It does so once on a machine, since it keeps what it compiles in a
cache: beside the package or, where that can't be written, in the user's cache folder."""


HIDDEN = -3.0e38
"""The score of what is not seen: as good as −∞, with which compiled loops are not to reckon."""
