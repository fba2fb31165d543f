"""How much is computed at once. Estimates of memory read these numbers too, without torch."""

TILE = 1 << 23
"""The most weights of a tile. They take 32 MiB in float32, which is little beside any model, and with 32,768 keys there
are still enough rows for fast matrix products."""
TOGETHER = 4096
"""The most tokens that pass an MLP at once: a long text's inner states would take more memory than all else."""
PACK = 4096
"""The most tokens of a pack of documents: its states still fit the cache; with fewer, matrix products are slower."""
PACK_CELLS = 1 << 19
"""The most weights of a pack that are computed at once (2 MiB in float32), of at least one document."""

LANES = 16
"""The number of floats in a vector of the compiled loops; each row of scores has room for whole vectors."""


def fits_tile(heads: int, tokens: int) -> bool:
    """Whether all weights of a layer fit a tile, (``heads``, ``tokens``, ``tokens``): such documents run in packs."""
    return heads * tokens * tokens <= TILE
