from __future__ import annotations

from typing import Any

from tests.model.variants import TARGET, Variant, t5

SHAPE: dict[str, Any] = t5.SHAPE | {
    "num_decoder_layers": 3,
    "num_sparse_encoder_layers": 1,
    "num_sparse_decoder_layers": 3,
    "num_experts": 4,
    "expert_capacity": 4,
}


def switch(
    model: str = "SwitchTransformersForConditionalGeneration",
    target: tuple[int, ...] | None = TARGET,
    **config: Any,
) -> Variant:
    return Variant(model, SHAPE | config, target=target, scale=0.25)


VARIANTS = {
    "encoder–decoder": switch(),
    "without a head": switch("SwitchTransformersModel", num_decoder_layers=2),
    "experts that are never crowded": switch(expert_capacity=64),
    "two experts in all layers": switch(num_experts=2, num_sparse_encoder_layers=3),
    "no experts asked for": switch(num_sparse_encoder_layers=0, num_sparse_decoder_layers=5),
    "a bias of the router, another activation": switch(router_bias=True, dense_act_fn="gelu"),
    "embeddings of their own": switch(tie_word_embeddings=False),
    "an encoder alone": switch("SwitchTransformersEncoderModel", None),
}
