from __future__ import annotations

from functools import partial
from typing import Any

import torch

from tests.model.variants import IDS, TARGET, VOCABULARY, Variant, bart

SHAPE: dict[str, Any] = {name: value for name, value in bart.SHAPE.items() if name != "vocab_size"}


def prepare(model: torch.nn.Module, sharpness: float) -> None:
    """Enlarge queries, and keep the sinusoidal positions."""
    bart.prepare(model, sharpness)
    with torch.no_grad():
        for module in model.modules():
            if hasattr(module, "make_positions"):
                module.weight.copy_(module.get_embedding(*module.weight.shape, module.padding_idx))


def fsmt(
    model: str = "FSMTForConditionalGeneration",
    ids: tuple[int, ...] = IDS,
    scale: float = 0.15,
    sharpness: float = 6,
    **config: Any,
) -> Variant:
    sizes = {"src_vocab_size": VOCABULARY, "tgt_vocab_size": VOCABULARY, "tie_word_embeddings": True}
    edit = partial(prepare, sharpness=sharpness)
    return Variant(model, SHAPE | sizes | config, ids=ids, target=TARGET, scale=scale, edit=edit)


VARIANTS = {
    "encoder–decoder": fsmt(),
    "embeddings of their own": fsmt(tie_word_embeddings=False),
    "a vocabulary for each side": fsmt(tie_word_embeddings=False, tgt_vocab_size=60),
    "embeddings not scaled": fsmt(scale_embedding=False, scale=0.15, sharpness=16),
    "another activation": fsmt(activation_function="gelu"),
    "padding within the text": fsmt(ids=(*IDS[:9], 1, *IDS[10:])),
    "without a head": fsmt("FSMTModel"),
}
