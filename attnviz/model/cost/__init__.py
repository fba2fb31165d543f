"""What a run costs: estimates from the config, limits known before it, and measured rates."""
