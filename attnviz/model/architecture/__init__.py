"""The building blocks of a native transformer: facts from its config, and the mathematics of positions."""
