"""Models: what they are made of, how they run, what a run costs, and the check against transformers."""
