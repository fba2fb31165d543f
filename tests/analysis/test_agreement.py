"""All ways to a number lead to the same: every figure and each link, whatever way a text is read.

The ways are plain numpy on all weights, the definitions in torch, what is compiled, ``show`` (of a record, observed, in
windows) and ``batch`` (in packs, alone, in windows).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from transformers import BloomConfig, BloomForCausalLM, GptOssConfig, GptOssForCausalLM

from attnviz.analysis.corpus import alone, packed
from attnviz.analysis.corpus.alone import measure_alone
from attnviz.analysis.corpus.metrics import NAMES, Measured
from attnviz.analysis.text.offsets import MIN_QUERIES, POSITIONAL, dominant_share
from attnviz.analysis.text.recording import FIGURES
from attnviz.analysis.text.replaying import replay
from attnviz.analysis.text.summary import Summary, summarise
from attnviz.attention import kernel
from attnviz.attention.compiled import passes
from attnviz.attention.observers import HeadSums, Weights
from attnviz.encoding import Encoding, Windows, encode, slide_windows
from attnviz.interface import Model, load
from attnviz.record import Array, AttentionRecord, Cell, Observation, Request
from tests import tiny
from tests.analysis import naive
from tests.documents import read_windows

WORDS = ["bank", "approved", "loan", "company", "strong", "financial", "river", "a", "b", "c", "d", "e", "f"]
SENTENCE = "The bank approved the loan, because of it!"
LONG = " ".join(f"{WORDS[i * i % 13]}{',' * (i % 9 == 4)} {WORDS[(i * 5 + i // 7) % 13]}" for i in range(55)) + "."
SHOWN, MEASURED = 20, 60
SAME = (
    "entropy", "normalised_entropy", "distance", "signed_distance", "self", "previous", "next", "first", "special",
    "punctuation", "sink", "offset", "offset_share",
)  # fmt: skip
CELLS: tuple[Cell, ...] = ("entropy", "distance", "sink", "link")


SEEN: dict[str, tuple[tuple[int | None, int | None], ...]] = {
    "bert": ((None, None),) * 2,
    "llama": ((None, 0),) * 2,
    "mistral of a window": ((8, 0),) * 2,
    "bloom of a bias": ((None, 0),) * 2,
    "hosted of a window": ((8, 0),) * 2,
    "hosted of sinks": ((8, 0), (None, 0)),
}
"""How many keys before and after it a query of each layer sees. Llama, Mistral and gpt-oss group their heads."""


@pytest.fixture(scope="module")
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of so many positions that the long text fits."""
    folder = tmp_path_factory.mktemp("model")
    config: dict[str, Any] = {"max_position_embeddings": 256, "num_hidden_layers": 2}
    decoder, experts = tiny.DECODER | config, {"num_local_experts": 4, "num_experts_per_tok": 2}
    match request.param:
        case "bert":
            return tiny.bert(folder, **config)
        case "llama":
            return tiny.llama(folder, **config)
        case "mistral of a window":
            return tiny.mistral(folder, **config, sliding_window=9)
        case "hosted of a window":
            return tiny.hosted(folder, **config, sliding_window=9)
        case "bloom of a bias":
            shape: Any = BloomConfig(vocab_size=len(tiny.VOCABULARY), hidden_size=32, n_layer=2, n_head=4)
            return tiny.save(folder, BloomForCausalLM(shape))
        case _:
            shape = GptOssConfig(**(decoder | experts), head_dim=8, sliding_window=9)
            return tiny.save(folder, GptOssForCausalLM(shape))


@pytest.fixture(scope="module")
def model(folder: Path) -> Model:
    return load(folder, dtype="float64")


def shown(model: Model, text: str, backend: str) -> dict[str, Summary]:
    """What ``show`` says of the text, by the cell: from all weights, from an observation, or from one in windows."""
    if backend == "short":
        whole = model.attend(text)
        assert isinstance(whole, AttentionRecord)
        observation = replay(whole, Request(links=SHOWN))
    else:
        observation = model.observe(text, windows=backend == "windows", links=SHOWN)
    return {cell: summarise(observation, cell=cell) for cell in CELLS}


def measured(model: Model, text: str, backend: str) -> Measured:
    """What ``batch`` says of it: in a pack beside another text, of many or few, alone, or in windows."""
    encoding, asked = encode(model.checkpoint.tokenizer, text), Request(links=MEASURED)
    if backend in ("pack", "few"):
        texts = [model.encode("a river"), encoding]
        found = packed.measure(model.backend, texts, asked, many=backend == "pack")[1]
        assert isinstance(found, Measured)
        return found
    causal, limit = model.backend.causal("self"), model.backend.limit or 0
    windows = None
    if backend == "windows":
        windows = slide_windows(model.checkpoint.tokenizer, encoding, limit=limit, causal=causal)
        assert len(windows) > 3
    return measure_alone(model.backend, encoding, asked, windows)


def assert_same(show: dict[str, Summary], batch: Measured) -> None:
    figures = dict(zip(NAMES, np.moveaxis(batch.figures, -1, 0), strict=True))
    for name in ("entropy", "distance", "sink"):
        np.testing.assert_allclose(show[name].overview, figures[name], atol=1e-6, err_msg=name)
    one = show["link"]
    for name in SAME:
        shown = one.observation.figures[name]
        np.testing.assert_allclose(shown, np.nan_to_num(figures[name]), atol=1e-6, err_msg=name)
    if not one.observation.windows and not one.observation.passages:
        np.testing.assert_allclose(one.observation.received.max(-1), figures["received"], atol=1e-5)
        np.testing.assert_array_equal(one.observation.received.argmax(-1), figures["received_position"])
    for share, name in ((one.special_share, "special"), (one.punctuation_share, "punctuation")):
        assert share == pytest.approx(np.nan_to_num(figures[name]).mean(), abs=1e-6), name
    offset, part = figures["offset"], figures["offset_share"]
    text = one.observation.encoding.special.count(False)
    for heads, which in (
        (one.positional, part >= POSITIONAL),
        (one.dominant, (text >= MIN_QUERIES) & (part >= dominant_share(text)) & (part < POSITIONAL)),
    ):
        assert [(head.layer, head.head, head.offset) for head in heads] == [
            (*place, int(offset[place])) for place in map(tuple, np.argwhere(which).tolist())
        ]
    for head in (*one.positional, *one.dominant):
        assert head.share == pytest.approx(part[head.layer, head.head])
    links = batch.links
    best: dict[tuple[int, int], float] = {}
    for place in zip(links.query.tolist(), links.key.tolist(), links.weight.tolist(), strict=True):
        best[place[:2]] = max(place[2], best.get(place[:2], 0))
    assert len(one.links) > 5
    for link in one.links:  # each pair once, in its best head of all layers
        assert link.weight == pytest.approx(best[link.query_index, link.key_index], rel=1e-5)
    assert one.links[-1].weight >= sorted(best.values())[-len(one.links)] * (1 - 1e-5)


@pytest.mark.parametrize(
    ("folder", "text"),
    [
        ("bert", SENTENCE),
        ("bert", LONG),
        ("llama", LONG),
        ("mistral of a window", SENTENCE),
        ("mistral of a window", LONG),
        ("hosted of a window", SENTENCE),
    ],
    ids=lambda given: {SENTENCE: "sentence", LONG: "long"}.get(given, given),
    indirect=["folder"],
)
def test_of_a_text_that_the_model_reads_at_once(model: Model, text: str) -> None:
    native = model.backend.name == "native"  # a hosted model is slow, and measured by the same code
    batch = [measured(model, text, backend) for backend in (("pack", "alone") if native else ("pack",))]
    for show in (shown(model, text, backend) for backend in (("short", "long") if native else ("long",))):
        for each in batch:
            assert_same(show, each)


@pytest.mark.parametrize("folder", ["bert", "mistral of a window"], indirect=True)
def test_of_a_text_in_windows(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model.backend, "limit", 40)
    assert_same(shown(model, LONG, "windows"), measured(model, LONG, "windows"))


Figures = dict[str, Array]
"""Figures of heads by name, (L, H) each."""
EXACT, SINGLE = 1e-10, 3e-5


@pytest.mark.parametrize("text", [SENTENCE, LONG], ids=["sentence", "long"])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("folder", SEEN, indirect=True)
def test_every_figure_is_the_one_of_all_weights(
    folder: Path, dtype: str, text: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In float64 torch computes all; in float32 it is compiled, as for long texts."""
    model = load(folder, dtype=dtype)
    encoding = model.encode(text)
    expected = naive_figures(model, encoding, SEEN[request.node.callspec.params["folder"]])
    assert expected.keys() >= {*NAMES, *FIGURES}
    monkeypatch.setattr(kernel, "PARALLEL", 0)
    compiled: list[int] = []
    own = passes.weigh
    monkeypatch.setattr(passes, "weigh", lambda *given: (compiled.append(1), own(*given)))
    for way, found in ways_at_once(model, text):
        # A figure that numpy does not compute here has nothing that holds its ways together.
        assert found.keys() <= expected.keys(), way
        assert_close(found, expected, EXACT if dtype == "float64" else SINGLE, way)
        if way == "definitions":
            assert found.keys() == expected.keys()
            assert not compiled
    assert bool(compiled) == (dtype == "float32")


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("folder", ["bert", "llama", "mistral of a window"], indirect=True)
def test_every_figure_of_windows_is_the_one_of_their_weights(
    folder: Path, dtype: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = load(folder, dtype=dtype)
    monkeypatch.setattr(model.backend, "limit", 40)
    causal, (behind, _) = model.backend.causal("self"), SEEN[request.node.callspec.params["folder"]][0]
    encoding = encode(model.checkpoint.tokenizer, LONG)
    windows = slide_windows(model.checkpoint.tokenizer, encoding, limit=40, causal=causal)
    read = read_windows(model.backend, encoding, windows, sinks=True)  # type: ignore[arg-type]
    expected = naive.figures_in_windows(read, causal=causal, behind=behind)
    show = shown(model, LONG, "windows")["link"].observation
    for way, found in (("show", dict(show.figures)), ("batch", of_batch(measured(model, LONG, "windows")))):
        assert found.keys() <= expected.keys(), way
        assert_close(found, expected, EXACT if dtype == "float64" else SINGLE, way)


def naive_figures(model: Model, encoding: Encoding, seen: tuple[tuple[int | None, int | None], ...]) -> Figures:
    """All figures of a text by plain numpy, from all of its weights."""
    kept, n = Weights(), len(encoding)
    model.backend.run(encoding, [kept])
    apart = np.arange(n)[:, None] - np.arange(n)
    ends = [tuple(n if end is None else end for end in window) for window in seen]
    visible = [(apart <= left) & (-apart <= right) for left, right in ends]
    heads = [
        [naive.figures_of(np.float64(a), encoding, seen, causal=model.backend.causal("self")) for a in layer]
        for layer, seen in zip(kept.stacked().numpy(), visible, strict=True)
    ]
    return {name: np.array([[head[name] for head in layer] for layer in heads]) for name in heads[0][0]}


def ways_at_once(model: Model, text: str) -> Iterator[tuple[str, Figures]]:
    """Each way to the figures of a text that the model reads at once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernel, "find_loops", lambda _: None)
        yield "definitions", sums_of(model, text)
    yield "batch, one of few", of_batch(measured(model, text, "few"))
    yield "compiled", sums_of(model, text)
    yield "batch, a pack", of_batch(measured(model, text, "pack"))
    yield "batch, alone", of_batch(measured(model, text, "alone"))
    whole = model.attend(text)
    assert isinstance(whole, AttentionRecord)
    yield "show, a record", of_show(replay(whole))
    yield "show, observed", of_show(model.observe(text))


def sums_of(model: Model, text: str) -> Figures:
    encoding = model.encode(text)
    masks = alone._document(encoding, causal=model.backend.causal("self"))
    sums = HeadSums(masks.texts(Windows.of_one(encoding)[0]))
    model.backend.run(encoding, [sums])
    return sums.figures


def of_batch(measured: Measured) -> Figures:
    return dict(zip(NAMES, np.moveaxis(measured.figures, -1, 0), strict=True))


def of_show(observation: Observation) -> Figures:
    assert observation.figures.keys() == set(FIGURES)
    received = observation.received
    all_ = {"received": received.max(-1), "received_position": received.argmax(-1)}
    return dict(observation.figures) | ({} if observation.passages else all_)


def assert_close(found: Figures, expected: Figures, close: float, way: str) -> None:
    for name, values in found.items():
        theirs = np.nan_to_num(expected[name]) if way.startswith("show") else expected[name]
        # Distances to both sides cancel in the signed one, but not their roundings.
        atol = close * max(1, expected["distance"].max()) if "distance" in name else close
        rtol = max(close, 1e-6) if values.dtype == np.float32 else close  # what keys receive is kept in float32
        np.testing.assert_allclose(values, theirs, rtol=rtol, atol=atol, err_msg=f"{name}: {way}")
