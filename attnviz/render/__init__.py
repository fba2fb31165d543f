"""What a person sees, from records and numbers: pure functions; only the command line writes files."""
