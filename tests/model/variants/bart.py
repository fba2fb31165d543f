from __future__ import annotations

from functools import partial
from typing import Any

import torch

from tests.model.variants import IDS, TARGET, VOCABULARY, Variant

SHAPE: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "d_model": 32,
    "encoder_layers": 3,
    "decoder_layers": 2,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 2,
    "encoder_ffn_dim": 48,
    "decoder_ffn_dim": 40,
    "max_position_embeddings": 40,
    "pad_token_id": 1,
    "bos_token_id": 0,
    "eos_token_id": 2,
    "decoder_start_token_id": 2,
    "forced_eos_token_id": 2,
}


def prepare(model: torch.nn.Module, sharpness: float) -> None:
    """Enlarge queries, keep the sinusoidal positions, and set the biases of the head, which are not parameters."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("q_proj.weight"):
                parameter.mul_(sharpness)
        for module in model.modules():
            if hasattr(module, "create_weight"):
                module.weight.copy_(module.create_weight())
        if hasattr(model, "final_logits_bias"):
            generator = torch.Generator().manual_seed(1)
            model.final_logits_bias.copy_(torch.randn(model.final_logits_bias.shape, generator=generator))


def bart(
    model: str = "BartForConditionalGeneration",
    *,
    ids: tuple[int, ...] = IDS,
    target: tuple[int, ...] | None = TARGET,
    scale: float = 0.18,
    sharpness: float = 3,
    **config: Any,
) -> Variant:
    return Variant(
        model, SHAPE | config, ids=ids, target=target, scale=scale, edit=partial(prepare, sharpness=sharpness)
    )


VARIANTS = {
    "encoder–decoder": bart(),
    "without a head": bart("BartModel"),
    "embeddings of their own": bart(tie_word_embeddings=False),
    "scaled embeddings": bart(scale_embedding=True),
    "another activation": bart(activation_function="relu"),
    "padding within the text": bart(ids=(*IDS[:9], 1, *IDS[10:])),
    "a decoder alone": bart("BartForCausalLM", target=None, is_encoder_decoder=False),
    "another head": bart("BartForQuestionAnswering"),
}
