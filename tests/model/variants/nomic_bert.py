from __future__ import annotations

from typing import Any

from tests.model.variants import Variant
from tests.model.variants.bert import SHAPE
from tests.model.variants.gte import sharpen


def nomic(model: str = "NomicBertModel", types: tuple[int, ...] | None = None, **config: Any) -> Variant:
    return Variant(model, SHAPE | config, types=types, scale=0.18, edit=sharpen)


VARIANTS = {
    "encoder": nomic(),
    "sentence pairs (token types)": nomic(types=(0,) * 10 + (1,) * 13, type_vocab_size=2),
    "linear rotary": nomic(rope_parameters={"rope_type": "linear", "factor": 2.5, "rope_theta": 100.0}),
    "heads of another size": nomic(head_dim=12),
    "with a head": nomic("NomicBertForMaskedLM", hidden_act="relu", layer_norm_eps=1e-3),
}
