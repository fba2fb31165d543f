"""Analyses of one text: summary, links, long-range attention, maps."""
