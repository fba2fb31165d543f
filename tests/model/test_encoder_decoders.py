"""Encoder–decoders as configs and checkpoints on the Hub describe them, transformers' own and those of years before."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import transformers
from torch import Tensor
from transformers.models.m2m_100.modeling_m2m_100 import M2M100SinusoidalPositionalEmbedding
from transformers.models.marian.modeling_marian import MarianSinusoidalPositionalEmbedding

from attnviz.attention.window import CAUSAL, EVERYTHING
from attnviz.errors import ModelError, UnsupportedModel
from attnviz.model.architecture import position
from attnviz.model.architecture.spec import (
    MLP,
    GatedMLP,
    LayerNorm,
    Learned,
    PostNorm,
    PreNorm,
    RelativeBuckets,
    Sinusoidal,
    Spec,
)
from attnviz.model.families import find_family
from attnviz.model.hosted.precision import precision
from attnviz.model.native import weights
from tests.model.parity import DTYPES

TYPES = {
    "bart": "BartConfig",
    "blenderbot": "BlenderbotConfig",
    "m2m_100": "M2M100Config",
    "marian": "MarianConfig",
    "mbart": "MBartConfig",
    "mt5": "MT5Config",
    "pegasus": "PegasusConfig",
    "plbart": "PLBartConfig",
    "t5": "T5Config",
    "umt5": "UMT5Config",
}


def spec(kind: str, **config: Any) -> Spec:
    config = {"model_type": kind} | config
    return find_family(config).spec(config)


@pytest.mark.parametrize("kind", TYPES)
def test_absent_and_null_attributes_have_the_values_of_transformers(kind: str) -> None:
    full = getattr(transformers, TYPES[kind])().to_dict()
    assert spec(kind) == spec(**{"kind": kind} | full) == spec(kind, **dict.fromkeys(full.keys() - {"model_type"}))


@pytest.mark.parametrize("kind", TYPES)
def test_a_config_of_today_says_what_that_of_yesterday_said(kind: str) -> None:
    full = getattr(transformers, TYPES[kind])().to_dict()
    name, heads = ("num_layers", "num_heads") if kind.endswith("t5") else ("encoder_layers", "encoder_attention_heads")
    assert spec(kind, num_hidden_layers=full[name], num_attention_heads=full[heads]) == spec(kind)
    with pytest.raises(UnsupportedModel, match="num_hidden_layers is 5"):
        spec(kind, **{name: 4, "num_hidden_layers": 5})


OLD = {  # what transformers 3 wrote, beside the sizes
    "_num_labels": 3, "activation_dropout": 0.1, "activation_function": "gelu", "add_bias_logits": False,
    "attention_dropout": 0.1, "bos_token_id": 0, "classif_dropout": 0.1, "classifier_dropout": 0.0,
    "decoder_layerdrop": 0.0, "dropout": 0.1, "early_stopping": True, "encoder_layerdrop": 0.0, "eos_token_id": 2,
    "extra_pos_embeddings": 2, "force_bos_token_to_be_generated": True, "gradient_checkpointing": False,
    "id2label": {"0": "LABEL_0"}, "init_std": 0.02, "is_encoder_decoder": True, "label2id": {"LABEL_0": 0},
    "length_penalty": 2.0, "max_length": 142, "min_length": 56, "no_repeat_ngram_size": 3, "num_beams": 4,
    "output_past": True, "pad_token_id": 1, "prefix": " ", "save_step": 58, "static_position_embeddings": False,
    "task_specific_params": {"summarization": {"num_beams": 4}}, "normalize_embedding": True, "use_cache": True,
}  # fmt: skip


def sizes(width: int, layers: int, heads: int, inner: int) -> dict[str, int]:
    found = {"d_model": width, "num_hidden_layers": layers}
    for part in ("encoder", "decoder"):
        found |= {f"{part}_layers": layers, f"{part}_attention_heads": heads, f"{part}_ffn_dim": inner}
    return found


def test_bart_large_cnn() -> None:
    said = OLD | sizes(1024, 12, 16, 4096) | {"vocab_size": 50264, "max_position_embeddings": 1024}
    said |= {"normalize_before": False, "add_final_layer_norm": False, "scale_embedding": False}
    found = spec("bart", **said, decoder_start_token_id=2)
    assert found.encoder
    assert (found.width, len(found.layers), len(found.encoder.layers), found.start) == (1024, 12, 12, 2)
    assert found.embedding.positions == found.encoder.embedding.positions == Learned(1024, offset=2)
    assert found.embedding.norm == LayerNorm(1e-5)
    assert found.embedding.scale == 1
    assert isinstance(found.layers[0].norms, PostNorm)
    assert found.final_norm is None
    assert (found.layers[0].attention.window, found.encoder.layers[0].attention.window) == (CAUSAL, EVERYTHING)


def test_distilbart_cnn_12_6() -> None:
    found = spec("bart", **OLD, **sizes(1024, 12, 16, 4096) | {"decoder_layers": 6})
    assert found.encoder
    assert (len(found.encoder.layers), len(found.layers)) == (12, 6)


def test_mbart_large_50_begins_with_the_code_of_the_language() -> None:
    said = OLD | sizes(1024, 12, 16, 4096) | {"vocab_size": 250_054, "scale_embedding": True}
    said |= {"normalize_before": True, "add_final_layer_norm": True, "tokenizer_class": "MBart50Tokenizer"}
    found = spec("mbart", **said)
    assert found.start is None
    assert found.embedding.scale == 32
    assert found.embedding.norm == found.final_norm == LayerNorm(1e-5)
    assert isinstance(found.layers[0].norms, PreNorm)


def test_opus_mt_en_de() -> None:
    said = OLD | sizes(512, 6, 8, 2048) | {"activation_function": "swish", "bad_words_ids": [[58100]]}
    said |= {"vocab_size": 58101, "max_position_embeddings": 512, "scale_embedding": True, "eos_token_id": 0}
    said |= {"decoder_start_token_id": 58100, "pad_token_id": 58100, "static_position_embeddings": True}
    found = spec("marian", **said | {"normalize_before": False, "normalize_embedding": False})
    assert found.encoder
    assert found.start == 58100
    assert found.embedding == found.encoder.embedding
    assert (found.embedding.positions, found.embedding.norm, found.limit) == (Sinusoidal(512, stored=True), None, 512)
    assert found.layers[0].mlp == MLP(2048, "swish")


def test_a_marian_whose_sides_have_words_of_their_own() -> None:
    found = spec("marian", share_encoder_decoder_embeddings=False, vocab_size=60, decoder_vocab_size=70)
    assert found.encoder
    assert (found.encoder.embedding.vocabulary, found.embedding.vocabulary) == (60, 70)
    assert spec("marian", vocab_size=60, decoder_vocab_size=70).embedding.vocabulary == 60


def test_pegasus_xsum() -> None:
    said = OLD | sizes(1024, 16, 16, 4096) | {"vocab_size": 96103, "max_position_embeddings": 512}
    said |= {"activation_function": "relu", "scale_embedding": True, "extra_pos_embeddings": 1, "eos_token_id": 1}
    found = spec("pegasus", **said | {"static_position_embeddings": True, "normalize_before": True, "pad_token_id": 0})
    assert (found.start, found.final_norm, found.embedding.norm) == (0, LayerNorm(1e-5), None)
    assert found.embedding.positions == Sinusoidal(512, stored=True)


T5 = {
    "d_ff": 2048, "d_kv": 64, "d_model": 512, "decoder_start_token_id": 0, "dropout_rate": 0.1, "eos_token_id": 1,
    "initializer_factor": 1.0, "is_encoder_decoder": True, "layer_norm_epsilon": 1e-06, "model_type": "t5",
    "n_positions": 512, "num_heads": 8, "num_layers": 6, "output_past": True, "pad_token_id": 0,
    "relative_attention_num_buckets": 32, "task_specific_params": {}, "vocab_size": 32128,
}  # fmt: skip


def test_t5_small_and_the_first_flan_t5() -> None:
    found = spec("t5", **T5)
    assert found.encoder
    attention, cross = found.layers[0].attention, found.layers[0].cross
    assert cross
    assert attention.position == RelativeBuckets(32, 128, bidirectional=False)
    assert found.encoder.layers[0].attention.position == RelativeBuckets(32, 128, bidirectional=True)
    assert (cross.position, cross.window, cross.scale, attention.scale) == (None, EVERYTHING, 1, 1)
    assert (found.layers[0].mlp, found.start, found.limit) == (MLP(2048, "relu", bias=False), 0, None)
    flan = spec("t5", **T5 | {"feed_forward_proj": "gated-gelu", "tie_word_embeddings": False})
    assert flan.layers[0].mlp == GatedMLP(2048, "gelu_new")
    later = {
        "feed_forward_proj": "gated-gelu",
        "dense_act_fn": "gelu_new",
        "is_gated_act": True,
        "scale_decoder_outputs": False,
    }
    assert spec("t5", **T5 | later) == flan


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ("gelu", MLP(2048, "gelu", bias=False)),
        ("gated-silu", GatedMLP(2048, "silu")),
        ("gated-gelu", GatedMLP(2048, "gelu_new")),
    ],
)
def test_a_projection_names_gate_and_activation(said: str, found: MLP | GatedMLP) -> None:
    assert spec("t5", feed_forward_proj=said).layers[0].mlp == found


@pytest.mark.parametrize("said", ["gated-maxout", "double-gelu", "gelu-gated"])
def test_a_projection_that_is_unknown_is_refused(said: str) -> None:
    with pytest.raises(UnsupportedModel):
        spec("t5", feed_forward_proj=said)


def test_an_encoder_alone_is_known_by_its_architecture_or_by_not_being_two() -> None:
    pair = spec("t5", **T5)
    assert spec("t5", **T5, architectures=["T5EncoderModel"]) == pair.encoder
    assert spec("t5", **T5 | {"is_encoder_decoder": False}) == pair.encoder
    assert spec("t5", **T5, architectures=["T5ForConditionalGeneration"]) == pair


@pytest.mark.parametrize("kind", ["t5", "umt5"])
def test_a_decoder_of_t5_alone_is_refused(kind: str) -> None:
    with pytest.raises(UnsupportedModel, match="is_decoder"):
        spec(kind, is_decoder=True)


def tensors(kind: str, **config: Any) -> tuple[Spec, dict[str, Tensor]]:
    """A spec, and a number of its own for each tensor of the checkpoint of a small model."""
    class_ = {"t5": "T5ForConditionalGeneration", "bart": "BartForConditionalGeneration"}[kind]
    small = {"d_model": 8, "vocab_size": 11, "num_layers": 1, "d_ff": 5, "num_heads": 2, "d_kv": 3}
    if kind == "bart":
        small = {"d_model": 8, "vocab_size": 11, "encoder_layers": 1, "decoder_layers": 1}
        small |= {"encoder_attention_heads": 2, "decoder_attention_heads": 2, "max_position_embeddings": 9}
    model = getattr(transformers, class_)(getattr(transformers, TYPES[kind])(**small, **config))
    return spec(kind, **small, **config), {
        name: torch.full_like(t, i, dtype=torch.float32) for i, (name, t) in enumerate(model.state_dict().items())
    }


EMBEDDINGS = ("encoder.embed_tokens.weight", "decoder.embed_tokens.weight", "shared.weight", "lm_head.weight")


@pytest.mark.parametrize("kind", ["t5", "bart"])
@pytest.mark.parametrize(
    ("kept", "encoder", "decoder", "head"),
    [
        (EMBEDDINGS, 0, 1, 3),
        (("shared.weight",), 2, 2, 2),
        (("shared.weight", "lm_head.weight"), 2, 2, 3),
        (("decoder.embed_tokens.weight",), 1, 1, 1),
        (("encoder.embed_tokens.weight", "decoder.embed_tokens.weight"), 0, 1, 1),
    ],
)
def test_embeddings_are_found_wherever_a_checkpoint_keeps_them(
    kind: str, kept: tuple[str, ...], encoder: int, decoder: int, head: int
) -> None:
    found, stored = tensors(kind)
    stored = {name: t for name, t in stored.items() if name.removeprefix("model.") not in EMBEDDINGS}
    stored |= {name: torch.full((11, 8), float(EMBEDDINGS.index(name))) for name in kept}
    family = find_family({"model_type": kind})
    taken = weights.take_tensors(family, found, stored, torch.float32)
    matrix = weights.take_head(family, found, stored, torch.float32).matrix
    seen = taken["encoder.embed.tokens.weight"], taken["embed.tokens.weight"], matrix
    assert [float(t[0, 0]) for t in seen] == [encoder, decoder, head]


def test_a_bias_of_the_head_is_one_row_or_is_not_there() -> None:
    found, stored = tensors("bart")
    family = find_family({"model_type": "bart"})
    stored["final_logits_bias"] = torch.arange(11.0)[None]
    bias = weights.take_head(family, found, stored, torch.float64).bias
    assert bias is not None
    assert torch.equal(bias, torch.arange(11.0, dtype=torch.float64))
    del stored["final_logits_bias"]
    assert weights.take_head(family, found, stored, torch.float32).bias is None
    stored["final_logits_bias"] = torch.zeros(1, 10)
    with pytest.raises(ModelError, match="final_logits_bias has the shape"):
        weights.take_head(family, found, stored, torch.float32)


def test_a_missing_tensor_of_the_decoder_is_not_taken_from_the_encoder() -> None:
    found, stored = tensors("t5")
    name = "decoder.block.0.layer.0.SelfAttention.q.weight"
    del stored[name]
    with pytest.raises(ModelError, match=f"lacks 1 tensors that its config asks for: {name}"):
        weights.take_tensors(find_family({"model_type": "t5"}), found, stored, torch.float32)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("padding", [1, 4])
def test_whole_sinusoids_are_those_of_m2m_100(dtype: torch.dtype, padding: int) -> None:
    ids = torch.tensor([(i * 7) % 11 for i in range(600)])
    with precision(dtype):
        expected = M2M100SinusoidalPositionalEmbedding(700, 16, padding)(ids[None])[0]
    spec = Sinusoidal(700, whole=True, offset=padding + 1, padding=padding)
    found = position.sinusoids(position.position_rows(ids, torch.arange(600), spec), 16, dtype, spec)
    assert not found[ids == padding].any()
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("width", [8, 9, 64])
def test_sinusoids_are_those_of_marian(dtype: torch.dtype, width: int) -> None:
    with precision(dtype):
        expected = MarianSinusoidalPositionalEmbedding(600, width).to(dtype).create_weight()
    found = position.sinusoids(torch.arange(600), width, dtype, Sinusoidal(600))
    assert found.dtype == expected.dtype
    # A sine that lies between two numbers of float32 may be rounded to either.
    assert float((found - expected).abs().max()) < 1e-7
    assert float((found == expected).double().mean()) > 0.999
