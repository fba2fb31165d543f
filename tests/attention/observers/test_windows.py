"""What observers keep of a document in windows, against what is put together from the windows' full weights."""

from __future__ import annotations

from dataclasses import dataclass
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
    UnitsAndRegions,
    Weights,
    WindowSums,
)
from attnviz.attention.texts import Texts
from attnviz.attention.totals import DocumentMasks
from attnviz.encoding import Encoding, encode, slide_windows
from attnviz.interface import load
from attnviz.model.native.backend import Native
from attnviz.model.windows import run_windows
from tests import tiny
from tests.analysis.whole import in_words
from tests.documents import LONG_TEXT, Array, Read, read_windows


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


PASSAGES = {"without passages": (), "with passages": (1, 60, 110)}
CHOSEN = (0, 50, 51, -1)


@dataclass(frozen=True, eq=False)
class Seen:
    """A document, and what its observers kept of one run of its windows."""

    read: Read
    weights: Weights
    rows: Pairs
    units: dict[str, Units]
    sums: dict[str, WindowSums]

    def found(self, name: str) -> dict[str, Array]:
        """What was found in some units, of all layers."""
        units = self.units[name]
        layers = [vars(units.found[number]) for number in units.layers()]
        return {name: np.stack([layer[name] for layer in layers]) for name in layers[0]}


@pytest.fixture(scope="module", params=[1 << 22, 4 * 20**2, 24 * 9], ids=["whole", "heads apart", "some rows"])
def seen(request: pytest.FixtureRequest, read: Read) -> Seen:
    """The document, whose windows are run once, in tiles of several shapes."""
    document, n = read.document, len(read.document)
    tokens, starts = range(n), [word.start for word in document.words]
    selections: dict[str, dict[str, Any]] = {
        "links": {"links": LinkSelection(5)},
        "bands": {"links": LinkSelection(0, edges=(1, 4, 16), listed=3)},
        "beyond": {"links": LinkSelection(0, edges=(1, 24), listed=1)},
        "cells": {"map_": lambda _: MapSelection(0, n, 0, n, 4, 8)},
    }
    units = {name: Units(tokens, tokens, **given) for name, given in selections.items()}
    cells = MapSelection(0, len(starts), 0, len(starts))
    units["words"] = Units(starts, starts, links=LinkSelection(1, itself=False), map_=lambda _: cells)
    units["regions"] = UnitsAndRegions(starts, starts, links=LinkSelection(3), regions=4)
    every, (special, comma) = np.ones(n, bool), marks_of(document)
    masks = {name: DocumentMasks(every, every, {}, causal=False, passages=cuts) for name, cuts in PASSAGES.items()}
    for name, counting in (("all", every), ("some", ~special)):
        masks[name] = DocumentMasks(counting, counting, {"special": special, "comma": comma}, causal=False)
    sums = {name: WindowSums(about, read.windows.widest, sinks=read.sinks) for name, about in masks.items()}
    seen = Seen(read, Weights(), Pairs([at % n for at in CHOSEN]), units, sums)
    sliding = Sliding([seen.weights, seen.rows, *units.values()], n, sinks=read.sinks)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernel, "TILE", request.param)
        run_windows(read.backend, read.windows, [sliding, *sums.values()])
    return seen


def marks_of(document: Encoding) -> tuple[Array, Array]:
    """The special tokens of a document, and its commas, as masks."""
    return np.array(document.special), np.array([token == "," for token in document.tokens])


def near(found: Array, expected: Array) -> None:
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() < 1e-10


def test_weights_stand_at_the_places_of_the_document(seen: Seen) -> None:
    near(seen.weights.stacked().numpy(), seen.read.whole)


def test_top_links(seen: Seen) -> None:
    kept, whole = seen.found("links"), seen.read.whole
    near(kept["weights"], -np.sort(-whole)[..., :5])
    there = np.take_along_axis(whole, kept["keys"].astype(int), -1)
    near(np.where(kept["weights"] > 0, there, 0), kept["weights"])


def test_bands_of_distance(seen: Seen) -> None:
    kept, whole = seen.found("bands")["strong"], seen.read.whole
    places = np.arange(len(seen.read.document))
    apart = np.abs(places[:, None] - places)
    for i, (low, high) in enumerate([(1, 4), (4, 16), (16, 1000)]):
        inside = np.where((apart >= low) & (apart < high), whole, 0)
        near(kept[:, :, i], -np.sort(-inside.reshape(*inside.shape[:2], -1))[..., :3])


def test_nothing_is_found_beyond_a_window(seen: Seen) -> None:
    kept = seen.found("beyond")["strong"]
    assert kept[:, :, 0].all()
    assert not kept[:, :, 1].any()


@pytest.mark.parametrize("name", PASSAGES)
def test_what_keys_receive(seen: Seen, name: str) -> None:
    kept, whole, passages = seen.sums[name], seen.read.whole, PASSAGES[name]
    near(kept.received(), whole.sum(2, dtype=np.float64))
    foreign = whole.copy()
    for start, stop in pairwise((*passages, whole.shape[-1]) if passages else ()):
        foreign[:, :, start:stop, start:stop] = 0
    near(kept.received(others=True), foreign.sum(2, dtype=np.float64))


def test_pooled_cells(seen: Seen) -> None:
    n = len(seen.read.document)
    expected = np.maximum.reduceat(seen.read.whole, range(0, n, 4), axis=2)
    expected = np.maximum.reduceat(expected, range(0, n, 8), axis=3)
    near(seen.found("cells")["cells"], expected)


def test_chosen_rows(seen: Seen) -> None:
    rows = np.stack([seen.rows.layer(number).numpy() for number in seen.rows.layers()])
    near(rows, seen.read.whole[:, :, CHOSEN])


def test_words_even_those_that_are_longer_than_a_window(seen: Seen) -> None:
    document = seen.read.document
    assert max(word.stop - word.start for word in document.words) > 24
    whole = record.AttentionRecord("m", "native", False, document, seen.read.whole)
    near(seen.found("words")["cells"], in_words(whole).weights)


def test_regions_are_parts_of_the_document(seen: Seen) -> None:
    document, units = seen.read.document, seen.units["regions"]
    assert isinstance(units, UnitsAndRegions)
    whole = in_words(record.AttentionRecord("m", "native", False, document, seen.read.whole)).weights
    for layer, head in np.ndindex(whole.shape[:2]):
        found = units.kept(layer, head)
        assert len(found) == 4
        for each in found:
            part = whole[layer, head, each.query :, each.key :][: each.weights.shape[0], : each.weights.shape[1]]
            np.testing.assert_allclose(each.weights, part, rtol=1e-6, atol=1e-7)


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
def test_figures_of_heads_are_of_the_windows_rows(seen: Seen, some: bool) -> None:
    document, stats = seen.read.document, seen.sums["some" if some else "all"]
    special, comma = marks_of(document)
    rows = [
        (weights[:, :, row].astype(np.float64), row, window.positions)
        for window, weights in zip(seen.read.windows, seen.read.each, strict=True)
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
