"""The check: compare what was shown with the transformers model's own attention."""
