"""Experts, sinks and latent attention in half precision: results are finite, and the check finds rounding alone."""

from __future__ import annotations

import importlib
from pathlib import Path

import numpy as np
import pytest
import torch

from attnviz.interface import load
from attnviz.model.native.parts import Parts
from tests import tiny
from tests.model.parity import make, spec_of
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


NORMS = {
    "gemma3_text": "gemma3.modeling_gemma3.Gemma3RMSNorm",
    "gemma4_text": "gemma4.modeling_gemma4.Gemma4RMSNorm",
    "gpt_oss": "gpt_oss.modeling_gpt_oss.GptOssRMSNorm",
    "helium": "helium.modeling_helium.HeliumRMSNorm",
    "lfm2": "lfm2.modeling_lfm2.Lfm2RMSNorm",
    "llama": "llama.modeling_llama.LlamaRMSNorm",
    "olmo2": "olmo2.modeling_olmo2.Olmo2RMSNorm",
    "olmo3": "olmo3.modeling_olmo3.Olmo3RMSNorm",
    "qwen3": "qwen3.modeling_qwen3.Qwen3RMSNorm",
    "qwen3_next": "qwen3_next.modeling_qwen3_next.Qwen3NextRMSNorm",
}


@pytest.mark.parametrize("family", NORMS)
def test_a_norm_is_rounded_where_transformers_rounds_it(family: str) -> None:
    module, name = NORMS[family].rsplit(".", 1)
    norm = spec_of(next(each for (kind, _), each in all_variants().items() if kind == family)).final_norm
    assert norm is not None
    torch.manual_seed(0)
    weight, x = 0.1 * torch.randn(64), 3 * torch.randn(200, 64)
    theirs = getattr(importlib.import_module(f"transformers.models.{module}"), name)(64, eps=norm.eps)
    theirs.weight.data = weight
    theirs, x = theirs.bfloat16(), x.bfloat16()
    mine = Parts({"norm.weight": weight.bfloat16()})._norm("norm", norm, x)
    torch.testing.assert_close(mine, theirs(x), rtol=0, atol=0)
