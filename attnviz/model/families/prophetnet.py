"""ProphetNet (Qi et al. 2020): a BART whose decoder's queries make biases; the stream of the text is shown.

Streams beside it predict the tokens that come next: they read the text's, which does not depend on them.
"""

from __future__ import annotations

from dataclasses import replace

from attnviz.model.architecture.config import Config
from attnviz.model.architecture.spec import Embedding, Head, LayerNorm, Learned, PostNorm, RelativeBuckets, Spec
from attnviz.model.families import Names, bart, both, names_with, names_without

PREFIX = "prophetnet."

ATTRIBUTES = {
    "num_encoder_layers": "encoder_layers",
    "num_decoder_layers": "decoder_layers",
    "num_encoder_attention_heads": "encoder_attention_heads",
    "num_decoder_attention_heads": "decoder_attention_heads",
}

_SPELLINGS = {
    "shared": "word_embeddings",
    "embed_tokens": "word_embeddings",
    "embed_positions": "position_embeddings",
    "layernorm_embedding": "embeddings_layer_norm",
    "q_proj": "query_proj",
    "k_proj": "key_proj",
    "v_proj": "value_proj",
    "encoder_attn": "cross_attn",
    "encoder_attn_layer_norm": "cross_attn_layer_norm",
    "fc1": "feed_forward.intermediate",
    "fc2": "feed_forward.output",
    "final_layer_norm": "feed_forward_layer_norm",
}


def _spelt(name: str) -> str:
    """What the tensor is called that BART calls ``name``."""
    return ".".join(_SPELLINGS.get(part, part) for part in name.split("."))


NAMES: Names = {
    **names_with(names_without(bart.NAMES, "final_logits_bias", "coder.layer_norm"), _spelt, str),
    **both("decoder.layers.{}.self_attn.relative_pos_embeddings", "layers.{}.attention.relative"),
    "decoder.ngram_embeddings.weight": "streams.weight",
}


def spec(config: Config) -> Spec:
    """The facts of a ProphetNet; absent attributes have the values of transformers' ``ProphetNetConfig``."""
    config.ignore("disable_ngram_loss", "eps", "add_cross_attention")
    offset = config.count("pad_token_id", 0) + 1
    positions = Learned(config.size("max_position_embeddings", 512) - offset, offset)
    embedding = Embedding(config.size("vocab_size", 30522), positions, norm=LayerNorm(1e-5))
    found = bart.bart_spec(config, embedding, PostNorm(LayerNorm(1e-5)), start=0)
    buckets = RelativeBuckets(
        config.size("num_buckets", 32), config.size("relative_max_distance", 128), bidirectional=False, shared=False,
        made=True,
    )  # fmt: skip
    found = found.with_attentions(lambda attention: replace(attention, position=buckets))
    return replace(found, head=Head(tied=False), streams=config.size("ngram", 2))
