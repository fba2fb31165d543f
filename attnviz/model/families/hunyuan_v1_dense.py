"""Hunyuan (Tencent 2025): a Llama with queries and keys normed in each head behind the rotary positions."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from attnviz.model.architecture.config import Config
from attnviz.model.architecture.rope import rotary
from attnviz.model.architecture.spec import QKNorm, Spec
from attnviz.model.families import DECODER_NAMES
from attnviz.model.families.llama import PREFIX, llama_spec

__all__ = ["PREFIX"]

NAMES = {
    **DECODER_NAMES,
    "layers.{}.self_attn.query_layernorm.weight": "layers.{}.attention.query_norm.weight",
    "layers.{}.self_attn.key_layernorm.weight": "layers.{}.attention.key_norm.weight",
}

DEFAULTS = {"hunyuan_v1_dense": {"vocab_size": 290943, "rms_norm_eps": 1e-5}}


def spec(config: Config) -> Spec:
    """The facts of a Hunyuan, whose configs also say what its kin with experts is made of."""
    config.ignore("moe_intermediate_size", "moe_layer_num_skipped", "moe_topk", "num_shared_expert")
    config.only("num_experts", 1)
    config.only("use_mixed_mlp_moe", False)
    config.only("use_mla", False)
    return hunyuan_spec(config)


def hunyuan_spec(config: Config) -> Spec:
    """The facts of a Hunyuan with or without experts, but these."""
    config.ignore(
        "eod_token_id", "im_end_id", "im_newline_id", "im_start_id", "image_token_id", "mask_init_id", "org_vocab_size",
        "pad_id", "sep_id", "text_end_id", "text_start_id",
        "add_classification_head", "class_num", "pool_type",  # of heads
        "cla_share_factor", "dense_list",  # of what ``use_cla`` and the heads would need
        # of pictures, of training, or of what transformers does not use
        "anyres_pooling_size", "anyres_vit_max_image_size", "anyres_vit_two_views", "num_media_embeds",
        "skip_cls_token", "vit_add_patchemb_bias", "vit_input_resolution", "vit_mapping_type", "vit_norm_type",
        "vit_patch", "vit_path", "vit_remove_prenorm", "vit_token", "vit_type", "vit_used_rms_norm", "xdrope_section",
        "capacity_factor", "group_limited_greedy", "kv_lora_rank", "moe_drop_tokens",
        "moe_random_routing_dropped_token", "n_group", "norm_topk_prob", "q_lora_rank", "qk_nope_head_dim",
        "qk_rope_head_dim", "routed_scaling_factor", "topk_group", "v_head_dim",
    )  # fmt: skip
    for name, value in (("mlp_bias", False), ("norm_type", "rms"), ("use_cla", False), ("use_qk_norm", True)):
        config.only(name, value)
    config.only("use_rotary_pos_emb", True)
    config.only("position_embedding_xdrope", False)
    found = llama_spec(config, partial(rotary, alpha=True))
    config.only("attention_head_dim", found.first.head_size)
    norms = QKNorm(found.layers[0].norms.norm, rotated=True)
    return found.with_attentions(lambda attention: replace(attention, qk_norm=norms))
