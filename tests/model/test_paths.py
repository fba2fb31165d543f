"""Direct path patching: exact against patching the head, wherever norms stand, and against what a path is by hand."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from attnviz.attention.interventions import Patch
from attnviz.attention.observers import HiddenStates
from attnviz.attention.observers.changed import KeptContexts
from attnviz.model.native.paths import Receiver, Sender, attention_at, receivers_of
from tests.model.test_interventions import FAMILIES, opened

CLEAN, CORRUPT = "The bank approved the loan", "The river had the loan"


def two(family: str) -> tuple[Any, Any, Any, Any]:
    """A model, the encodings of two texts of as many tokens, and what the decoder reads."""
    model = opened(family)
    target = model.encode("had the loan") if "cross" in model.backend.kinds else None
    clean, corrupt = model.encode(CLEAN), model.encode(CORRUPT)
    assert len(clean) == len(corrupt)
    return model, clean, corrupt, target


def contexts(model: Any, encoding: Any, target: Any) -> dict[Any, dict[int, Tensor]]:
    kept = KeptContexts()
    model.backend.run(encoding, [kept], target)
    return kept.found


@pytest.mark.parametrize("family", FAMILIES)
def test_all_paths_together_are_the_patched_head(family: str) -> None:
    model, clean, corrupt, target = two(family)
    plain = model.backend.run(corrupt, (), target)
    found = contexts(model, clean, target)
    moved = 0.0
    for kind, layers in found.items():
        for layer in sorted(layers)[:2]:
            head = attention_at(model.backend.network, kind, layer).heads - 1
            values = layers[layer][head]
            sender = Sender(kind, layer, head, values)
            every = receivers_of(model.backend.network, kind, layer)
            paths = dict(model.backend.run_paths(corrupt, sender, [every, []], target))
            with model.backend.intervened([Patch(layer, head, kind, values=values)]):
                patched = model.backend.run(corrupt, (), target)
            assert (paths[0] - patched).abs().max() < 1e-9
            assert (paths[1] - plain).abs().max() < 1e-10
            moved = max(moved, float((patched - plain).abs().max()))
    assert moved > 1e-6


@pytest.mark.parametrize("family", FAMILIES)
def test_the_direct_path_through_mlps_is_a_run_with_all_later_heads_frozen(family: str) -> None:
    """As Wang et al. define the first of their runs; the heads before the sender do not change anyway."""
    model, clean, corrupt, target = two(family)
    if "cross" in model.backend.kinds:
        pytest.skip("what leaves the encoder goes nowhere but into heads")
    found, frozen = contexts(model, clean, target)["self"], contexts(model, corrupt, target)["self"]
    first = min(found)
    sender = Sender("self", first, 0, found[first][0])
    after = receivers_of(model.backend.network, "self", first)
    output = [each for each in after if each.part == "output"]
    if any(each.part == "mixer" for each in after):
        pytest.skip("what mixes tokens in place of attention can't be frozen")
    paths = dict(model.backend.run_paths(corrupt, sender, [output], target, through_mlps=True))
    later = [Patch(layer, values=values) for layer, values in frozen.items() if layer > first]
    with model.backend.intervened([Patch(first, 0, values=found[first][0]), *later]):
        assert (model.backend.run(corrupt, (), target) - paths[0]).abs().max() < 1e-9


@pytest.mark.parametrize("part", ["query", "key", "value"])
def test_one_edge_is_what_one_head_reads_by_hand(part: str) -> None:
    """Of a model with norms before its sublayers: the receiver by softmax, and the rest of the run as ever."""
    model, clean, corrupt, _ = two("gpt2")
    network, states = model.backend.network, HiddenStates(whole=True)
    before, after = contexts(model, corrupt, None), contexts(model, clean, None)
    plain = model.backend.run(corrupt, [states])
    spec, size = network.spec.layers[1].attention, network.spec.layers[1].attention.head_size
    values = after["self"][0][0]
    written = network.tensors["layers.0.attention.output.weight"][:, :size]
    real = states.each()[1]
    shadow = real + (values - before["self"][0][0]) @ written.T
    read = {}
    for each in ("query", "key", "value"):
        x = network._norm(
            "layers.1.attention.norm", network.spec.layers[1].norms.norm, shadow if each == part else real
        )
        at = slice(size, 2 * size)
        matrix, bias = (network.tensors[f"layers.1.attention.{each}.{of}"] for of in ("weight", "bias"))
        read[each] = x @ matrix[at].T + bias[at]
    scores = read["query"] @ read["key"].T * spec.scale
    scores = scores.masked_fill(torch.ones_like(scores).triu(1).bool(), -torch.inf)
    context = torch.softmax(scores, -1) @ read["value"]
    with model.backend.intervened([Patch(1, 1, values=context)]):
        by_hand = model.backend.run(corrupt)
    paths = dict(model.backend.run_paths(corrupt, Sender("self", 0, 0, values), [[Receiver("self", 1, part, 1)]]))
    assert (paths[0] - by_hand).abs().max() < 1e-10
    assert (by_hand - plain).abs().max() > 1e-6


@pytest.mark.parametrize("family", ["llama", "t5"])
def test_what_is_read_together_is_what_is_read_one_by_one(family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model, clean, corrupt, target = two(family)
    for kind, layers in contexts(model, clean, target).items():
        sender = Sender(kind, 0, 1, layers[0][1])
        edges = [[each] for each in receivers_of(model.backend.network, kind, 0)]
        together = dict(model.backend.run_paths(corrupt, sender, edges, target))
        monkeypatch.setattr("attnviz.model.native.variants._TOKENS", 1)
        alone = dict(model.backend.run_paths(corrupt, sender, edges, target))
        monkeypatch.undo()
        assert sorted(alone) == [*range(len(edges))]
        assert all((together[i] - alone[i]).abs().max() < 1e-10 for i in alone)


def test_who_reads_what_a_head_wrote() -> None:
    llama, t5, gptj = (opened(family).backend.network for family in ("llama", "t5", "gptj"))
    layers, heads = len(llama.spec.layers), llama.spec.layers[0].attention
    found = receivers_of(llama, "self", layers - 2)
    assert [each.head for each in found if each.part == "query"] == [*range(heads.heads)]
    assert [each.head for each in found if each.part == "key"] == [*range(heads.kv_heads)]
    assert [each.layer for each in found if each.part == "mlp"] == [layers - 2, layers - 1]
    assert [each.layer for each in receivers_of(gptj, "self", 0) if each.part == "mlp"] == [
        1,
        2,
    ]  # beside the attention
    of_encoder = {(each.kind, each.part) for each in receivers_of(t5, "encoder", 0)}
    assert of_encoder == {
        ("encoder", "query"), ("encoder", "key"), ("encoder", "value"), ("encoder", "mlp"), ("cross", "key"),
        ("cross", "value"),
    }  # fmt: skip
    of_cross = receivers_of(t5, "cross", 0)
    assert {(each.kind, each.part) for each in of_cross if each.layer == 0} == {("decoder", "mlp")}
    assert ("cross", 0, "query") in {(each.kind, each.layer, each.part) for each in receivers_of(t5, "decoder", 0)}
    assert {each.part for each in of_cross if each.kind == "cross"} == {"query"}
    assert of_cross[-1].part == "output"
