"""MiniCPM3 (OpenBMB 2024): a DeepSeek-V2 with one MLP in each layer, and with the factors of MiniCPM."""

from __future__ import annotations

import math
from dataclasses import replace

from attnviz.model.architecture.config import Config
from attnviz.model.architecture.spec import Spec
from attnviz.model.families import names_without
from attnviz.model.families.deepseek_v2 import NAMES as DEEPSEEK_V2_NAMES
from attnviz.model.families.deepseek_v2 import latent_attention
from attnviz.model.families.youtu import latent_spec

PREFIX = "model."

NAMES = names_without(DEEPSEEK_V2_NAMES, "expert", "mlp.gate.")

DEFAULTS = {
    "minicpm3": {
        "kv_lora_rank": 256, "q_lora_rank": 768, "qk_nope_head_dim": 64, "qk_rope_head_dim": 32, "v_head_dim": 64,
    },
}  # fmt: skip


def spec(config: Config) -> Spec:
    """The facts of a MiniCPM3; absent attributes have the values of transformers' ``MiniCPM3Config``."""
    found = latent_spec(
        config,
        latent_attention(config, 40, interleaved=False, longest=32768),
        width=2560,
        inner=6400,
        layers=62,
        vocabulary=73448,
        eps=1e-5,
        bias=config.flag("mlp_bias"),
    )
    count, deep, base = len(found.layers), config.number("scale_depth", 1.4), config.size("dim_model_base", 256)
    return replace(
        found.with_layers(lambda layer: replace(layer, residual=deep / math.sqrt(count))),
        embedding=replace(found.embedding, scale=config.number("scale_emb", 12)),
        head=replace(found.head, scale=base / found.width) if found.head else None,
    )
