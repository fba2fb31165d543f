from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attnviz.analysis.text.links import find_unit
from attnviz.record import AttentionRecord
from tests.analysis.whole import in_tokens, in_words
from tests.records import Spelled, cross_record, random_weights, record


@st.composite
def attentions(draw: st.DrawFn) -> AttentionRecord:
    """Random weights over words of random numbers of pieces."""
    counts = draw(st.lists(st.integers(1, 4), min_size=1, max_size=8))
    words: list[Spelled] = [(f"w{i}", [f"w{i}.{j}" for j in range(count)]) for i, count in enumerate(counts)]
    shape = draw(st.integers(1, 3)), draw(st.integers(1, 3)), sum(counts)
    weights = random_weights(
        shape,
        seed=draw(st.integers(0, 10**6)),
        causal=draw(st.booleans()),
        dtype=draw(st.sampled_from(["float32", "float64"])),
    )
    return record(words, weights)


@settings(deadline=None, max_examples=60)
@given(attentions())
def test_rows_sum_to_one_in_words_as_in_tokens(attention: AttentionRecord) -> None:
    for units in (in_words(attention), in_tokens(attention)):
        assert units.weights.shape == (attention.layers, attention.heads, len(units.queries), len(units.keys))
        assert units.weights.dtype == attention.weights.dtype
        np.testing.assert_allclose(units.weights.sum(-1), 1, atol=1e-5)


@settings(deadline=None, max_examples=60)
@given(attentions())
def test_a_word_weight_is_the_sum_over_the_keys_pieces_and_the_mean_over_the_querys(attention: AttentionRecord) -> None:
    merged = in_words(attention).weights
    spans = [range(word.start, word.stop) for word in attention.encoding.words]
    for layer in range(attention.layers):
        for head in range(attention.heads):
            weights = attention.weights[layer, head]
            for i, query in enumerate(spans):
                for j, key in enumerate(spans):
                    expected = sum(weights[q, k] for q in query for k in key) / len(query)
                    assert merged[layer, head, i, j] == pytest.approx(expected, abs=1e-6)


def test_words_merge_by_hand() -> None:
    weights = np.array([[[[0.5, 0.25, 0.25], [0.0, 0.5, 0.5], [1.0, 0.0, 0.0]]]], np.float32)
    units = in_words(record(["strong", ("financials", ["financial", "##s"])], weights))
    assert units.queries.labels == ("strong", "financials")
    np.testing.assert_array_equal(units.weights[0, 0], [[0.5, 0.5], [0.5, 0.5]])


def test_merging_leaves_the_record_as_it_is() -> None:
    attention = record(["a", ("bc", ["b", "c"])], random_weights((1, 1, 3)))
    before = attention.weights.copy()
    in_words(attention)
    np.testing.assert_array_equal(attention.weights, before)


def test_tokens_are_the_record_itself() -> None:
    attention = record(["a", ("bc", ["b", "c"])], random_weights((2, 2, 3)))
    units = in_tokens(attention)
    assert units.queries.labels == ("a", "b", "c")
    assert (units.kind, in_words(attention).kind) == ("token", "word")
    np.testing.assert_array_equal(units.weights, attention.weights)


MARKED: list[Spelled] = ["[CLS]", "The", ("financials", ["financial", "##s"]), ("It’s", ["It", "’", "s"]), "—", "[SEP]"]


def test_words_are_marked_special_punctuation_or_function() -> None:
    units = in_words(record(MARKED, random_weights((1, 1, 9))))
    assert units.queries.special.tolist() == [True, False, False, False, False, True]
    assert units.queries.punctuation.tolist() == [False, False, False, False, True, False]
    assert units.queries.function.tolist() == [False, True, False, True, False, False]
    assert units.queries.content.tolist() == [False, False, True, False, False, False]


def test_a_piece_is_marked_as_its_word_is() -> None:
    # The apostrophe of "It’s" is no punctuation, "financial" and "##s" are both content.
    units = in_tokens(record(MARKED, random_weights((1, 1, 9))))
    assert units.queries.labels == ("[CLS]", "The", "financial", "##s", "It", "’", "s", "—", "[SEP]")
    assert units.queries.special.nonzero()[0].tolist() == [0, 8]
    assert units.queries.punctuation.nonzero()[0].tolist() == [7]
    assert units.queries.function.nonzero()[0].tolist() == [1, 4, 5, 6]
    assert units.queries.content.nonzero()[0].tolist() == [2, 3]


def test_no_unit_has_two_marks() -> None:
    # "[the]" is special although it reads like a function word, "[.]" although it is punctuation.
    words: list[Spelled] = ["[the]", "the", ".", "bank"]
    attention = record(words, random_weights((1, 1, 4)))
    for units in (in_words(attention), in_tokens(attention)):
        marks = np.stack(
            [units.queries.special, units.queries.punctuation, units.queries.function, units.queries.content]
        )
        np.testing.assert_array_equal(marks.sum(0), 1)


@pytest.mark.parametrize("word", ["he", "she", "it", "they", "him", "her", "not", "bank", "because_"])
def test_personal_pronouns_and_negation_count_as_content(word: str) -> None:
    assert in_words(record([word, "x"], random_weights((1, 1, 2)))).queries.content[0]


@pytest.mark.parametrize("word", ["the", "The", "THE", "because", "it's", "IT’S", "with"])
def test_function_words_do_not_in_any_case(word: str) -> None:
    assert not in_words(record([word, "x"], random_weights((1, 1, 2)))).queries.content[0]


def test_words_that_occur_twice_are_numbered() -> None:
    units = in_words(record(["The", "bank", "of", "the", "river"], random_weights((1, 1, 5))))
    assert units.queries.names == ("The:1", "bank", "of", "the:2", "river")


@settings(deadline=None, max_examples=100)
@given(st.lists(st.sampled_from(["the", "The", "THE", "bank", "Straße", "STRASSE", "a:b", ":", "."]), min_size=1))
def test_a_name_finds_its_unit(words: list[str]) -> None:
    units = in_words(record(words, random_weights((1, 1, len(words)))))
    assert [find_unit(units, name) for name in units.queries.names] == [[i] for i in range(len(words))]


# Two texts


def test_a_text_that_looks_at_itself_has_one_axis() -> None:
    attention = record(MARKED, random_weights((1, 1, 9)))
    for units in (in_words(attention), in_tokens(attention)):
        assert units.queries is units.keys
        assert units.one_text


def test_two_texts_have_an_axis_each_with_their_own_marks() -> None:
    attention = cross_record(["[<s>]", "the", "Bank"], MARKED, random_weights((1, 1, 3, 9)))
    for units, keys in ((in_words(attention), 6), (in_tokens(attention), 9)):
        assert not units.one_text
        assert (len(units.queries), len(units.keys)) == (3, keys)
        assert units.weights.shape == (1, 1, 3, keys)
        assert units.queries.labels == ("[<s>]", "the", "Bank")
        assert units.queries.special.tolist() == [True, False, False]
        assert units.queries.function.tolist() == [False, True, False]
        assert units.keys.special.nonzero()[0].tolist() == [0, keys - 1]
        assert units.keys.punctuation.nonzero()[0].tolist() == [keys - 2]


def spelled(count: int, letter: str) -> st.SearchStrategy[list[Spelled]]:
    words = st.lists(st.integers(1, 3), min_size=1, max_size=count)
    return words.map(
        lambda sizes: [(f"{letter}{i}", [f"{letter}{i}.{j}" for j in range(n)]) for i, n in enumerate(sizes)]
    )


@settings(deadline=None, max_examples=60)
@given(spelled(5, "q"), spelled(5, "k"), st.integers(0, 999))
def test_a_word_weight_between_two_texts_is_the_sum_over_the_keys_pieces_and_the_mean_over_the_querys(
    queries: list[Spelled], keys: list[Spelled], seed: int
) -> None:
    n, m = (sum(len(pieces) for _, pieces in words) for words in (queries, keys))
    attention = cross_record(queries, keys, random_weights((2, 1, n, m), seed=seed))
    merged = in_words(attention).weights
    assert merged.shape == (2, 1, len(queries), len(keys))
    assert attention.keys
    for layer in range(2):
        for i, query in enumerate(attention.encoding.words):
            for j, key in enumerate(attention.keys.words):
                part = attention.weights[layer, 0, query.start : query.stop, key.start : key.stop]
                assert merged[layer, 0, i, j] == pytest.approx(part.sum() / (query.stop - query.start), abs=1e-6)


@pytest.mark.parametrize("numbers", [(), (3, 7)])
def test_units_have_the_layers_own_numbers(numbers: tuple[int, ...]) -> None:
    attention = record(["a", "b"], random_weights((2, 1, 2)), numbers=numbers)
    assert in_words(attention).layers == in_tokens(attention).layers == (numbers or (0, 1))
