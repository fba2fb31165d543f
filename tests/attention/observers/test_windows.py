"""What observers keep of a document in windows, against what is put together from the windows' full weights."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from attnviz import record
from attnviz.attention import kernel
from attnviz.attention.observers import (
    HeadSums,
    LinkSelection,
    MapSelection,
    Pairs,
    Sliding,
    Units,
    Weights,
    WindowSums,
)
from attnviz.attention.sums import Texts
from attnviz.attention.totals import DocumentMasks
from attnviz.encoding import encode, slide_windows
from attnviz.interface import load
from attnviz.model.native.backend import Native
from attnviz.model.windows import run_windows
from tests import tiny
from tests.analysis.whole import in_words
from tests.documents import LONG_TEXT, Array, Read, read_windows


def show(read: Read, *observers: kernel.Observer) -> None:
    """Slide over the document."""
    run_windows(read.backend, read.windows, [Sliding(observers, len(read.document), sinks=read.sinks)])


@pytest.fixture(scope="module", params=["bert", "bert in other strides", "llama", "llama without marks"])
def read(request: pytest.FixtureRequest, tiny_bert: object, tiny_llama: object) -> Read:
    """A document of 160 tokens with words longer than a window, in windows of 24."""
    causal = request.param.startswith("llama")
    model = load(str(tiny_llama if causal else tiny_bert), dtype="float64")
    tokenizer = model.checkpoint.tokenizer
    marked = "without" not in request.param
    document = encode(tokenizer, LONG_TEXT, marks=marked)
    stride = 7 if "stride" in request.param else None
    windows = slide_windows(tokenizer, document, limit=24, causal=causal, stride=stride, marks=marked)
    backend = model.backend
    assert isinstance(backend, Native)
    assert len(windows) > 8
    return read_windows(backend, document, windows, sinks=marked)


@pytest.fixture(params=[1 << 22, 4 * 20**2, 24 * 9], ids=["whole", "heads apart", "some rows"])
def tiled(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, read: Read) -> Read:
    """The document, whose windows are run in tiles of several shapes."""
    monkeypatch.setattr(kernel, "TILE", request.param)
    return read


def near(found: Array, expected: Array) -> None:
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() < 1e-10


def found(read: Read, **given: Any) -> dict[str, Array]:
    """What is found in tokens, of all layers."""
    tokens = range(len(read.document))
    units = Units(tokens, tokens, **given)
    show(read, units)
    layers = [vars(units.found[number]) for number in units.layers()]
    return {name: np.stack([layer[name] for layer in layers]) for name in layers[0]}


def test_weights_stand_at_the_places_of_the_document(tiled: Read) -> None:
    kept = Weights()
    show(tiled, kept)
    near(kept.stacked().numpy(), tiled.whole)


def test_top_links(tiled: Read) -> None:
    kept = found(tiled, links=LinkSelection(5))
    near(kept["weights"], -np.sort(-tiled.whole)[..., :5])
    there = np.take_along_axis(tiled.whole, kept["keys"].astype(int), -1)
    near(np.where(kept["weights"] > 0, there, 0), kept["weights"])


def test_bands_of_distance(tiled: Read) -> None:
    kept = found(tiled, links=LinkSelection(0, edges=(1, 4, 16), listed=3))["strong"]
    places = np.arange(len(tiled.document))
    apart = np.abs(places[:, None] - places)
    for i, (low, high) in enumerate([(1, 4), (4, 16), (16, 1000)]):
        inside = np.where((apart >= low) & (apart < high), tiled.whole, 0)
        near(kept[:, :, i], -np.sort(-inside.reshape(*inside.shape[:2], -1))[..., :3])


def test_nothing_is_found_beyond_a_window(tiled: Read) -> None:
    kept = found(tiled, links=LinkSelection(0, edges=(1, 24), listed=1))["strong"]
    assert kept[:, :, 0].all()
    assert not kept[:, :, 1].any()


@pytest.mark.parametrize("passages", [(), (1, 60, 110)])
def test_what_keys_receive(tiled: Read, passages: tuple[int, ...]) -> None:
    n = len(tiled.document)
    document = DocumentMasks(np.ones(n, bool), np.ones(n, bool), {}, causal=False, passages=passages)
    kept = WindowSums(document, tiled.windows.widest, sinks=tiled.sinks)
    run_windows(tiled.backend, tiled.windows, [kept])
    near(kept.received(), tiled.whole.sum(2, dtype=np.float64))
    foreign = tiled.whole.copy()
    for start, stop in pairwise((*passages, n) if passages else ()):
        foreign[:, :, start:stop, start:stop] = 0
    near(kept.received(others=True), foreign.sum(2, dtype=np.float64))


def test_pooled_cells(tiled: Read) -> None:
    n = len(tiled.document)
    expected = np.maximum.reduceat(tiled.whole, range(0, n, 4), axis=2)
    expected = np.maximum.reduceat(expected, range(0, n, 8), axis=3)
    near(found(tiled, map_=lambda _: MapSelection(0, n, 0, n, 4, 8))["cells"], expected)


def test_chosen_rows(tiled: Read) -> None:
    chosen = [0, 50, 51, len(tiled.document) - 1]
    kept = Pairs(chosen)
    show(tiled, kept)
    near(np.stack([kept.layer(i).numpy() for i in kept.layers()]), tiled.whole[:, :, chosen])


def test_words_even_those_that_are_longer_than_a_window(tiled: Read) -> None:
    starts = [word.start for word in tiled.document.words]
    assert max(word.stop - word.start for word in tiled.document.words) > 24
    units = Units(
        starts,
        starts,
        links=LinkSelection(1, itself=False),
        map_=lambda _: MapSelection(0, len(starts), 0, len(starts)),
    )
    show(tiled, units)
    whole = record.AttentionRecord("m", "native", False, tiled.document, tiled.whole)
    near(np.stack([units.found[i].cells for i in units.layers()]), in_words(whole).weights)


def figures(row: Array, at: int) -> dict[str, Array]:
    """The figures of the query that stands ``at`` a place of its window, from its ``row`` (L, H, T)."""
    apart = at - np.arange(row.shape[-1])
    none = np.full(row.shape[:2], np.nan)
    return {
        "entropy": -(row * np.log(np.maximum(row, 1e-30))).sum(-1),
        "distance": (row * np.abs(apart)).sum(-1),
        "signed_distance": (row * apart).sum(-1),
        "self": row[..., at],
        "previous": row[..., at - 1] if at else none,
        "next": row[..., at + 1] if at + 1 < row.shape[-1] else none,
        "largest": row.max(-1),
        "first": row[..., 0],
    }


@pytest.mark.parametrize("some", [False, True])
def test_figures_of_heads_are_of_the_windows_rows(tiled: Read, some: bool) -> None:
    document = tiled.document
    special, comma = np.array(document.special), np.array([token == "," for token in document.tokens])
    counting = ~special if some else None
    all_ = np.ones(len(document), bool) if counting is None else counting
    about = DocumentMasks(all_, all_, {"special": special, "comma": comma}, causal=False)
    stats = WindowSums(about, tiled.windows.widest)
    run_windows(tiled.backend, tiled.windows, [stats])
    rows = [
        (weights[:, :, row].astype(np.float64), row, window.positions)
        for window, weights in zip(tiled.windows, tiled.each, strict=True)
        for row, query in enumerate(window.positions)
        if window.first <= query < window.last and not (some and special[query])
    ]
    assert len(rows) == len(document) - (special.sum() if some else 0)
    shown = stats.figures
    each_row = [figures(row, at) for row, at, _ in rows]
    for name in each_row[0]:
        near(shown[name], np.nanmean([each[name] for each in each_row], axis=0))
    for name, members in {"special": special, "comma": comma}.items():
        shares = np.mean([row[..., members[places]].sum(-1) for row, _, places in rows], axis=0)
        near(np.nan_to_num(shown[name]), shares)
    offsets = np.stack([row.argmax(-1) - at for row, at, _ in rows])  # (rows, L, H)
    for layer, head in np.ndindex(offsets.shape[1:]):
        values, counts = np.unique(offsets[:, layer, head], return_counts=True)
        assert shown["offset_share"][layer, head] == pytest.approx(counts.max() / len(rows))
        assert shown["offset"][layer, head] in values[counts == counts.max()]
    profile = np.zeros_like(stats.profile)
    for row, at, _ in rows:
        apart = np.abs(at - np.arange(row.shape[-1]))
        for band, (low, high) in enumerate([(0, 1), (1, 10), (10, 100)]):
            profile[..., band] += np.where((apart >= low) & (apart < high), row, 0)[..., 1:].sum(-1) / len(rows)
    near(stats.profile, profile)


def test_one_window_has_the_figures_of_its_text(tiny_bert: object) -> None:
    model = load(str(tiny_bert))
    document = model.encode(tiny.SENTENCE)
    windows = slide_windows(model.checkpoint.tokenizer, document, limit=64, causal=False)
    special = np.array(document.special)
    plain = HeadSums(Texts.one(len(document), counting=~special, sets={"special": special}))
    stats = WindowSums(DocumentMasks(~special, ~special, {"special": special}, causal=False), windows.widest)
    model.backend.run(document, [plain])
    run_windows(model.backend, windows, [stats])
    shown = stats.figures
    assert plain.figures.keys() == shown.keys()
    for name, expected in plain.figures.items():
        # The windows are many, and so what reads them is compiled.
        np.testing.assert_allclose(shown[name], expected, rtol=1e-5, atol=3e-5, err_msg=name)
