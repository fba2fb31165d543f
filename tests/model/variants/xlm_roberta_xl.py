from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tests.model.variants import IDS, Variant
from tests.model.variants.roberta import INSIDE, SHAPE
from tests.model.variants.roberta_prelayernorm import sharpen


def xl(model: str = "XLMRobertaXLModel", ids: Sequence[int] = IDS, **config: Any) -> Variant:
    return Variant(model, SHAPE | config, ids, scale=0.25, edit=sharpen)


VARIANTS = {
    "encoder": xl(),
    "padding inside the text": xl(ids=INSIDE),
    "decoder": xl("XLMRobertaXLForCausalLM", is_decoder=True),
    "with a head": xl("XLMRobertaXLForMaskedLM", hidden_act="relu", layer_norm_eps=1e-2, type_vocab_size=2),
}
