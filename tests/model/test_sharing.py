"""Layers that use keys and values of earlier ones, and numbers of tokens for each layer: in every sort of run."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from attnviz.analysis.corpus.circuits import composition
from attnviz.attention.kernel import Kind
from attnviz.attention.observers import HiddenStates, KeptValues, Weights
from attnviz.attention.observers.changed import KeptContexts
from attnviz.errors import ModelError, UnsupportedModel
from attnviz.model.architecture.description import describe
from attnviz.model.circuits import read_circuits
from attnviz.model.cost.estimates import estimate_cost, model_shape
from attnviz.model.families import find_family
from attnviz.model.hosted.precision import precision
from attnviz.model.native import weights
from attnviz.model.native.contributions import changes_without
from attnviz.model.native.forward import KVCache, Network
from attnviz.model.native.paths import Receiver, Sender, receivers_of, run_paths
from tests.model.parity import files_of, make, network_of
from tests.model.variants import IDS
from tests.model.variants.gemma4_text import EXPERTS, FAR, NEAR, gemma4

VARIANT = gemma4("Gemma4ForCausalLM", **EXPERTS, attention_k_eq_v=True)
"""Layer 3 uses the keys and values of layer 2, and the last those of layer 1."""
TOKENS = IDS[:12]


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    folder = tmp_path_factory.mktemp("model")
    with precision(torch.float64):
        model = make(VARIANT, torch.float64)
    model.save_pretrained(folder)
    return model, folder


@pytest.fixture(scope="module")
def network(theirs: tuple[Any, Path]) -> Network:
    return network_of(*files_of(theirs[1]), torch.float64)


class Of(Weights):
    """The weights of one layer."""

    def __init__(self, layer: int) -> None:
        super().__init__()
        self._layer = layer

    def wants(self, layer: int, kind: Kind) -> bool:  # noqa: ARG002
        return layer == self._layer


def test_who_lends_to_whom(network: Network) -> None:
    assert [network.keys_of(i) for i in range(5)] == [0, 1, 2, 2, 1]
    assert network.lenders == {1, 2}
    assert [(layer.attention.kv_heads, layer.attention.head_size) for layer in network.spec.layers] == [
        (2, 8), (2, 16), (2, 8), (2, 8), (2, 16),
    ]  # fmt: skip
    assert not any(name.startswith("layers.3.attention.key") for name in network.tensors)


@pytest.mark.parametrize("layer", range(5))
def test_a_run_that_ends_with_a_layer_has_its_weights(layer: int, network: Network) -> None:
    """A layer that borrows needs an earlier one's keys, and one that lends ends as any other."""
    whole, some = Weights(), Of(layer)
    network(TOKENS, (), [whole])
    network(TOKENS, (), [some], whole=False)
    torch.testing.assert_close(some.layer(layer), whole.layer(layer), rtol=0, atol=1e-13)


@pytest.mark.parametrize("parts", [(7, 4, 1), (1,) * 12])
def test_tokens_that_come_one_after_another_are_those_at_once(parts: tuple[int, ...], network: Network) -> None:
    """And what the cache kept is shown without another run."""
    past, at, states = KVCache(queries=True), 0, []
    for count in parts:
        states.append(network(TOKENS[at : at + count], past=past))
        at += count
    shown, whole = Weights(), Weights()
    torch.testing.assert_close(torch.cat(states), network(TOKENS, (), [whole]), rtol=0, atol=1e-12)
    network.show(past, [shown])
    torch.testing.assert_close(shown.stacked(), whole.stacked(), rtol=0, atol=1e-13)
    assert past.length == 12
    assert not past._read  # the keys of all layers are dropped, those of lenders too


def test_zeroing_a_value_is_what_a_layer_of_transformers_makes_without_it(
    theirs: tuple[Any, Path], network: Network
) -> None:
    """Each layer with its gate of the token and its factor; the context without a value enters its output matrix."""
    model, states, values, maps = theirs[0], HiddenStates(), KeptValues(), Weights()
    network(TOKENS, (), [states, values, maps])
    kept = values.found["self"]
    a = [maps.layer(i) for i in range(5)]
    found = changes_without(network, TOKENS, a, [kept[i] for i in range(5)], states.each())
    given = {"input_ids": torch.tensor([TOKENS])}

    def leaving(i: int, key: int | None) -> Tensor:
        """What leaves layer ``i`` with zeros in the place of the value of a token."""
        lost = torch.zeros(12, 0)
        if key is not None:
            group = len(a[i]) // len(kept[i].values)
            value = kept[i].values[:, key].repeat_interleave(group, 0)  # (H, D)
            lost = (a[i][:, :, key, None] * value[:, None]).transpose(0, 1).flatten(1)
        layer, seen = model.model.layers[i], []
        without = layer.self_attn.o_proj.register_forward_pre_hook(
            lambda _, args: (args[0] - lost,) if key is not None else None
        )
        after = layer.register_forward_hook(lambda _, __, output: seen.append(output.clone()))
        with torch.no_grad(), precision(torch.float64):
            model(**given, use_cache=False)
        without.remove()
        after.remove()
        return seen[0][0]

    for i in range(5):
        plain = leaving(i, None)
        for key in (0, 5):
            expected = 1 - torch.cosine_similarity(leaving(i, key), plain, dim=-1)
            torch.testing.assert_close(found[i, :, key], expected.clamp(min=0), rtol=0, atol=1e-10)
    assert found[4].max() > 1e-3


def test_a_path_by_a_key_goes_on_in_all_layers_that_use_it(network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    """By hand: the run in which layer 1 makes its keys of the states that the sender's head would have left."""
    other = [*reversed(TOKENS)]
    contexts, states, real = KeptContexts(), HiddenStates(whole=True), KeptContexts()
    network(other, (), [contexts])
    network(TOKENS, (), [states, real])
    values, at = contexts.found["self"][0][1], "layers.0.attention"
    parts = {"real": real.found["self"][0], "shadow": real.found["self"][0].clone()}
    parts["shadow"][1] = values
    norm = network.spec.layers[0].norms.norm
    written = {
        name: network._norm(f"{at}.norm_after", norm, network._linear(f"{at}.output", each.transpose(0, 1).flatten(1)))
        for name, each in parts.items()
    }
    shadow = states.each()[1] + (written["shadow"] - written["real"]) * network.tensors["layers.0.scale"]
    plain = network._vectors

    def vectors(at: str, spec: Any, x: Tensor, *, valued: bool) -> Any:
        q, k, v = plain(at, spec, x, valued=valued)
        if at == "layers.1.attention":
            entering = network._entering(at, network.spec.layers[1], shadow)
            k = torch.cat((k[:1], plain(at, spec, entering, valued=True)[1][1:]))
        return q, k, v

    before = network(TOKENS)
    monkeypatch.setattr(network, "_vectors", vectors)
    by_hand = network(TOKENS)
    monkeypatch.undo()
    ((_, found),) = run_paths(network, TOKENS, (), Sender("self", 0, 1, values), [[Receiver("self", 1, "key", 1)]])
    torch.testing.assert_close(found, by_hand, rtol=0, atol=1e-11)
    assert (by_hand - before).abs().max() > 1e-6
    received = {(each.layer, each.part) for each in receivers_of(network, "self", 0)}
    assert {(1, "key"), (2, "value"), (3, "query")} <= received
    assert not {(3, "key"), (4, "value")} & received


def test_circuits_read_keys_and_values_where_they_are_made(theirs: tuple[Any, Path], network: Network) -> None:
    """Nothing that is written behind the layer that makes keys can be in them."""
    config, tensors = files_of(theirs[1])
    checkpoint: Any = SimpleNamespace(name="a model", config=config, tensors=tensors)
    circuits = read_circuits(network, checkpoint)
    assert [each.source for each in circuits.layers] == [0, 1, 2, 2, 1]
    assert torch.equal(circuits.layers[4].key, circuits.layers[1].key)
    assert torch.equal(circuits.layers[1].key, circuits.layers[1].value)  # one projection makes both
    assert any("of an earlier layer" in each for each in circuits.inexact)
    scores = torch.from_numpy(composition(circuits).scores).view(3, 5, 4, 5, 4)
    for kind in (1, 2):  # keys and values
        assert not scores[kind, 4, :, :1].isnan().any()
        assert scores[kind, 4, :, 1:].isnan().all()
    assert not scores[0, 4, :, :4].isnan().any()


def test_the_cost_counts_keys_once(network: Network) -> None:
    cost = estimate_cost(model_shape(network.spec), 10)
    each = [2 * 2 * layer.attention.head_size * 10 * 4 for layer in network.spec.layers]
    assert cost.keys_values == sum(each[:3])
    assert cost.one_layer == each[0] + each[1] + each[2]  # those of layers 1 and 2 are kept beside another
    stack = model_shape(network.spec).stacks[0]
    beside, gates = 32 * 6 * 5, 2 * 32 * 6 * 5
    experts = 5 * (5 * 32 + 2 * 3 * 20 * 32)  # a router, and two of five experts in each layer
    dense = 5 * 3 * 48 * 32
    attention = sum(4 * layer.attention.head_size * 32 * 2 for layer in network.spec.layers) + sum(
        (1 if i % 2 else 2) * 2 * network.spec.layers[i].attention.head_size * 32 for i in range(3)
    )
    assert stack.linear == beside + gates + experts + dense + attention


def test_a_checkpoint_may_have_keys_that_are_not_used(theirs: tuple[Any, Path]) -> None:
    """As the published ones have; any other tensor is said to be unread."""
    config, tensors = files_of(theirs[1])
    family = find_family(config)
    more = {f"model.layers.4.self_attn.{name}.weight": torch.ones(2) for name in ("k_proj", "v_proj", "k_norm")}
    spec = family.spec(config)
    assert weights.find_unread(family, spec, tensors | more) == ()
    assert weights.find_unread(family, spec, tensors | {"model.layers.4.self_attn.x_proj.weight": torch.ones(2)})


REFUSED: list[tuple[dict[str, Any], type[ModelError], str]] = [
    ({"use_bidirectional_attention": "all"}, UnsupportedModel, "use_bidirectional_attention is 'all'"),
    ({"num_kv_shared_layers": 4}, ModelError, "no layer with keys of its own"),
    ({"num_kv_shared_layers": 9}, ModelError, "no layer with keys of its own"),
    ({"per_layer_config": {"7": {"head_dim": 8}}}, ModelError, "attributes by number of layer"),
    ({"per_layer_config": {"1": {"head_dim": 12}}}, UnsupportedModel, "differs among layers of type full_attention"),
    ({"per_layer_config": {"0": {"sliding_window": 8}}}, UnsupportedModel, "sliding_window = 8"),
    ({"vocab_size_per_layer_input": 7}, UnsupportedModel, "7 of 50 tokens have numbers for each layer"),
    ({"rope_theta": 7.0}, UnsupportedModel, "rope_theta is 7.0"),
    ({"enable_moe_block": True}, ModelError, "no moe_intermediate_size"),
    ({**EXPERTS, "top_k_experts": 6}, ModelError, "top_k_experts is 6, of 5 experts"),
    ({"layer_types": [NEAR, "chunked_attention", NEAR, NEAR, FAR]}, UnsupportedModel, "chunked_attention"),
]


@pytest.mark.parametrize(("said", "kind", "reason"), REFUSED, ids=[reason for *_, reason in REFUSED])
def test_what_a_spec_can_not_say_is_refused(said: dict[str, Any], kind: type[ModelError], reason: str) -> None:
    config = {**gemma4().config, "model_type": "gemma4_text", **said}
    with pytest.raises(kind, match=reason):
        find_family(config).spec(config)


@pytest.mark.parametrize("of", [{}, {"attention_k_eq_v": True}])
def test_the_older_config_says_the_same(of: dict[str, Any]) -> None:
    """Sizes in layers that see all have names of their own, as published, or are said of each, as saved since."""
    variant = gemma4(num_global_key_value_heads=1, **of)
    older = {**variant.config, "model_type": "gemma4_text"}
    saved = make(variant, torch.float32).config.to_dict()
    assert "global_head_dim" in older
    assert "global_head_dim" not in saved
    assert find_family(older).spec(older) == find_family(saved).spec(saved)


def test_the_facts_say_it(network: Network) -> None:
    facts = describe(network.spec)
    assert facts["keys and values"] == (
        "values normed in layers 0, 2; one projection for both, values normed in layer 1; those of layer 2 in layer 3; "
        "those of layer 1 in layer 4"
    )
    assert facts["beside"] == "6 numbers for each token and layer, added behind its MLP"
    assert facts["MLP"].startswith("gated gelu_pytorch_tanh, 48 units; beside it 2 of 5 experts for each token")
    assert "4 of 16 dimensions in layers 1, 4" in facts["position"]
