from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tests.model.variants import IDS, Variant
from tests.model.variants.roberta import INSIDE, SHAPE, sharpen


def data2vec_text(model: str = "Data2VecTextModel", ids: Sequence[int] = IDS, **config: Any) -> Variant:
    return Variant(model, SHAPE | config, ids, scale=0.18, edit=sharpen)


VARIANTS = {
    "encoder": data2vec_text(),
    "padding inside the text": data2vec_text(ids=INSIDE),
    "decoder": data2vec_text("Data2VecTextForCausalLM", is_decoder=True),
    "with a head": data2vec_text("Data2VecTextForMaskedLM", hidden_act="relu", layer_norm_eps=1e-2),
}
