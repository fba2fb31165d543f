from __future__ import annotations

from typing import Any

import torch

from tests.model.variants import IDS, TARGET, VOCABULARY, Variant

SHAPE: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "num_encoder_layers": 3,
    "num_decoder_layers": 2,
    "num_encoder_attention_heads": 4,
    "num_decoder_attention_heads": 2,
    "encoder_ffn_dim": 48,
    "decoder_ffn_dim": 40,
    "max_position_embeddings": 40,
    "num_buckets": 8,
    "relative_max_distance": 7,  # the decoder's text is longer
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "decoder_start_token_id": 2,
}


def prepare(model: torch.nn.Module) -> None:
    """Enlarge queries, and the biases that they make."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith(("query_proj.weight", "relative_pos_embeddings.weight")):
                parameter.mul_(3)


def prophetnet(
    model: str = "ProphetNetForConditionalGeneration",
    *,
    ids: tuple[int, ...] = IDS,
    target: tuple[int, ...] | None = TARGET,
    **config: Any,
) -> Variant:
    return Variant(model, SHAPE | config, ids=ids, target=target, scale=0.18, edit=prepare)


VARIANTS = {
    "encoder–decoder": prophetnet(),
    "without a head": prophetnet("ProphetNetModel"),
    "embeddings of their own": prophetnet(tie_word_embeddings=False),
    "one stream that predicts": prophetnet(ngram=1),
    "another activation, three streams": prophetnet(activation_function="relu", ngram=3),
    "the published buckets": prophetnet(num_buckets=32, relative_max_distance=128),
    "padding within the text": prophetnet(ids=(*IDS[:9], 0, *IDS[10:])),
    "positions behind a later row": prophetnet(pad_token_id=3),
    "a decoder alone": prophetnet("ProphetNetForCausalLM", target=None, is_encoder_decoder=False),
}
