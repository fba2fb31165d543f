from __future__ import annotations

from typing import Any

from tests.model.variants import Variant
from tests.model.variants.bert import SHAPE, sharpen


def rembert(model: str = "RemBertModel", types: tuple[int, ...] | None = None, **config: Any) -> Variant:
    sizes = {"input_embedding_size": 20, "output_embedding_size": 24}
    return Variant(model, SHAPE | sizes | config, types=types, scale=0.18, edit=sharpen)


VARIANTS = {
    "encoder": rembert(),
    "embeddings as wide as the model": rembert(input_embedding_size=32),
    "sentence pairs (token types)": rembert(types=(0,) * 10 + (1,) * 13),
    "decoder": rembert("RemBertForCausalLM", is_decoder=True),
    "with a head": rembert("RemBertForMaskedLM", hidden_act="relu", layer_norm_eps=1e-3),
}
