"""Documents that are longer than the model's limit, split into windows."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from attnviz.encoding import Encoding, Window, encode, slide_windows
from attnviz.errors import InputError, UsageError
from tests import tiny, vocabularies

WORDPIECE = tiny.wordpiece()
TEXT = " ".join(["The bank approved the loan, because it had strong financials."] * 8)
TEXTS = st.lists(st.sampled_from(["the", "loan", "xyz", "abcdefgh", ",", "[SEP]"]), min_size=1, max_size=60).map(
    " ".join
)


def cut(text: str, limit: int, stride: int | None = None, *, causal: bool = False) -> tuple[Encoding, list[Window]]:
    document = encode(WORDPIECE, text)
    return document, list(slide_windows(WORDPIECE, document, limit=limit, stride=stride, causal=causal))


@given(TEXTS, st.integers(8, 30), st.floats(0, 1), st.booleans())
def test_each_token_is_kept_from_one_window_in_order(text: str, limit: int, part: float, causal: bool) -> None:
    if not set(text.split()) - {"[SEP]"}:
        return
    document, windows = cut(text, limit, 1 + int(part * (limit - 3)), causal=causal)
    assert [(window.first, window.last) for window in windows] == list(
        pairwise([0, *(window.last for window in windows)])
    )
    assert windows[-1].last == len(document)
    kept = np.concatenate([window.positions[window.kept] for window in windows])
    assert kept.tolist() == list(range(len(document)))


@given(TEXTS, st.integers(10, 30), st.booleans())
def test_a_window_reads_its_part_of_the_document_between_the_special_tokens(
    text: str, limit: int, causal: bool
) -> None:
    if not set(text.split()) - {"[SEP]"}:
        return
    document, windows = cut(text, limit, causal=causal)
    for window in windows:
        read, positions = window.encoding, window.positions
        assert len(read) == len(positions) <= limit
        assert positions[1:-1].tolist() == list(range(window.start, window.stop))
        for name in ("ids", "type_ids", "tokens", "special"):
            assert getattr(read, name) == tuple(getattr(document, name)[place] for place in positions)
        assert [(word.start, word.stop) for word in read.words] == list(
            pairwise([0, *(word.stop for word in read.words)])
        )
        assert read.words[-1].stop == len(read)
        words = {(word.text, word.start, word.stop) for word in document.words}
        assert {(word.text, positions[word.start], positions[word.stop - 1] + 1) for word in read.words} <= words


def test_windows_overlap_by_half_and_the_last_reaches_back() -> None:
    document, windows = cut("a " * 50, 12)
    assert len(document) == 52
    assert [(window.start, window.stop) for window in windows] == [
        *((1 + 5 * i, 11 + 5 * i) for i in range(8)),
        (41, 51),
    ]


def test_overlaps_are_parted_in_the_middle_where_tokens_see_both_sides() -> None:
    _, windows = cut("a " * 25, 12, 6)
    assert [(window.start, window.stop, window.first, window.last) for window in windows] == [
        (1, 11, 0, 9),
        (7, 17, 9, 15),
        (13, 23, 15, 19),
        (16, 26, 19, 27),
    ]


def test_a_causal_model_keeps_what_is_new_so_that_it_sees_the_overlap() -> None:
    _, windows = cut("a " * 25, 12, 6, causal=True)
    assert [(window.start, window.stop, window.first, window.last) for window in windows] == [
        (1, 11, 0, 11),
        (7, 17, 11, 17),
        (13, 23, 17, 23),
        (16, 26, 23, 27),
    ]


def test_windows_and_what_is_kept_of_them_begin_between_words() -> None:
    document, windows = cut(TEXT, 24)
    starts = {word.start for word in document.words} | {len(document)}
    assert len(windows) > 5
    assert {place for window in windows for place in (window.start, window.stop, window.first, window.last)} <= starts
    assert any(len(window.encoding) < 24 for window in windows)


def test_only_a_word_that_is_longer_than_a_window_is_cut() -> None:
    document, windows = cut(f"the loan {'x' * 50} the loan", 12)
    long = max(document.words, key=lambda word: word.stop - word.start)
    inside = [window for window in windows if long.start < window.start < long.stop]
    assert inside
    assert inside[0].encoding.words[1].text == "x" * 50
    assert inside[0].encoding.words[1].start == 1
    assert {window.start for window in windows} - set(range(long.start + 1, long.stop)) <= {
        word.start for word in document.words
    }


@pytest.mark.parametrize("stride", [1, 4, 10])
def test_a_text_that_fits_is_one_window_and_whole(stride: int) -> None:
    document, windows = cut("the loan", 12, stride)
    assert document == encode(WORDPIECE, "the loan")
    assert [window.encoding for window in windows] == [document]


@pytest.mark.parametrize(("words", "some"), [(2, [0]), (12, [0, 1]), (40, [0, 3, 6])])
def test_a_sample_has_the_first_a_middle_and_the_last(words: int, some: list[int]) -> None:
    windows = slide_windows(WORDPIECE, encode(WORDPIECE, "loan " * words), limit=12, causal=False)
    assert windows.sample == [windows[number].encoding for number in some]
    assert some[-1] == len(windows) - 1


@pytest.mark.parametrize("stride", [0, -1, 11])
def test_a_stride_that_leaves_gaps_or_stands_still_is_refused(stride: int) -> None:
    with pytest.raises(UsageError, match=f"`stride` is {stride}, expected 1 to 10: .*; 2 more are special"):
        cut(TEXT, 12, stride)


def test_a_model_of_special_tokens_only_is_refused() -> None:
    with pytest.raises(InputError, match="takes 2 tokens, and 2 are special"):
        cut(TEXT, 2)


@pytest.mark.parametrize(
    ("kind", "marks", "lead", "tail"),
    [
        ("bert", True, 1, 1),
        ("roberta", True, 1, 1),
        ("llama3", True, 1, 0),
        ("t5", True, 0, 1),
        ("gpt2", True, 0, 0),
        ("bert", False, 0, 0),
    ],
)
def test_windows_have_the_special_tokens_that_the_tokenizer_adds(kind: str, marks: bool, lead: int, tail: int) -> None:
    tokenizer: Tokenizer = vocabularies.KINDS[kind]()
    document = encode(tokenizer, "The bank, the river. " * 9, marks=marks)
    windows = slide_windows(tokenizer, document, limit=15, causal=False, marks=marks)
    assert len(windows) > 3
    for window in windows:
        assert window.lead == lead
        assert len(window.encoding) == lead + window.stop - window.start + tail
        assert window.encoding.ids[:lead] == document.ids[:lead]
        assert window.encoding.ids[len(window.encoding) - tail :] == document.ids[len(document) - tail :]


def test_special_tokens_that_the_text_itself_has_belong_to_the_text() -> None:
    _, windows = cut("[CLS] the loan [SEP] " * 6, 12, 4)
    assert all(window.lead == 1 for window in windows)
    assert windows[0].encoding.tokens[:3] == ("[CLS]", "[CLS]", "the")
    assert windows[1].encoding.tokens[:3] == ("[CLS]", "[CLS]", "the")
    assert windows[1].start == 5
