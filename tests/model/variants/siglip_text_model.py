from __future__ import annotations

from tests.model.variants import Variant
from tests.model.variants.clip_text_model import SHAPE

VARIANTS = {
    "text": Variant("SiglipTextModel", SHAPE | {"projection_size": 16}),
    "another activation, one head": Variant(
        "SiglipTextModel", SHAPE | {"hidden_act": "relu", "num_attention_heads": 1}
    ),
}
