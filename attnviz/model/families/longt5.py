"""LongT5 (Guo et al. 2022) with local attention: a T5 whose encoder sees some tokens to each side."""

from __future__ import annotations

from dataclasses import replace

from attnviz.attention.window import KeyWindow
from attnviz.errors import UnsupportedModel
from attnviz.model.architecture.config import Config
from attnviz.model.architecture.spec import Spec
from attnviz.model.families import Names, t5

PREFIX = t5.PREFIX

NAMES: Names = {
    theirs.replace("SelfAttention", "LocalSelfAttention") if theirs.startswith("encoder.") else theirs: our
    for theirs, our in t5.NAMES.items()
}


def spec(config: Config) -> Spec:
    """The facts of a LongT5; absent attributes have the values of transformers' ``LongT5Config``."""
    radius, block = config.size("local_radius", 127), config.size("global_block_size", 16)
    if config.get("encoder_attention_type", "local") == "transient-global":
        raise UnsupportedModel(
            "config.json: encoder_attention_type is 'transient-global', so that tokens attend beside the text to what "
            f"blocks of {block} tokens add up to; our forward pass knows 'local', attention between tokens alone"
        )
    config.expect("encoder_attention_type", "local")
    found = t5.spec(config)
    encoder = found.encoder or found
    local = encoder.with_attentions(lambda attention: replace(attention, window=KeyWindow(radius, radius)))
    return replace(found, encoder=local) if found.encoder else local
