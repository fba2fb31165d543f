"""Whole corpora: documents in, tables out."""
