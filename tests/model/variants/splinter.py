from __future__ import annotations

from typing import Any

from tests.model.variants import Variant
from tests.model.variants.bert import SHAPE, sharpen


def splinter(types: tuple[int, ...] | None = None, **config: Any) -> Variant:
    return Variant("SplinterModel", SHAPE | config, types=types, scale=0.18, edit=sharpen)


VARIANTS = {
    "encoder": splinter(),
    "sentence pairs (token types)": splinter(types=(0,) * 10 + (1,) * 13),
    "another activation": splinter(hidden_act="relu", num_attention_heads=2),
}
