from __future__ import annotations

from typing import Any

import torch

from tests.model.variants import VOCABULARY, Variant
from tests.model.variants.larger import larger

SHAPE: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 48,
    "max_position_embeddings": 64,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
SLIDES = "sliding_attention"
FACTORS = {"short_factor": [1.0, 1.3, 1.7, 2.0], "long_factor": [1.0, 4.0, 9.0, 16.0]}


def sharpen(model: torch.nn.Module) -> None:
    """Enlarge the weights of the query and key norms: normed queries and keys are short."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "self_attn.q_" in name and "norm" in name and name.endswith("weight"):
                parameter.mul_(2)


def llama(model: str = "LlamaModel", **config: Any) -> Variant:
    return Variant(model, SHAPE | config)


def scaled(rope_type: str, theta: float = 10_000.0, longest: int = 64, **config: Any) -> Variant:
    rope = {"rope_type": rope_type, "rope_theta": theta, **config}
    return llama(rope_parameters=rope, max_position_embeddings=longest)


VARIANTS = {
    "grouped queries": llama(),
    "one key head": llama(num_key_value_heads=1),
    "as many key heads": llama(num_key_value_heads=4),
    "heads of another size": llama(head_dim=12),
    "biases": llama(attention_bias=True, mlp_bias=True),
    "another base and activation": llama(hidden_act="gelu", rope_parameters={"rope_theta": 300.0}),
    "with a head": llama("LlamaForCausalLM"),
    "with a tied head": llama("LlamaForCausalLM", tie_word_embeddings=True),
    "linear rotary": scaled("linear", factor=4.0),
    "dynamic rotary, beyond its length": scaled("dynamic", longest=10, factor=3.0),
    "dynamic rotary, within its length": scaled("dynamic", longest=40, factor=3.0),
    "llama3 rotary": scaled(
        "llama3", 100.0, factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=16
    ),
    "yarn rotary": scaled("yarn", 100.0, factor=4.0, original_max_position_embeddings=16),
    "yarn rotary, all said": scaled(
        "yarn", 100.0, factor=4.0, original_max_position_embeddings=16, beta_fast=3.0, beta_slow=0.5, truncate=False,
        mscale=1.5, mscale_all_dim=0.7,
    ),
    "yarn rotary, with its factor": scaled(
        "yarn", 100.0, factor=4.0, original_max_position_embeddings=16, attention_factor=1.3
    ),
    "longrope rotary, short": scaled(
        "longrope", original_max_position_embeddings=32, **FACTORS
    ),
    "longrope rotary, long": scaled(
        "longrope", original_max_position_embeddings=16, **FACTORS
    ),
    "ministral: window": llama("MinistralModel", head_dim=8, sliding_window=5),
    "ministral: windows in some layers": llama(
        "MinistralModel", head_dim=8, sliding_window=5, layer_types=[SLIDES, "full_attention", SLIDES]
    ),
    "mistral: window": llama("MistralModel", sliding_window=5),
    "mistral: no window, heads of another size": llama("MistralForCausalLM", sliding_window=None, head_dim=12),
    "seed_oss: biases but on the output": llama("SeedOssForCausalLM", head_dim=8),
    "smollm3: a layer without rotary": llama("SmolLM3ForCausalLM", num_hidden_layers=5),
    "smollm3: windows in layers without rotary": llama(
        "SmolLM3Model", no_rope_layers=[1, 0, 1], use_sliding_window=True, sliding_window=5
    ),
    "the text of a Llava": larger("LlavaModel", "llama", llama()),
    "the text of a Llava with a head": larger("LlavaForConditionalGeneration", "llama", llama()),
    "the text of a Mistral 3": larger("Mistral3Model", "mistral", llama(sliding_window=5), "pixtral"),
}  # fmt: skip
