"""A pack of documents gives the same results as each alone, and computes only what some weight depends on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor

from attnviz.attention.kernel import Observer
from attnviz.attention.observers import Weights
from attnviz.attention.packs import Group
from attnviz.attention.scores import hide, to_weights
from attnviz.attention.window import KeyWindow
from attnviz.model.native.forward import Network
from attnviz.model.native.packed import run_packed
from tests.model.parity import make, saved
from tests.model.variants import VOCABULARY, all_variants

CASES = all_variants()
LENGTHS = (1, 4, 4, 9, 30)


@pytest.fixture(
    scope="module",
    params=[
        ("bert", "sentence pairs (token types)"),
        ("llama", "grouped queries"),
        ("gpt_oss", "sinks in windows"),
        ("roformer", "values turned too"),
        ("ministral3", "queries grow every four tokens"),
        ("esm", "masks within the text"),
        ("gemma4_text", "keys of earlier layers, numbers for each layer"),
        ("prophetnet", "a decoder alone"),
    ],
    ids=str,
)
def network(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Network:
    return saved(make(CASES[request.param], torch.float64), tmp_path_factory.mktemp("variant"), torch.float64)


def inputs(network: Network) -> tuple[list[list[int]], list[list[int]]]:
    generator = torch.Generator().manual_seed(1)
    ids = [torch.randint(VOCABULARY, (n,), generator=generator).tolist() for n in LENGTHS]
    types = network.spec.embedding.types or 1
    return ids, [[i % types for i in range(n)] for n in LENGTHS]


def packed(network: Network, ids: Sequence[Sequence[int]], types: Sequence[Sequence[int]]) -> list[dict[int, Tensor]]:
    """The weights (H, n, n) of each document, by layer."""
    found: list[dict[int, Tensor]] = [{} for _ in ids]

    def see(layer: int, window: KeyWindow, group: Group, scores: Tensor, sinks: Tensor | None) -> None:
        at = torch.arange(group.length)
        hide(scores, at, at, window, 0, 0)
        to_weights(scores, sinks)
        for i in range(group.count):
            found[group.first + i][layer] = scores[i].clone()

    run_packed(network, ids, types, see)
    return found


def test_each_document_has_the_weights_that_it_has_alone(network: Network) -> None:
    ids, types = inputs(network)
    for own, some, kinds in zip(packed(network, ids, types), ids, types, strict=True):
        kept = Weights()
        network(some, kinds, [kept])
        assert sorted(own) == list(range(len(network.spec.layers)))
        for layer, weights in own.items():
            torch.testing.assert_close(weights, kept.layer(layer), rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("family", "name"),
    [
        ("bert", "sentence pairs (token types)"),
        ("llama", "grouped queries"),
        ("deepseek_v2", "queries as ever, large values"),
        ("gpt_oss", "sinks in windows"),
        ("mixtral", "all experts for each token"),  # others may be chosen where scores round to the same
    ],
)
def test_in_half_precision_a_document_differs_from_itself_alone_by_rounding(
    family: str, name: str, tmp_path: Path
) -> None:
    network = saved(make(CASES[family, name], torch.float32), tmp_path, torch.bfloat16)
    ids, types = inputs(network)
    for own, some, kinds in zip(packed(network, ids, types), ids, types, strict=True):
        kept = Weights()
        network(some, kinds, [kept])
        for layer, weights in own.items():
            assert weights.dtype is torch.float32
            torch.testing.assert_close(weights, kept.layer(layer), rtol=0, atol=0.02)


def test_the_last_layer_needs_only_its_queries_and_keys(network: Network) -> None:
    """In a pack, and for one text without observers of hidden states; the weights stay the same."""
    ids, types = inputs(network)
    last = f"layers.{len(network.spec.layers) - 1}."
    needed = ("attention.query", "attention.key", "attention.relative.", "attention.norm.", "attention.sinks")
    fewer = {
        name: tensor
        for name, tensor in network.tensors.items()
        if not name.startswith(last) or name.removeprefix(last).startswith(needed)
    }
    assert len(fewer) < len(network.tensors)
    lean = Network(network.spec, fewer)
    for own, other in zip(packed(lean, ids, types), packed(network, ids, types), strict=True):
        assert all(torch.equal(own[layer], other[layer]) for layer in other)
    kept, whole = Weights(), Weights()
    lean(ids[-1], types[-1], [kept], whole=False)
    network(ids[-1], types[-1], [whole, Observer()])
    assert torch.equal(kept.stacked(), whole.stacked())
