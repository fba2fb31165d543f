"""What parts add to a logit sums to the logit, in every layout of norms; heads are the sums of what comes through them.

Without rounding: in float64, within 1e-9.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from attnviz.attention.observers import HiddenStates, KeptValues, Weights
from attnviz.attention.observers.changed import KeptContexts
from attnviz.errors import UsageError
from attnviz.model.hosted.precision import precision
from attnviz.model.native.attribution import attribute
from tests.model.parity import files_of, make, network_of
from tests.model.variants import all_variants
from tests.model.variants.opt import opt

WHOLE = ("ForCausalLM", "LMHeadModel", "ForConditionalGeneration", "MTModel")
ENCODERS = ("bert", "albert", "electra", "distilbert", "mpnet", "roberta", "modernbert", "deberta-v2", "xmod")
CASES = {case: variant for case, variant in all_variants().items() if variant.model.endswith(WHOLE)}
CASES |= {(family, name): variant for (family, name), variant in all_variants().items() if family in ENCODERS}
CASES["opt", "norms after sums, narrow tokens, a head"] = opt(
    "OPTForCausalLM", do_layer_norm_before=False, word_embed_proj_dim=20
)
CASES["granite", "multipliers"] = all_variants()["granite", "multipliers"]


@pytest.mark.parametrize(("family", "name"), CASES, ids=[f"{family}: {name}" for family, name in CASES])
def test_parts_sum_to_the_whole(family: str, name: str, tmp_path: Path) -> None:
    variant = CASES[family, name]
    with precision(torch.float64):
        make(variant, torch.float64).save_pretrained(tmp_path)
    network = network_of(*files_of(tmp_path), torch.float64)
    kept: Any = [states := HiddenStates(), contexts := KeptContexts(), values := KeptValues(), maps := Weights()]
    types = variant.types or ()
    memory = None if network.encoder is None else network.encoder(variant.ids, types)
    ids, types = (variant.ids, types) if variant.target is None else (variant.target, ())
    last = network(ids, types, kept, memory=memory)
    rows = torch.tensor([0, len(ids) // 2, len(ids) - 1])
    directions = torch.randn(len(rows), last.shape[1], generator=torch.Generator().manual_seed(0), dtype=last.dtype)
    if any(layer.convolution for layer in network.spec.layers):
        with pytest.raises(UsageError, match="convolution"):
            attribute(network, ids, types, states.each(network.kind), contexts.found, directions, rows)
        return
    if network.spec.crowds(len(ids)):
        with pytest.raises(UsageError, match="a limited number of tokens"):
            attribute(network, ids, types, states.each(network.kind), contexts.found, directions, rows)
        return
    found = attribute(network, ids, types, states.each(network.kind), contexts.found, directions, rows)
    torch.testing.assert_close(found.total, (last[rows] * directions).sum(-1), rtol=1e-9, atol=1e-9)
    assert found.heads.keys() == ({"decoder", "cross"} if network.encoder else {network.kind})
    for kind, heads in found.heads.items():
        assert float(heads.abs().max(-1).values.min()) > 1e-6
        for layer, each in zip(maps.layers(kind), heads, strict=True):
            through = found.sources(kind, layer, maps.layer(layer, kind)[:, rows], values.found[kind][layer])
            torch.testing.assert_close(through.sum(-1), each, rtol=1e-9, atol=1e-9)
