"""The difference between two texts or models, held to plain loops over all weights."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon

from attnviz.analysis.text.compare import beside, compare
from attnviz.analysis.text.compared_rows import divergence
from attnviz.analysis.text.matching import match_words
from attnviz.analysis.text.replaying import replay
from attnviz.analysis.text.units import reading_of
from attnviz.analysis.text.usual import rows_to_compare
from attnviz.errors import UsageError
from attnviz.interface import Model
from attnviz.record import AttentionRecord, Observation, Request, Spread
from tests.records import cross_record, random_weights, record

ONE = ["[CLS]", "The", "bank", "approved", ("loans", ["loan", "##s"]), ".", "[SEP]"]
OTHER = ["[CLS]", "Today", "the", "bank", "refused", ("loans", ["loan", "##s"]), "again", ".", "[SEP]"]
FIRST = record(ONE, random_weights((2, 3, 8), dtype="float64"))
SECOND = record(OTHER, random_weights((2, 3, 10), seed=1, dtype="float64"))


def both(first: AttentionRecord, second: AttentionRecord, **asked: object) -> tuple[Observation, Observation]:
    one = replay(first, Request(pairs=Spread(), **asked))  # type: ignore[arg-type]
    return one, replay(second, Request(pairs=beside(one), **asked))  # type: ignore[arg-type]


def test_the_same_words_are_paired_first_then_what_stands_in_their_place() -> None:
    assert match_words(["a", "b", "c"], ["A", "B", "C"]) == [(0, 0), (1, 1), (2, 2)]
    assert match_words(["the", "bank", "approved", "it"], ["the", "bank", "refused", "it"]) == [
        (0, 0),
        (1, 1),
        (2, 2),
        (3, 3),
    ]
    assert match_words(["river", "bank"], ["bank", "river"]) == [(0, 1), (1, 0)]
    assert match_words(["a", "a", "b"], ["b", "a", "a", "a"]) == [(0, 1), (1, 2), (2, 0)]
    assert match_words(["x", "y"], ["p", "q", "r"]) == []
    assert match_words([], ["a"]) == []


def test_the_divergence_is_that_of_scipy() -> None:
    p, q = (random_weights((4, 5, 6), seed=seed, dtype="float64") for seed in (1, 2))
    np.testing.assert_allclose(divergence(p, q), jensenshannon(p, q, base=2, axis=-1) ** 2, atol=1e-12)
    assert divergence(np.eye(3), np.eye(3)[::-1]).tolist() == pytest.approx([1, 0, 1])


def test_every_head_is_compared_as_plain_loops_do() -> None:
    ones, others = both(FIRST, SECOND)
    table = compare(ones, others)
    pieces = [[0], [1], [2], [3], [4, 5], [6], [7]], [[0], [1], [2], [3], [4], [5, 6], [7], [8], [9]]
    pairs = [(0, 0), (1, 2), (2, 3), (3, 4), (4, 5), (5, 7), (6, 8)]
    for row in table.rows():
        a, b = (
            np.array(
                [[each.weights[row["layer"], row["head"]][np.ix_(q, k)].sum(1).mean() for k in some] for q in some]
            )
            for each, some in zip((FIRST, SECOND), pieces, strict=True)
        )
        found = []
        for i, j in [(2, 3), (3, 4), (4, 5)]:  # the words that count and have a counterpart
            p = [a[i, m] for m, _ in pairs] + [0, 0]
            q = [b[j, m] for _, m in pairs] + [b[j, 1], b[j, 6]]
            found.append((jensenshannon(p, q, base=2) ** 2, abs(np.subtract(p, q)).sum() / 2))
        assert row["divergence"] == pytest.approx(np.mean([each for each, _ in found]), abs=1e-12)
        assert row["difference"] == pytest.approx(np.mean([each for _, each in found]), abs=1e-12)
        assert row["query"] == ["bank", "approved", "loans"][int(np.argmax([each for each, _ in found]))]
        assert row["change"] == pytest.approx(row["second"] - row["first"], abs=1e-12)
    assert (np.diff(table["divergence"]) <= 0).all()


def test_a_text_compared_with_itself_differs_nowhere() -> None:
    table = compare(*both(FIRST, FIRST))
    assert table["divergence"].max() == table["difference"].max() == 0


def test_permuting_heads_permutes_the_table() -> None:
    order = [2, 0, 1]
    moved = [record(words, each.weights[:, order]) for words, each in ((ONE, FIRST), (OTHER, SECOND))]
    plain, permuted = (
        {(row["layer"], row["head"]): row["divergence"] for row in compare(*both(*given)).rows()}
        for given in ((FIRST, SECOND), moved)
    )
    assert permuted == pytest.approx({(layer, order.index(head)): value for (layer, head), value in plain.items()})


def test_only_a_word_is_compared_and_one_without_counterpart_is_refused() -> None:
    sides = both(FIRST, SECOND)
    assert set(compare(*sides, "bank")["query"]) == {"bank"}
    with pytest.raises(UsageError, match="'Today' has no counterpart"):
        compare(*both(SECOND, FIRST), "Today")
    with pytest.raises(UsageError, match="the first text has no word 'bnak'") as error:
        compare(*sides, "bnak")
    assert "Did you mean bank?" in error.value.hint


def test_models_of_other_shapes_are_compared_at_the_same_depth() -> None:
    small = record(ONE, random_weights((3, 2, 8), seed=3, dtype="float64"))
    deep = record(ONE, np.repeat(small.weights, 2, axis=0)[:, [1, 0, 1]])  # its heads in another order, and one twice
    table = compare(*both(small, deep))
    assert table["divergence"].max() == 0
    pairs = {(row["layer"], row["head"]): (row["other_layer"], row["other_head"]) for row in table.rows()}
    assert pairs[0, 0] == (0, 1)
    assert pairs[2, 1] == (5, 0)
    assert any("relative depth" in note for note in table.notes)
    assert table.column("other_head").shown


def test_two_kinds_of_maps_are_not_compared() -> None:
    crossed = cross_record(ONE, ONE[1:4], random_weights((2, 3, 8, 3), dtype="float64"))
    with pytest.raises(UsageError, match="not of one kind"):
        compare(replay(FIRST, Request(pairs=Spread())), replay(crossed, Request(pairs=Spread())))


def test_of_a_long_text_rows_are_taken_evenly(monkeypatch: pytest.MonkeyPatch) -> None:
    long = record([f"w{i}" for i in range(100)], random_weights((2, 3, 100), dtype="float64"))
    units = reading_of(replay(long))
    assert rows_to_compare(units, Spread(), 10) == [0, 11, 22, 33, 44, 55, 66, 77, 88, 99]
    assert rows_to_compare(units, Spread(), 1000) == list(range(100))
    monkeypatch.setattr("attnviz.analysis.text.usual._ROOM", 0)
    table = compare(*both(long, long))
    assert table["divergence"].max() == 0
    assert "the rows of 8 words" in table.notes[0]
    assert "100 words correspond, more than there is room for" in table.notes[1]


def test_that_nothing_differs_is_said_and_other_heads_are_shown() -> None:
    assert "No row differs in any head." in compare(*both(FIRST, FIRST)).notes
    assert "No row differs in any head." not in compare(*both(FIRST, SECOND)).notes
    assert not compare(*both(FIRST, SECOND)).column("other_head").shown


def test_of_a_long_text_the_words_of_a_short_one_are_compared(
    monkeypatch: pytest.MonkeyPatch, tiny_model: Model
) -> None:
    long, short = "river river bank had a loan of the company because it had it", "The bank had the company."
    monkeypatch.setattr("attnviz.analysis.text.usual._ROOM", 0)
    table = tiny_model.attend(long).compare(tiny_model.attend(short))
    assert "Compared: the rows of 2 words (bank, company)." in table.notes


def test_what_rows_give_to_special_tokens_of_windows_is_said() -> None:
    less = record(ONE, FIRST.weights * 0.75)
    (note,) = (note for note in compare(*both(FIRST, less)).notes if "windows" in note)
    assert note.startswith("Rows of the second text give 25% of their weight")
    assert not any("windows" in note for note in compare(*both(FIRST, FIRST)).notes)


def test_a_word_is_compared_wherever_it_stands_in_a_long_text(monkeypatch: pytest.MonkeyPatch) -> None:
    long = record([f"w{i}" for i in range(100)], random_weights((2, 3, 100), dtype="float64"))
    monkeypatch.setattr("attnviz.analysis.text.usual._ROOM", 0)
    first = replay(long, Request(pairs=Spread(words=("w5",))))
    table = compare(first, replay(long, Request(pairs=beside(first))), "w5")
    assert set(table["query"]) == {"w5"}


def test_observed_and_kept_say_the_same(tiny_model: Model) -> None:
    texts = "The bank approved the loan.", "The bank refused the loan because it could."
    tables = []
    for way in (tiny_model.inspect, tiny_model.observe):
        one = way(texts[0], request=Request(pairs=Spread()))
        tables.append(compare(one, way(texts[1], request=Request(pairs=beside(one)))))
    for column in ("divergence", "difference"):
        np.testing.assert_allclose(tables[0][column], tables[1][column], atol=1e-5)


def test_records_compare_themselves_in_python(tiny_model: Model) -> None:
    one, other = (tiny_model.attend(text) for text in ("The bank approved the loan.", "The bank refused the loan."))
    table = one.compare(other, word="bank")
    assert len(table) == 12
    assert "In which heads do the rows of 'bank' differ?" in repr(table)
