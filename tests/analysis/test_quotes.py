from __future__ import annotations

import pytest

from attnviz.analysis.corpus.quotes import MOST_CHARACTERS, quote
from attnviz.analysis.corpus.typical_links import Occurrence


def link(query: str, key: str) -> Occurrence:
    return Occurrence(3, 1, 2, query, key, 1, 0.5)


TEXT = "The bank is old. Mr. Hill saw that the bank approved the loan!\nWas the loan repaid? 銀行は融資を承認した。"


@pytest.mark.parametrize(
    ("query", "key", "expected"),
    [
        ("bank", "loan", "Hill saw that the bank approved the loan!"),
        ("Loan", "repaid", "Was the loan repaid?"),
        ("old", "loan", "The bank is old."),  # no sentence has both
        ("river", "loan", "Hill saw that the bank approved the loan!"),
        ("融資", "承認", "銀行は融資を承認した。"),
        ("river", "water", ""),
    ],
)
def test_the_sentence_of_a_link_is_quoted(query: str, key: str, expected: str) -> None:
    assert quote(TEXT, link(query, key)) == expected


def test_a_word_within_another_is_not_it() -> None:
    assert quote("The banker slept. The bank lent.", link("bank", "lent")) == "The bank lent."


def test_a_long_sentence_is_cut_around_its_words() -> None:
    text = "word " * 100 + "bank and loan " + "more " * 100
    found = quote(text, link("loan", "bank"))
    assert "bank and loan" in found
    assert len(found) <= MOST_CHARACTERS + 2
    assert found.startswith("…")
    assert found.endswith("…")


def test_an_empty_text_has_nothing_to_quote() -> None:
    assert quote("", link("a", "b")) == quote("…\n\n", link("a", "b")) == ""
