"""Splinter (Ram et al. 2021): a BERT that was trained to find spans."""

from __future__ import annotations

from attnviz.model.architecture.config import Config
from attnviz.model.architecture.spec import Spec
from attnviz.model.families import bert
from attnviz.model.families.bert import NAMES, SPELLINGS

__all__ = ["NAMES", "SPELLINGS"]

PREFIX = "splinter."


def spec(config: Config) -> Spec:
    """The facts of a Splinter; absent attributes have the values of transformers' ``SplinterConfig``."""
    config.ignore("question_token_id")
    config.only("is_decoder", False)
    return bert.spec(config)
