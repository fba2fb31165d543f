"""SqueezeBERT (Iandola et al. 2020): a BERT whose matrices are blocks along the diagonal, stored as convolutions."""

from __future__ import annotations

from dataclasses import replace

from attnviz.errors import ModelError
from attnviz.model.architecture.config import Config
from attnviz.model.architecture.spec import LayerNorm, PostNorm, Spec
from attnviz.model.families import Names, both
from attnviz.model.families.bert import NAMES as BERT_NAMES
from attnviz.model.families.bert import bert_embedding, bert_positions, bert_spec, pooled_classifier

PREFIX = "transformer."
classifier = pooled_classifier(PREFIX)

_GROUPS = {
    "attention.query": "q_groups",
    "attention.key": "k_groups",
    "attention.value": "v_groups",
    "attention.output": "post_attention_groups",
    "mlp.up": "intermediate_groups",
    "mlp.down": "output_groups",
}
"""Our matrices, and what the config calls the number of their blocks."""


def _convolution(theirs: str, ours: str) -> Names:
    return {f"{theirs}.weight": f"{ours}.weight.blocks", f"{theirs}.bias": f"{ours}.bias"}


NAMES: Names = {
    **{theirs: our for theirs, our in BERT_NAMES.items() if theirs.startswith("embeddings.")},
    **_convolution("encoder.layers.{}.attention.query", "layers.{}.attention.query"),
    **_convolution("encoder.layers.{}.attention.key", "layers.{}.attention.key"),
    **_convolution("encoder.layers.{}.attention.value", "layers.{}.attention.value"),
    **_convolution("encoder.layers.{}.post_attention.conv1d", "layers.{}.attention.output"),
    **both("encoder.layers.{}.post_attention.layernorm", "layers.{}.attention.norm"),
    **_convolution("encoder.layers.{}.intermediate.conv1d", "layers.{}.mlp.up"),
    **_convolution("encoder.layers.{}.output.conv1d", "layers.{}.mlp.down"),
    **both("encoder.layers.{}.output.layernorm", "layers.{}.mlp.norm"),
}


def spec(config: Config) -> Spec:
    """The facts of a SqueezeBERT; absent attributes have the values of transformers' ``SqueezeBertConfig``."""
    norm = LayerNorm(config.number("layer_norm_eps", 1e-12))
    embedding = bert_embedding(config, bert_positions(config), norm)
    found = bert_spec(config, embedding, PostNorm(LayerNorm(1e-12)))  # whatever the config says
    config.expect("embedding_size", found.width)
    inner = config.size("intermediate_size", 3072)
    blocks = {our: config.size(name, 1 if our == "attention.output" else 4) for our, name in _GROUPS.items()}
    for our, count in blocks.items():
        if found.width % count or (our.startswith("mlp") and inner % count):
            raise ModelError(f"config.json: {_GROUPS[our]} is {count}, which does not divide the model's widths")
    return replace(found, blocks=(*blocks.items(),))
