from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tests.model.variants import IDS, Variant
from tests.model.variants.roberta import INSIDE, SHAPE, sharpen


def ibert(
    model: str = "IBertModel", ids: Sequence[int] = IDS, types: Sequence[int] | None = None, **config: Any
) -> Variant:
    return Variant(model, SHAPE | config, ids, types=types, scale=0.18, edit=sharpen)


VARIANTS = {
    "encoder": ibert(),
    "padding inside the text": ibert(ids=INSIDE),
    "another padding id": ibert(pad_token_id=7),
    "token types": ibert(types=(0,) * 10 + (1,) * 13),
    "with a head": ibert("IBertForMaskedLM", layer_norm_eps=1e-2),
}
