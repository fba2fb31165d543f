"""The command line: one small file per command; ``app`` assembles them."""
