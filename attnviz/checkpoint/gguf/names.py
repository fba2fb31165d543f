"""What GGUF files call the sizes and tensors that architectures share.

The names on the left are those of llama.cpp's converter, those on the right are transformers'. ``{}`` is the layer, and
a second one the expert; ``.weight`` and ``.bias`` follow both. Sources: the specification, the name maps of the package
``gguf``, and what llama.cpp's converter does to a checkpoint.
"""

from __future__ import annotations

from collections.abc import Mapping

from attnviz.checkpoint.gguf.architecture import Stored

SIZES: Mapping[str, str | None] = {
    "block_count": "num_hidden_layers",
    "context_length": "max_position_embeddings",
    "embedding_length": "hidden_size",
    "feed_forward_length": "intermediate_size",
    "attention.head_count": "num_attention_heads",
    "attention.head_count_kv": "num_key_value_heads",
    "attention.key_length": "head_dim",
}
RMS = {**SIZES, "attention.layer_norm_rms_epsilon": "rms_norm_eps"}
EPSILON = "attention.layer_norm_epsilon"

DECODER = {
    "token_embd": "model.embed_tokens",
    "blk.{}.attn_norm": "model.layers.{}.input_layernorm",
    "blk.{}.attn_q": "model.layers.{}.self_attn.q_proj",
    "blk.{}.attn_k": "model.layers.{}.self_attn.k_proj",
    "blk.{}.attn_v": "model.layers.{}.self_attn.v_proj",
    "blk.{}.attn_output": "model.layers.{}.self_attn.o_proj",
    "blk.{}.ffn_norm": "model.layers.{}.post_attention_layernorm",
    "blk.{}.ffn_gate": "model.layers.{}.mlp.gate_proj",
    "blk.{}.ffn_up": "model.layers.{}.mlp.up_proj",
    "blk.{}.ffn_down": "model.layers.{}.mlp.down_proj",
    "output_norm": "model.norm",
    "output": "lm_head",
}
QK_NORMS = {
    "blk.{}.attn_q_norm": "model.layers.{}.self_attn.q_norm",
    "blk.{}.attn_k_norm": "model.layers.{}.self_attn.k_norm",
}
AFTER = {
    "blk.{}.post_attention_norm": "model.layers.{}.post_attention_layernorm",
    "blk.{}.post_ffw_norm": "model.layers.{}.post_feedforward_layernorm",
}
SANDWICH = {**DECODER, **AFTER, "blk.{}.ffn_norm": "model.layers.{}.pre_feedforward_layernorm"}
PAIRS: Mapping[str, Stored] = {"attn_q": "pairs", "attn_k": "pairs"}
PLUS_ONE: Mapping[str, Stored] = {"norm.weight": "plus one"}
BIASES = {"attention_bias": "blk.0.attn_q.bias", "mlp_bias": "blk.0.ffn_up.bias"}
