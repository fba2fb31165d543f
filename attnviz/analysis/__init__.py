"""Numbers from records: pure functions."""
