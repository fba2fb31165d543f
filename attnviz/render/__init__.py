"""Views of records and numbers, as pure functions; only the command line writes files."""
