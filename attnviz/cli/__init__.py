"""The command line: one small file a command; ``app`` gathers them."""
