"""The scores q·k of a run: softmax(scale · scores + bias + mask) gives the weights back."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

import attnviz
from attnviz.analysis.text.formula import weight_formula
from attnviz.attention import kernel
from attnviz.attention.observers import RawScores, Weights
from attnviz.attention.window import CAUSAL, KeyWindow
from attnviz.errors import InputError, UsageError
from attnviz.interface import Attention, EncoderDecoder
from attnviz.record import FORMATS
from tests import tiny
from tests.model.test_classifiers import made, tokenizer
from tests.model.variants import all_variants
from tests.schemas import validate

Bias = NDArray[np.float64]


def softmax(logits: NDArray[Any], hidden: NDArray[np.bool_]) -> NDArray[Any]:
    exact = np.exp(np.where(hidden, -np.inf, logits) - np.where(hidden, -np.inf, logits).max(-1, keepdims=True))
    return np.asarray(exact / exact.sum(-1, keepdims=True))


def rebuilt(att: Any, bias: NDArray[Any] | float = 0.0, cap: float | None = None) -> NDArray[Any]:
    logits = np.asarray(att.scores, np.float64) * np.array(att.scales)[:, None, None, None]
    logits = logits if cap is None else cap * np.tanh(logits / cap)
    n, m = att.shape[2:]
    hidden = ~np.tri(n, m, dtype=bool) if att.causal else np.zeros((n, m), bool)
    return softmax(logits + bias, np.broadcast_to(hidden, logits.shape))


def alibi(heads: int, tokens: int) -> Bias:
    """Press et al. 2022: a slope for each head, times the distance of the key."""
    slopes = 2.0 ** (-8 / heads * np.arange(1, heads + 1))
    return np.asarray(slopes[:, None, None] * np.arange(tokens)[None, None])


def model_of(family: str, variant: str | None = None) -> Any:
    found = {name: each for (one, name), each in all_variants().items() if one == family}
    each = found[variant or next(iter(found))]
    return attnviz.load((made(each.model, each.config), tokenizer()))


@pytest.mark.parametrize("family", ["bert", "gpt2", "llama", "phi", "qwen3"])
def test_weights_of_scores(family: str) -> None:
    att = model_of(family).attend(tiny.SENTENCE, scores=True)
    assert att.scores.shape == att.weights.shape
    assert att.scores.dtype == np.float32
    np.testing.assert_allclose(rebuilt(att), att.weights, atol=2e-6)


def test_alibi() -> None:
    model = model_of("bloom")
    att = model.attend(tiny.SENTENCE, scores=True)
    np.testing.assert_allclose(rebuilt(att, alibi(att.heads, att.shape[3])), att.weights, atol=2e-6)
    assert np.abs(rebuilt(att) - att.weights).max() > 1e-3  # the scores are without it


def test_relative_buckets(tmp_path: Path) -> None:
    model = attnviz.load(tiny.t5(tmp_path / "t5"))
    att = model.attend(tiny.SENTENCE, target="The bank", scores=True)
    assert isinstance(att, EncoderDecoder)
    np.testing.assert_allclose(rebuilt(att.cross), att.cross.weights, atol=2e-6)
    network = model.backend.network
    for stack, each in ((network.encoder, att.encoder), (network, att.decoder)):
        bias = stack._biases("", stack.spec.layers[0].attention, stack._relative_table())(None, None)
        at = torch.arange(each.shape[2])
        np.testing.assert_allclose(rebuilt(each, bias(at, at).numpy()), each.weights, atol=2e-6)
    att.save(tmp_path / "three.safetensors")
    again = EncoderDecoder.open(tmp_path / "three.safetensors")
    np.testing.assert_array_equal(again.cross.scores, att.cross.scores)


def test_a_hosted_model(tmp_path: Path) -> None:
    model = attnviz.load(tiny.mixtral(tmp_path))
    att = model.attend(tiny.SENTENCE, scores=True)
    assert att.backend == "hosted"
    np.testing.assert_allclose(rebuilt(att), att.weights, atol=2e-6)
    np.testing.assert_array_equal(att.weights, model.attend(tiny.SENTENCE).weights)


@pytest.mark.parametrize("window", [CAUSAL, KeyWindow(3, 0), KeyWindow(2, 4)])
def test_the_kernel(window: KeyWindow) -> None:
    """All products are kept, also those of keys that the window hides; the weights are the same bits as without."""
    generator = torch.Generator().manual_seed(0)
    q, k, v = (torch.randn(heads, 70, 8, generator=generator) for heads in (4, 2, 2))
    with_scores, alone = Weights({"self": 1}), Weights({"self": 1})
    scores = RawScores(with_scores)
    for observers in ([with_scores, scores], [alone]):
        kernel.attend(q, k, v, scale=0.25, window=window, observers=observers, rows=16)
    torch.testing.assert_close(scores.stacked()[0], q @ k.repeat_interleave(2, 0).mT)
    torch.testing.assert_close(with_scores.stacked(), alone.stacked(), atol=1e-6, rtol=0)
    assert scores.scales() == (0.25,)


@pytest.fixture(scope="module")
def att(tmp_path_factory: pytest.TempPathFactory) -> Attention:
    found = attnviz.load(tiny.llama(tmp_path_factory.mktemp("llama"))).attend(tiny.SENTENCE, scores=True)
    assert isinstance(found, Attention)
    return found


@pytest.mark.parametrize("suffix", FORMATS)
def test_records(att: Attention, suffix: str, tmp_path: Path) -> None:
    att.save(tmp_path / f"one{suffix}")
    again = Attention.open(tmp_path / f"one{suffix}")
    np.testing.assert_array_equal(again.scores, att.scores)
    assert again.scales == att.scales
    if suffix == ".json":
        validate(json.loads((tmp_path / "one.json").read_text()), "record")


def test_the_formula_of_a_cell(att: Attention) -> None:
    found = weight_formula(att, 1, 2, 6, 3)
    assert found.weight == pytest.approx(found.softmax, rel=1e-4)
    assert found.added == pytest.approx(0, abs=1e-4)
    assert found.hidden == att.shape[3] - 7


def shorter(facts: dict[str, Any]) -> None:
    facts["scores"] = facts["scores"][:1]


def infinite(facts: dict[str, Any]) -> None:
    facts["scores"][0][0][0][0] = 1e300


DAMAGE: dict[str, Callable[[dict[str, Any]], object]] = {
    "fewer layers": shorter,
    "infinity": infinite,
    "no scores": lambda facts: facts.pop("scores"),
    "scales of fewer layers": lambda facts: facts["scales"].pop(),
    "scales that are text": lambda facts: facts.update(scales=["1"] * len(facts["scales"])),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_damaged_records(att: Attention, damage: Callable[[dict[str, Any]], object], tmp_path: Path) -> None:
    path = tmp_path / "one.json"
    att.save(path)
    facts = json.loads(path.read_text())
    damage(facts)
    path.write_text(json.dumps(facts))
    with pytest.raises(InputError, match="not a record"):
        Attention.open(path)


def test_scores_of_another_shape_in_a_tensor_file(att: Attention, tmp_path: Path) -> None:
    path = tmp_path / "one.safetensors"
    att.save(path)
    from safetensors import safe_open

    with safe_open(path, framework="numpy") as file:
        metadata = file.metadata()
    tensors = load_file(path)
    save_file(tensors | {"scores": tensors["scores"][:, :1].copy()}, path, metadata=metadata)
    with pytest.raises(InputError, match="scores"):
        Attention.open(path)


def test_many_threads() -> None:
    generator = torch.Generator().manual_seed(0)
    q, k, v = (torch.randn(heads, 600, 8, generator=generator) for heads in (4, 2, 2))
    weights = Weights({"self": 1})
    scores = RawScores(weights)
    kernel.attend(q, k, v, scale=0.3, window=CAUSAL, observers=[weights, scores])
    torch.testing.assert_close(scores.stacked()[0], q @ k.repeat_interleave(2, 0).mT)
    assert not weights.stacked().triu(1).any()


def test_memory(tmp_path: Path) -> None:
    model = attnviz.load(tiny.llama(tmp_path))
    plain = model.attend(tiny.SENTENCE)
    assert plain.scores is None
    most = plain.weights.nbytes
    assert model.attend(tiny.SENTENCE, max_memory=most).shape
    with pytest.raises(InputError, match="the weights and scores of all its heads would take"):
        model.attend(tiny.SENTENCE, max_memory=most, scores=True)
    assert model.attend(tiny.SENTENCE, max_memory=2 * most, scores=True).shape


def test_ids_have_none(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="`scores` are of texts"):
        attnviz.load(tiny.llama(tmp_path)).attend(input_ids=[[5, 6]], scores=True)
