"""Gradients by attention weights: the same forward pass, held to finite differences and to transformers' autograd."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
import torch

import attnviz
from attnviz.attention.interventions import Intervention
from attnviz.attention.observers import Weights
from attnviz.attention.tile import Tile
from attnviz.model.native.gradient import gradient_maps, weight_gradients
from tests import tiny
from tests.model.test_classifiers import made, tokenizer
from tests.model.test_interventions import FAMILIES, opened, read, whole_model


def say(states: Any) -> Any:
    """A number that every state has a part in."""
    generator = torch.Generator().manual_seed(1)
    direction = torch.randn(states.shape, generator=generator, dtype=states.dtype)
    return (states * direction).sum()


def traced(model: Any, interventions: Any = ()) -> Any:
    encoding, target = read(model)
    ids = None if target is None else target.ids
    return weight_gradients(model.backend.network, encoding.ids, encoding.type_ids, ids, say, interventions)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_run_that_autograd_follows_is_the_run(family: str) -> None:
    model = opened(family)
    encoding, target = read(model)
    weights = Weights(model.backend.layers)
    plain = model.backend.run(encoding, (), target)
    model.backend.run(encoding, [weights], target)
    states, found = traced(model)
    assert (states - plain).abs().max() < 1e-10
    for (kind, layer), (ours, gradient) in found.items():
        assert (ours - weights.layer(layer, kind)).abs().max() < 1e-10
        assert gradient.isfinite().all()
        assert gradient.abs().max() > 0
    assert {kind for kind, _ in found} == set(model.backend.kinds)
    assert (model.backend.run(encoding, (), target) - plain).abs().max() == 0


@dataclass(frozen=True, eq=False)
class Add(Intervention):
    """Adds a number to one weight."""

    query: int = 0
    key: int = 0
    more: float = 0.0
    touches_weights = True

    def weights(self, tile: Tile) -> None:
        tile.weights[self._heads(tile)][:, self.query - tile.query, self.key - tile.key] += self.more


LLAMA = {
    "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2,
}  # fmt: skip
T5 = {
    "d_model": 32, "d_kv": 8, "d_ff": 48, "num_layers": 2, "num_decoder_layers": 2, "num_heads": 4,
    "decoder_start_token_id": 0,
}  # fmt: skip


def relu_gated(name: str) -> Any:
    if name == "t5 gated relu":
        return made("T5ForConditionalGeneration", {**T5, "feed_forward_proj": "gated-relu"})
    return made("LlamaForCausalLM", {**LLAMA, "hidden_act": name.rpartition(" ")[2]})


# Norms before, behind, on both sides and beside; gated and plain MLPs; biases by queries and keys; soft caps.
DIFFERENT = ["bert", "gpt2", "gemma2", "gptj", "olmo2", "deberta-v2", "bloom", "opt", "t5", "bart"]
GATED = ["llama relu", "llama sigmoid", "llama tanh", "t5 gated relu"]


@pytest.mark.parametrize("family", [*DIFFERENT, *GATED])
def test_gradients_are_finite_differences(family: str) -> None:
    if family in GATED:
        model = attnviz.load((relu_gated(family), tokenizer()), dtype="float64")
        assert model.backend.name == "native"
    else:
        model = opened(family)
    encoding, target = read(model)
    _, found = traced(model)
    step = 1e-5
    for (kind, layer), (weights, gradient) in found.items():
        head, query, key = (int(each) for each in torch.unravel_index(gradient.abs().argmax(), gradient.shape))
        for place in ((head, query, key), (len(weights) - 1, 4, 1)):
            values = []
            for more in (step, -step):
                with model.backend.intervened([Add(layer, place[0], kind, *place[1:], more)]):
                    values.append(float(say(model.backend.run(encoding, (), target))))
            slope = (values[0] - values[1]) / (2 * step)
            scale = max(abs(float(gradient[place])), 1e-3 * float(gradient.abs().max()))
            assert abs(slope - float(gradient[place])) < 1e-6 * scale, (kind, layer, place)


@pytest.mark.parametrize("family", ["bert", "llama"])
def test_transformers_autograd_has_the_same_gradients(family: str) -> None:
    theirs = whole_model(family).double()
    model = attnviz.load((theirs, tokenizer()), dtype="float64")
    ids = torch.tensor([model.encode(tiny.SENTENCE).ids])
    body = getattr(theirs, theirs.base_model_prefix, theirs)
    output = body(input_ids=ids, output_attentions=True)
    for each in output.attentions:
        each.retain_grad()
    say(output.last_hidden_state[0]).backward()
    _, found = traced(model)
    for layer, each in enumerate(output.attentions):
        weights, gradient = found["self", layer]
        assert (weights - each[0]).abs().max() < 1e-6  # their RMS norm and rotations are in float32
        assert (gradient - each.grad[0]).abs().max() < 1e-5 * each.grad.abs().max()
    maps = gradient_maps(found)["self"]
    expected = torch.stack([(each[0] * each.grad[0]).clamp(min=0).mean(0) for each in output.attentions])
    assert (maps - expected).abs().max() < 1e-5 * expected.max()


def test_gradients_are_of_what_interventions_leave() -> None:
    model = opened("llama")
    weights, gradient = traced(model, [attnviz.Freeze(0, 1), attnviz.Zero(1, 0)])[1]["self", 0]
    encoding, _ = read(model)
    assert (weights[1].sum(-1) - 1).abs().max() < 1e-12
    assert (weights[1, -1] - 1 / len(encoding)).abs().max() < 1e-12
    assert gradient[1].abs().max() > 0
    found = traced(model, [attnviz.Zero(1, 0)])[1]["self", 1][1]
    assert found[0].abs().max() == 0
    assert found[1].abs().max() > 0
