"""Nomic BERT (Nussbaum et al. 2024): a BERT with rotary positions and gated MLPs, whose matrices have no biases."""

from __future__ import annotations

from dataclasses import replace

from attnviz.model.architecture.config import Config
from attnviz.model.architecture.spec import GatedMLP, Rotary, Spec
from attnviz.model.families import both, gte, names_without
from attnviz.model.families.bert import pooled_classifier

PREFIX = "nomic_bert."
classifier = pooled_classifier(PREFIX)

NAMES = {
    **names_without(gte.ROTARY_BERT_NAMES, "proj.bias"),
    # In files:
    **both("emb_ln", "embed.norm"),
    "encoder.layers.{}.attn.Wqkv.weight": "layers.{}.attention.qkv.weight",
    "encoder.layers.{}.attn.out_proj.weight": "layers.{}.attention.output.weight",
    **both("encoder.layers.{}.norm1", "layers.{}.attention.norm"),
    "encoder.layers.{}.mlp.fc11.weight": "layers.{}.mlp.up.weight",
    "encoder.layers.{}.mlp.fc12.weight": "layers.{}.mlp.gate.weight",
    "encoder.layers.{}.mlp.fc2.weight": "layers.{}.mlp.down.weight",
    **both("encoder.layers.{}.norm2", "layers.{}.mlp.norm"),
}

DEFAULTS = {"nomic_bert": {"vocab_size": 30528, "max_position_embeddings": 2048}}


def spec(config: Config) -> Spec:
    """The facts of a Nomic BERT."""
    found = gte.rotary_bert(config, theta=1000.0)
    _pass_over(config, found)
    mlp = GatedMLP(found.layers[0].mlp.size, config.activation("hidden_act", "silu"))
    found = found.with_attentions(lambda attention: replace(attention, bias=False, output_bias=False))
    return found.with_layers(lambda layer: replace(layer, mlp=mlp))


def _pass_over(config: Config, found: Spec) -> None:
    """Files say the model in words of GPT-2, which transformers passes over: its defaults are what they say."""
    attention = found.first
    for name, value in {
        "n_embd": found.width,
        "n_head": attention.heads,
        "n_inner": found.layers[0].mlp.size,
        "n_layer": len(found.layers),
        "layer_norm_epsilon": found.layers[0].norms.norm.eps,
        "activation_function": "swiglu",
        "rotary_emb_base": attention.position.theta if isinstance(attention.position, Rotary) else None,
        "rotary_emb_fraction": 1.0,
        "rotary_scaling_factor": None,
        "rotary_emb_scale_base": None,
        "scale_attn_weights": True,
    }.items():
        config.only(name, value)
    for name in (
        "causal", "prenorm", "parallel_block", "qkv_proj_bias", "mlp_fc1_bias", "mlp_fc2_bias", "use_rms_norm",
        "rotary_emb_interleaved", "scale_attn_by_inverse_layer_idx",
    ):  # fmt: skip
        config.only(name, False)
    config.ignore(
        "attn_pdrop", "embd_pdrop", "resid_pdrop", "dense_seq_output", "fused_bias_fc", "fused_dropout_add_ln",
        "max_trained_positions", "n_positions", "pad_vocab_size_multiple", "parallel_block_tied_norm",
        "reorder_and_upcast_attn", "use_flash_attn", "use_xentropy",
    )  # fmt: skip
