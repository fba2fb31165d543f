"""How much is computed at once: read by those who compute and, without torch, by those who reckon its memory."""

TILE = 1 << 23
"""So many weights a tile has at most: 32 MiB in float32, small beside any model, and of 32,768 keys there are still so
many rows that their products are fast."""
TOGETHER = 4096
"""So many tokens pass an MLP at once: of a long text its inner states would be the largest thing there is."""
PACK = 4096
"""So many tokens a pack of documents has: its states stay in the cache, and of fewer the products of matrices are
slower."""
PACK_CELLS = 1 << 19
"""So many weights of a pack are made at once, 2 MiB in float32, but of one document at least."""

LANES = 16
"""So many floats the compiled loops over packs take at once; a row of scores has room for a whole number of these."""


def fits_tile(heads: int, tokens: int) -> bool:
    """Whether all weights of a layer of so many ``heads`` fit a tile: such documents run in packs."""
    return heads * tokens * tokens <= TILE
