"""Gold alignments and alignment error rates, held to counts made by hand."""

from __future__ import annotations

import numpy as np
import pytest

from attnviz.analysis.corpus.alignment_errors import AlignmentErrors
from attnviz.analysis.corpus.gold_links import Gold, parse_gold
from attnviz.analysis.text.word_alignment import CrossWeights
from attnviz.errors import InputError
from attnviz.record import Heads


def cross(*heads: str) -> CrossWeights:
    """One layer whose heads link as Pharaoh lines say, between three words and three."""
    weights = np.zeros((1, len(heads), 3, 3))
    for head, line in enumerate(heads):
        for link in line.split():
            source, target = map(int, link.split("-"))
            weights[0, head, target, source] = 1
    return CrossWeights(("a", "b", "c"), ("x", "y", "z"), weights, 1 - weights.sum(-1), (4,))


def measured(pairs: list[tuple[CrossWeights, str]], heads: Heads | None = None) -> AlignmentErrors:
    errors = AlignmentErrors(heads or Heads(), ["reads"])
    for weights, gold in pairs:
        errors.add({"reads": weights}, parse_gold(gold, "gold", 1)[0], "gold")
    return errors


def rows(errors: AlignmentErrors) -> dict[str, dict[str, float]]:
    return {row["heads"]: row for row in errors.table(model="m", unit="space", gold="gold").rows()}


def test_a_perfect_alignment_has_no_errors() -> None:
    found = rows(measured([(cross("0-0 1-1 2-2"), "0-0 1-1 2-2")], Heads((4,), (0,))))
    assert (found["L4 H0"]["aer"], found["L4 H0"]["precision"], found["L4 H0"]["recall"]) == (0, 1, 1)


def test_sure_and_possible_links_count_as_och_and_ney_count_them() -> None:
    # A = 0-0 1-1 0-2; S = 0-0 2-2; P = S and 1-1. |A∩S| = 1, |A∩P| = 2, |A| = 3, |S| = 2.
    row = rows(measured([(cross("0-0 1-1 0-2"), "0-0 1?1 2-2")], Heads((4,), (0,))))["L4 H0"]
    assert row["aer"] == pytest.approx(1 - (1 + 2) / (3 + 2))
    assert row["precision"] == pytest.approx(2 / 3)
    assert row["recall"] == pytest.approx(1 / 2)
    assert row["links"] == 3


def test_counts_are_added_up_over_pairs_and_not_averaged() -> None:
    pairs = [(cross("0-0 1-1 2-2"), "0-0 1-1 2-2"), (cross("2-0"), "0-0")]
    row = rows(measured(pairs, Heads((4,), (0,))))["L4 H0"]
    assert row["aer"] == pytest.approx(1 - (3 + 3) / (4 + 4))
    assert (row["aer_odd"], row["aer_even"]) == (0, 1)


def test_the_best_head_is_chosen_on_one_half_and_measured_on_the_other() -> None:
    first, second = "0-0 1-1 2-2", "0-2 1-1 2-0"
    pairs = [(cross(first, second), first), (cross(first, second), second)] * 2
    table = measured(pairs).table(model="m", unit="space", gold="gold")
    found = {row["heads"]: row for row in table.rows()}
    assert set(found) == {"all heads of L4", "L4 H0", "L4 H1"}
    assert (found["L4 H0"]["aer_odd"], found["L4 H0"]["aer_even"]) == (0, pytest.approx(2 / 3))
    assert (found["L4 H1"]["aer_odd"], found["L4 H1"]["aer_even"]) == (pytest.approx(2 / 3), 0)
    assert "takes the mean of all heads of L4, at the step that reads the target word: rate" in table.notes[0]
    assert "Best on the odd pairs (0.0%): L4 H0, at the step that reads the target word." in table.notes[1]
    assert "its rate is 66.7%" in table.notes[1]
    assert table["aer"].tolist() == sorted(table["aer"].tolist())


def test_one_pair_has_no_other_half() -> None:
    table = measured([(cross("0-0", "1-1"), "0-0")]).table(model="m", unit="space", gold="gold")
    assert len(table.notes) == 1
    assert np.isnan(table["aer_even"]).all()


def test_gold_files_are_read_in_their_formats() -> None:
    sure, both = frozenset({(0, 0), (1, 2)}), frozenset({(0, 0), (1, 2), (2, 1)})
    empty = Gold(line=2)
    for content in ("0-0 1-2 2?1\n\n", "0-0 1-2 2p1\r\n\r\n", "2p1 0-0 1-2 1?2\n \n"):
        assert parse_gold(content, "g", 2) == [Gold(sure, both, 1), empty]
    assert parse_gold("1-1 2-3 3?2\n", "g", 1, first=1) == [Gold(sure, both, 1)]
    assert parse_gold("0001 1 1 S\n1 2 3\n1 3 2 P\n1 3 0 S\n", "g", 2) == [Gold(sure, both, 1), empty]
    assert parse_gold("1 1 1 S 0.9\n", "g", 1) == [Gold(frozenset({(0, 0)}), frozenset({(0, 0)}), 1)]


@pytest.mark.parametrize(
    ("content", "first", "message"),
    [
        ("0-0\n0-0 1:2\n", 0, "g:2: '1:2' is no link"),
        ("0-0\n0-0 one-2\n", 0, "g:2: 'one-2' is no link"),
        ("0-0\n", 0, "g has 1 line and there are 2 pairs"),
        ("0-0\n0-0\n0-0\n", 0, "g has 3 lines and there are 2 pairs"),
        ("1-1\n0-1\n", 1, "g:2: 0-1 has a word 0"),
        ("1 1 1 S\n1 1\n", 0, "g:2: '1 1' is no link"),
        ("1 1 1 S\n3 1 1 S\n", 0, "g:2: there is no pair 3"),
        ("1 1 1 S\n0 1 1 S\n", 0, "g:2: there is no pair 0"),
        ("0-" + "9" * 5000 + "\n\n", 0, "g:1: .* is no link"),
    ],
)
def test_a_malformed_line_is_named_with_the_reason(content: str, first: int, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse_gold(content, "g", 2, first=first)


def test_a_link_beyond_the_words_is_named() -> None:
    with pytest.raises(InputError, match="gold, pair 1: the link 0-3, and the target has 3 words"):
        measured([(cross("0-0"), "0-3")])
    with pytest.raises(InputError, match="no pair could be aligned"):
        measured([]).table(model="m", unit="space", gold="gold")


def test_both_steps_are_compared_and_the_best_may_be_of_either() -> None:
    errors = AlignmentErrors(Heads(), ["reads", "predicts"])
    for _ in range(2):
        crosses = {"reads": cross("0-2 1-1 2-0"), "predicts": cross("0-0 1-1 2-2")}
        errors.add(crosses, parse_gold("0-0 1-1 2-2", "gold", 1)[0], "gold")  # type: ignore[arg-type]
    table = errors.table(model="m", unit="space", gold="gold")
    found = {(row["heads"], row["step"]): row["aer"] for row in table.rows()}
    assert found[("L4 H0", "predicts")] == 0
    assert found[("L4 H0", "reads")] == pytest.approx(2 / 3)
    assert (table.about["step"], table.about["heads"]) == ("reads", "all heads of L4")
    assert "at the step that reads the target word: rate 66.7%" in table.notes[0]
    assert "at the step that predicts the target word." in table.notes[1]
