from __future__ import annotations

from typing import Any

import torch

from tests.model.variants import VOCABULARY, Variant

SHAPE: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "max_position_embeddings": 40,
}
OLD = {"multi_query": False, "parallel_attn": False, "bias": True}
NEW = {"new_decoder_architecture": True, "num_kv_heads": 2}


def falcon(model: str = "FalconModel", scale: float = 0.3, **config: Any) -> Variant:
    return Variant(model, SHAPE | config, scale=scale)


def alibi(scale: float = 0.3, **config: Any) -> Variant:
    return Variant("FalconModel", SHAPE | {"alibi": True} | config, scale=scale, edit=once)


def once(model: torch.nn.Module) -> None:
    """Remove ALiBi from the scores of transformers' eager attention, where it is also in the mask.

    Its other attention functions, and the code that the models were trained with, add it once.
    """

    def without(module: torch.nn.Module, args: tuple[Any, ...], named: dict[str, Any]) -> tuple[Any, Any]:
        del module
        return args, named | {"alibi": torch.zeros_like(named["alibi"])}

    for layer in model.get_submodule("h").children():
        layer.get_submodule("self_attention").register_forward_pre_hook(without, with_kwargs=True)


# Of twelve heads the slopes are no powers of two, which bfloat16 holds exactly: the rounding shows.
VARIANTS = {
    "one key head, side by side (7b)": falcon(),
    "one key head, one after the other": falcon(parallel_attn=False),
    "all key heads, one after the other, biases": falcon(**OLD),
    "all key heads, side by side": falcon(multi_query=False),
    "grouped queries, two norms (40b)": falcon(**NEW, scale=0.55),
    "grouped queries, one norm (11b)": falcon(**NEW, num_ln_in_parallel_attn=1),
    "grouped queries, one key head, biases": falcon(**NEW | {"num_kv_heads": 1}, bias=True, scale=0.55),
    "ALiBi in bfloat16 (rw)": alibi(**OLD),
    "ALiBi in bfloat16, heads no power of two": alibi(num_attention_heads=12, hidden_size=48),
    "ALiBi in bfloat16, grouped queries": alibi(**NEW, scale=0.55),
    "rotary scaling: linear": falcon(rope_parameters={"rope_type": "linear", "factor": 3.0, "rope_theta": 500.0}),
    "rotary scaling: dynamic": falcon(
        rope_parameters={"rope_type": "dynamic", "factor": 3.0, "rope_theta": 500.0}, max_position_embeddings=12
    ),
    "other inner size and activation": falcon(ffn_hidden_size=48, activation="relu"),
    "with a head": falcon("FalconForCausalLM"),
    "with a head of its own": falcon("FalconForCausalLM", tie_word_embeddings=False),
}
