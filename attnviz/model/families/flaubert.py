"""FlauBERT (Le et al. 2020): an XLM for French; the large one has norms before its sublayers, and none at the end."""

from __future__ import annotations

from attnviz.model.architecture.config import Config
from attnviz.model.architecture.spec import Spec
from attnviz.model.families.xlm import ATTRIBUTES, NAMES, PREFIX, classifier, xlm_spec

__all__ = ["ATTRIBUTES", "NAMES", "PREFIX", "classifier"]


def spec(config: Config) -> Spec:
    """The facts of a FlauBERT; absent attributes have the values of transformers' ``FlaubertConfig``."""
    config.ignore("layerdrop")
    return xlm_spec(config, pre_norm=config.flag("pre_norm"))
