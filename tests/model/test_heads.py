"""The scores of the next token from our last hidden states and head, compared with those of transformers.

Later changes of the scores in transformers (a cap, a multiplier) keep their order, and are not compared.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from attnviz.model.families import find_family
from attnviz.model.hosted.precision import precision
from attnviz.model.native import weights
from tests.model.parity import inputs, make, ours_of, saved
from tests.model.variants import all_variants

CASES = {case: variant for case, variant in all_variants().items() if variant.model.endswith("ForCausalLM")}


@pytest.mark.parametrize(("family", "name"), CASES, ids=[f"{family}: {name}" for family, name in CASES])
def test_against_the_scores_of_transformers(family: str, name: str, tmp_path: Path) -> None:
    variant = CASES[family, name]
    scores: list[torch.Tensor] = []
    with precision(torch.float64):
        model: Any = make(variant, torch.float64)
        model.get_output_embeddings().register_forward_hook(lambda _, __, output: scores.append(output[0]))
        with torch.inference_mode():
            model(**inputs(variant.ids), use_cache=False)
        network = saved(model, tmp_path, torch.float64)
    states = ours_of(network, variant)["self"][1][-1]
    config = json.loads((tmp_path / "config.json").read_text())
    kind = find_family(config)
    spec = kind.spec(config)
    if spec.head is None:
        pytest.skip("an encoder's family, whose decoders do not generate")
    matrix, bias = weights.take_head(kind, spec, load_file(tmp_path / "model.safetensors"), torch.float64)
    mine = torch.nn.functional.linear(states[:, : matrix.shape[1]], matrix, bias)  # some last states are narrower
    torch.testing.assert_close(mine, scores[0], rtol=1e-10, atol=1e-10)
