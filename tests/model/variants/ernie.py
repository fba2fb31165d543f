from __future__ import annotations

from typing import Any

from tests.model.variants import Variant
from tests.model.variants.bert import SHAPE, sharpen


def ernie(model: str = "ErnieModel", types: tuple[int, ...] | None = None, **config: Any) -> Variant:
    return Variant(model, SHAPE | config, types=types, scale=0.18, edit=sharpen)


VARIANTS = {
    "encoder": ernie(),
    "with a task": ernie(use_task_id=True, types=(0,) * 10 + (1,) * 13),
    "decoder": ernie("ErnieForCausalLM", is_decoder=True),
    "with a head": ernie("ErnieForMaskedLM", hidden_act="relu", use_task_id=True, task_type_vocab_size=5),
}
