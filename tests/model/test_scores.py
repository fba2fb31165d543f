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
from attnviz.analysis.text.replaying import replay
from attnviz.attention import kernel
from attnviz.attention.observers import Scores, Weights
from attnviz.attention.window import CAUSAL, KeyWindow
from attnviz.errors import InputError, UsageError
from attnviz.interface import Attention, EncoderDecoder
from attnviz.record import FORMATS
from attnviz.render.page.text import text_page
from tests import tiny
from tests.model.test_classifiers import made, tokenizer
from tests.model.test_hosted import CASES
from tests.model.variants import all_variants
from tests.render.browsers import unpacked
from tests.schemas import validate

FAMILIES = (
    "bert",
    "gpt2",
    "llama",
    "phi",
    "qwen3",
    "gemma2",
    "bloom",
    "mpt",
    "falcon",
    "modernbert",
    "deberta-v2",
    "mpnet",
)


def softmax(att: Any) -> NDArray[Any]:
    """The weights that the logits make, of the keys that are not hidden."""
    logits = np.asarray(att.logits, np.float64)
    hidden = (att.weights == 0).all(1, keepdims=True)
    exact = np.exp(np.where(hidden, -np.inf, logits) - np.where(hidden, -np.inf, logits).max(-1, keepdims=True))
    return np.asarray(exact / exact.sum(-1, keepdims=True))


def model_of(family: str, variant: str | None = None, **options: Any) -> Any:
    found = {name: each for (one, name), each in all_variants().items() if one == family}
    each = found[variant or next(iter(found))]
    return attnviz.load((made(each.model, each.config), tokenizer()), **options)


@pytest.mark.parametrize("family", FAMILIES)
def test_weights_are_made_of_vectors(family: str) -> None:
    """The products of the vectors are the scores, and the softmax of what comes of these is the weights."""
    att = model_of(family, dtype="float64").attend(tiny.SENTENCE, neurons=True)
    layers, heads, tokens, _ = att.weights.shape
    assert att.scores.shape == att.weights.shape
    assert att.query_vectors.shape[:3] == att.key_vectors.shape[:3] == (layers, heads, tokens)
    dimensions = att.query_vectors[:, :, :, None] * att.key_vectors[:, :, None]
    np.testing.assert_allclose(dimensions.sum(-1), att.scores, atol=1e-10, rtol=1e-10)
    np.testing.assert_allclose(softmax(att), att.weights, atol=1e-10)


def test_what_each_family_adds_is_kept_apart() -> None:
    plain, capped = (model_of(family).attend(tiny.SENTENCE, scores=True) for family in ("bert", "gemma2"))
    assert plain.biases is None
    assert not plain.softcaps
    assert set(capped.softcaps) == {2.0}
    scaled = capped.scores * np.array(capped.scales)[:, None, None, None]
    np.testing.assert_allclose(capped.logits, 2 * np.tanh(scaled / 2), atol=1e-5)
    bloom = model_of("bloom").attend(tiny.SENTENCE, scores=True)
    slopes = 2.0 ** (-8 / bloom.heads * np.arange(1, bloom.heads + 1))  # Press et al. 2022
    at = np.arange(bloom.shape[3])
    bias = -slopes[:, None, None] * np.abs(at[:, None] - at)
    np.testing.assert_allclose(bloom.biases, np.broadcast_to(bias, bloom.shape), atol=1e-6)


def test_grouped_queries_have_the_keys_that_they_read(tmp_path: Path) -> None:
    att = attnviz.load(tiny.llama(tmp_path)).attend(tiny.SENTENCE, neurons=True)
    share = att.heads // 2
    np.testing.assert_array_equal(att.key_vectors[:, :share], att.key_vectors[:, :1].repeat(share, 1))
    assert (att.key_vectors[:, 0] != att.key_vectors[:, -1]).any()


def test_relative_buckets(tmp_path: Path) -> None:
    att = attnviz.load(tiny.t5(tmp_path / "t5")).attend(tiny.SENTENCE, target="The bank", neurons=True)
    assert isinstance(att, EncoderDecoder)
    for each in (att.encoder, att.decoder, att.cross):
        np.testing.assert_allclose(softmax(each), each.weights, atol=2e-6)
        made_of = each.query_vectors @ each.key_vectors.swapaxes(-1, -2)
        np.testing.assert_allclose(made_of, each.scores, atol=1e-4)
    assert att.cross.biases is None
    assert att.encoder.biases is not None
    assert att.encoder.biases.any()
    att.save(tmp_path / "three.safetensors")
    again = EncoderDecoder.open(tmp_path / "three.safetensors")
    np.testing.assert_array_equal(again.cross.scores, att.cross.scores)
    np.testing.assert_array_equal(again.encoder.biases, att.encoder.biases)
    np.testing.assert_array_equal(again.cross.key_vectors, att.cross.key_vectors)


def test_what_a_model_wrote_has_scores(tmp_path: Path) -> None:
    att = attnviz.load(tiny.llama(tmp_path)).attend(tiny.SENTENCE, generate=3, neurons=True)
    np.testing.assert_allclose(softmax(att), att.weights, atol=2e-6)
    assert att.query_vectors.shape[2] == len(att.tokens)


def test_a_hosted_model(tmp_path: Path) -> None:
    model = attnviz.load(tiny.hosted(tmp_path))
    att = model.attend(tiny.SENTENCE, neurons=True)
    assert att.backend == "hosted"
    np.testing.assert_allclose(softmax(att), att.weights, atol=2e-6)
    np.testing.assert_allclose(att.query_vectors @ att.key_vectors.swapaxes(-1, -2), att.scores, atol=1e-5)
    np.testing.assert_array_equal(att.weights, model.attend(tiny.SENTENCE).weights)


def test_a_sink_takes_its_share_of_what_the_logits_make() -> None:
    case = CASES["gpt-oss with sinks and windows"]
    att = attnviz.load((made(case.name, case.config), tokenizer())).attend(tiny.SENTENCE, neurons=True)
    assert att.backend == "native"
    assert att.weights.sum(-1).min() < 0.5
    np.testing.assert_allclose(softmax(att) * att.weights.sum(-1, keepdims=True), att.weights, atol=2e-6)
    page = text_page([replay(att)])
    assert unpacked(page)[0]["maps"][0]["formula"]["sinks"] is True


@pytest.mark.parametrize("window", [CAUSAL, KeyWindow(3, 0), KeyWindow(2, 4)])
def test_the_kernel(window: KeyWindow) -> None:
    """All products are kept, also those of keys that the window hides; the weights are the same bits as without."""
    generator = torch.Generator().manual_seed(0)
    q, k, v = (torch.randn(heads, 70, 8, generator=generator) for heads in (4, 2, 2))
    with_scores, alone = Weights({"self": 1}), Weights({"self": 1})
    scores = Scores(with_scores, vectors=True)
    for observers in ([with_scores, scores], [alone]):
        kernel.attend(q, k, v, scale=0.25, window=window, observers=observers, rows=16)
    torch.testing.assert_close(scores.products()[0], q @ k.repeat_interleave(2, 0).mT)
    torch.testing.assert_close(with_scores.stacked(), alone.stacked(), atol=1e-6, rtol=0)
    assert scores.scales() == (0.25,)
    vectors = scores.vectors()
    assert vectors
    torch.testing.assert_close(vectors[0][0], q)
    torch.testing.assert_close(vectors[1][0], k.repeat_interleave(2, 0))


@pytest.fixture(scope="module")
def att(tmp_path_factory: pytest.TempPathFactory) -> Attention:
    found = attnviz.load(tiny.llama(tmp_path_factory.mktemp("llama"))).attend(tiny.SENTENCE, neurons=True)
    assert isinstance(found, Attention)
    return found


@pytest.mark.parametrize("suffix", FORMATS)
def test_records(att: Attention, suffix: str, tmp_path: Path) -> None:
    att.save(tmp_path / f"one{suffix}")
    again = Attention.open(tmp_path / f"one{suffix}")
    np.testing.assert_array_equal(again.scores, att.scores)
    assert again.scales == att.scales
    np.testing.assert_array_equal(again.query_vectors, att.query_vectors)
    np.testing.assert_array_equal(again.key_vectors, att.key_vectors)
    if suffix == ".json":
        validate(json.loads((tmp_path / "one.json").read_text()), "record")


def shorter(facts: dict[str, Any]) -> None:
    facts["scores"] = facts["scores"][:1]


def infinite(facts: dict[str, Any]) -> None:
    facts["scores"][0][0][0][0] = 1e300


DAMAGE: dict[str, Callable[[dict[str, Any]], object]] = {
    "fewer layers": shorter,
    "infinity": infinite,
    "no scores": lambda facts: facts.pop("scores"),
    "scales of fewer layers": lambda facts: facts["scales"].pop(),
    "vectors of other tokens": lambda facts: facts["key_vectors"][0][0].pop(),
    "vectors of two sizes": lambda facts: [
        row.pop() for layer in facts["key_vectors"] for head in layer for row in head
    ],
    "one kind of vectors": lambda facts: facts["kept"].remove("key_vectors"),
    "a cap of zero": lambda facts: facts.update(softcaps=[0] * len(facts["scales"])),
    "a scale that is null": lambda facts: facts["scales"].__setitem__(0, None),
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
    scores = Scores(weights)
    kernel.attend(q, k, v, scale=0.3, window=CAUSAL, observers=[weights, scores])
    torch.testing.assert_close(scores.products()[0], q @ k.repeat_interleave(2, 0).mT)
    assert not weights.stacked().triu(1).any()


def test_a_layer_with_more_than_most_has_none() -> None:
    q = k = v = torch.randn(2, 20, 8)
    weights = Weights({"self": 1})
    few, enough = Scores(weights, 399), Scores(weights, 400)
    kernel.attend(q, k, v, scale=0.3, observers=[weights, few, enough])
    assert few.layers() == ()
    assert enough.layers() == (0,)


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


def test_ids_have_no_vectors(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="`neurons` are of texts"):
        attnviz.load(tiny.llama(tmp_path)).attend(input_ids=[[5, 6]], neurons=True)
