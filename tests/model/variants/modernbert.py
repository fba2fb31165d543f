from __future__ import annotations

from typing import Any

from tests.model.variants import VOCABULARY, Variant

SHAPE: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": 40,
    "local_attention": 8,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "cls_token_id": 1,
    "sep_token_id": 2,
}


def modernbert(model: str = "ModernBertModel", **config: Any) -> Variant:
    return Variant(model, SHAPE | config, scale=0.25)


def angles(**everywhere: Any) -> dict[str, Any]:
    """Give both kinds of layers rotary bases so small that a short text shows the difference."""
    return {
        "full_attention": {"rope_type": "default", "rope_theta": 900.0} | everywhere,
        "sliding_attention": {"rope_type": "default", "rope_theta": 30.0},
    }


VARIANTS = {
    "global and local layers": modernbert(),
    "two bases of rotary positions": modernbert(rope_parameters=angles()),
    "scaled global positions": modernbert(rope_parameters=angles(rope_type="linear", factor=2.5)),
    "positions scaled beyond the training": modernbert(
        rope_parameters=angles(rope_type="yarn", factor=4.0, original_max_position_embeddings=10)
    ),
    "another order of the layers, an odd window": modernbert(
        layer_types=["sliding_attention", "full_attention", "sliding_attention", "sliding_attention"],
        local_attention=5,
    ),
    "biases of attention, MLP and norms": modernbert(attention_bias=True, mlp_bias=True, norm_bias=True),
    "with a head": modernbert("ModernBertForMaskedLM", hidden_activation="silu", norm_eps=1e-3),
}
