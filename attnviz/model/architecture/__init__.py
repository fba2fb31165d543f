"""What a transformer of ours is made of: facts that a config says, and the mathematics of positions."""
