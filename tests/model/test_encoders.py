"""Configs of encoders: empty, null, old and published ones are read as transformers reads them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import transformers

from attnviz.attention.window import EVERYTHING, KeyWindow
from attnviz.errors import ModelError, UnsupportedModel
from attnviz.model.architecture.spec import Disentangled, Learned, Linear, Rotary, Spec
from attnviz.model.families import find_family

CLASSES = {
    "albert": "AlbertConfig",
    "camembert": "CamembertConfig",
    "deberta-v2": "DebertaV2Config",
    "distilbert": "DistilBertConfig",
    "electra": "ElectraConfig",
    "modernbert": "ModernBertConfig",
    "mpnet": "MPNetConfig",
    "roberta": "RobertaConfig",
    "xlm-roberta": "XLMRobertaConfig",
}
BASE: dict[str, Any] = {
    "attention_probs_dropout_prob": 0.1,
    "hidden_act": "gelu",
    "hidden_dropout_prob": 0.1,
    "hidden_size": 768,
    "initializer_range": 0.02,
    "intermediate_size": 3072,
    "num_attention_heads": 12,
    "num_hidden_layers": 12,
}
ROBERTA = BASE | {"layer_norm_eps": 1e-5, "max_position_embeddings": 514, "pad_token_id": 1, "type_vocab_size": 1}
DEBERTA = BASE | {
    "model_type": "deberta-v2",
    "layer_norm_eps": 1e-7,
    "max_position_embeddings": 512,
    "max_relative_positions": -1,
    "norm_rel_ebd": "layer_norm",
    "pos_att_type": "p2c|c2p",
    "position_biased_input": False,
    "position_buckets": 256,
    "relative_attention": True,
    "share_att_key": True,
    "type_vocab_size": 0,
    "vocab_size": 128100,
}
MODERNBERT: dict[str, Any] = {
    "model_type": "modernbert",
    "architectures": ["ModernBertForMaskedLM"],
    "attention_bias": False,
    "attention_dropout": 0.0,
    "classifier_activation": "gelu",
    "classifier_bias": False,
    "classifier_dropout": 0.0,
    "classifier_pooling": "mean",
    "cls_token_id": 50281,
    "decoder_bias": True,
    "deterministic_flash_attn": False,
    "embedding_dropout": 0.0,
    "global_attn_every_n_layers": 3,
    "global_rope_theta": 160000.0,
    "gradient_checkpointing": False,
    "hidden_activation": "gelu",
    "hidden_size": 768,
    "initializer_cutoff_factor": 2.0,
    "initializer_range": 0.02,
    "intermediate_size": 1152,
    "layer_norm_eps": 1e-05,
    "local_attention": 128,
    "local_rope_theta": 10000.0,
    "max_position_embeddings": 8192,
    "mlp_bias": False,
    "mlp_dropout": 0.0,
    "norm_bias": False,
    "norm_eps": 1e-05,
    "num_attention_heads": 12,
    "num_hidden_layers": 22,
    "pad_token_id": 50283,
    "position_embedding_type": "absolute",
    "repad_logits_with_grad": False,
    "sep_token_id": 50282,
    "sparse_pred_ignore_index": -100,
    "sparse_prediction": False,
    "torch_dtype": "float32",
    "transformers_version": "4.47.0.dev0",
    "vocab_size": 50368,
}
PUBLISHED: dict[str, dict[str, Any]] = {
    "roberta-base": ROBERTA | {"model_type": "roberta", "architectures": ["RobertaForMaskedLM"], "vocab_size": 50265},
    "xlm-roberta-base": ROBERTA
    | {"model_type": "xlm-roberta", "output_past": True, "position_embedding_type": "absolute", "vocab_size": 250002},
    "camembert-base": ROBERTA | {"model_type": "camembert", "bos_token_id": 5, "eos_token_id": 6, "vocab_size": 32005},
    "distilbert-base-uncased": {
        "model_type": "distilbert",
        "activation": "gelu",
        "attention_dropout": 0.1,
        "dim": 768,
        "dropout": 0.1,
        "hidden_dim": 3072,
        "max_position_embeddings": 512,
        "n_heads": 12,
        "n_layers": 6,
        "pad_token_id": 0,
        "qa_dropout": 0.1,
        "seq_classif_dropout": 0.2,
        "sinusoidal_pos_embds": False,
        "tie_weights_": True,
        "vocab_size": 30522,
    },
    "electra-small-discriminator": BASE
    | {
        "model_type": "electra",
        "embedding_size": 128,
        "hidden_size": 256,
        "intermediate_size": 1024,
        "layer_norm_eps": 1e-12,
        "max_position_embeddings": 512,
        "num_attention_heads": 4,
        "summary_activation": "gelu",
        "summary_last_dropout": 0.1,
        "summary_type": "first",
        "summary_use_proj": True,
        "type_vocab_size": 2,
        "vocab_size": 30522,
    },
    "albert-base-v2": BASE
    | {
        "model_type": "albert",
        "attention_probs_dropout_prob": 0,
        "classifier_dropout_prob": 0.1,
        "down_scale_factor": 1,
        "embedding_size": 128,
        "gap_size": 0,
        "hidden_act": "gelu_new",
        "hidden_dropout_prob": 0,
        "inner_group_num": 1,
        "layer_norm_eps": 1e-12,
        "max_position_embeddings": 512,
        "net_structure_type": 0,
        "num_hidden_groups": 1,
        "num_memory_blocks": 0,
        "type_vocab_size": 2,
        "vocab_size": 30000,
    },
    "all-mpnet-base-v2": BASE
    | {
        "model_type": "mpnet",
        "layer_norm_eps": 1e-5,
        "max_position_embeddings": 514,
        "pad_token_id": 1,
        "relative_attention_num_buckets": 32,
        "vocab_size": 30527,
    },
    "ModernBERT-base": MODERNBERT,
    "deberta-v3-base": DEBERTA,
    "deberta-v2-xlarge": DEBERTA
    | {
        "attention_head_size": 64,
        "conv_act": "gelu",
        "conv_kernel_size": 3,
        "hidden_size": 1536,
        "intermediate_size": 6144,
        "num_attention_heads": 24,
        "num_hidden_layers": 24,
        "pooler_dropout": 0,
        "pooler_hidden_act": "gelu",
        "pooler_hidden_size": 1536,
    },
}


LATER: dict[str, dict[str, Any]] = {
    "EuroBERT-210m": {
        "model_type": "eurobert", "bos_token": "<|begin_of_text|>", "eos_token": "<|end_of_text|>",
        "mask_token": "<|mask|>", "pad_token": "<|end_of_text|>", "hidden_dropout": 0.0, "rope_theta": 250000,
        "rope_scaling": None, "head_dim": 64, "vocab_size": 128256,
    },
    "ernie-3.0": {
        "model_type": "ernie", "enable_recompute": False, "fuse": False, "max_position_embeddings": 2048,
        "task_type_vocab_size": 3, "type_vocab_size": 4, "use_task_id": True, "vocab_size": 40000,
    },
    "nomic-embed-text-v1.5": {
        "model_type": "nomic_bert", "activation_function": "swiglu", "attn_pdrop": 0.0, "causal": False,
        "dense_seq_output": True, "layer_norm_epsilon": 1e-12, "n_embd": 768, "n_head": 12, "n_inner": 3072,
        "n_layer": 12, "n_positions": 8192, "prenorm": False, "qkv_proj_bias": False, "rotary_emb_base": 1000,
        "rotary_emb_fraction": 1.0, "rotary_scaling_factor": None, "use_flash_attn": True, "vocab_size": 30528,
    },
    "blenderbot_small-90M": {
        "model_type": "blenderbot-small", "do_blenderbot_90_layernorm": True, "extra_layer_norm": False,
        "layernorm_variant": "xlm", "variant": "xlm", "scale_embedding": True, "vocab_size": 54944,
    },
}  # fmt: skip
"""What files have beyond transformers' own attributes."""


@pytest.mark.parametrize("name", LATER)
def test_what_files_say_beside_is_known(name: str) -> None:
    config = LATER[name]
    assert read(config) == read(transformers.CONFIG_MAPPING[config["model_type"]](**config).to_dict())


@pytest.mark.parametrize(("name", "value"), [("n_embd", 512), ("qkv_proj_bias", True), ("rotary_emb_base", 10000)])
def test_a_nomic_bert_that_transformers_would_run_as_another_is_refused(name: str, value: object) -> None:
    with pytest.raises(ModelError, match=f"{name} is {value}, and neither attnviz nor transformers runs other than"):
        read(LATER["nomic-embed-text-v1.5"] | {name: value})


def read(config: Mapping[str, Any]) -> Spec:
    return find_family(config).spec(config)


def of(kind: str, **config: Any) -> Spec:
    return read({"model_type": kind} | config)


@pytest.mark.parametrize("kind", CLASSES)
def test_absent_and_null_attributes_have_the_values_of_transformers(kind: str) -> None:
    full = getattr(transformers, CLASSES[kind])().to_dict()
    assert of(kind) == read(full) == of(kind, **dict.fromkeys(full.keys() - {"model_type"}))


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_published_config_says_what_transformers_makes_of_it(name: str) -> None:
    config = PUBLISHED[name]
    modern = getattr(transformers, CLASSES[config["model_type"]])(**config).to_dict()
    assert read(config) == read(modern)


def test_positions_begin_after_the_padding_id() -> None:
    assert read(PUBLISHED["roberta-base"]).embedding.positions == Learned(512, offset=2, padding=1)
    assert of("roberta", pad_token_id=0).embedding.positions == Learned(511, offset=1, padding=0)
    assert of("mpnet", pad_token_id=0) == of("mpnet")


@pytest.mark.parametrize("padding", [38, 39, 10**12])
def test_padding_that_leaves_no_positions_is_refused(padding: int) -> None:
    assert of("roberta", pad_token_id=37, max_position_embeddings=39).embedding.positions == Learned(1, 38, 37)
    with pytest.raises(ModelError, match=f"max_position_embeddings is 39, .* {padding}"):
        of("roberta", pad_token_id=padding, max_position_embeddings=39)


def test_sizes_may_have_their_usual_names() -> None:
    usual = of("distilbert", hidden_size=32, num_attention_heads=4, num_hidden_layers=2)
    assert usual == of("distilbert", dim=32, n_heads=4, n_layers=2)
    assert (usual.width, usual.layers[0].attention.heads, len(usual.layers)) == (32, 4, 2)


def test_layers_with_shared_weights_say_where_they_are() -> None:
    shared = of("albert", num_hidden_layers=4, num_hidden_groups=2, inner_group_num=2)
    assert shared.stored == tuple(f"{group}.albert_layers.{i}" for group in (0, 0, 1, 1) for i in (0, 1))
    assert len(shared.layers) == 8


def test_every_third_layer_sees_the_whole_text_and_has_a_base_of_its_own() -> None:
    attentions = [layer.attention for layer in read(MODERNBERT).layers]
    assert [attention.window == EVERYTHING for attention in attentions] == [i % 3 == 0 for i in range(22)]
    assert {attention.window for attention in attentions} == {EVERYTHING, KeyWindow(64, 64)}
    assert attentions[0].position == Rotary(160_000.0, 64)
    assert attentions[1].position == Rotary(10_000.0, 64)


def test_an_old_scaling_is_that_of_both_kinds_of_layers() -> None:
    attentions = [layer.attention for layer in of("modernbert", rope_scaling={"type": "linear", "factor": 2.0}).layers]
    assert attentions[0].position == Rotary(160_000.0, 64, scaling=Linear(2.0))
    assert attentions[1].position == Rotary(10_000.0, 64, scaling=Linear(2.0))


def test_a_kind_of_layer_that_the_rotary_positions_leave_out_has_the_family_s() -> None:
    said = {"full_attention": {"rope_theta": 500.0, "rope_type": "default"}, "sliding_attention": None}
    attentions = [layer.attention for layer in of("modernbert", rope_parameters=said).layers]
    assert attentions[0].position == Rotary(500.0, 64)
    assert attentions[1].position == Rotary(10_000.0, 64)


def test_positions_of_deberta_v3_are_shared_normed_and_in_buckets() -> None:
    v3 = read(DEBERTA)
    position = v3.layers[0].attention.position
    assert isinstance(position, Disentangled)
    assert (position.span, position.max_distance) == (256, 512)
    assert position.shared
    assert position.norm == v3.embedding.norm
    assert v3.embedding.positions is None
    assert v3 == read(DEBERTA | {"pos_att_type": ["c2p", "p2c"]})


def test_only_the_first_layer_ends_with_the_convolution() -> None:
    first, *rest = read(PUBLISHED["deberta-v2-xlarge"]).layers
    assert first.convolution
    assert not any(layer.convolution for layer in rest)


@pytest.mark.parametrize(
    ("kind", "name", "value"),
    [
        ("deberta-v2", "attention_head_size", 32),
        ("deberta-v2", "conv_kernel_size", 4),
        ("deberta-v2", "embedding_size", 128),
        ("deberta-v2", "pos_att_type", ["p2p"]),
        ("deberta-v2", "pos_att_type", "c2p|p2p"),
        ("distilbert", "pruned_heads", {"0": [1]}),
        ("electra", "add_cross_attention", True),
        ("modernbert", "layer_types", ["full_attention"]),
        ("modernbert", "layer_types", ["chunked_attention"] * 22),
        ("modernbert", "hidden_activation", "snake"),
        ("mpnet", "relative_attention_num_buckets", 64),
        ("roberta", "is_encoder_decoder", True),
        ("xlm-roberta", "add_cross_attention", True),
    ],
)
def test_what_the_spec_can_not_say_is_refused_by_name_and_value(kind: str, name: str, value: Any) -> None:
    with pytest.raises(UnsupportedModel) as caught:
        of(kind, **{name: value})
    assert f"{name} is {value!r}" in caught.value.message


@pytest.mark.parametrize("kind", ["albert", "bert", "camembert", "electra", "roberta", "xlm-roberta"])
def test_positions_that_transformers_passes_over_are_run_by_neither_way(kind: str) -> None:
    with pytest.raises(ModelError, match="neither attnviz nor transformers runs other than 'absolute'") as caught:
        of(kind, position_embedding_type="relative_key")
    assert not isinstance(caught.value, UnsupportedModel)  # that would be hosted


@pytest.mark.parametrize("kind", CLASSES)
def test_an_unknown_attribute_is_refused(kind: str) -> None:
    with pytest.raises(UnsupportedModel, match="attention_window = 128"):
        of(kind, attention_window=128)
