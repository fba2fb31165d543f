"""The config.json of well-known models that read pictures too, as far as it concerns their text model."""

from __future__ import annotations

from typing import Any

from tests.model.published import PUBLISHED

_SEEN = {"projector_hidden_act": "gelu", "vision_config": {}, "vision_feature_select_strategy": "default"}
_QWEN2 = {
    "model_type": "qwen2", "hidden_size": 896, "intermediate_size": 4864, "max_position_embeddings": 32768,
    "num_attention_heads": 14, "num_hidden_layers": 24, "num_key_value_heads": 2, "rope_theta": 1e6,
    "use_sliding_window": False,
}  # fmt: skip

LARGER: dict[str, dict[str, Any]] = {
    "Gemma 4": {
        "model_type": "gemma4", "architectures": ["Gemma4ForConditionalGeneration"], "audio_config": None,
        "audio_token_id": 258881, "boa_token_id": 256000, "boi_token_id": 255999, "dtype": "bfloat16",
        "eoa_token_id": 258883, "eoi_token_id": 258882, "eos_token_id": [1, 106], "image_token_id": 258880,
        "initializer_range": 0.02, "text_config": PUBLISHED["gemma 4, the text model of the 26B"],
        "tie_word_embeddings": True, "video_token_id": 258884,
        "vision_config": {"model_type": "gemma4_vision"}, "vision_soft_tokens_per_image": 280,
    },
    "LLaVA 1.5": {
        "model_type": "llava", "ignore_index": -100, "image_token_index": 32000, "pad_token_id": 32001, **_SEEN,
        "text_config": {
            "_name_or_path": "lmsys/vicuna-7b-v1.5", "architectures": ["LlamaForCausalLM"], "model_type": "llama",
            "max_position_embeddings": 4096, "rms_norm_eps": 1e-05, "torch_dtype": "float16", "vocab_size": 32064,
        },
        "vision_feature_layer": -2, "vocab_size": 32064,
    },
    "ViP-LLaVA": {
        "model_type": "vipllava", "ignore_index": -100, "image_token_index": 32000, "projector_layernorm_eps": 1e-05,
        "text_config": {"max_position_embeddings": 4096, "model_type": "llama", "vocab_size": 32064},
        "vision_config": {}, "vision_feature_layers": [-2, -5, -8, -11, 6], "vocab_size": 32064,
    },
    "LLaVA-NeXT of a Mistral": {
        "model_type": "llava_next", "ignore_index": -100, "image_grid_pinpoints": [[336, 672]], **_SEEN,
        "image_token_index": 32000,
        "text_config": {
            "model_type": "mistral", "intermediate_size": 14336, "max_position_embeddings": 32768,
            "num_key_value_heads": 8, "rms_norm_eps": 1e-05, "rope_theta": 1e6, "sliding_window": None,
            "vocab_size": 32064,
        },
        "use_image_newline_parameter": True, "vision_feature_layer": -2, "vocab_size": 32064,
    },
    "LLaVA-OneVision": {
        "model_type": "llava_onevision", "image_grid_pinpoints": [[384, 384]], "image_token_index": 151646, **_SEEN,
        "text_config": {
            **_QWEN2, "max_window_layers": 24, "sliding_window": 32768, "tie_word_embeddings": True,
            "vocab_size": 152000,
        },
        "tie_word_embeddings": False, "use_image_newline_parameter": True, "video_token_index": 151647,
        "vision_aspect_ratio": "anyres_max_9", "vision_feature_layer": -1,
    },
    "SmolVLM2": {
        "model_type": "smolvlm", "image_token_id": 49190, "pad_token_id": 128002, "scale_factor": 4,
        "text_config": {
            "model_type": "llama", "_flash_attn_2_enabled": True, "architectures": ["VLlama3ForCausalLM"],
            "head_dim": 64, "hidden_size": 960, "intermediate_size": 2560, "is_llama_config": True,
            "max_position_embeddings": 8192, "neftune_noise_alpha": 0.0, "num_attention_heads": 15,
            "num_hidden_layers": 32, "num_key_value_heads": 5, "pad_token_id": 2,
            "perceiver_config": {"model_type": "vllama3", "resampler_depth": 6}, "pixel_shuffle_factor": 4,
            "qk_layer_norms": False, "rms_norm_eps": 1e-05, "rope_interleaved": False, "rope_theta": 100000,
            "transformers.js_config": {"kv_cache_dtype": {"fp16": "float16"}}, "use_resampler": False,
            "vocab_size": 49280,
        },
        "tie_word_embeddings": False, "use_reentrant_checkpointing": False, "vision_config": {}, "vocab_size": 49280,
    },
    "Idefics 3": {
        "model_type": "idefics3", "image_seq_len": 169, "image_token_id": 128257, "scale_factor": 2,
        "text_config": {
            "model_type": "llama", "hidden_size": 4096, "intermediate_size": 14336, "max_position_embeddings": 131072,
            "num_attention_heads": 32, "num_hidden_layers": 32, "num_key_value_heads": 8,
            "perceiver_config": {"model_type": "vllama3"}, "qk_layer_norms": False, "rms_norm_eps": 1e-05,
            "rope_scaling": {
                "factor": 8.0, "high_freq_factor": 4.0, "low_freq_factor": 1.0,
                "original_max_position_embeddings": 8192, "rope_type": "llama3",
            },
            "rope_theta": 500000.0, "use_resampler": False, "vocab_size": 128259,
        },
        "vision_config": {},
    },
    "Aya Vision": {
        "model_type": "aya_vision", "adapter_layer_norm_eps": 1e-06, "alignment_intermediate_size": 28672,
        "downsample_factor": 2, "image_token_index": 255036,
        "text_config": {
            "model_type": "cohere2", "cache_implementation": "hybrid", "head_dim": 128, "hidden_size": 4096,
            "intermediate_size": 14336, "layer_switch": 4, "logit_scale": 0.25, "max_position_embeddings": 8192,
            "num_attention_heads": 32, "num_hidden_layers": 32, "num_key_value_heads": 8,
            "order_of_interleaved_layers": "local_attn_first", "position_embedding_type": "rope_gptj",
            "rope_scaling": None, "rope_theta": 50000, "rotary_pct": 1.0, "sliding_window": 4096,
            "sliding_window_pattern": 4, "use_embedding_sharing": True, "use_gated_activation": True,
            "use_parallel_block": True, "use_parallel_embedding": False, "vocab_size": 256000,
        },
        "vision_config": {}, "vision_feature_layer": -1, "vision_feature_select_strategy": "full",
    },
    "InternVL 3": {
        "model_type": "internvl", "downsample_ratio": 0.5, "image_seq_length": 256, "image_token_id": 151667, **_SEEN,
        "text_config": {
            **_QWEN2, "max_window_layers": 21, "sliding_window": None, "vocab_size": 151674,
            "rope_scaling": {"factor": 2.0, "rope_type": "dynamic", "type": "dynamic"},
        },
        "vision_feature_layer": -1,
    },
    "PaliGemma": {
        "model_type": "paligemma", "_vocab_size": 257152, "hidden_size": 2048, "ignore_index": -100,
        "image_token_index": 257152, "projection_dim": 2048,
        "text_config": {
            "model_type": "gemma", "hidden_size": 2048, "intermediate_size": 16384, "num_attention_heads": 8,
            "num_hidden_layers": 18, "num_image_tokens": 256, "num_key_value_heads": 1, "vocab_size": 257216,
        },
        "vision_config": {},
    },
    "Mistral Small 3.1": {
        "model_type": "mistral3", "image_token_index": 10, "multimodal_projector_bias": False,
        "projector_hidden_act": "gelu", "spatial_merge_size": 2,
        "text_config": {
            "model_type": "mistral", "head_dim": 128, "hidden_size": 5120, "intermediate_size": 32768,
            "max_position_embeddings": 131072, "num_attention_heads": 32, "num_hidden_layers": 40,
            "num_key_value_heads": 8, "rms_norm_eps": 1e-05, "rope_theta": 1e9, "sliding_window": None,
            "vocab_size": 131072,
        },
        "vision_config": {}, "vision_feature_layer": -1,
    },
    "Qwen2-VL": {
        "model_type": "qwen2_vl", "attention_dropout": 0.0, "vision_start_token_id": 151652,
        "vision_end_token_id": 151653, "vision_token_id": 151654, "image_token_id": 151655, "video_token_id": 151656,
        "hidden_act": "silu", "hidden_size": 1536, "intermediate_size": 8960, "max_position_embeddings": 32768,
        "max_window_layers": 28, "num_attention_heads": 12, "num_hidden_layers": 28, "num_key_value_heads": 2,
        "rms_norm_eps": 1e-06, "rope_theta": 1e6, "sliding_window": 32768, "tie_word_embeddings": True,
        "use_sliding_window": False, "vision_config": {},
        "rope_scaling": {"type": "mrope", "mrope_section": [16, 24, 24]}, "vocab_size": 151936,
    },
    "Gemma 3": {
        "model_type": "gemma3", "boi_token_index": 255999, "eoi_token_index": 256000, "image_token_index": 262144,
        "mm_tokens_per_image": 256,
        "text_config": {
            "model_type": "gemma3_text", "hidden_size": 2560, "intermediate_size": 10240, "num_hidden_layers": 34,
            "rope_scaling": {"factor": 8.0, "rope_type": "linear"}, "sliding_window": 1024,
        },
        "vision_config": {},
    },
}  # fmt: skip
