"""A record is replayed by numpy, with the values that the same definitions have in torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch

from attnviz.analysis.text import replaying
from attnviz.analysis.text.replaying import replay, with_other_maps, with_pairs
from attnviz.analysis.text.roles import roles_in_text
from attnviz.analysis.text.summary import summarise
from attnviz.attention.tile import Tile
from attnviz.encoding import Encoding
from attnviz.errors import UsageError
from attnviz.record import AttentionRecord, Crop, Heads, Observation, Pairs, Record, Request, Spread, Unit
from tests.records import cross_record, random_weights, record, three_maps

WORDS = ["[CLS]", "The", "bank", "approved", ("loans", ["loan", "##s"]), "of", "a", "company", ".", "[SEP]"]
SENTENCES = ["The", "bank", "gave", ("loans", ["loan", "##s"]), ".", "It", "was", "a", "company", "!", "We", "saw", "."]


def windowed(n: int, left: int) -> AttentionRecord:
    weights = random_weights((2, 3, n), causal=True)
    weights *= ~np.tri(n, k=-left - 1, dtype=bool)
    return record([f"w{i}" for i in range(n)], weights / weights.sum(-1, keepdims=True), causal=True)


def habitual(n: int) -> AttentionRecord:
    """One head looks at the token before from all words, one from most; a third at anything."""
    weights = random_weights((1, 3, n))
    for head, last in ((1, n), (2, 2 * n // 3)):
        weights[0, head, np.arange(1, last), np.arange(last - 1)] = 0.9
    return record([f"word{i}" for i in range(n)], weights / weights.sum(-1, keepdims=True))


RECORDS: dict[str, Record] = {
    "words": record(WORDS, random_weights((2, 3, 11))),
    "causal": record(WORDS[1:8], random_weights((2, 3, 8), causal=True), causal=True),
    "half": record(WORDS, random_weights((2, 3, 11)).astype(np.float16)),
    "a window": windowed(30, 7),
    "some layers": record(WORDS, random_weights((2, 3, 11), dtype="float64"), numbers=(0, 4)),
    "two texts": cross_record(WORDS, WORDS[1:5], random_weights((2, 3, 11, 5))),
    "three maps": three_maps(WORDS, WORDS[1:6]),
    "generated": record(SENTENCES, random_weights((2, 3, 14), causal=True), causal=True, generated=5),
    "sentences": record(SENTENCES, random_weights((2, 3, 14))),
    "long": habitual(150),
    "equal": record(WORDS, np.full((2, 3, 11, 11), 1 / 11, np.float32)),
    "one": record(["bank"], random_weights((1, 2, 1))),
}
UNITS: tuple[Unit, ...] = ("token", "word", "sentence")
ASKED: dict[str, Request] = {
    **{f"{unit}s": Request(unit=unit, top=2, links=5) for unit in UNITS},
    **{f"special {unit}s": Request(unit=unit, special=True) for unit in UNITS},
    **{f"all {unit}s": Request(unit=unit, everything=True) for unit in UNITS},
    **{f"from a word in {unit}s": Request(unit=unit, words=("bank",), heads=Heads((0,))) for unit in UNITS},
    **{f"from a passage in {unit}s": Request(unit=unit, passage="bank") for unit in UNITS},
    **{f"from what was generated in {unit}s": Request(unit=unit, passage="generated") for unit in UNITS},
    **{f"{unit}s, per token": Request(unit=unit, per_token=True, special=True) for unit in UNITS},
    "pooled": Request(size=4),
    "cropped": Request(unit="token", crop=Crop((1, 4), (0, 3)), special=True),
}


def replay_in_torch(attention: Record, request: Request, monkeypatch: pytest.MonkeyPatch) -> Observation:
    with monkeypatch.context() as patch:
        patch.setattr(replaying, "Tile", lambda *given: Tile(*given[:3], torch.from_numpy(given[3]), *given[4:]))
        return replay(attention, request)


def assert_equal(ours: Any, theirs: Any, path: str = "") -> None:
    """Of equal weights each is the same link."""
    assert type(ours) is type(theirs), path
    if isinstance(ours, np.ndarray):
        assert ours.dtype == theirs.dtype, path
        if ours.dtype.kind == "f":
            close = 1e-6 if ours.dtype == np.float32 else 1e-12
            np.testing.assert_allclose(ours, theirs, rtol=close, atol=close, err_msg=path)
        else:
            np.testing.assert_array_equal(ours, theirs, err_msg=path)
    elif is_dataclass(ours) and not isinstance(ours, Encoding | Request | AttentionRecord):
        for field in fields(ours):
            assert_equal(getattr(ours, field.name), getattr(theirs, field.name), f"{path}.{field.name}")
    elif isinstance(ours, Mapping):
        assert list(ours) == list(theirs), path
        for name in ours:
            assert_equal(ours[name], theirs[name], f"{path}[{name}]")
    elif isinstance(ours, list):
        assert len(ours) == len(theirs), path
        for number, pair in enumerate(zip(ours, theirs, strict=True)):
            assert_equal(*pair, f"{path}[{number}]")
    elif isinstance(ours, float):
        assert ours == pytest.approx(theirs, rel=1e-9), path
    else:
        assert ours == theirs, path


@pytest.mark.parametrize("asked", ASKED)
@pytest.mark.parametrize("name", RECORDS)
def test_a_record_is_replayed_as_by_torch(name: str, asked: str, monkeypatch: pytest.MonkeyPatch) -> None:
    attention, request = RECORDS[name], ASKED[asked]
    expected = found_or_refused(lambda: replay_in_torch(attention, request, monkeypatch))
    found = found_or_refused(lambda: replay(attention, request))
    assert_equal(found, expected)
    if isinstance(found, Observation) and isinstance(expected, Observation):
        summary, other = summarise(found), summarise(expected)
        assert_equal([vars(link) for link in summary.links], [vars(link) for link in other.links])
        assert roles_in_text(found) == roles_in_text(expected)


def found_or_refused(replayed: Callable[[], Observation]) -> Observation | str:
    """What is found, or why nothing is: a text lacks what is asked for."""
    try:
        return replayed()
    except UsageError as error:
        return str(error)


@pytest.mark.parametrize("request_", ["words", "from a passage in sentences", "sentences, per token", "pooled"])
@pytest.mark.parametrize("name", ["causal", "two texts", "long", "generated"])
def test_records_of_any_size_have_the_same_values(name: str, request_: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Large ones are read head by head, and what is kept of them is float32."""
    attention = RECORDS[name]
    request = Request(size=40) if (name, request_) == ("long", "pooled") else ASKED[request_]
    if name != "generated" and "bank" not in "".join(attention.encoding.tokens):  # type: ignore[union-attr]
        request = Request(size=request.size)
    small = replay(attention, request)
    monkeypatch.setattr(replaying, "FEW", 0)
    monkeypatch.setattr(replaying, "_TOGETHER", 1)
    large = replay(attention, request)
    assert large.links.weights.dtype == np.float32
    np.testing.assert_array_equal(large.links.keys, small.links.keys)
    np.testing.assert_allclose(large.links.weights, small.links.weights, rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(large.maps.values, small.maps.values, rtol=1e-6, atol=1e-7)
    for figure, values in small.figures.items():
        np.testing.assert_allclose(large.figures[figure], values, rtol=1e-6, atol=1e-6, err_msg=figure)


def test_the_maps_of_an_encoder_decoder_come_with_the_one_that_was_asked_for() -> None:
    made = three_maps(WORDS, WORDS[1:6])
    found = with_other_maps(replay(made, Request(map="decoder", words=("bank",), heads=Heads((1,), (2,)))))
    assert [each.kind for each in found] == ["encoder", "cross", "decoder"]
    assert [each.request.words for each in found] == [(), (), ("bank",)]
    single = replay(RECORDS["words"])
    assert with_other_maps(single) == [single]


def test_positional_heads_do_not_count() -> None:
    found = replay(RECORDS["long"])
    summary = summarise(found)
    assert np.isnan(summary.overview[0, 1])
    assert {link.head for link in summary.links} <= {0, 2}
    assert [head.head for head in summary.positional] == [1]
    assert [head.head for head in summary.dominant] == [2]


@pytest.mark.parametrize("unit", ["word", "token"])
@pytest.mark.parametrize("pairs", [Pairs(("bank",), ("loans",)), Pairs((), ("loans",)), Spread()])
def test_pairs_that_are_asked_for_later_are_as_if_asked_for_at_once(pairs: Pairs | Spread, unit: Unit) -> None:
    found, request = record(WORDS, random_weights((2, 3, len(WORDS) + 1))), Request(rank="lift", unit=unit)
    if unit == "token" and pairs != Spread():
        pairs = Pairs(("bank",), ("loan",))
    later, usual = with_pairs(replay(found, request), pairs), replay(found, replace(request, pairs=pairs)).usual
    assert later.usual is not None
    assert usual is not None
    for name in ("received", "diagonals", "from_", "to", "rows", "columns", "many", "pairs", "even"):
        assert np.allclose(getattr(later.usual, name), getattr(usual, name), atol=1e-12), name
    assert later.request.pairs == pairs


def test_pairs_can_only_be_asked_for_later_where_what_is_usual_is_known() -> None:
    found = replay(record(["The", "bank", "lent"], random_weights((1, 2, 3))), Request())
    with pytest.raises(LookupError):
        with_pairs(found, Pairs(("bank",)))
