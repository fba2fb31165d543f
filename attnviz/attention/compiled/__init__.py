"""What numba compiles: vectors of floats, and passes over the rows of tiles and of packs."""

HIDDEN = -3.0e38
"""The score of what is not seen: as good as −∞, with which compiled loops are not to reckon."""
