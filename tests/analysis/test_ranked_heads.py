"""The heads of a text in an order."""

from __future__ import annotations

import numpy as np
import pytest

from attnviz.analysis.text.ranked_heads import Order, links_that_count, rank_heads, strongest_links
from attnviz.analysis.text.replaying import replay
from attnviz.analysis.text.summary import summarise
from attnviz.record import Request
from tests.records import peaked, query_mask, random_weights, record

WORDS = ["[CLS]", "The", "bank", "approved", "the", "loan", "quickly", "[SEP]"]
PEAKS = {(0, 0, 2, 5): 0.6, (0, 1, 5, 2): 0.8, (1, 0, 2, 3): 0.3, (1, 1, 2, 5): 0.9}


@pytest.mark.parametrize("rank", ["weight", "lift"])
def test_the_strongest_link_of_each_head_is_found(rank: str) -> None:
    found = replay(record(WORDS, peaked((2, 2, 8), PEAKS)), Request(rank=rank))  # type: ignore[arg-type]
    summary = summarise(found)
    links = strongest_links(links_that_count(found, summary.units), summary.units)
    said = [[(link.query, link.key) for link in row if link] for row in links]
    assert said == [[("bank", "loan"), ("loan", "bank")], [("bank", "approved"), ("bank", "loan")]]
    assert all((link.lift is None) == (rank == "weight") for row in links for link in row if link)


def test_those_of_a_word_are_the_same_as_among_all_and_have_its_number() -> None:
    found = replay(record(WORDS, random_weights((2, 3, 8))), Request(rank="lift"))
    units = summarise(found).units
    every = links_that_count(found, units)
    for query in (2, 5):
        alone = links_that_count(found, units, query)
        assert np.array_equal(alone.kept.weights[:, :, 0], every.kept.weights[:, :, query])
        assert alone.lifts is not None
        assert every.lifts is not None
        assert np.allclose(alone.lifts.weights[:, :, 0], every.lifts.weights[:, :, query])
        assert {link.query_index for row in strongest_links(alone, units) for link in row if link} == {query}


@pytest.mark.parametrize(("order", "first"), [
    ("layer", (0, 0)), ("link", (1, 1)), ("entropy", (1, 0)), ("role", (1, 0)), ("sink", (1, 1)),
])  # fmt: skip
def test_orders(order: Order, first: tuple[int, int]) -> None:
    weights = peaked((2, 2, 8), {(0, 0, 2, 5): 0.6, (0, 1, 5, 2): 0.5, (1, 1, 2, 5): 0.9, (1, 1, 3, 5): 0.3})
    weights[1, 0] = query_mask(-1, 8)  # looks at the word before: positional, with no entropy; it does not count
    weights[1, 1, :2], weights[1, 1, 4:] = np.eye(8)[0], np.eye(8)[0]  # its sink takes the most
    found = replay(record(WORDS, weights), Request())
    summary = summarise(found)
    ranked = rank_heads(
        found, summary.heads, strongest_links(links_that_count(found, summary.units), summary.units), order
    )
    assert (ranked[0].layer, ranked[0].head) == first
    assert len({(each.layer, each.head) for each in ranked}) == 4
    if order == "link":
        assert (ranked[-1].layer, ranked[-1].head) == (1, 0)
        assert "positional" in ranked[-1].roles
