"""GGUF files run natively: parity with the transformers model from which they were written, in every layer and head."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import gguf
import pytest
import torch
from gguf import GGMLQuantizationType as Kind

from attnviz.checkpoint import open_checkpoint
from attnviz.checkpoint.gguf.architectures import ARCHITECTURES, VARIANTS
from attnviz.interface import load
from attnviz.model.native.opening import open_native
from tests import gguf_files
from tests.model.parity import assert_same, make, ours_of, theirs_of
from tests.model.variants import Variant, all_variants
from tests.model.variants.deepseek_v2 import YARN

SIXTH = {"sliding_window_pattern": 6}
GEMMA = {"query_pre_attn_scalar": 8, "head_dim": 8}
ONE_GROUP = {"n_group": 1, "topk_group": 1}
SCALED = {"rope_parameters": {**YARN, "mscale": YARN["mscale_all_dim"]}}
FAR = {"relative_attention_max_distance": 128}
CASES: list[tuple[str, str, dict[str, Any]]] = [
    ("arcee", "grouped queries", {}),
    ("bert", "encoder", {}),
    ("bert", "sentence pairs (token types)", {}),
    ("bloom", "ALiBi, heads no power of two", {}),
    ("cohere", "grouped queries", {}),
    ("cohere", "with a head", {}),
    ("cohere2", "windows in three of four layers", {}),
    ("deepseek_v2", "queries from a vector", ONE_GROUP),
    ("deepseek_v2", "queries as ever, large values", {}),
    ("deepseek_v2", "groups of experts", {}),
    ("deepseek_v2", "yarn rotary, which scales the scores", {**ONE_GROUP, **SCALED}),
    ("deepseek_v3", "groups of experts", {}),
    ("deepseek_v3", "queries as ever, large values", {}),
    ("deepseek_v3", "yarn rotary, which scales the scores", SCALED),
    ("exaone4", "windows in most layers", {}),
    ("exaone4", "no windows", {}),
    ("falcon", "one key head, side by side (7b)", {}),
    ("falcon", "grouped queries, two norms (40b)", {}),
    ("falcon", "grouped queries, one norm (11b)", {}),
    ("gemma", "one key head, heads of another size", {}),
    ("gemma2", "soft caps and alternating windows", GEMMA),
    ("gemma3_text", "alternating windows, two rotary bases", {**GEMMA, **SIXTH, "num_hidden_layers": 7}),
    ("gemma3_text", "scaled rotary in layers that see all", {**GEMMA, **SIXTH, "num_hidden_layers": 7}),
    ("glm4", "grouped queries", {}),
    ("glm4", "one key head, no biases", {}),
    ("gpt2", "decoder", {}),
    ("gpt2", "with a head of its own", {}),
    ("gpt_neox", "side by side, a quarter of each head turns", {}),
    ("gpt_neox", "one after the other", {}),
    ("gpt_neox", "with a head", {}),
    ("gpt_oss", "sinks in windows", {}),
    ("gpt_oss", "with a head", {}),
    ("granite", "multipliers", {}),
    ("granitemoe", "multipliers", {}),
    ("granitemoeshared", "a shared expert, grouped queries", {}),
    ("llama", "grouped queries", {}),
    ("llama", "heads of another size", {}),
    ("llama", "biases", {}),
    ("llama", "with a tied head", {}),
    ("llama", "linear rotary", {}),
    ("llama", "llama3 rotary", {}),
    ("llama", "yarn rotary", {}),
    ("llama", "mistral: no window, heads of another size", {}),
    ("llama", "smollm3: a layer without rotary", {}),
    ("mixtral", "grouped queries", {}),
    ("mixtral", "with a tied head", {}),
    ("nemotron", "half of each head turns, grouped queries", {}),
    ("nomic_bert", "encoder", {}),
    ("nomic_bert", "sentence pairs (token types)", {}),
    ("olmo", "norms without weights, grouped queries", {}),
    ("olmo", "bounded queries, keys and values", {}),
    ("olmo2", "grouped queries", {}),
    ("olmo3", "windows in three of four layers", {}),
    ("olmoe", "grouped queries", {}),
    ("phi", "half of each head turns, grouped queries", {}),
    ("phi3", "one key head, window", {}),
    ("phi3", "a part of each head turns", {}),
    ("phi3", "longrope rotary, long", {}),
    ("qwen2", "grouped queries", {}),
    ("qwen2_moe", "as many key heads", {}),
    ("qwen3", "heads of another size", {}),
    ("qwen3_moe", "shares of the chosen experts", {}),
    ("stablelm", "as many key heads, biases", {}),
    ("stablelm", "attention and MLP side by side", {}),
    ("starcoder2", "grouped queries", {}),
    ("t5", "encoder–decoder", FAR),
    ("t5", "gated MLPs", FAR),
    ("umt5", "encoder–decoder", FAR),
]  # fmt: skip
"""A family, one of its variants, and what of its config a file can't say otherwise."""


def variant_of(family: str, name: str, changed: dict[str, Any]) -> Variant:
    variant = all_variants()[family, name]
    return dataclasses.replace(variant, config={**variant.config, **changed})


@pytest.mark.parametrize(("family", "name", "changed"), CASES, ids=[f"{family}: {name}" for family, name, _ in CASES])
def test_against_the_model_that_was_written(family: str, name: str, changed: dict[str, Any], tmp_path: Path) -> None:
    variant = variant_of(family, name, changed)
    model = make(variant, torch.float32)
    checkpoint = open_checkpoint(gguf_files.write(tmp_path / "a.gguf", model))
    expected, found = theirs_of(model, variant), ours_of(open_native(checkpoint).network, variant)
    assert found.keys() == expected.keys()
    for kind, maps in expected.items():
        assert_same(found[kind], maps, torch.float32)


@pytest.mark.parametrize(
    ("family", "name", "stored"),
    [
        ("mixtral", "grouped queries", "blk.1.ffn_gate.4.weight"),
        ("deepseek_v2", "queries as ever, large values", "blk.1.attn_kv_b.weight"),
    ],
)
def test_files_of_older_converters_are_read_too(family: str, name: str, stored: str, tmp_path: Path) -> None:
    variant = variant_of(family, name, {})
    model = make(variant, torch.float32)
    path = gguf_files.write(tmp_path / "a.gguf", model, older=True)
    assert stored in {tensor.name for tensor in gguf.GGUFReader(path).tensors}
    found = ours_of(open_native(open_checkpoint(path)).network, variant)
    assert_same(found["self"], theirs_of(model, variant)["self"], torch.float32)


def test_every_architecture_is_compared() -> None:
    compared = {gguf_files.NAMES.get(family, family) for family, _, _ in CASES}
    assert ARCHITECTURES.keys() <= compared | {"seed_oss", "smollm3"}
    families = {family for family, _, _ in CASES}
    assert {architecture.model_type for _, architecture in VARIANTS.values()} <= families


WIDE: dict[str, Any] = {"hidden_size": 256, "intermediate_size": 256, "num_hidden_layers": 2}
"""Sizes that every type of number can store."""
TYPES = ["F16", "BF16", "Q8_0", "Q5_1", "Q4_0", "Q4_K", "Q6_K"]
OTHERS = ["Q4_1", "Q5_0", "Q2_K", "Q3_K", "Q5_K"]


def wide(family: str, name: str, path: Path, kind: Kind, **config: Any) -> Path:
    """A file with matrices of the type ``kind``."""
    variant = variant_of(family, name, {key: value for key, value in (WIDE | config).items() if value is not None})
    return gguf_files.write(path, make(dataclasses.replace(variant, scale=0.08), torch.float32), kind)


def stored_types(path: Path) -> set[str]:
    return {tensor.tensor_type.name for tensor in gguf.GGUFReader(path).tensors}


@pytest.mark.parametrize("kind", [*TYPES, *(pytest.param(kind, marks=pytest.mark.slow) for kind in OTHERS)])
def test_each_type_of_number_is_read_as_transformers_reads_it(kind: str, tmp_path: Path) -> None:
    path = wide("llama", "grouped queries", tmp_path / "a.gguf", Kind[kind])
    model = load(path)
    assert kind in stored_types(path)
    assert model.backend.name == "native"
    check = model.check("the bank s a b c")
    assert check.max_abs_diff <= 1e-5, check.max_abs_diff
    assert check.heads == 8


@pytest.mark.parametrize(
    ("family", "name", "kind", "config"),
    [
        ("bert", "encoder", "Q8_0", {}),
        ("gemma2", "soft caps and alternating windows", "Q4_K", {"query_pre_attn_scalar": 8}),
        ("falcon", "grouped queries, two norms (40b)", "Q5_0", {"intermediate_size": None}),
        pytest.param("phi3", "longrope rotary, long", "Q6_K", {"num_attention_heads": 32}, marks=pytest.mark.slow),
        pytest.param(
            "gpt2",
            "decoder",
            "Q4_0",
            {"n_embd": 256, "n_layer": 2, "hidden_size": None, "num_hidden_layers": None, "intermediate_size": None},
            marks=pytest.mark.slow,
        ),
        pytest.param("qwen2", "grouped queries", "Q4_0", {}, marks=pytest.mark.slow),
        pytest.param("qwen3", "grouped queries", "Q8_0", {}, marks=pytest.mark.slow),
        pytest.param("starcoder2", "grouped queries", "Q6_K", {}, marks=pytest.mark.slow),
        pytest.param("granite", "multipliers", "Q8_0", {}, marks=pytest.mark.slow),
        pytest.param(
            "bloom",
            "ALiBi",
            "Q8_0",
            {"n_layer": 2, "num_hidden_layers": None, "intermediate_size": None},
            marks=pytest.mark.slow,
        ),
        pytest.param("nemotron", "half of each head turns, grouped queries", "Q8_0", {}, marks=pytest.mark.slow),
        pytest.param("stablelm", "as many key heads, biases", "Q8_0", {}, marks=pytest.mark.slow),
        pytest.param("cohere", "grouped queries", "Q8_0", {}, marks=pytest.mark.slow),
        pytest.param("olmo2", "grouped queries", "Q8_0", {}, marks=pytest.mark.slow),
        pytest.param("phi", "half of each head turns, grouped queries", "Q8_0", {}, marks=pytest.mark.slow),
        pytest.param("gemma", "grouped queries", "Q8_0", {}, marks=pytest.mark.slow),
        pytest.param(
            "gemma3_text",
            "alternating windows, two rotary bases",
            "Q8_0",
            {"query_pre_attn_scalar": 8, "sliding_window_pattern": 6},
            marks=pytest.mark.slow,
        ),
        pytest.param(
            "qwen3_moe", "shares of the chosen experts", "Q8_0", {"moe_intermediate_size": 64}, marks=pytest.mark.slow
        ),
        pytest.param("gpt_oss", "sinks in windows", "MXFP4", {}, marks=pytest.mark.slow),
        pytest.param("mixtral", "grouped queries", "Q8_0", {}, marks=pytest.mark.slow),
        pytest.param("qwen2_moe", "as many key heads", "Q8_0", {"moe_intermediate_size": 64}, marks=pytest.mark.slow),
        pytest.param("deepseek_v3", "groups of experts", "Q8_0", {}, marks=pytest.mark.slow),
        pytest.param("granitemoeshared", "a shared expert, grouped queries", "Q8_0", {}, marks=pytest.mark.slow),
        pytest.param("olmo3", "windows in three of four layers", "Q8_0", {}, marks=pytest.mark.slow),
        pytest.param("exaone4", "no windows", "Q8_0", {"num_hidden_layers": 3}, marks=pytest.mark.slow),
        pytest.param("nomic_bert", "encoder", "Q8_0", {}, marks=pytest.mark.slow),
        pytest.param("llama", "llama3 rotary", "Q4_K", {}, marks=pytest.mark.slow),
    ],
)
def test_the_check_judges_quantised_files_of_other_families(
    family: str, name: str, kind: str, config: dict[str, Any], tmp_path: Path
) -> None:
    """By transformers' own reading where it has one; it gets our tensors of BERT and Falcon."""
    path = wide(family, name, tmp_path / "a.gguf", Kind[kind], **config)
    model = load(path)
    assert (kind in stored_types(path), model.backend.name) == (True, "native")
    check = model.check("the bank a b c")
    assert check.max_abs_diff <= 1e-5, check.max_abs_diff


@pytest.mark.parametrize("name", ["the published buckets", "gated MLPs"])
def test_two_stacks_are_checked_by_transformers_own_reading(name: str, tmp_path: Path) -> None:
    path = gguf_files.write(tmp_path / "a.gguf", make(variant_of("t5", name, FAR), torch.float32), Kind.Q8_0)
    model = load(path)
    check = model.check("the bank a b c", target="a bank")
    assert (model.backend.name, check.passed, check.max_abs_diff <= 1e-5) == ("native", True, True)


def test_what_it_writes_is_compared_though_transformers_can_not_read_the_file(tmp_path: Path) -> None:
    model = make(all_variants()["mixtral", "with a tied head"], torch.float32)
    assert load(gguf_files.write(tmp_path / "a.gguf", model)).check("the bank", generate=3).passed
