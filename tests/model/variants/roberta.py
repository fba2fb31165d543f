from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from tests.model.variants import IDS, VOCABULARY, Variant

SHAPE: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": 40,
    "layer_norm_eps": 1e-5,
}
INSIDE = (*IDS[:9], 1, 1, *IDS[9:], 1)  # the padding id 1 inside the text and at its end


def sharpen(model: torch.nn.Module) -> None:
    """Use large queries and small values, as in the variants of BERT."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("query.weight"):
                parameter.mul_(3)


def roberta(
    model: str = "RobertaModel", ids: Sequence[int] = IDS, types: Sequence[int] | None = None, **config: Any
) -> Variant:
    return Variant(model, SHAPE | config, ids, types=types, scale=0.18, edit=sharpen)


VARIANTS = {
    "encoder": roberta(),
    "padding inside the text": roberta(ids=INSIDE),
    "another padding id": roberta(pad_token_id=7),
    "token types": roberta(types=(0,) * 10 + (1,) * 13),
    "decoder": roberta(is_decoder=True),
    "decoder, padding inside the text": roberta("RobertaForCausalLM", INSIDE, is_decoder=True),
    "with a head": roberta("RobertaForMaskedLM", hidden_act="relu", layer_norm_eps=1e-2),
    "xlm-roberta: one token type": roberta("XLMRobertaModel", type_vocab_size=1),
    "xlm-roberta: with a head": roberta("XLMRobertaForMaskedLM"),
    "camembert: encoder": roberta("CamembertModel", INSIDE),
    "camembert: with a head": roberta("CamembertForMaskedLM"),
}
