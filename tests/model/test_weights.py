"""The tensors of a checkpoint match its config, or the message names those that do not."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from attnviz.attention.window import CAUSAL
from attnviz.errors import ExitCode, ModelError
from attnviz.interface import Model, load
from attnviz.model.architecture.shapes import tensor_shapes
from attnviz.model.architecture.spec import (
    MLP,
    AttentionSpec,
    Convolution,
    Embedding,
    LayerNorm,
    LayerSpec,
    Learned,
    PostNorm,
    PreNorm,
    RelativeBuckets,
    RMSNorm,
    Spec,
)
from attnviz.model.families import find_family
from attnviz.model.native import weights
from attnviz.model.native.backend import Native
from attnviz.model.native.forward import Network
from tests import tiny
from tests.model.parity import apart, assert_same, files_of, make, network_of, ours_of, saved, theirs_of
from tests.model.variants import all_variants

Tensors = dict[str, torch.Tensor]
QUERY = "encoder.layer.1.attention.self.query.weight"


def damaged(plain: Path, folder: Path, change: Callable[[Tensors], object]) -> Model:
    """The model of ``plain`` after ``change`` of its tensors."""
    for name in ("config.json", "tokenizer.json"):
        folder.joinpath(name).write_bytes(plain.joinpath(name).read_bytes())
    tensors = load_file(plain / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors")
    return load(folder)


def failure(model: Model) -> ModelError:
    with pytest.raises(ModelError) as caught:
        model.attend(tiny.SENTENCE)
    assert caught.value.exit_code is ExitCode.MODEL
    assert caught.value.hint
    return caught.value


def test_the_shapes_of_a_random_bert_are_those_of_its_file(tiny_bert: Path) -> None:
    config = json.loads((tiny_bert / "config.json").read_text())
    family = find_family(config)
    spec = family.spec(config)
    tensors = load_file(tiny_bert / "model.safetensors")
    needed = tensor_shapes(spec)
    mapped = {
        theirs.format(i): (our if isinstance(our, str) else our[0]).format(i)
        for theirs, our in family.names.items()
        for i in range(len(spec.layers))
    }
    assert {mapped[name]: tuple(tensor.shape) for name, tensor in tensors.items() if name in mapped} == needed
    taken = weights.take_tensors(family, spec, tensors, torch.float64)
    assert taken.keys() == needed.keys()
    # Of a large table few rows are read: it stays as it is.
    assert taken.pop("embed.tokens.weight").dtype is torch.float32
    assert {tensor.dtype for tensor in taken.values()} == {torch.float64}


def test_a_spec_needs_no_tensor_for_what_it_lacks() -> None:
    attention = AttentionSpec(2, 1, 3, 1.0, CAUSAL, RelativeBuckets(8, 20, bidirectional=False), bias=False)
    layer = LayerSpec(attention, MLP(7, "relu", bias=False), PreNorm(LayerNorm(1e-5, bias=False)))
    spec = Spec(4, Embedding(9, positions=Learned(10, offset=2)), (layer,), final_norm=RMSNorm(1e-6))
    assert tensor_shapes(spec) == {
        "embed.tokens.weight": (9, 4),
        "embed.positions.weight": (12, 4),
        "layers.0.attention.query.weight": (6, 4),
        "layers.0.attention.key.weight": (3, 4),
        "layers.0.attention.value.weight": (3, 4),
        "layers.0.attention.output.weight": (4, 6),
        "layers.0.attention.output.bias": (4,),
        "layers.0.attention.norm.weight": (4,),
        "layers.0.mlp.up.weight": (7, 4),
        "layers.0.mlp.down.weight": (4, 7),
        "layers.0.mlp.norm.weight": (4,),
        "norm.weight": (4,),
        "relative.weight": (8, 2),
    }


def test_a_layer_that_ends_with_a_convolution_needs_its_weights_and_norm() -> None:
    layer = LayerSpec(AttentionSpec(2, 2, 2, 1.0, CAUSAL), MLP(7, "relu"), PostNorm(LayerNorm(1e-5)))
    convolved = replace(layer, convolution=Convolution(3, 2, "tanh", LayerNorm(1e-5)))
    needed = tensor_shapes(Spec(4, Embedding(9), (convolved, layer)))
    assert {name: shape for name, shape in needed.items() if "convolution" in name} == {
        "layers.0.convolution.weight": (4, 2, 3),
        "layers.0.convolution.bias": (4,),
        "layers.0.convolution.norm.weight": (4,),
        "layers.0.convolution.norm.bias": (4,),
    }


def test_a_norm_may_have_no_weights() -> None:
    plain = LayerNorm(1e-5, bias=False, weight=False)
    layer = LayerSpec(AttentionSpec(2, 2, 2, 1.0, CAUSAL), MLP(7, "relu"), PreNorm(plain))
    assert not [name for name in tensor_shapes(Spec(4, Embedding(9), (layer,), final_norm=plain)) if "norm" in name]


def test_a_missing_tensor_is_named(tiny_bert: Path, tmp_path: Path) -> None:
    error = failure(damaged(tiny_bert, tmp_path, lambda tensors: tensors.pop(QUERY)))
    assert error.message.startswith(f"{tmp_path.name}: ")
    assert error.message.endswith(f"lacks 1 tensors that its config asks for: {QUERY}")


def test_of_many_missing_tensors_the_first_are_named_and_the_rest_counted(tiny_bert: Path, tmp_path: Path) -> None:
    def drop_last_layer(tensors: Tensors) -> None:
        for name in [name for name in tensors if ".layer.2." in name]:
            del tensors[name]

    error = failure(damaged(tiny_bert, tmp_path, drop_last_layer))
    assert "lacks 16 tensors" in error.message
    assert "encoder.layer.2.attention.self.query.weight" in error.message
    assert error.message.endswith("and 13 more")


def test_more_layers_in_the_config_than_in_the_file_are_missing_tensors(tiny_bert: Path, tmp_path: Path) -> None:
    model = damaged(tiny_bert, tmp_path, lambda tensors: tensors.pop("pooler.dense.bias"))
    model.checkpoint.config["num_hidden_layers"] = 5
    assert "lacks 32 tensors" in failure(model).message


@pytest.mark.parametrize("shape", [(32, 31), (31, 32), (32,), (32, 32, 1)])
def test_a_wrong_shape_is_named_with_the_one_expected(shape: tuple[int, ...], tiny_bert: Path, tmp_path: Path) -> None:
    error = failure(damaged(tiny_bert, tmp_path, lambda tensors: tensors.update({QUERY: torch.zeros(shape)})))
    assert f"{QUERY} has the shape {shape}, its config asks for (32, 32)" in error.message


def test_a_table_that_is_shorter_than_the_config_says_is_refused(tiny_bert: Path, tmp_path: Path) -> None:
    name = "embeddings.position_embeddings.weight"
    error = failure(damaged(tiny_bert, tmp_path, lambda tensors: tensors.update({name: tensors[name][:60].clone()})))
    assert f"{name} has the shape (60, 32), its config asks for (64, 32)" in error.message


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_a_tensor_with_values_that_are_no_numbers_is_named(value: float, tiny_bert: Path, tmp_path: Path) -> None:
    error = failure(damaged(tiny_bert, tmp_path, lambda tensors: tensors[QUERY][3].fill_(value)))
    assert "layers.1.attention.query.weight" in error.message
    assert "layers.0" not in error.message


def test_finite_tensors_that_overflow_are_not_called_damaged_ones(tiny_bert: Path, tmp_path: Path) -> None:
    def enlarge(tensors: Tensors) -> None:
        tensors["encoder.layer.1.intermediate.dense.weight"].mul_(1e30)
        tensors["encoder.layer.1.output.dense.weight"].mul_(1e30)

    assert "its tensors are finite: it overflows" in failure(damaged(tiny_bert, tmp_path, enlarge)).message


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_a_checkpoint_of_another_precision_runs_in_float32(dtype: torch.dtype, tiny_bert: Path, tmp_path: Path) -> None:
    def convert(tensors: Tensors) -> None:
        tensors.update({name: tensor.to(dtype) for name, tensor in tensors.items()})

    model = damaged(tiny_bert, tmp_path, convert)
    found, plain = (network(each).tensors for each in (model, load(tiny_bert)))
    assert found.keys() == plain.keys()
    for name, tensor in found.items():
        rounded = plain[name].to(dtype)
        assert torch.equal(tensor, rounded if name == "embed.tokens.weight" else rounded.float())
    attention = model.attend(tiny.SENTENCE)
    assert attention.weights.dtype == "float32"
    assert model.check(tiny.SENTENCE).passed


def network(model: Model) -> Network:
    assert isinstance(model.backend, Native)
    return model.backend.network


def test_a_tensor_of_no_use_is_named_and_what_every_checkpoint_may_hold_is_not(tiny_bert: Path, tmp_path: Path) -> None:
    def add(tensors: Tensors) -> None:
        body = {f"bert.{name}": tensor for name, tensor in tensors.items()}
        tensors.clear()
        tensors |= body | {
            "bert.encoder.layer.3.output.dense.bias": torch.ones(32),
            "bert.adapter.weight": torch.ones(2),
            "bert.embeddings.position_ids": torch.arange(64)[None],
            "cls.predictions.bias": torch.ones(9),
            "classifier.weight": torch.ones(2, 32),
        }

    model = damaged(tiny_bert, tmp_path, add)
    assert model.backend.unread == ("bert.adapter.weight", "bert.encoder.layer.3.output.dense.bias")
    assert model.check(tiny.SENTENCE).passed
    assert load(tiny_bert).backend.unread == ()


def test_copies_masks_and_angles_are_of_no_use_and_not_named(tiny_t5: Path, tiny_llama: Path, tmp_path: Path) -> None:
    name = "model.layers.0.self_attn.rotary_emb.inv_freq"
    model = damaged(tiny_llama, tmp_path, lambda tensors: tensors.update({name: torch.ones(4)}))
    assert model.backend.unread == ()
    assert model.check(tiny.SENTENCE).passed
    same = "encoder.embed_tokens.weight"
    model = damaged(tiny_t5, tmp_path, lambda tensors: tensors.update({same: tensors["shared.weight"] + 0}))
    assert model.backend.unread == ()


def test_a_tensor_of_an_older_checkpoint_that_is_of_no_use_is_named(tiny_bert: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tiny_bert, tmp_path / "model"))
    extra = {"encoder.layer.3.output.dense.bias": torch.ones(32), "cls.predictions.bias": torch.ones(9)}
    tiny.to_pickle(folder, lambda state: state.update(extra))
    assert load(folder).backend.unread == ("encoder.layer.3.output.dense.bias",)


@pytest.mark.parametrize("stacks", [("encoder", "decoder"), ("decoder",), ()])
@pytest.mark.parametrize("kind", ["Marian", "Pegasus"])
def test_tables_of_sines_are_read_where_a_checkpoint_has_them(
    kind: str, stacks: tuple[str, ...], tmp_path: Path
) -> None:
    sizes = {f"{part}_{of}": n for part in ("encoder", "decoder") for of, n in (("layers", 1), ("attention_heads", 2))}
    sizes |= {"d_model": 16, "encoder_ffn_dim": 8, "decoder_ffn_dim": 8, "max_position_embeddings": 20}
    config = getattr(transformers, f"{kind}Config")(
        vocab_size=len(tiny.VOCABULARY), pad_token_id=0, decoder_start_token_id=2, **sizes
    )
    tiny.save(tmp_path, getattr(transformers, f"{kind}Model")(config))
    tensors = load_file(tmp_path / "model.safetensors")
    table = torch.randn(20, 16, generator=torch.Generator().manual_seed(0))
    for part in ("encoder", "decoder"):
        tensors.pop(f"{part}.embed_positions.weight", None)
        if part in stacks:
            tensors[f"{part}.embed_positions.weight"] = table + (part == "decoder")
    save_file(tensors, tmp_path / "model.safetensors", {"format": "pt"})
    model = load(tmp_path)
    tensors = network(model).tensors
    names = {"encoder": "encoder.embed.positions.weight", "decoder": "embed.positions.weight"}
    assert {part for part, name in names.items() if name in tensors} == {*stacks}
    assert model.backend.unread == ()
    assert model.check("the bank", target="the loan").max_abs_diff < 1e-5


def test_a_gte_is_called_new_in_older_files(tmp_path: Path) -> None:
    variant = all_variants()["gte", "encoder"]
    model = make(variant, torch.float32)
    model.save_pretrained(tmp_path)
    config, tensors = files_of(tmp_path)
    older = network_of(config, {f"new.{name}": tensor for name, tensor in tensors.items()}, torch.float32)
    assert_same(ours_of(older, variant)["self"], theirs_of(model, variant)["self"], torch.float32)


@pytest.mark.parametrize("at", ["encoder.layer.0.attention.self.", ""])
def test_the_angles_of_an_esm_are_those_of_its_files(at: str, tmp_path: Path) -> None:
    variant = all_variants()["esm", "rotary positions (ESM-2)"]
    model = make(variant, torch.float32)
    model.save_pretrained(tmp_path)
    config, tensors = files_of(tmp_path)
    (name,) = (each for each in tensors if each.endswith("inv_freq"))
    angles = tensors.pop(name)
    spelt = network_of(config, {**tensors, f"{at}rotary_embeddings.inv_freq": angles}, torch.float32)
    assert_same(ours_of(spelt, variant)["self"], theirs_of(model, variant)["self"], torch.float32)
    other = network_of(config, tensors, torch.float32)
    assert apart(ours_of(other, variant)["self"], theirs_of(model, variant)["self"])[0].max() > 1e-2


SPELT_TWICE = {
    **dict.fromkeys(
        (
            "mixtral",
            "qwen2_moe",
            "qwen3_moe",
            "olmoe",
            "phimoe",
            "granitemoe",
            "ernie4_5_moe",
            "minimax_m2",
            "hunyuan_v1_moe",
            "flex_olmo",
            "solar_open",
            "exaone_moe",
            "glm4_moe_lite",
            "mistral4",
        ),
        "with a tied head",
    ),
    **dict.fromkeys(("gte", "nomic_bert", "jina_embeddings_v3"), "with a head"),
}


@pytest.mark.parametrize("family", SPELT_TWICE)
def test_tensors_are_read_as_they_are_saved_and_as_they_are_kept(family: str, tmp_path: Path) -> None:
    """transformers keeps one tensor of all experts, and saves one of each (Granite's are one of all in both); it keeps
    queries, keys and values of some models apart, and saves them as one.
    """
    model = make(all_variants()[family, SPELT_TWICE[family]], torch.float32)
    apart = saved(model, tmp_path, torch.float32).tensors
    config = json.loads((tmp_path / "config.json").read_text())
    kept = network_of(config, model.state_dict(), torch.float32).tensors
    assert apart.keys() == kept.keys()
    for name, tensor in kept.items():
        torch.testing.assert_close(apart[name], tensor, rtol=0, atol=0, msg=name)


def test_experts_of_another_number_are_refused(tmp_path: Path) -> None:
    model = make(all_variants()["granitemoe", "grouped queries"], torch.float32)
    saved(model, tmp_path, torch.float32)
    config = json.loads((tmp_path / "config.json").read_text())
    with pytest.raises(ModelError, match="has the shape"):
        network_of(config | {"num_local_experts": 4}, model.state_dict(), torch.float32)
