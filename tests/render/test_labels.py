from __future__ import annotations

import unicodedata

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from attnviz.render.labels import clean, fit, head_name, letters, width

# Any code point, surrogates too, and what is hard to measure or dangerous to print.
_HARD = (
    "\x1b\x07\r\n\t\x00\x7f\x9b\u200b\u200c\u200d\u202e\u2066\ufeff\ud800\u3000 \xa0ab"
    "\u0301\ufe0f👩👍🏽🇩🇪日한\u1112\u1161क्षि\u0e01\u0e33ﷺ"
)
TEXTS = st.text(st.characters(exclude_categories=()) | st.sampled_from(_HARD), max_size=30)


@settings(deadline=None, max_examples=300)
@given(TEXTS)
def test_nothing_in_a_clean_text_acts_on_the_terminal(text: str) -> None:
    cleaned = clean(text)
    assert cleaned
    assert len(cleaned.splitlines()) == 1
    categories = {unicodedata.category(character) for character in cleaned} - {"Cf"}
    assert not categories & {"Cc", "Cs", "Co", "Cn", "Zl", "Zp"}
    assert {character for character in cleaned if unicodedata.category(character) == "Cf"} <= {"\u200c", "\u200d"}
    assert not set(cleaned) & {"\xa0", "\u3000"}
    cleaned.encode()


@settings(deadline=None, max_examples=100)
@given(TEXTS)
def test_cleaning_twice_changes_nothing_more(text: str) -> None:
    assert clean(clean(text)) == clean(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("bank", "bank"),
        ("don't “ok”", "don't “ok”"),
        ("日本 🎉 é क्षि", "日本 🎉 é क्षि"),
        ("👩\u200d👩\u200d👧", "👩\u200d👩\u200d👧"),
        ("\x1b[31mred\x1b[0m", "␛[31mred␛[0m"),
        ("a\x07b\x00c\x7f", "a␇b␀c␡"),
        ("\x9b31m", "�31m"),
        ("a\nb\r\nc\td", "a⏎b⏎⏎c⇥d"),
        ("abc\u202edef\u2066g\u200f", "abcdefg"),
        ("a\u200bb\ufeffc\u00add", "abcd"),
        ("a\u2028b\u2029c\xa0d\u3000e", "a b c d e"),
        ("\ud800x\ue000", "�x�"),
        ("", "␣"),
        ("\u200b", "␣"),
    ],
)
def test_dangerous_characters_become_visible_or_vanish(text: str, expected: str) -> None:
    assert clean(text) == expected


@settings(deadline=None, max_examples=400)
@given(TEXTS, st.integers(0, 24))
@example("日本", 1)
@example("日本", 3)
@example("a" + "👩\u200d👩\u200d👧" * 3, 4)
def test_fit_gives_exactly_the_width(text: str, size: int) -> None:
    assert cell_len(fit(text, size)) == size


@settings(deadline=None, max_examples=200)
@given(TEXTS, st.integers(1, 24))
def test_fit_keeps_what_fits_and_says_that_it_cut(text: str, size: int) -> None:
    cleaned, fitted = clean(text), fit(text, size)
    if cell_len(cleaned) <= size:
        assert fitted == cleaned + " " * (size - cell_len(cleaned))
    else:
        kept = fitted.rstrip(" ")
        assert kept.endswith("…")
        assert cleaned.startswith(kept[:-1].rstrip(" "))


@pytest.mark.parametrize(
    ("text", "size", "expected"),
    [
        ("bank", 6, "bank"),
        ("bank", 4, "bank"),
        ("financials", 6, "finan…"),
        ("日本語", 6, "日本語"),
        ("日本語", 5, "日本…"),
        ("日本語", 4, "日…"),
        ("a b c", 3, "a…"),
    ],
)
def test_fit_by_hand(text: str, size: int, expected: str) -> None:
    assert fit(text, size) == expected + " " * (size - cell_len(expected))


@pytest.mark.parametrize(("text", "columns"), [("bank", 4), ("日本", 4), ("\x1b[1m", 4), ("e\u0301", 1), ("", 1)])
def test_width_is_that_of_the_clean_text(text: str, columns: int) -> None:
    assert width(text) == columns


@settings(deadline=None, max_examples=200)
@given(TEXTS, st.integers(1, 12))
def test_letters_are_the_text_or_its_beginning(text: str, most: int) -> None:
    found = letters(text, most)
    assert 1 <= len(found) <= most
    if found[-1] == "⋮":
        assert clean(text).startswith("".join(found[:-1]))
    else:
        assert "".join(found) == clean(text)


def test_a_letter_is_what_a_reader_takes_for_one() -> None:
    assert letters("ae\u0301👩\u200d👩\u200d👧🇩🇪日", 10) == ["a", "e\u0301", "👩\u200d👩\u200d👧", "🇩🇪", "日"]


def test_too_many_letters_end_in_an_ellipsis_that_stands_upright() -> None:
    assert letters("financials", 5) == ["f", "i", "n", "a", "⋮"]
    assert letters("banks", 5) == ["b", "a", "n", "k", "s"]


def test_a_head_has_a_name() -> None:
    assert (head_name(1, 2), head_name(1, None)) == ("L1 H2", "L1, mean of its heads")
