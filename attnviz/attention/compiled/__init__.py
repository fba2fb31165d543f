"""What numba compiles: vectors of floats, and passes over the rows of tiles and of packs."""
