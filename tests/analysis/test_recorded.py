"""What is read of a record without torch is what its replay finds."""

from __future__ import annotations

import numpy as np
import pytest

from attnviz.analysis.text.observing import replay
from attnviz.analysis.text.recorded import read_record
from attnviz.analysis.text.roles import roles_in_text
from attnviz.analysis.text.summary import summarise
from attnviz.record import AttentionRecord, Heads, Request
from tests.records import cross_record, random_weights, record

WORDS = ["[CLS]", "The", "bank", "approved", ("loans", ["loan", "##s"]), "of", "a", "company", ".", "[SEP]"]
LONG = [f"word{i}" for i in range(120)]


def windowed(n: int, left: int) -> AttentionRecord:
    weights = random_weights((2, 3, n), causal=True)
    weights *= ~np.tri(n, k=-left - 1, dtype=bool)
    return record([f"w{i}" for i in range(n)], weights / weights.sum(-1, keepdims=True), causal=True)


RECORDS = {
    "words": record(WORDS, random_weights((2, 3, 11))),
    "causal": record(WORDS[1:8], random_weights((2, 3, 8), causal=True), causal=True),
    "a window": windowed(30, 7),
    "some layers": record(WORDS, random_weights((2, 3, 11), dtype="float64"), numbers=(1, 4)),
    "two texts": cross_record(WORDS, WORDS[1:5], random_weights((2, 3, 11, 5))),
    "long": record(LONG, random_weights((2, 2, 120))),
    "one": record(["bank"], random_weights((1, 2, 1))),
}


@pytest.mark.parametrize("name", RECORDS)
@pytest.mark.parametrize("unit", ["word", "token"])
@pytest.mark.parametrize("asked", ["plain", "special", "everything"])
def test_a_record_is_read_as_it_is_replayed(name: str, unit: str, asked: str) -> None:
    attention = RECORDS[name]
    request = Request(unit=unit, special=asked == "special", everything=asked == "everything")  # type: ignore[arg-type]
    found, observation = read_record(attention, request), replay(attention, request)
    summary = summarise(observation)
    for figure, values in observation.figures.items():
        np.testing.assert_allclose(found.figures[figure], values, atol=1e-9, err_msg=figure)
    np.testing.assert_allclose(found.overview, summary.overview, atol=1e-12)
    assert [link[:6] for link in map(_fields, found.pairs)] == [link[:6] for link in map(_fields, summary.links)]
    assert [found.layer_numbers[layer] for layer, _ in found.opened] == [head.layer for head in summary.maps]
    assert [head for _, head in found.opened] == [head.head for head in summary.maps]
    assert roles_in_text(found) == roles_in_text(observation)


def _fields(link: object) -> tuple[object, ...]:
    return tuple(vars(link).values())


def test_positional_heads_do_not_count() -> None:
    weights = random_weights((1, 2, 40))
    weights[0, 1] = 0.0025
    weights[0, 1, np.arange(1, 40), np.arange(39)] = 0.9
    weights[0, 1] /= weights[0, 1].sum(-1, keepdims=True)
    attention = record([f"word{i}" for i in range(40)], weights)
    found = read_record(attention, Request())
    assert np.isnan(found.overview[0, 1])
    assert {link.head for link in found.pairs} == {0}
    assert read_record(attention, Request(heads=Heads((0,), (1,)))).opened == [(0, 1)]
