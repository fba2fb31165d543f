"""I-BERT (Kim et al. 2021) as it is before it is quantised: a RoBERTa."""

from __future__ import annotations

from attnviz.model.architecture.config import Config
from attnviz.model.architecture.spec import Spec
from attnviz.model.families import roberta
from attnviz.model.families.roberta import NAMES, classifier

__all__ = ["NAMES", "classifier"]

PREFIX = "ibert."


def spec(config: Config) -> Spec:
    """The facts of an I-BERT that computes in floats."""
    config.expect("quant_mode", False)
    config.expect("hidden_act", "gelu")
    config.ignore("force_dequant")
    return roberta.spec(config)
