"""The check: what was shown, compared with the transformers model's own eager attention."""
