"""``show`` and ``batch`` say the same: each figure that both have, and each link, whatever way a text is read."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from transformers import MistralConfig, MistralForCausalLM

from attnviz.analysis.corpus import packed
from attnviz.analysis.corpus.alone import measure_alone
from attnviz.analysis.corpus.metrics import NAMES, Asked, Measured
from attnviz.analysis.text.observing import replay
from attnviz.analysis.text.offsets import DOMINANT, MANY_QUERIES, POSITIONAL
from attnviz.analysis.text.summary import Summary, summarise
from attnviz.encoding import encode, slide_windows
from attnviz.interface import Model, load
from attnviz.record import AttentionRecord, Cell, Request
from tests import tiny

WORDS = ["bank", "approved", "loan", "company", "strong", "financial", "river", "a", "b", "c", "d", "e", "f"]
SENTENCE = "The bank approved the loan, because of it!"
LONG = " ".join(f"{WORDS[i * i % 13]}{',' * (i % 9 == 4)} {WORDS[(i * 5 + i // 7) % 13]}" for i in range(55)) + "."
SHOWN, MEASURED = 20, 60
SAME = (
    "entropy", "normalised_entropy", "distance", "signed_distance", "self", "previous", "next", "first", "special",
    "punctuation", "sink", "offset", "offset_share",
)  # fmt: skip
CELLS: tuple[Cell, ...] = ("entropy", "distance", "sink", "link")


@pytest.fixture(scope="module")
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Model:
    """A model of so many positions that the long text fits."""
    folder, room = tmp_path_factory.mktemp("model"), 256
    config: dict[str, Any] = {"max_position_embeddings": room, "num_hidden_layers": 2}
    if request.param == "bert":
        tiny.bert(folder, **config)
    elif request.param == "llama":
        tiny.llama(folder, **config)
    elif request.param.startswith("hosted"):
        tiny.mixtral(folder, **config, sliding_window=9)
    else:
        shape = MistralConfig(**(tiny.DECODER | config), sliding_window=9)
        tiny.save(folder, MistralForCausalLM(shape))
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
    """What ``batch`` says of it: in a pack beside another text, alone, or in windows."""
    encoding, asked = encode(model.checkpoint.tokenizer, text), Asked(top=MEASURED)
    if backend == "pack":
        found = packed.measure(model.backend, [model.encode("a river"), encoding], asked)[1]
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
    many = sum(not mark for mark in one.observation.encoding.special) >= MANY_QUERIES
    for heads, which in (
        (one.positional, part >= POSITIONAL),
        (one.dominant, many & (part >= DOMINANT) & (part < POSITIONAL)),
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
    ("model", "text"),
    [
        ("bert", SENTENCE),
        ("bert", LONG),
        ("llama", LONG),
        ("mistral of a window", SENTENCE),
        ("mistral of a window", LONG),
        ("hosted of a window", SENTENCE),
    ],
    ids=lambda given: {SENTENCE: "sentence", LONG: "long"}.get(given, given),
    indirect=["model"],
)
def test_of_a_text_that_the_model_reads_at_once(model: Model, text: str) -> None:
    native = model.backend.name == "native"  # a hosted model is slow, and measured by the same code
    batch = [measured(model, text, backend) for backend in (("pack", "alone") if native else ("pack",))]
    for show in (shown(model, text, backend) for backend in (("short", "long") if native else ("long",))):
        for each in batch:
            assert_same(show, each)


@pytest.mark.parametrize("model", ["bert", "mistral of a window"], indirect=True)
def test_of_a_text_in_windows(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model.backend, "limit", 40)
    assert_same(shown(model, LONG, "windows"), measured(model, LONG, "windows"))
