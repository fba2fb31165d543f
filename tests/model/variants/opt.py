from __future__ import annotations

from typing import Any

import torch

from tests.model.variants import IDS, VOCABULARY, Variant

SHAPE: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "ffn_dim": 48,
    "max_position_embeddings": 40,
}
PADDING = 1


def opt(model: str = "OPTModel", **config: Any) -> Variant:
    return Variant(model, SHAPE | config, scale=0.3)


def sharpen(model: torch.nn.Module) -> None:
    """Use small values and large queries: with post-norms, large additions make tokens alike.

    The first layer reads embeddings that are not normed.
    """
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "q_proj" in name or "embed_" in name:
                parameter.mul_(4)


def after(**config: Any) -> Variant:
    return Variant("OPTModel", SHAPE | {"do_layer_norm_before": False} | config, scale=0.18, edit=sharpen)


VARIANTS = {
    "decoder": opt(),
    "norms after": after(),
    "norms after, narrow embeddings (350m)": after(word_embed_proj_dim=20),
    "narrow embeddings": opt(word_embed_proj_dim=20),
    "no biases (Galactica)": opt(enable_bias=False, activation_function="gelu"),
    "norms without weights": opt(layer_norm_elementwise_affine=False),
    "norms after, without weights": after(layer_norm_elementwise_affine=False),
    "no last norm": opt(_remove_final_layer_norm=True),
    "the padding token inside the text": Variant("OPTModel", SHAPE, ids=(*IDS[:9], PADDING, PADDING, *IDS[11:])),
    "with a head": opt("OPTForCausalLM", word_embed_proj_dim=20),
    "with a head of its own": opt("OPTForCausalLM", tie_word_embeddings=False),
}
