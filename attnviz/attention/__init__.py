"""The heart: exact attention in tiles of query rows, and the observers that see each tile."""
