from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tests.model.variants import IDS, Variant
from tests.model.variants.roberta import INSIDE, SHAPE, sharpen


def luke(
    model: str = "LukeModel", ids: Sequence[int] = IDS, types: Sequence[int] | None = None, **config: Any
) -> Variant:
    return Variant(
        model,
        SHAPE | {"entity_vocab_size": 9, "entity_emb_size": 12} | config,
        ids,
        types=types,
        scale=0.18,
        edit=sharpen,
    )


VARIANTS = {
    "encoder": luke(),
    "padding inside the text": luke(ids=INSIDE),
    "another padding id": luke(pad_token_id=7),
    "token types": luke(types=(0,) * 10 + (1,) * 13),
    "a vocabulary of entities": luke(entity_vocab_size=7, entity_emb_size=8),
    "without queries for entities": luke(use_entity_aware_attention=False),
    "with a head": luke("LukeForMaskedLM", layer_norm_eps=1e-2),
}
