"""Layers that mix tokens without attention: the delta rule by its definition, and runs that go on, together, apart."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from attnviz.attention.interventions import Zero
from attnviz.attention.observers import Weights
from attnviz.errors import ModelError, UnsupportedModel
from attnviz.model.native import recurrence
from attnviz.model.native.forward import KVCache, Network
from attnviz.model.native.recurrence import causal_convolution, delta_rule
from attnviz.model.native.variants import run_variants
from tests.model.parity import make, saved, spec_of
from tests.model.test_packed import packed
from tests.model.variants import VOCABULARY, all_variants

CASES = {
    "qwen3_next": "every other layer attends",
    "qwen3_5_text": "every other layer attends",
    "lfm2": "every other layer attends",
    "lfm2_moe": "biases, over four tokens",
}


@pytest.fixture(scope="module", params=[*CASES.items()], ids=[*CASES])
def network(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Network:
    model = make(all_variants()[request.param], torch.float64)
    return saved(model, tmp_path_factory.mktemp("variant"), torch.float64)


def ids_of(count: int, seed: int = 0) -> list[int]:
    return torch.randint(VOCABULARY, (count,), generator=torch.Generator().manual_seed(seed)).tolist()


def numbers(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def by_definition(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, decay: torch.Tensor, rate: torch.Tensor) -> tuple[
    torch.Tensor, torch.Tensor
]:  # fmt: skip
    """S_t = α S_{t−1} + k (β (v − α S_{t−1}ᵀ k))ᵀ, and S_tᵀ q, head by head and token by token."""
    count, tokens, heads, size = v.shape
    found, states = torch.zeros_like(v), v.new_zeros(count, heads, k.shape[-1], size)
    for b in range(count):
        for h in range(heads):
            group, state = h * k.shape[2] // heads, states[b, h]
            for t in range(tokens):
                key = k[b, t, group]
                state = decay[b, t, h].exp() * state
                state = state + torch.outer(key, rate[b, t, h] * (v[b, t, h] - state.T @ key))
                found[b, t, h] = state.T @ q[b, t, group]
            states[b, h] = state
    return found, states


@pytest.mark.parametrize("tokens", [1, 63, 64, 65, 130])
def test_chunks_of_the_delta_rule_are_its_definition(tokens: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recurrence, "_TOGETHER", 1)
    q, k, v = numbers(2, tokens, 2, 5), numbers(2, tokens, 2, 5, seed=1), numbers(2, tokens, 4, 3, seed=2)
    k = k / k.norm(dim=-1, keepdim=True)
    decay, rate = -numbers(2, tokens, 4, seed=3).abs() / 8, numbers(2, tokens, 4, seed=4).sigmoid()
    expected, last = by_definition(q, k, v, decay, rate)
    found, state = delta_rule(q, k, v, decay, rate)
    torch.testing.assert_close(found, expected, rtol=1e-11, atol=1e-11)
    torch.testing.assert_close(state, last, rtol=1e-11, atol=1e-11)
    cut = tokens // 3
    if cut:
        first, state = delta_rule(q[:, :cut], k[:, :cut], v[:, :cut], decay[:, :cut], rate[:, :cut])
        rest, _ = delta_rule(q[:, cut:], k[:, cut:], v[:, cut:], decay[:, cut:], rate[:, cut:], state)
        torch.testing.assert_close(torch.cat((first, rest), 1), expected, rtol=1e-11, atol=1e-11)


def test_a_convolution_sees_what_was_before_and_nothing_after() -> None:
    x, weight, bias = numbers(2, 9, 6), numbers(6, 1, 4, seed=1), numbers(6, seed=2)
    expected = torch.nn.functional.conv1d(x.mT, weight, bias, padding=3, groups=6)[..., :9].mT
    torch.testing.assert_close(causal_convolution(x, weight, bias)[0], expected, rtol=1e-12, atol=1e-12)
    first, tail = causal_convolution(x[:, :2], weight, bias)
    rest, _ = causal_convolution(x[:, 2:], weight, bias, tail)
    torch.testing.assert_close(torch.cat((first, rest), 1), expected, rtol=1e-12, atol=1e-12)


def test_a_run_that_goes_on_is_one_run(network: Network) -> None:
    ids = ids_of(70)
    whole = Weights()
    expected = network(ids, observers=[whole])
    past = KVCache(queries=True)
    parts = [network(ids[a:b], past=past) for a, b in ((0, 30), (30, 66), (66, 67), (67, 70))]
    torch.testing.assert_close(torch.cat(parts), expected, rtol=1e-10, atol=1e-10)
    shown = Weights()
    network.show(past, [shown])
    assert shown.layers() == whole.layers() == tuple(network.spec.attentions)
    torch.testing.assert_close(shown.stacked(), whole.stacked(), rtol=1e-10, atol=1e-10)


def test_texts_in_a_pack_see_nothing_of_each_other(network: Network) -> None:
    ids = [ids_of(count, count) for count in (1, 5, 5, 40, 65)]
    found = packed(network, ids, [[0] * len(each) for each in ids])
    for read, layers in zip(ids, found, strict=True):
        kept = Weights()
        network(read, observers=[kept])
        assert tuple(layers) == tuple(network.spec.attentions)
        for layer, weights in layers.items():
            torch.testing.assert_close(weights, kept.layer(layer), rtol=1e-10, atol=1e-10)


def test_a_token_changes_nothing_before_it(network: Network) -> None:
    ids = ids_of(67)
    other = [*ids[:40], (ids[40] + 1) % VOCABULARY, *ids[41:]]
    one, two = network(ids), network(other)
    assert torch.equal(one[:40], two[:40]) or float((one[:40] - two[:40]).abs().max()) < 1e-12
    assert float((one[40:] - two[40:]).abs().amax(-1).min()) > 1e-9


def test_knocked_out_heads_are_felt_through_other_layers(network: Network) -> None:
    ids = ids_of(66)
    first = next(iter(network.spec.attentions))
    found = dict(run_variants(network, ids, [], [[], [Zero(first, 0)]]))
    torch.testing.assert_close(found[0], network(ids), rtol=1e-10, atol=1e-10)
    alone = network(ids, interventions=[Zero(first, 0)])
    torch.testing.assert_close(found[1], alone, rtol=1e-10, atol=1e-10)
    assert float((found[0] - found[1]).abs().max()) > 1e-6


def test_a_gate_is_no_norm_of_a_key(tmp_path: Path) -> None:
    from attnviz.attention.observers import KeptValues

    network = saved(make(all_variants()["qwen3_5_text", "every other layer attends"], torch.float64), tmp_path,
                    torch.float64)  # fmt: skip
    kept = KeptValues()
    network(ids_of(6), observers=[kept])
    with pytest.raises(UnsupportedModel, match="a gate that depends on the token that looks"):
        kept.found["self"][1].norms()


def test_a_model_of_which_no_layer_attends_is_refused() -> None:
    variant = all_variants()["qwen3_5_text", "every other layer attends"]
    layers = ["linear_attention"] * len(variant.config["layer_types"])
    with pytest.raises(ModelError, match="none of the 4 layers of this qwen3_5_text attends"):
        spec_of(replace(variant, config=variant.config | {"layer_types": layers}))


def test_half_precision_rounds_the_sums_of_a_convolution_once() -> None:
    x, weight = numbers(1, 40, 16).bfloat16(), numbers(16, 1, 4, seed=1).bfloat16()
    exact, _ = causal_convolution(x.double(), weight.double())
    torch.testing.assert_close(causal_convolution(x, weight)[0], exact.bfloat16(), rtol=0, atol=0)
