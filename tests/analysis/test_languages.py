"""Function words of the language that is asked for, and of none where there is no list."""

from __future__ import annotations

import subprocess
import sys
import unicodedata

import pytest

from attnviz.analysis.languages import function_words, language_code, language_name
from attnviz.analysis.text.units import is_function_word
from attnviz.errors import UsageError
from tests.analysis.whole import in_words, select, strongest
from tests.records import random_weights, record


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("de", "de"),
        ("German", "de"),
        ("deutsch", "de"),
        ("DEU", "de"),
        ("deu_Latn", "de"),
        ("de-AT", "de"),
        ("pt_BR", "pt"),
        ("zho_Hans", "zh"),
        ("no", "nb"),
        ("English", "en"),
        ("eng_Latn", "en"),
        ("none", "none"),
        ("sw", "sw"),
        ("swh_Latn", "swh"),
        ("Swahili", "swahili"),
    ],
)
def test_a_language_by_its_names(name: str, code: str) -> None:
    assert language_code(name) == code


@pytest.mark.parametrize(("name", "meant"), [("germn", "Did you mean german"), ("frensh", "french"), ("12", "de, ")])
def test_a_name_that_is_none_is_refused(name: str, meant: str) -> None:
    with pytest.raises(UsageError, match="there is no language") as caught:
        language_code(name)
    assert meant in caught.value.hint


def test_function_words_are_those_of_the_language() -> None:
    assert all(
        is_function_word(word, "de") for word in ("der", "Die", "UND", "für", unicodedata.normalize("NFD", "für"))
    )
    assert not any(is_function_word(word, "de") for word in ("Bank", "the", "Fluss"))
    assert is_function_word("的", "zh")
    assert is_function_word("the")
    assert not is_function_word("die")


def test_of_a_language_without_a_list_all_words_count() -> None:
    assert function_words("sw") == function_words("none") == frozenset()
    assert language_name("de") == "German"


@pytest.mark.parametrize(("language", "counts"), [("en", True), ("de", False), ("none", True)])
def test_links_leave_out_the_function_words_of_the_language(language: str, counts: bool) -> None:
    attention = record(["Die", "Bank", "und", "der", "Fluss"], random_weights((1, 1, 5)))
    links = strongest(select(in_words(attention, language), causal=False), 100)
    assert ("Die" in {link.key for link in links}) is counts
    assert {"Bank", "Fluss"} <= {link.key for link in links}


def test_english_needs_no_list_to_be_read() -> None:
    code = (
        "import sys; from attnviz.analysis.languages import *; function_words(language_code('en')); "
        "print('stop_words' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"
