"""data2vec for text (Baevski et al. 2022): a RoBERTa, under names of its own."""

from __future__ import annotations

from attnviz.model.families.roberta import NAMES, classifier, spec

__all__ = ["NAMES", "classifier", "spec"]

PREFIX = "data2vec_text."
