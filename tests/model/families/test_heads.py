"""The heads that predict the next token: they rank the tokens as transformers does.

Some models scale or cap their scores at last, which changes no rank. ELECTRA's and RoBERTa's heads predict by layers of
their own, which the spec does not say.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from attnviz.model import weights
from attnviz.model.families import find_family
from tests.model.parity import TOLERANCES, make, saved
from tests.model.variants import all_variants

CASES = {
    f"{family}: {name}": variant
    for (family, name), variant in all_variants().items()
    if variant.model.endswith(("ForCausalLM", "LMHeadModel")) and family not in ("electra", "roberta")
}


@pytest.mark.parametrize("name", CASES)
def test_against_transformers(name: str, tmp_path: Path) -> None:
    variant = CASES[name]
    model = make(variant, torch.float32)
    with torch.inference_mode():
        expected = model(torch.tensor([variant.ids])).logits[0]
    states = saved(model, tmp_path, torch.float32)(variant.ids)
    config = json.loads((tmp_path / "config.json").read_text())
    family, tensors = find_family(config), load_file(tmp_path / "model.safetensors")
    matrix, bias = weights.take_head(family, family.spec(config), tensors, torch.float32)
    found = torch.nn.functional.linear(states, matrix, bias)
    assert found.shape == expected.shape
    # The tokens in the order of our scores have transformers' scores in descending order, but for rounding.
    ordered = expected.gather(-1, found.argsort(-1, descending=True))
    rises = ordered.diff(dim=-1).clamp(min=0) / expected.abs().max().clamp(min=1)
    assert float(rises.max()) <= TOLERANCES[torch.float32]
