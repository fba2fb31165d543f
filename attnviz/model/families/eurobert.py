"""EuroBERT (Boizard et al. 2025): a Llama whose tokens see all others."""

from __future__ import annotations

from dataclasses import replace

from attnviz.attention.window import EVERYTHING
from attnviz.model.architecture.config import Config
from attnviz.model.architecture.spec import Classifier, Dense, Spec
from attnviz.model.families import TOKEN_CLASSIFIER, llama, names_without
from attnviz.model.families.llama import PREFIX

__all__ = ["PREFIX"]

NAMES = names_without(llama.NAMES, "lm_head")

DEFAULTS = {
    "eurobert": {
        "vocab_size": 128256, "hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12,
        "num_attention_heads": 12, "max_position_embeddings": 8192, "rms_norm_eps": 1e-5,
    },
}  # fmt: skip


def spec(config: Config) -> Spec:
    """The facts of a EuroBERT."""
    config.ignore("classifier_pooling")
    found = llama.spec(config).with_attentions(lambda attention: replace(attention, window=EVERYTHING))
    return replace(found, head=None)


def classifier(config: Config, *, each: bool) -> Classifier:
    """A linear map and a GELU, then the labels: of the first state, of the mean, or of each, and the mean of these."""
    if each:
        return TOKEN_CLASSIFIER
    pooling = config.expect("classifier_pooling", "late", "mean", "bos")
    return Classifier((Dense("dense", "gelu"), Dense("classifier")), "first" if pooling == "bos" else pooling)
