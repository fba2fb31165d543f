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
from attnviz.checkpoint.gguf.architectures import ARCHITECTURES
from attnviz.interface import load
from attnviz.model.native.opening import open_native
from tests import gguf_files
from tests.model.parity import assert_same, make, ours_of, theirs_of
from tests.model.variants import Variant, all_variants

SIXTH = {"sliding_window_pattern": 6}
GEMMA = {"query_pre_attn_scalar": 8, "head_dim": 8}
CASES: list[tuple[str, str, dict[str, Any]]] = [
    ("bert", "encoder", {}),
    ("bert", "sentence pairs (token types)", {}),
    ("bloom", "ALiBi, heads no power of two", {}),
    ("cohere", "grouped queries", {}),
    ("cohere", "with a head", {}),
    ("falcon", "one key head, side by side (7b)", {}),
    ("falcon", "grouped queries, two norms (40b)", {}),
    ("falcon", "grouped queries, one norm (11b)", {}),
    ("gemma", "one key head, heads of another size", {}),
    ("gemma2", "soft caps and alternating windows", GEMMA),
    ("gemma3_text", "alternating windows, two rotary bases", {**GEMMA, **SIXTH, "num_hidden_layers": 7}),
    ("gemma3_text", "scaled rotary in layers that see all", {**GEMMA, **SIXTH, "num_hidden_layers": 7}),
    ("gpt2", "decoder", {}),
    ("gpt2", "with a head of its own", {}),
    ("granite", "multipliers", {}),
    ("llama", "grouped queries", {}),
    ("llama", "heads of another size", {}),
    ("llama", "biases", {}),
    ("llama", "with a tied head", {}),
    ("llama", "linear rotary", {}),
    ("llama", "llama3 rotary", {}),
    ("llama", "yarn rotary", {}),
    ("llama", "mistral: no window, heads of another size", {}),
    ("llama", "smollm3: a layer without rotary", {}),
    ("nemotron", "half of each head turns, grouped queries", {}),
    ("olmo2", "grouped queries", {}),
    ("phi", "half of each head turns, grouped queries", {}),
    ("phi3", "one key head, window", {}),
    ("phi3", "a part of each head turns", {}),
    ("phi3", "longrope rotary, long", {}),
    ("qwen2", "grouped queries", {}),
    ("qwen3", "heads of another size", {}),
    ("qwen3_moe", "shares of the chosen experts", {}),
    ("stablelm", "as many key heads, biases", {}),
    ("stablelm", "attention and MLP side by side", {}),
    ("starcoder2", "grouped queries", {}),
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
    assert_same(found["self"], expected["self"], torch.float32)


def test_every_architecture_is_compared() -> None:
    compared = {gguf_files.NAMES.get(family, family) for family, _, _ in CASES}
    assert ARCHITECTURES.keys() <= compared | {"smollm3"}


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
