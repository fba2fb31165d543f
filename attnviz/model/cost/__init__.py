"""The cost of a run: estimates from the config, limits that are verified before it, and measured rates."""
