from __future__ import annotations

from functools import partial
from typing import Any

from tests.model.variants import Variant
from tests.model.variants.xlm import SHAPE, sharpen


class NoCache:
    """What transformers' FlauBERT indexes by layers where its norms come first, which its own cache does not allow."""

    def get_seq_length(self) -> int:
        return 0

    def __getitem__(self, layer: int) -> None:
        return None


def prepare(model: Any) -> None:
    """Enlarge queries, and let a model with norms before its sublayers run and return weights."""
    sharpen(model)
    if model.config.pre_norm:
        model.forward = partial(model.forward, cache=NoCache())
        for attention in model.attentions:
            attention.forward = partial(attention.forward, output_attentions=True)


def flaubert(model: str = "FlaubertModel", **config: Any) -> Variant:
    return Variant(model, SHAPE | config, scale=0.15, edit=prepare)


VARIANTS = {
    "encoder": flaubert(),
    "norms before each sublayer": flaubert(pre_norm=True),
    "causal": flaubert(causal=True),
    "another activation": flaubert(gelu_activation=False, layer_norm_eps=1e-3),
    "with a head": flaubert("FlaubertWithLMHeadModel", n_heads=2),
}
