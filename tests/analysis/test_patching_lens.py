"""Patching beside TransformerLens' own on the same weights; needs the extra ``lens``.

The metric is the same difference of logits, the model a small GPT-2 in float64.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import attnviz
from tests import tiny
from tests.model.test_classifiers import made, tokenizer

pytest.importorskip("transformer_lens.patching")

GPT2 = {"n_embd": 24, "n_layer": 3, "n_head": 3, "n_inner": 32, "n_positions": 32}
CLEAN, CORRUPT = "The bank approved the loan of the", "The river approved the loan of the"
ASKED = {"target": "loan", "against": "river"}
CLOSE = 1e-6
"""TransformerLens keeps its results in float32."""


def small() -> Any:
    model = made("GPT2LMHeadModel", GPT2).double()
    tiny.randomise(model)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if ".ln_" in name and name.endswith("weight"):
                parameter += 1
    return model


@pytest.fixture(scope="module")
def ours() -> Any:
    model = attnviz.load((small(), tokenizer()), dtype="float64")
    assert model.backend.name == "native"
    return model


@pytest.fixture(scope="module")
def theirs() -> Any:
    from transformer_lens.model_bridge.sources import build_bridge_from_module

    module = small()
    return build_bridge_from_module(module, "GPT2LMHeadModel", hf_config=module.config)


@pytest.fixture(scope="module")
def given(ours: Any, theirs: Any) -> tuple[Tensor, Any, Any, Callable[[Tensor], Tensor]]:
    """The corrupt tokens, what TransformerLens keeps of both runs, and the metric."""
    clean, corrupt = (torch.tensor([ours.encode(text).ids]) for text in (CLEAN, CORRUPT))
    loan, river = (ours.checkpoint.tokenizer.token_to_id(word) for word in ("loan", "river"))
    caches = [theirs.run_with_cache(ids)[1] for ids in (clean, corrupt)]
    return corrupt, *caches, lambda logits: logits[0, -1, loan] - logits[0, -1, river]


@pytest.mark.parametrize(("what", "name"), [("output", "z"), ("pattern", "pattern")])
def test_heads(ours: Any, theirs: Any, given: Any, what: str, name: str) -> None:
    from transformer_lens import patching

    corrupt, clean_cache, _, metric = given
    sweep = {
        "z": patching.get_act_patch_attn_head_out_all_pos, "pattern": patching.get_act_patch_attn_head_pattern_all_pos
    }[name]  # fmt: skip
    found = np.zeros((3, 3))
    for row in ours.patch(CLEAN, CORRUPT, what=what, **ASKED).rows():
        found[row["layer"], row["head"]] = row["patched"]
    expected = np.asarray(sweep(theirs, corrupt, clean_cache, metric))
    np.testing.assert_allclose(found, expected, atol=CLOSE)
    assert np.ptp(found) > 0.01


@pytest.mark.parametrize("part", ["query", "key", "value"])
def test_direct_paths(ours: Any, theirs: Any, given: Any, part: str) -> None:
    from transformer_lens import patching

    corrupt, clean_cache, corrupt_cache, metric = given
    for layer, head in ((0, 1), (1, 2)):
        expected = np.asarray(
            patching.get_act_patch_direct_path(
                theirs, corrupt, clean_cache, corrupt_cache, metric, layer, head, part[0], verbose=False
            )
        )
        found = np.zeros((3, 3))
        for row in ours.patch(CLEAN, CORRUPT, path=[(layer, head)], **ASKED).rows():
            if row["by"] == part:
                found[row["to_layer"], row["to_head"]] = row["patched"]
        np.testing.assert_allclose(found, expected, atol=CLOSE)
        assert np.ptp(found[layer + 1 :]) > 0.001
