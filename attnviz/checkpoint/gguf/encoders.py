"""The architectures of encoders, and of encoder–decoders."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from attnviz.checkpoint.gguf.architecture import Architecture
from attnviz.checkpoint.gguf.names import EPSILON, SIZES

_BERT = {
    "token_embd": "embeddings.word_embeddings",
    "token_types": "embeddings.token_type_embeddings",
    "position_embd": "embeddings.position_embeddings",
    "token_embd_norm": "embeddings.LayerNorm",
    "blk.{}.attn_q": "encoder.layer.{}.attention.self.query",
    "blk.{}.attn_k": "encoder.layer.{}.attention.self.key",
    "blk.{}.attn_v": "encoder.layer.{}.attention.self.value",
    "blk.{}.attn_output": "encoder.layer.{}.attention.output.dense",
    "blk.{}.attn_output_norm": "encoder.layer.{}.attention.output.LayerNorm",
    "blk.{}.ffn_up": "encoder.layer.{}.intermediate.dense",
    "blk.{}.ffn_down": "encoder.layer.{}.output.dense",
    "blk.{}.layer_output_norm": "encoder.layer.{}.output.LayerNorm",
}

_NOMIC = {
    **{name: _BERT[name] for name in ("token_embd", "token_types")},
    "token_embd_norm": "emb_ln",
    "blk.{}.attn_qkv": "encoder.layers.{}.attn.Wqkv",
    "blk.{}.attn_output": "encoder.layers.{}.attn.out_proj",
    "blk.{}.attn_output_norm": "encoder.layers.{}.norm1",
    "blk.{}.ffn_up": "encoder.layers.{}.mlp.fc11",
    "blk.{}.ffn_gate": "encoder.layers.{}.mlp.fc12",
    "blk.{}.ffn_down": "encoder.layers.{}.mlp.fc2",
    "blk.{}.layer_output_norm": "encoder.layers.{}.norm2",
}


def _t5_stack(short: str, name: str, mlp: int) -> dict[str, str]:
    """The names of one stack of a T5, whose layers have their MLP as sublayer number ``mlp``."""
    block = f"{name}.block.{{}}.layer"
    return {
        f"{short}.blk.{{}}.attn_norm": f"{block}.0.layer_norm",
        **{f"{short}.blk.{{}}.attn_{each}": f"{block}.0.SelfAttention.{each}" for each in "qkvo"},
        f"{short}.blk.{{}}.attn_rel_b": f"{block}.0.SelfAttention.relative_attention_bias",
        f"{short}.blk.{{}}.ffn_norm": f"{block}.{mlp}.layer_norm",
        f"{short}.blk.{{}}.ffn_down": f"{block}.{mlp}.DenseReluDense.wo",
        f"{short}.output_norm": f"{name}.final_layer_norm",
    }


_T5 = {
    "token_embd": "shared",
    "output": "lm_head",
    **_t5_stack("enc", "encoder", 1),
    **_t5_stack("dec", "decoder", 2),
    "dec.blk.{}.cross_attn_norm": "decoder.block.{}.layer.1.layer_norm",
    **{f"dec.blk.{{}}.cross_attn_{each}": f"decoder.block.{{}}.layer.1.EncDecAttention.{each}" for each in "qkvo"},
}
_MLPS = (("enc", "encoder.block.{}.layer.1"), ("dec", "decoder.block.{}.layer.2"))
T5_PLAIN = {f"{short}.blk.{{}}.ffn_up": f"{at}.DenseReluDense.wi" for short, at in _MLPS}
T5_GATED = {
    f"{short}.blk.{{}}.ffn_{which}": f"{at}.DenseReluDense.{name}"
    for short, at in _MLPS
    for which, name in (("gate", "wi_0"), ("up", "wi_1"))
}
"""The names of the first matrices of a T5's MLPs, as they are gated or not."""

ENCODERS: Mapping[str, Architecture] = {
    "bert": Architecture(
        "bert",
        _BERT,
        {**SIZES, "attention.head_count_kv": None, EPSILON: "layer_norm_eps", "pooling_type": None},
        causal=False,
        turns=False,
    ),
    "nomic-bert": Architecture(
        "nomic_bert",
        _NOMIC,
        {**SIZES, "attention.head_count_kv": None, EPSILON: "layer_norm_eps", "pooling_type": None},
        causal=False,
    ),
    "t5": Architecture(
        "t5",
        _T5,
        {
            "block_count": "num_layers", "decoder_block_count": "num_decoder_layers", "context_length": "n_positions",
            "embedding_length": "d_model", "feed_forward_length": "d_ff", "attention.head_count": "num_heads",
            "attention.key_length": "d_kv", "attention.layer_norm_rms_epsilon": "layer_norm_epsilon", EPSILON: None,
            "attention.relative_buckets_count": "relative_attention_num_buckets",
            "decoder_start_token_id": "decoder_start_token_id",
        },
        {"is_encoder_decoder": True},
        turns=False,
    ),
}  # fmt: skip

UMT5 = replace(ENCODERS["t5"], model_type="umt5")
"""Files of umT5 say that they are T5; each of its layers has a table of positions."""
