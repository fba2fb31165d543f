"""uMT5 (Chung et al. 2023): a T5 whose layers each have a table of relative buckets."""

from __future__ import annotations

from attnviz.model.architecture.config import Config
from attnviz.model.architecture.spec import Spec
from attnviz.model.families import t5

PREFIX = t5.PREFIX
DEFAULTS = {"umt5": t5.DEFAULTS["mt5"]}

_TABLE = "block.{}.layer.0.SelfAttention.relative_attention_bias.weight"

NAMES = {theirs: our for theirs, our in t5.NAMES.items() if "relative" not in theirs} | {
    f"encoder.{_TABLE}": "encoder.layers.{}.attention.relative.weight",
    f"decoder.{_TABLE}": "layers.{}.attention.relative.weight",
}


def spec(config: Config) -> Spec:
    """The facts of a uMT5, read as those of a T5."""
    return t5.spec(config, shared=False)
