"""Experts, sinks and latent attention in half precision: results are finite, and the check finds rounding alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from attnviz.interface import load
from tests import tiny
from tests.model.parity import make
from tests.model.variants import all_variants

TEXT = ". ! , a b c d e f"
"""Tokens that the smallest vocabulary has."""
CASES = [
    ("gpt_oss", "sinks in windows"),
    ("deepseek_v3", "groups of experts"),
    pytest.param("deepseek_v2", "yarn rotary, which scales the scores", marks=pytest.mark.slow),
    pytest.param("deepseek_v3", "queries as ever, large values", marks=pytest.mark.slow),
    pytest.param("gpt_oss", "experts at their limit", marks=pytest.mark.slow),
    pytest.param("granitemoeshared", "a shared expert, grouped queries", marks=pytest.mark.slow),
    pytest.param("mixtral", "grouped queries", marks=pytest.mark.slow),
    pytest.param("olmoe", "limited queries, keys and values", marks=pytest.mark.slow),
    pytest.param("qwen2_moe", "as many key heads", marks=pytest.mark.slow),
]


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize(("family", "name"), CASES)
def test_half_precision_is_checked_as_it_runs_and_in_float32(
    family: str, name: str, dtype: str, tmp_path: Path
) -> None:
    variant = all_variants()[family, name]
    model = load(tiny.save(tmp_path / "half", make(variant, torch.float32), scale=variant.scale), dtype=dtype)
    found, check = model.attend(TEXT), model.check(TEXT)
    assert model.backend.name == "native"
    assert np.isfinite(found.weights).all()
    assert (found.weights.sum(-1) <= 1.01).all()
    assert (check.passed, check.dtype) == (True, dtype)
    assert check.rounding is not None
    assert 0 < check.rounding.times < check.rounding.bound
    assert check.double is not None
    assert (check.double.dtype, check.double.max_abs_diff <= 1e-5) == ("float32", True)
