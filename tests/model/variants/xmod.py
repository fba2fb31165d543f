from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tests.model.variants import IDS, Variant
from tests.model.variants.roberta import INSIDE, SHAPE, sharpen


def xmod(
    model: str = "XmodModel", ids: Sequence[int] = IDS, types: Sequence[int] | None = None, **config: Any
) -> Variant:
    languages = {"languages": ["en_XX", "de_DE", "sw_KE"], "default_language": "de_DE"}
    return Variant(model, SHAPE | languages | config, ids, types=types, scale=0.18, edit=sharpen)


VARIANTS = {
    "encoder": xmod(),
    "another language, smaller adapters": xmod(default_language="en_XX", adapter_reduction_factor=5),
    "adapters with norms of their own": xmod(adapter_layer_norm=True),
    "adapters without norms": xmod(adapter_reuse_layer_norm=False),
    "adapters beside what is not normed": xmod(ln_before_adapter=False),
    "norms before each sublayer": xmod(pre_norm=True),
    "norms before, of adapters too": xmod(pre_norm=True, adapter_layer_norm=True, ln_before_adapter=False),
    "padding inside the text": xmod(ids=INSIDE),
    "token types": xmod(types=(0,) * 10 + (1,) * 13),
    "decoder": xmod("XmodForCausalLM", is_decoder=True),
    "with a head": xmod("XmodForMaskedLM", hidden_act="relu", layer_norm_eps=1e-2),
}
