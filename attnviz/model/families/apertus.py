"""Apertus (Swiss AI 2025): a Llama with queries and keys normed in each head, whose MLP has no gate, and an xIELU."""

from __future__ import annotations

from attnviz.model.architecture.config import Config
from attnviz.model.architecture.spec import MLP, XIELU, LayerSpec, PreNorm, QKNorm, RMSNorm, Spec
from attnviz.model.families import DECODER_NAMES, QK_NORM_NAMES, decoder_spec, grouped_attention, names_without

PREFIX = "model."

NAMES = {
    **names_without(DECODER_NAMES, "gate_proj", "layernorm"),
    **QK_NORM_NAMES,
    "layers.{}.attention_layernorm.weight": "layers.{}.attention.norm.weight",
    "layers.{}.feedforward_layernorm.weight": "layers.{}.mlp.norm.weight",
    "layers.{}.mlp.act_fn.alpha_p": "layers.{}.mlp.activation.positive",
    "layers.{}.mlp.act_fn.alpha_n": "layers.{}.mlp.activation.negative",
    "layers.{}.mlp.act_fn.beta": "layers.{}.mlp.activation.beta",
    "layers.{}.mlp.act_fn.eps": "layers.{}.mlp.activation.eps",
}

DEFAULTS = {
    "apertus": {
        "rope_parameters": {
            "rope_type": "llama3", "rope_theta": 12e6, "factor": 8.0, "original_max_position_embeddings": 8192,
            "low_freq_factor": 1.0, "high_freq_factor": 4.0,
        },
    },
}  # fmt: skip


def spec(config: Config) -> Spec:
    """The facts of an Apertus; absent attributes have the values of transformers' ``ApertusConfig``."""
    config.decoder()
    width = config.size("hidden_size", 4096)
    learned = config.get("hidden_act", "xielu") == "xielu"
    norm = RMSNorm(config.number("rms_norm_eps", 1e-5))
    for name, value in (("mlp_bias", False), ("post_norm", False), ("qk_norm", True)):
        config.only(name, value)
    layer = LayerSpec(
        attention=grouped_attention(config, width, 32, qk_norm=QKNorm(norm), theta=12e6, longest=65536),
        mlp=MLP(
            config.size("intermediate_size", 14336),
            XIELU() if learned else config.activation("hidden_act", "xielu"),
            bias=False,
        ),
        norms=PreNorm(norm),
    )
    return decoder_spec(config, width, layer, vocabulary=131072, layers=32)
