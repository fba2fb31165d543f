"""The tiny configs of the tour: what configs call the same sizes, and what some model types need beside these."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests import tiny

_NAMES: Mapping[Any, str] = {
    32: "hidden_size d_model n_embd dim emb_dim embedding_size word_embed_proj_dim",
    2: "num_hidden_layers n_layer n_layers num_layers encoder_layers decoder_layers num_decoder_layers "
    "num_encoder_layers num_transformer_layers num_key_value_heads "
    "swa_num_key_value_heads num_kv_heads n_head_kv num_experts_per_tok top_k "
    "moe_k moe_topk num_experts_per_token bos_token_id decoder_start_token_id",
    4: "num_attention_heads swa_num_attention_heads n_head n_heads num_heads encoder_attention_heads "
    "decoder_attention_heads "
    "num_encoder_attention_heads num_decoder_attention_heads num_experts num_local_experts n_routed_experts "
    "moe_num_experts rotary_dim",
    48: "encoder_hash_byte_group_vocab "
    "intermediate_size ffn_dim n_inner d_ff hidden_dim ffn_hidden_size dff encoder_ffn_dim decoder_ffn_dim",
    64: "max_position_embeddings n_positions n_ctx max_seq_len max_sequence_length model_max_length",
    8: "head_dim swa_head_dim d_kv qk_rope_head_dim qk_nope_head_dim v_head_dim linear_key_head_dim "
    "linear_value_head_dim",
    16: "moe_intermediate_size shared_expert_intermediate_size kv_lora_rank q_lora_rank",
    1: "n_group num_expert_group topk_group max_window_layers first_k_dense_replace",
    0: "pad_token_id",
    3: "eos_token_id",
    len(tiny.VOCABULARY): "vocab_size",
}
SIZES: Mapping[str, Any] = {name: size for size, names in _NAMES.items() for name in names.split()}
"""What configs call the same sizes, and tokens of the tiny vocabulary."""


@dataclass(frozen=True)
class Care:
    """What a type needs beside ``SIZES``, and ``why``."""

    why: str
    config: Mapping[str, Any] = field(default_factory=dict)
    scale: float = 0.3
    alone: bool = False


_EQUAL = Care("it has as many key heads as query heads", {"num_key_value_heads": 4})
_LINEAR = {"linear_num_key_heads": 2, "linear_num_value_heads": 4}
_HYBRID = Care(
    "among two layers one must attend, beside the linear one",
    {"layer_types": ["linear_attention", "full_attention"], **_LINEAR},
)
_MAMBA = {"mamba_n_heads": 4, "mamba_d_state": 8}
_SHARED = {"num_key_value_heads": 4, "use_mamba_kernels": False, "mamba_d_state": 8, "n_mamba_heads": 4}
_BERT = {
    "model_type": "bert",
    "vocab_size": len(tiny.VOCABULARY),
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": 64,
}
_BEFORE = "layers that use keys and values of others need these before them"
_BORROWING = {
    "num_hidden_layers": 4,
    "layer_types": ["sliding_attention", "full_attention"] * 2,
    "num_kv_shared_layers": 2,
    "global_head_dim": 12,
}
_SECTIONS = Care(
    "the sections of its rotary positions must make up half of a head",
    {"rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [2, 1, 1]}},
)

NOT_TEXT: Mapping[str, str] = {
    **dict.fromkeys(
        (
            "dia",
            "fastspeech2_conformer",
            "fastspeech2_conformer_with_hifigan",
            "gradium_phonon_tts",
            "kyutai_speech_to_text",
            "moshi",
            "musicgen",
            "musicgen_melody",
            "pocket_tts",
            "seamless_m4t",
            "seamless_m4t_v2",
            "vits",
            "whisper",
        ),
        "reads or makes sound",
    ),
    **dict.fromkeys(("gemma4_assistant", "gemma4_unified_assistant"), "reads the keys of another model"),
    "bros": "reads where words stand on a page",
    "evolla": "reads proteins",
    "imagegpt": "reads images, as ids of colours",
    "kosmos-2.5": "reads images",
    "visual_bert": "reads images",
}
"""Types that take ids, and do not read text alone: why not."""

CARE: Mapping[str, Care] = {
    **dict.fromkeys(
        (
            "axk1",
            "axk2",
            "deepseek_v2",
            "deepseek_v3",
            "deepseek_v32",
            "dots3_note",
            "dots3_note_text",
            "esmc",
            "glm4_moe_lite",
            "glm_moe_dsa",
            "longcat_flash",
            "minicpm3",
            "mistral_large4_text",
            "youtu",
        ),
        _EQUAL,
    ),
    **dict.fromkeys(("qwen3_5_text", "qwen3_5_moe_text", "qwen3_next"), _HYBRID),
    **dict.fromkeys(
        (
            "cosmos3_edge_text",
            "glm4v_text",
            "glm_image_text",
            "glm_ocr_text",
            "hunyuan_vl_text",
            "qwen2_5_vl_text",
            "qwen2_vl_text",
        ),
        _SECTIONS,
    ),
    "bailing_hybrid": Care(
        "among two layers one must attend",
        {"layer_types": ["linear_attention", "full_attention"], "num_key_value_heads": 4, "head_dim": 8},
    ),
    "bamba": Care("among two layers one must attend", {"attn_layer_indices": [1], **_MAMBA}),
    "cohere_compass_text": Care(
        "rotary positions are said by kind of layer",
        {
            "layer_types": ["sliding_attention"] * 2,
            "rope_parameters": {
                "sliding_attention": {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [2, 1, 1]}
            },
        },
    ),
    "dbrx": Care(
        "transformers reads θ and the bound of queries, keys and values from the part about attention",
        {"attn_config": {"kv_n_heads": 2, "rope_theta": 10000.0, "clip_qkv": 8.0}},
    ),
    "glm4v_moe_text": Care(
        "half of a head has rotary positions, in sections",
        {"rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [1, 1, 0]}},
    ),
    "glm5_next_text": Care(
        "it has no rotary positions, and as many key heads as query heads",
        {"num_key_value_heads": 4, "qk_rope_head_dim": 0, "layer_types": ["linear_attention", "indexed_attention"]},
    ),
    "mistral4": Care(
        "it has as many key heads as query heads, and says its rotary positions",
        {"num_key_value_heads": 4, "head_dim": 16},
    ),
    "qwen4_exp_text": Care(
        "among two layers one must attend; that one chooses its keys",
        {
            "layer_types": ["linear_attention", "indexed_attention"],
            **_LINEAR,
            "indexer_n_heads": 2,
            "indexer_kv_heads": 1,
            "indexer_head_dim": 8,
            "indexer_budget": 4,
            "indexer_compress_ratio": 2,
        },
    ),
    "dots1": Care("its windows are off in configs on the Hub", {"sliding_window": None, "n_shared_experts": 1}),
    "encoder-decoder": Care(
        "it is made of two models",
        {
            "encoder": _BERT,
            "decoder": {**_BERT, "is_decoder": True, "add_cross_attention": True},
            "decoder_start_token_id": 2,
            "pad_token_id": 0,
        },
        alone=True,
    ),
    "funnel": Care(
        "blocks of layers, the second one over pooled tokens",
        {"block_sizes": [2, 1], "num_decoder_layers": 1, "d_head": 8, "d_inner": 48},
    ),
    "gemma3n_text": Care("layers that share keys need others before them", {"num_kv_shared_layers": 0}),
    "gemma4_text": Care(
        _BEFORE,
        {**_BORROWING, "vocab_size_per_layer_input": len(tiny.VOCABULARY), "hidden_size_per_layer_input": 8},
    ),
    "gemma4_unified_text": Care(_BEFORE, _BORROWING),
    "gpt_bigcode": Care("its heads share one key head", {"num_key_value_heads": 1}),
    "gpt_neo": Care("it lists its layers", {"attention_types": [[["global", "local"], 1]]}),
    "granitemoehybrid": Care("among two layers one must attend", {"layer_types": ["mamba", "attention"], **_MAMBA}),
    "jamba": Care(
        "among two layers one must attend",
        {"attn_layer_period": 2, "attn_layer_offset": 1, "mamba_d_state": 8, "use_mamba_kernels": False},
    ),
    "kimi_linear": Care(
        "among two layers one must attend",
        {"layer_types": ["linear_attention", "full_attention"], "num_key_value_heads": 4},
    ),
    "lfm2_moe": Care("it lists its layers", {"layer_types": ["conv", "full_attention"]}),
    "lfm3": Care("among two layers one must attend", {"layer_types": ["conv", "full_attention"]}),
    "lilt": Care("the sixth part of its width is that of a coordinate", {"hidden_size": 48}),
    "mamba2": Care("its heads must make up the inner size", {"head_dim": 16}),
    "recurrent_gemma": Care("among two layers one must attend", {"block_types": ["recurrent", "attention"]}),
    "reformer": Care(
        "its tables of positions are factors of the length",
        {"axial_pos_shape": [8, 8], "axial_pos_embds_dim": [16, 16]},
    ),
    "xmod": Care("the text has a language", {"languages": ["en_XX"], "default_language": "en_XX"}),
    "zamba": Care(
        "its shared block is named by the second layer that has it",
        {
            "num_hidden_layers": 4,
            "layers_block_type": ["mamba", "hybrid"] * 2,
            **_SHARED,
            "attention_hidden_size": 64,
            "attention_head_dim": 16,
        },
    ),
    "zamba2": Care(
        "its shared block is named by the second layer that has it",
        {"num_hidden_layers": 4, "layers_block_type": ["mamba", "hybrid"] * 2, **_SHARED, "head_dim": 16},
    ),
    "zaya": Care("one expert is asked for each token", {"num_experts_per_tok": 1}),
}
