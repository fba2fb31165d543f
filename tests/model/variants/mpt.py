from __future__ import annotations

from typing import Any

from tests.model.variants import VOCABULARY, Variant

SHAPE: dict[str, Any] = {"vocab_size": VOCABULARY, "d_model": 32, "n_layers": 3, "n_heads": 4, "max_seq_len": 40}


def mpt(model: str = "MptModel", attention: dict[str, Any] | None = None, **config: Any) -> Variant:
    return Variant(model, SHAPE | {"attn_config": attention or {}} | config, scale=0.4)


VARIANTS = {
    "ALiBi": mpt(),
    "ALiBi, heads no power of two": mpt(n_heads=6, d_model=36),
    "bounded projections": mpt(attention={"clip_qkv": 2.5}),
    "another scale": mpt(attention={"softmax_scale": 0.2}),
    "with a head": mpt("MptForCausalLM"),
}
