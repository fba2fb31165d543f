from __future__ import annotations

from itertools import pairwise

import pytest
from tokenizers import Tokenizer

from attnviz.encoding import WordSpans, append_generated, encode
from attnviz.errors import UsageError
from tests import tiny
from tests.records import encoding_of
from tests.vocabularies import gpt2, llama2, roberta

TEXT = "The bank approved it.\n\nThe  Loan was\r\nbig. Error  code\n17 don't\n \nA naïve straße, of it."


def read(text: str, pair: str | None = None) -> WordSpans:
    return WordSpans(encode(tiny.wordpiece(), text, pair))


def words_of(places: WordSpans, span: tuple[int, int]) -> list[str]:
    return [word.text for word in places.encoding.words[slice(*span)]]


def test_every_word_stands_where_its_text_has_it() -> None:
    places = read(TEXT)
    for word, place in zip(places.encoding.words, places.words, strict=True):
        if word.text in ("[CLS]", "[SEP]"):
            assert place is None
        else:
            assert place is not None
            assert TEXT[place[1] : place[2]] == word.text
    starts = [place[1] for place in places.words if place]
    assert starts == sorted(set(starts))


def test_line_breaks_that_are_words_stand_in_the_text_too() -> None:
    text = "the bank\n\nof  it\r\nriver"
    places = WordSpans(encode(gpt2(), text))
    assert [text[place[1] : place[2]] for place in places.words if place] == [w.text for w in places.encoding.words]


def test_a_pair_has_places_of_its_own() -> None:
    places = read("The bank.", "A bank here")
    assert [place and place[:2] for place in places.words] == [
        None, (0, 0), (0, 4), (0, 8), None, (1, 0), (1, 2), (1, 7), None,
    ]  # fmt: skip
    assert places.find("bank") == [(2, 3), (6, 7)]
    assert places.passages() == [(0, 5), (5, 9)]


def test_a_mark_that_the_text_itself_has_does_not_end_it() -> None:
    places = read("The [SEP] bank", "bank")
    assert [place and place[0] for place in places.words] == [None, 0, 0, 0, None, 1, None]


def test_words_that_the_text_does_not_have_have_no_place() -> None:
    encoding = encoding_of(["bank", "nowhere", "loan"], text="the bank, the loan")
    assert WordSpans(encoding).words == [(0, 4, 8), None, (0, 14, 18)]


def test_lines_count_from_one_and_pages_only_where_there_are_some() -> None:
    places = read(TEXT)
    lines = {word.text: places.place(i).line for i, word in enumerate(places.encoding.words)}
    assert (lines["bank"], lines["Loan"], lines["big"], lines["17"], lines["straße"]) == (1, 3, 4, 5, 7)
    assert places.place(2).page is None
    places = read("the\fbank\nof\n\fit")
    assert [(places.place(i).line, places.place(i).page) for i in (1, 2, 3, 4)] == [(1, 1), (1, 2), (2, 2), (3, 3)]


def test_a_word_has_its_neighbours_on_one_line() -> None:
    found = read(TEXT).place(7)
    assert (found.before, found.word, found.after) == (
        "The bank approved it. The",
        "Loan",
        "was big. Error code 17 don't A naïve …",
    )
    assert read(TEXT).place(0).word == "[CLS]"


@pytest.mark.parametrize("glue", ["", " "])
def test_an_endless_line_is_cut(glue: str) -> None:
    places = WordSpans(encoding_of(["loan", "bank", "loan"], text=glue.join(["loan" * 900, "bank", "loan" * 900])))
    places.words[1] = (0, 3600 + len(glue), 3604 + len(glue))
    found = places.place(1)
    assert (found.word, len(found.before) <= 42, len(found.after) <= 42) == ("bank", True, True)
    assert (found.before[0], found.after[-1]) == ("…", "…")


def test_paragraphs_are_passages() -> None:
    places = read(TEXT)
    firsts = [words_of(places, span)[:2] for span in places.passages()]
    assert firsts == [["[CLS]", "The"], ["The", "Loan"], ["A", "naïve"]]


def test_lines_are_passages_where_there_is_one_paragraph() -> None:
    places = read("the bank\nof it\nriver")
    assert [words_of(places, span) for span in places.passages()] == [
        ["[CLS]", "the", "bank"],
        ["of", "it"],
        ["river", "[SEP]"],
    ]


@pytest.mark.parametrize("text", ["bank " * 450, "it\n\n" + "bank " * 1100, "it\n" + "bank " * 1100])
def test_what_the_text_does_not_part_is_parted_by_the_number_of_words(text: str) -> None:
    spans = read(text).passages()
    assert spans[0] == (0, 200)
    assert all(before[1] == after[0] for before, after in pairwise(spans))
    assert {stop - start for start, stop in spans[:-1]} == {200}


def test_passages_cut_the_text_without_a_gap() -> None:
    places = WordSpans(encode(gpt2(), TEXT))
    spans = places.passages()
    assert len(spans) == 3
    assert [i for start, stop in spans for i in range(start, stop)] == list(range(len(places.words)))


@pytest.mark.parametrize("wanted", ["error code 17", "ERROR\ncode  17", " Error code 17 "])
def test_a_passage_is_found_in_any_case_and_with_any_white_space(wanted: str) -> None:
    places = read(TEXT)
    (span,) = places.find(wanted)
    assert words_of(places, span) == ["Error", "code", "17"]


def test_case_is_that_of_unicode() -> None:
    places = read(TEXT)
    assert [words_of(places, span) for span in places.find("STRASSE, of")] == [["straße", ",", "of"]]


def test_all_occurrences_are_found_and_only_whole_words() -> None:
    places = read("it bank it bank it, banks")
    assert places.find("it bank it") == [(1, 4), (3, 6)]
    assert places.find("bank") == [(2, 3), (4, 5)]


@pytest.mark.parametrize(
    ("wanted", "hint"),
    [
        ("error code 18", "Line 4 has: Error code 17 don't A naïve straße, of it."),
        ("the code 17", "Line 4 has: code 17 don't"),
        ("approves", "It has: approved"),
        ("pproved", "It has: approved"),
        ("xyz", "Give words as the text writes them"),
    ],
)
def test_a_passage_that_is_not_there_is_an_error_that_says_what_is_near(wanted: str, hint: str) -> None:
    with pytest.raises(UsageError, match=f"the text has no passage '{wanted}'") as caught:
        read(TEXT).find(wanted)
    assert (caught.value.hint or "").startswith(hint)


def test_an_empty_passage_is_an_error() -> None:
    with pytest.raises(UsageError, match="the passage is empty"):
        read(TEXT).find(" \n")


@pytest.mark.parametrize("tokenizer", [gpt2(), roberta(), llama2()])
def test_with_any_tokenizer_words_have_places(tokenizer: Tokenizer) -> None:
    places = WordSpans(encode(tokenizer, TEXT, "A bank.\nhere"))
    for word, place in zip(places.encoding.words, places.words, strict=True):
        if not places.encoding.special[word.start]:
            assert place is not None
            assert places.texts[place[0]][place[1] : place[2]] == word.text


def test_a_text_that_grew_has_its_new_words_too() -> None:
    tokenizer = gpt2()
    grown = append_generated(tokenizer, encode(tokenizer, "The bank"), tokenizer.encode(" approved\nit").ids)
    places = WordSpans(grown)
    assert [places.place(i).line for i in range(len(grown.words))] == [1, 1, 1, 2]
