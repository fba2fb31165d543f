"""Links between chosen words, held to plain loops over all weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from attnviz.analysis.text.find import find_links
from attnviz.analysis.text.replaying import replay
from attnviz.analysis.text.units import reading_of
from attnviz.errors import UsageError
from attnviz.interface import Model
from attnviz.record import AttentionRecord, Crop, Observation, Pairs, Request, Unit
from attnviz.render.values import formatted
from tests.records import cross_record, random_weights, record

WORDS = ["[CLS]", "The", "bank", "approved", ("loans", ["loan", "##s"]), "of", "the", "bank", ".", "[SEP]"]
RECORDS = {
    "both ways": record(WORDS, random_weights((2, 3, 11), dtype="float64")),
    "causal": record(WORDS[1:9], random_weights((2, 3, 9), causal=True, dtype="float64"), causal=True),
    "some layers": record(WORDS, random_weights((2, 3, 11), dtype="float64"), numbers=(0, 4)),
}


def looked_for(attention: AttentionRecord, unit: Unit = "word", **pairs: tuple[str, ...]) -> Observation:
    return replay(attention, Request(unit=unit, special=True, pairs=Pairs(**pairs)))


def in_units(a: np.ndarray, starts: np.ndarray) -> np.ndarray:
    ends = np.append(starts[1:], len(a))
    sums = np.stack([a[:, start:end].sum(1) for start, end in zip(starts, ends, strict=True)], 1)
    return np.stack([sums[start:end].mean(0) for start, end in zip(starts, ends, strict=True)])


def naive(attention: AttentionRecord, unit: Unit, layer: int, head: int, q: int, k: int) -> dict[str, float]:
    """One link's figures, by loops over the words."""
    starts = reading_of(looked_for(attention, unit, from_=(), to=("bank",))).queries.starts
    weights = np.asarray(attention.weights[layer, head], float)
    a, n = in_units(weights, starts), len(starts)
    ends = np.append(starts[1:], len(weights))
    seen = [[j <= i or not attention.causal for j in range(n)] for i in range(n)]
    key = [a[i, k] for i in range(n) if i != q and seen[i][k]]
    apart = [a[i, i - (q - k)] for i in range(n) if 0 <= i - (q - k) < n and i != q and seen[i][i - (q - k)]]
    tokens = range(starts[q], ends[q])
    even = np.mean([1 / ((token + 1) if attention.causal else len(weights)) for token in tokens])
    even *= ends[k] - starts[k]
    key_mean, distance_mean = (float(np.mean(values)) if values else 0.0 for values in (key, apart))
    lifts = a[q, k] / max(key_mean, even), a[q, k] / max(distance_mean, even)
    return {
        "weight": a[q, k], "key_mean": key_mean, "distance_mean": distance_mean, "key_lift": lifts[0],
        "distance_lift": lifts[1], "lift": min(lifts), "mean_lift": float(np.sqrt(lifts[0] * lifts[1])),
    }  # fmt: skip


@pytest.mark.parametrize("unit", ["word", "token"])
@pytest.mark.parametrize("name", RECORDS)
def test_every_figure_is_that_of_plain_loops(name: str, unit: Unit) -> None:
    attention = RECORDS[name]
    table = find_links(looked_for(attention, unit, from_=("bank",), to=()))
    assert len(table) >= 18
    for row in table.rows():
        layer = attention.layer_numbers.index(row["layer"])
        expected = naive(attention, unit, layer, row["head"], row["query_index"], row["key_index"])
        assert {each: row[each] for each in expected} == pytest.approx(expected, rel=1e-9), row


def test_both_directions_and_all_occurrences_are_listed_once_for_each_head() -> None:
    table = find_links(looked_for(RECORDS["both ways"], from_=("bank",), to=("loans",)))
    found = {(row["query"], row["key"]) for row in table.rows()}
    assert found == {("bank:1", "loans"), ("bank:2", "loans"), ("loans", "bank:1"), ("loans", "bank:2")}
    assert len(table) == 4 * 6
    assert any("occurs 2 times" in note for note in table.notes)
    assert len(find_links(looked_for(RECORDS["both ways"], from_=("bank:2",), to=("loans",)), both=False)) == 6


def test_the_other_side_gives_the_same_link() -> None:
    rows: list[list[dict[str, Any]]] = []
    for pairs in (
        {"from_": ("bank:1",), "to": ("loans",)},
        {"from_": (), "to": ("loans",)},
        {"from_": ("bank:1",), "to": ()},
    ):
        found = find_links(looked_for(RECORDS["both ways"], **pairs), both=False)
        rows.append([row for row in found.rows() if (row["query"], row["key"]) == ("bank:1", "loans")])
    assert rows[0] == rows[1] == rows[2]
    assert len(rows[0]) == 6


def test_several_words_are_one_query_or_one_key() -> None:
    attention = RECORDS["both ways"]
    table = find_links(looked_for(attention, from_=("the bank",), to=("approved loans",)), both=False)
    a = in_units(np.asarray(attention.weights[0, 0], float), np.array([0, 1, 2, 3, 4, 6, 7, 8, 9, 10]))
    rows = {row["query"]: row for row in table.rows() if (row["layer"], row["head"]) == (0, 0)}
    assert set(rows) == {"the bank:1", "the bank:2"}
    assert rows["the bank:1"]["weight"] == pytest.approx(a[1:3, 3:5].sum(1).mean())
    assert rows["the bank:2"]["weight"] == pytest.approx(a[6:8, 3:5].sum(1).mean())
    others = [a[i, 3:5].sum() for i in range(10) if i not in (1, 2)]
    assert rows["the bank:1"]["key_mean"] == pytest.approx(np.mean(others))


def test_a_pattern_matches_whole_words() -> None:
    table = find_links(looked_for(RECORDS["both ways"], from_=("/ba.k/",), to=("/the|of/",)), both=False)
    assert {row["key"] for row in table.rows()} == {"The:1", "the:2", "of"}
    for pattern, message in (("/zebra/", "no word of the text matches"), ("/(/", "is no regular expression")):
        with pytest.raises(UsageError, match=message):
            looked_for(RECORDS["both ways"], from_=(pattern,), to=())


def test_between_two_texts_there_is_no_distance() -> None:
    attention = cross_record(WORDS, WORDS[1:5], random_weights((2, 3, 11, 5), dtype="float64"))
    observation = replay(attention, Request(pairs=Pairs(("bank:1",), ("loans",))))
    table = find_links(observation)
    assert len(table) == 6
    assert [each.name for each in table.columns if each.shown][-3:] == ["weight", "lift", "key_mean"]
    assert (table["lift"] == table["key_lift"]).all()
    assert find_links(observation, rank="key_lift").column("key_lift").shown
    assert "distance" not in "".join(table.notes)
    with pytest.raises(UsageError, match="between two texts there is no distance"):
        find_links(observation, rank="distance_lift")
    with pytest.raises(UsageError, match="the source text has no word 'zebra'"):
        replay(attention, Request(pairs=Pairs((), ("zebra",))))
    with pytest.raises(UsageError, match="`rows` or `cols` are given"):
        Request(pairs=Pairs(("bank",), ()), crop=Crop(rows=(1, 3)))


@pytest.mark.parametrize("side", ["from_", "to"])
def test_of_many_occurrences_as_many_are_ranked_as_there_is_room_for(
    monkeypatch: pytest.MonkeyPatch, side: str
) -> None:
    long = record(["the", "bank"] * 40, random_weights((2, 3, 80), dtype="float64"))
    monkeypatch.setattr("attnviz.analysis.text.usual._ROOM", 0)
    named = {"from_": (), "to": ()} | {side: ("the",)}
    table = find_links(looked_for(long, **named))
    assert len({row["query" if side == "from_" else "key"] for row in table.rows()}) == 8
    assert any("occurs 40 times, more than there is room for: 8 of them" in note for note in table.notes)


def test_negative_numbers_have_a_minus_whatever_they_are() -> None:
    shown = [formatted(-0.1234, kind) for kind in ("number", "weight", "score", "change", "part", "share")]
    assert shown == ["−0.123", "−0.12", "−0.12", "−0.123", "−12.3%", "−12.3%"]
    assert [formatted(value, "number") for value in (6.84e-05, -2e-13, 1234567.0)] == ["6.84e−5", "−2e−13", "1.23e6"]


def test_a_small_weight_is_not_shown_as_nothing() -> None:
    shown = [formatted(value, "weight") for value in (0.0, 0.00001, 0.0042, 0.0051, 0.3)]
    assert shown == ["0.00", "<0.0001", "0.0042", "0.01", "0.30"]


def test_of_many_pairs_those_with_the_largest_weights_are_ranked(monkeypatch: pytest.MonkeyPatch) -> None:
    def found(unit: Unit = "word") -> Any:
        return find_links(looked_for(RECORDS["both ways"], unit, from_=("bank",), to=()), rank="weight")

    every = list(found().rows())
    monkeypatch.setattr("attnviz.analysis.text.find.MOST", 3)
    few = found()
    pairs = list(dict.fromkeys((row["query"], row["key"]) for row in every))[:3]
    assert list(few.rows()) == [row for row in every if (row["query"], row["key"]) in pairs]
    assert any("pairs of words the 3 with the largest weights" in note for note in few.notes)


def test_both_directions_keep_the_rows_and_columns_of_the_side_with_fewer_units() -> None:
    sides = {"from_": ("the",), "to": ("loans",)}
    for side in (sides, dict(zip(sides, reversed(sides.values()), strict=True))):
        observation = looked_for(RECORDS["both ways"], **side)
        assert observation.usual is not None
        assert observation.usual.rows.shape[2] == observation.usual.columns.shape[3] == 1
        assert len(find_links(observation)) == 4 * 6


def test_what_a_reader_sees_as_one_word_may_be_several_units(tiny_model: Model) -> None:
    def names(text: str, wanted: str, unit: Unit = "word") -> set[str]:
        found = tiny_model.observe(text, request=Request(unit=unit, pairs=Pairs((wanted,), ())))
        return {row["query"] for row in find_links(found).rows()}

    assert names("The bank and/or the river.", "and/or") == {"and/or"}
    assert names("The loans of the loans", "loans", "token") == {"loans:1", "loans:2"}
    with pytest.raises(UsageError, match="the text has no word 'zebra'"):
        names("The bank and/or the river.", "zebra")


def test_what_a_word_gives_itself_is_not_ranked() -> None:
    with pytest.raises(UsageError, match="what a word gives itself is not ranked"):
        find_links(looked_for(RECORDS["both ways"], from_=("loans",), to=("loans",)))


def test_a_causal_model_never_sees_what_comes_later() -> None:
    with pytest.raises(UsageError, match="no head sees a link"):
        find_links(looked_for(RECORDS["causal"], from_=("approved",), to=("loans",)), both=False)
    back = find_links(looked_for(RECORDS["causal"], from_=("approved",), to=("loans",)))
    assert {row["query"] for row in back.rows()} == {"loans"}


@pytest.mark.parametrize("unit", ["word", "token"])
def test_observed_and_kept_say_the_same(tiny_model: Model, unit: Unit) -> None:
    text = "The bank approved the loan because the company had strong financials."
    asked = Request(unit=unit, pairs=Pairs(("bank",), ("loan",)))
    kept, observed = (
        find_links(found)
        for found in (tiny_model.inspect(text, request=asked), tiny_model.observe(text, request=asked))
    )
    order = [np.lexsort((table["head"], table["layer"], table["query"])) for table in (kept, observed)]
    for column in ("weight", "key_mean", "distance_mean", "lift"):
        np.testing.assert_allclose(kept[column][order[0]], observed[column][order[1]], rtol=1e-4, atol=1e-6)


def test_a_table_is_a_frame_and_arrow_and_ranked(tiny_model: Model) -> None:
    table = tiny_model.attend("The bank approved the loan.").find("bank", "loan", rank="weight")
    frame = table.to_pandas()
    assert list(frame.columns) == [column.name for column in table.columns]
    assert frame["weight"].is_monotonic_decreasing
    pa = pytest.importorskip("pyarrow")
    assert pa.table(table).to_pydict()["weight"] == frame["weight"].tolist()
    assert "Which heads take 'bank' to 'loan'?" in repr(table)
    assert "<script" not in table._repr_html_()
    with pytest.raises(UsageError, match="there is no column 'wieght'") as error:
        table["wieght"]
    assert "Did you mean weight?" in error.value.hint


def test_a_model_finds_and_compares_in_texts_without_a_record(tiny_model: Model) -> None:
    texts = "The bank approved the loan.", "The bank refused the loan."
    one, other = (tiny_model.attend(text) for text in texts)
    for ours, theirs in (
        (tiny_model.find(texts[0], "bank", "loan"), one.find("bank", "loan")),
        (tiny_model.compare(*texts, word="bank"), one.compare(other, "bank")),
    ):
        assert ours.to_pandas().equals(theirs.to_pandas())
    with pytest.raises(UsageError, match="no words are given"):
        tiny_model.find(texts[0])
