"""DeBERTa (He et al. 2021): BERT's layers whose contents and relative positions attend apart; keys have no biases."""

from __future__ import annotations

from dataclasses import replace

from attnviz.model.architecture.config import Config
from attnviz.model.architecture.spec import Spec
from attnviz.model.families import deberta_v2, names_without
from attnviz.model.families.deberta_v2 import PREFIX, classifier

__all__ = ["PREFIX", "classifier"]

NAMES = {
    **names_without(deberta_v2.NAMES, "self", "conv", "encoder.LayerNorm"),
    "encoder.layer.{}.attention.self.in_proj.weight": "layers.{}.attention.groups.weight",
    "encoder.layer.{}.attention.self.q_bias": "layers.{}.attention.query.bias",
    "encoder.layer.{}.attention.self.v_bias": "layers.{}.attention.value.bias",
    "encoder.layer.{}.attention.self.pos_proj.weight": "layers.{}.attention.position_key.weight",
    "encoder.layer.{}.attention.self.pos_q_proj.weight": "layers.{}.attention.position_query.weight",
    "encoder.layer.{}.attention.self.pos_q_proj.bias": "layers.{}.attention.position_query.bias",
}

DEFAULTS = {
    "deberta": {
        "vocab_size": 50265, "hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12,
        "intermediate_size": 3072,
    },
}  # fmt: skip


def spec(config: Config) -> Spec:
    """The facts of a DeBERTa, whose tables of positions reach as far as its relative positions do."""
    config.expect("talking_head", False)
    config.only("position_buckets", -1)
    config.only("conv_kernel_size", 0)
    config.only("norm_rel_ebd", "none")
    config.only("share_att_key", False)
    found = deberta_v2.spec(config)
    return found.with_attentions(lambda attention: replace(attention, key_bias=False))
