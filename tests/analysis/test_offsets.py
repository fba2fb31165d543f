"""Heads that look at one offset from half of many queries, or from 60 % of few:
their links there are left out, and no others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from attnviz.analysis.text import offsets
from attnviz.analysis.text.kept import without
from attnviz.analysis.text.long_range import LISTED
from attnviz.analysis.text.offsets import DominantOffset, dominant_offset_heads, dominant_offsets, positional_heads
from attnviz.analysis.text.replaying import replay
from attnviz.analysis.text.summary import summarise
from attnviz.interface import load
from attnviz.record import AttentionRecord, Request, Top
from tests.analysis import whole
from tests.analysis.test_observation import TEXT, assert_equal
from tests.analysis.whole import best_heads, in_tokens, in_words, select, strongest, top_attended
from tests.records import Array, query_mask, random_weights, record, summary_of


def half(offset: int, n: int, share: float) -> Array:
    """A head that looks ``offset`` away from the first ``share`` of its queries, and elsewhere from the others."""
    weights = random_weights((1, 1, n), seed=5)[0, 0]
    rows = int(n * share)
    weights[:rows] = query_mask(offset, n)[:rows]
    return weights


def long_record(*heads: Array) -> AttentionRecord:
    n = heads[0].shape[-1]
    return record([f"w{i}" for i in range(n)], np.stack(heads)[None])


@pytest.mark.parametrize(
    ("share", "n", "expected"),
    [
        (0.6, 120, True),
        (0.45, 120, False),
        (0.97, 120, False),
        (0.55, 99, False),
        (0.65, 99, True),
        (0.9, 20, True),
        (0.5, 20, False),
        (0.8, 5, False),
    ],
)
def test_an_offset_is_dominant_where_half_of_many_queries_look_at_it_or_more_of_few(
    share: float, n: int, expected: bool
) -> None:
    found = dominant_offset_heads(replay(long_record(half(-3, n, share), random_weights((1, 1, n))[0, 0])))
    assert [(it.layer, it.head, it.offset) for it in found] == ([(0, 0, -3)] if expected else [])
    if found:
        assert found[0].share == pytest.approx(share - 3 / n, abs=0.08)  # three rows have no such key
    assert bool(positional_heads(replay(long_record(half(-3, n, share))))) == (share > 0.9)


@pytest.mark.parametrize("offset", [-2, -1, 1, 2])
def test_words_look_from_their_first_token_or_ahead_from_their_last(offset: int) -> None:
    words = ["a1", ("b1", ["b", "##1"]), ("c1", ["c", "##", "##1"]), "d1"]
    attention = record(words, random_weights((1, 1, 7)))  # a1 | b1 b1 | c1 c1 c1 | d1
    expected = {-2: [-1, -1, 1, 2], -1: [-1, 0, 1, 2], 1: [1, 2, 3, -1], 2: [1, 2, -1, -1]}
    head = offsets.Positional(0, 0, offset, 0.6)
    (found,) = dominant_offsets([head], in_words(attention), attention.encoding)
    assert found.keys.tolist() == expected[offset]
    (found,) = dominant_offsets([head], in_tokens(attention), attention.encoding)
    assert found.keys.tolist() == [i + offset if 0 <= i + offset < 7 else -1 for i in range(7)]


def test_links_at_the_offset_are_left_out_and_others_of_the_head_are_not() -> None:
    weights = half(-1, 120, 0.6)
    weights[100] = query_mask(-50, 120)[100]
    attention = long_record(weights, random_weights((1, 1, 120))[0, 0] * 0.5)
    summary = summary_of(attention, links=20)
    assert [(head.head, head.offset) for head in summary.dominant] == [(0, -1)]
    assert (summary.links[0].query_index, summary.links[0].key_index, summary.links[0].head) == (100, 50, 0)
    assert not [link for link in summary.links if link.head == 0 and link.key_index == link.query_index - 1]
    assert not [
        it for row in summary.attended for it in row.best if it.head == 0 and it.key_index == it.query_index - 1
    ]
    assert summary.overview[0, 0] == 1
    everything = summary_of(attention, links=20, everything=True)
    assert everything.dominant == []
    assert {link.query_index - link.key_index for link in everything.links} & {1}


def test_without_its_dominant_offset_a_head_has_the_strength_of_its_other_links() -> None:
    weights = np.full((1, 2, 3, 3), 0.25, np.float32)
    weights[0, 1] = [[0.5, 0.25, 0.25], [0.75, 0.125, 0.125], [0.25, 0.625, 0.125]]
    selection = select(in_words(record(["a1", "b1", "c1"], weights)), causal=False)
    dominant = DominantOffset(0, 1, np.array([-1, 0, 1]))
    found = offsets_of(selection, dominant)
    assert found.strength.tolist() == [[0.25, 0.25]]
    best, heads = best_heads(weights, np.ones((1, 2), bool), [dominant])
    assert (best[1, 0], heads[1, 0], best[2, 0], heads[0, 0]) == (0.25, 0, 0.25, 1)
    assert weights[0, 1, 1, 0] == 0.75
    assert len(strongest(found, 9)) == 6
    assert top_attended(found, [1], 1)[0].best[0].weight == 0.25


def offsets_of(selection: Any, dominant: DominantOffset) -> Any:
    from dataclasses import replace

    return replace(selection, dominant_offsets=[dominant])


def test_kept_links_lose_those_at_the_offset() -> None:
    top = Top(np.array([[[[0.5, 0.25], [0.75, 0.125]]]]), np.array([[[[1, 0], [0, 1]]]], np.int32))
    found = without(top, np.ones(2, bool), [DominantOffset(0, 0, np.array([-1, 0]))])
    assert found.weights.tolist() == [[[[0.5, 0.25], [0, 0.125]]]]
    assert without(top, np.array([False, True]), []).weights.tolist() == [[[[0, 0], [0.75, 0.125]]]]
    later = without(top, np.ones(2, bool), [DominantOffset(0, 0, np.array([5, 6, 1, 1]))], first=2)
    assert later.weights.tolist() == [[[[0, 0.25], [0.75, 0]]]]
    assert without(top, np.ones(2, bool), []) is top


@pytest.mark.parametrize("options", [{}, {"unit": "token"}, {"special": True}, {"passage": "had strong financials"}])
@pytest.mark.parametrize("name", ["bert", "llama"])
def test_a_survey_leaves_out_the_same(
    name: str, options: dict[str, Any], tiny_bert: Path, tiny_llama: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(offsets, "DOMINANT", 0.05)
    monkeypatch.setattr(offsets, "MANY_QUERIES", 6)
    model = load(tiny_bert if name == "bert" else tiny_llama)
    naive = whole.summarise(model.attend(TEXT, generate=4 if name == "llama" else None), Request(links=60, **options))  # type: ignore[arg-type]
    observation = model.observe(TEXT, generate=4 if name == "llama" else None, links=60, **options)
    found = summarise(observation, links=60)
    assert len(naive.dominant) > 2
    assert found.dominant == naive.dominant
    assert_equal(naive, found)
    for band, expected in zip(found.long_range, by_bands(naive), strict=True):
        ours = [(it.link.query_index, it.link.key_index, it.link.layer, it.link.head) for it in band.links]
        assert ours == [link[:4] for link in expected[:LISTED]]
    # Of links that are weaker than all that was kept nobody knows, and none is shown that is not among the strongest.
    few = summarise(model.observe(TEXT, generate=4 if name == "llama" else None, top=1, links=1, **options))
    by_edge = dict(zip([band.near for band in found.long_range], by_bands(naive), strict=True))
    for band in few.long_range:
        expected = by_edge[band.near]
        ours = [(it.link.query_index, it.link.key_index, it.link.layer, it.link.head) for it in band.links]
        assert ours == [link[:4] for link in expected[: len(ours)]]


def by_bands(found: whole.Whole) -> list[list[tuple[int, int, int, int, float]]]:
    """The links of each band of distances, each pair in its best head: those that no head has at its offset."""
    units: Any = found.units
    apart = abs(np.subtract.outer(np.arange(len(found.query_mask)), np.arange(len(found.key_mask))))
    best, heads = best_heads(
        units.weights, found.heads, dominant_offsets(found.dominant, units, found.attention.encoding)
    )
    counted = np.outer(found.query_mask, found.key_mask)
    bands = []
    for near, far in ((1, 10), (10, 100)):
        pairs = np.argwhere(counted & (apart >= near) & (apart < far) & (best > 0)).tolist()
        order = sorted(pairs, key=lambda pair: (-best[tuple(pair)], pair))
        bands.append([(q, k, *divmod(int(heads[q, k]), units.weights.shape[1]), float(best[q, k])) for q, k in order])
    return [band for band in bands if band]
