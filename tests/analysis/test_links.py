from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attnviz.analysis.text import offsets
from attnviz.analysis.text.links import Link, find_unit
from attnviz.analysis.text.offsets import Positional
from attnviz.analysis.text.replaying import replay
from attnviz.errors import UsageError
from attnviz.record import Array, AttentionRecord, Request
from tests.analysis.test_observation import assert_equal
from tests.analysis.whole import (
    Selection,
    Units,
    best_heads,
    in_tokens,
    in_words,
    select,
    strongest,
    summarise,
    top_attended,
)
from tests.records import Spelled, cross_record, peaked, query_mask, random_weights, record, summary_of

NOUNS = ("bank", "loan", "company", "river", "water", "money", "house", "stone", "cloud", "paper")


def positional_heads(attention: AttentionRecord) -> list[Positional]:
    return offsets.positional_heads(replay(attention))


def units_of(words: list[Spelled], weights: Array) -> Units:
    return in_words(record(words, weights))


def content(weights: Array, *, cross: bool = False, **facts: Any) -> Units:
    """Units that are all content words, of one text or of two."""
    n, m = weights.shape[2:]
    if cross:
        return in_words(cross_record(NOUNS[:n], NOUNS[:m], weights, **facts))
    return in_words(record(NOUNS[:n], weights, **facts))


@st.composite
def selections(draw: st.DrawFn) -> tuple[Units, Selection]:
    """Random units of one text or two, and a random selection of queries, keys and heads (one at least).

    Between two texts there is no pair of a unit with itself, so all pairs count.
    """
    layers, heads, n = draw(st.integers(1, 3)), draw(st.integers(1, 3)), draw(st.integers(1, 6))
    cross = draw(st.booleans())
    m = draw(st.integers(1, 6)) if cross else n
    numbers = draw(st.sampled_from([(), tuple(range(3, 3 + 4 * layers, 4))]))
    units = content(random_weights((layers, heads, n, m), seed=draw(st.integers(0, 999))), cross=cross, numbers=numbers)
    masks = [np.array(draw(st.lists(st.booleans(), min_size=size, max_size=size))) for size in (n, m)]
    heads = np.array([draw(st.booleans()) for _ in range(units.weights[..., 0, 0].size)]).reshape(
        units.weights.shape[:2]
    )
    heads.flat[draw(st.integers(0, heads.size - 1))] = True
    return units, Selection(units, *masks, heads, itself=cross or draw(st.booleans()))


def naive_links(units: Units, selection: Selection) -> list[Link]:
    """Every pair that counts, in its best head, strongest first."""
    links = []
    for q in range(len(units.queries)):
        for k in range(len(units.keys)):
            if not (selection.queries[q] and selection.keys[k] and (q != k or selection.itself)):
                continue
            heads = [
                (float(units.weights[layer, head, q, k]), layer, head)
                for layer, head in np.ndindex(selection.heads.shape)
                if selection.heads[layer, head]
            ]
            weight, layer, head = max(heads, key=lambda found: found[0])
            query, key = units.queries.labels[q], units.keys.labels[k]
            links.append(Link(units.layers[layer], head, query, key, q, k, weight))
    return sorted(links, key=lambda link: -link.weight)


@settings(deadline=None, max_examples=80)
@given(selections(), st.integers(1, 12))
def test_strongest_are_the_first_of_all_pairs_each_once_in_its_best_head(
    drawn: tuple[Units, Selection], top: int
) -> None:
    units, selection = drawn
    assert strongest(selection, top) == naive_links(units, selection)[:top]


@settings(deadline=None, max_examples=80)
@given(selections(), st.integers(1, 4))
def test_top_attended_are_a_querys_strongest_links_and_largest_means(drawn: tuple[Units, Selection], top: int) -> None:
    units, selection = drawn
    queries = range(len(units.queries))
    anyone = Selection(units, np.ones(len(queries), bool), selection.keys, selection.heads, selection.itself)
    links = naive_links(units, anyone)
    for found in top_attended(selection, queries, top):
        q = found.query_index
        assert found.query == units.queries.labels[q]
        assert list(found.best) == [link for link in links if link.query_index == q][:top]
        keys = [k for k in range(len(units.keys)) if selection.keys[k] and (k != q or selection.itself)]
        means = {k: float(units.weights[:, :, q, k].astype(float).mean()) for k in keys}
        assert [k for k, _ in found.average] == sorted(keys, key=lambda k: -means[k])[:top]
        assert [weight for _, weight in found.average] == pytest.approx([means[k] for k, _ in found.average], rel=1e-5)


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_what_is_shown_of_a_record_is_what_all_its_weights_say(data: st.DataObject) -> None:
    layers, heads, n = (data.draw(st.integers(1, most)) for most in (3, 3, 10))
    cross, seed = data.draw(st.booleans()), data.draw(st.integers(0, 999))
    if cross:
        m = data.draw(st.integers(1, 10))
        attention = cross_record(NOUNS[:n], NOUNS[:m], random_weights((layers, heads, n, m), seed=seed))
    else:
        causal = data.draw(st.booleans())
        attention = record(NOUNS[:n], random_weights((layers, heads, n), seed=seed, causal=causal), causal=causal)
    request = Request(
        unit=data.draw(st.sampled_from(["word", "token"])),
        special=data.draw(st.booleans()),
        everything=data.draw(st.booleans()),
        top=data.draw(st.integers(1, 4)),
        links=data.draw(st.integers(1, 12)),
    )
    assert_equal(summarise(attention, request), summary_of(attention, **vars(request)))


def test_a_pair_is_listed_once_in_the_head_where_it_is_strongest() -> None:
    weights = peaked((2, 2, 3), {(0, 0, 0, 1): 0.5, (1, 0, 0, 1): 0.75, (0, 1, 1, 0): 0.625})
    units = content(weights)
    links = strongest(select(units, causal=False), 2)
    assert links == [Link(1, 0, "bank", "loan", 0, 1, 0.75), Link(0, 1, "loan", "bank", 1, 0, 0.625)]


def test_a_link_without_weight_is_no_link() -> None:
    units = content(query_mask(1, 3)[None, None])
    links = strongest(select(units, causal=False), 9)
    assert [(link.query, link.key, link.weight) for link in links] == [("bank", "loan", 1), ("loan", "company", 1)]


def test_there_are_no_links_where_nothing_counts() -> None:
    units = units_of(["[CLS]", "the", ".", "[SEP]"], random_weights((1, 2, 4)))
    assert strongest(select(units, causal=False), 5) == []


def test_there_are_no_links_where_no_head_counts() -> None:
    # Every head is positional; nothing is left to rank.
    attention = record(NOUNS, np.stack([query_mask(-1, 10), query_mask(1, 10)])[None])
    units = in_words(attention)
    selection = select(units, positional_heads(attention), causal=False)
    assert not selection.heads.any()
    assert strongest(selection, 5) == []
    assert [found.best for found in top_attended(selection, [0, 1], 2)] == [(), ()]


def test_best_heads_numbers_heads_across_layers() -> None:
    weights = peaked((2, 3, 2), {(1, 2, 0, 1): 0.9, (0, 1, 1, 0): 0.8})
    best, heads = best_heads(weights, np.ones((2, 3), bool))
    assert best[0, 1] == pytest.approx(0.9)
    assert (heads[0, 1], heads[1, 0]) == (1 * 3 + 2, 0 * 3 + 1)


# Positional heads


def positional(words: Sequence[Spelled], *heads: Array) -> list[Positional]:
    return positional_heads(record(words, np.stack(heads)[None]))


@pytest.mark.parametrize("offset", [-1, 0, 1])
def test_a_head_that_looks_a_fixed_way_is_positional_and_others_are_not(offset: int) -> None:
    n = len(NOUNS)
    anywhere = random_weights((1, 1, n))[0, 0]
    resting = np.full((n, n), 0.5 / (n - 1), np.float32)  # a sink has another offset from each query
    resting[:, 3] = 0.5
    (found,) = positional(NOUNS, anywhere, query_mask(offset, n), resting)
    assert (found.layer, found.head, found.offset) == (0, 1, offset)
    assert found.share == pytest.approx(0.9 if offset else 1)  # the one at the end has nothing before or after it


@pytest.mark.parametrize(("stray", "expected"), [(0, [1.0]), (1, [0.9]), (2, [])])
def test_nine_queries_of_ten_make_a_positional_head(stray: int, expected: list[float]) -> None:
    head = query_mask(0, 10)
    head[:stray] = np.eye(10)[[9, 8][:stray]]
    assert [found.share for found in positional(NOUNS, head)] == pytest.approx(expected)


@pytest.mark.parametrize(("words", "expected"), [(5, 0), (6, 1)])
def test_short_texts_have_no_positional_heads(words: int, expected: int) -> None:
    assert len(positional(NOUNS[:words], query_mask(0, words))) == expected


def test_special_tokens_are_no_queries_of_a_positional_head() -> None:
    # Seven words look at themselves; five special tokens look at the first one and are not asked.
    head = query_mask(0, 12)
    head[7:] = np.eye(12)[0]
    assert positional([*NOUNS[:7], *["[SEP]"] * 5], head) == [Positional(0, 0, 0, 1.0)]


def test_words_that_all_look_at_a_special_token_are_not_positional() -> None:
    head = np.zeros((8, 8), np.float32)
    head[:, 0] = 1
    assert positional(["[CLS]", *NOUNS[:7]], head) == []


def test_positional_heads_are_found_in_tokens() -> None:
    # The head looks two tokens back, which in words is the one before, the same, or two back.
    words: list[Spelled] = [(noun, [noun[:2], noun[2:]] if i % 3 else [noun]) for i, noun in enumerate(NOUNS * 2)]
    n = sum(len(pieces) for _, pieces in words)
    assert [found.offset for found in positional(words, query_mask(-2, n))] == [-2]


# What counts

SENTENCE: list[Spelled] = ["[CLS]", "The", "bank", "approved", ",", "it", "of", "loan", ".", "[SEP]"]


def chosen(units: Units, mask: np.ndarray) -> list[str]:
    return [label for label, yes in zip(units.queries.labels, mask, strict=True) if yes]


def test_content_words_count_by_default_and_not_with_themselves() -> None:
    units = units_of(SENTENCE, random_weights((1, 2, 10)))
    selection = select(units, causal=False)
    assert chosen(units, selection.queries) == chosen(units, selection.keys) == ["bank", "approved", "it", "loan"]
    assert not selection.itself
    assert not selection.pairs.diagonal().any()
    assert selection.pairs.sum() == 4 * 3
    assert selection.heads.all()


def test_special_brings_in_special_tokens_and_punctuation_but_no_function_words() -> None:
    units = units_of(SENTENCE, random_weights((1, 2, 10)))
    selection = select(units, causal=False, special=True)
    expected = ["[CLS]", "bank", "approved", ",", "it", "loan", ".", "[SEP]"]
    assert chosen(units, selection.queries) == chosen(units, selection.keys) == expected
    assert not selection.itself


def test_everything_is_everything() -> None:
    units = units_of(SENTENCE, random_weights((1, 2, 10)))
    selection = select(units, causal=True, everything=True)
    assert selection.queries.all()
    assert selection.keys.all()
    assert selection.pairs.all()


@pytest.mark.parametrize(
    ("chosen_by", "heads"),
    [({}, [False, True]), ({"special": True}, [False, True]), ({"everything": True}, [True, True])],
)
def test_positional_heads_count_with_everything_only(chosen_by: dict[str, bool], heads: list[bool]) -> None:
    units = units_of(SENTENCE, random_weights((1, 2, 10)))
    selection = select(units, [Positional(0, 0, -1, 1.0)], causal=False, **chosen_by)
    assert selection.heads.tolist() == [heads]


def test_the_first_word_of_a_causal_model_is_no_key() -> None:
    units = content(random_weights((1, 2, 4), causal=True))
    selection = select(units, causal=True)
    assert chosen(units, selection.keys) == ["loan", "company", "river"]
    assert chosen(units, selection.queries) == ["bank", "loan", "company", "river"]
    assert select(units, causal=True, special=True).keys.all()
    assert select(units, causal=False).keys.all()


def test_a_token_of_a_function_word_does_not_count() -> None:
    words: list[Spelled] = [("because", ["be", "##cause"]), ("loans", ["loan", "##s"])]
    units = in_tokens(record(words, random_weights((1, 1, 4))))
    assert chosen(units, select(units, causal=False).queries) == ["loan", "##s"]


# Finding a word

THE: list[Spelled] = ["[CLS]", "The", "bank", "approved", "the", "a:b", ":", "loan", "the", "Straße", "[SEP]"]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ("bank", [2]),
        ("BANK", [2]),
        ("bank:1", [2]),
        ("the", [1, 4, 8]),
        ("The", [1, 4, 8]),
        ("the:1", [1]),
        ("the:2", [4]),
        ("THE:3", [8]),
        ("a:b", [5]),
        ("a:b:1", [5]),
        (":", [6]),
        ("::1", [6]),
        ("[cls]", [0]),
        ("STRASSE", [9]),
    ],
)
def test_a_word_is_found_in_any_case_and_by_its_number(wanted: str, found: list[int]) -> None:
    assert find_unit(units_of(THE, random_weights((1, 1, 11))), wanted) == found


def test_a_word_that_reads_like_a_number_of_another_is_found_as_it_is() -> None:
    assert find_unit(units_of(["a:2", "a", "a"], random_weights((1, 1, 3))), "a:2") == [0]


@pytest.mark.parametrize("wanted", ["house", "house:1", "ban", "the:", "the:x", "the:-1", "the:²", "", ":1"])
def test_a_word_that_is_not_there_is_an_error_that_lists_what_is(wanted: str) -> None:
    units = units_of(["The", "bank", "the", "loan"], random_weights((1, 1, 4)))
    with pytest.raises(UsageError) as caught:
        find_unit(units, wanted)
    assert caught.value.message == f"the text has no word {wanted!r}"
    assert caught.value.hint.endswith("It has: The, bank, the, loan")


def test_a_missing_token_is_called_a_token() -> None:
    with pytest.raises(UsageError, match="the text has no token 'house'"):
        find_unit(in_tokens(record(["a"], random_weights((1, 1, 1)))), "house")


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ("the:0", "no the:0: 'the' occurs 2 times"),
        ("the:3", "no the:3: 'the' occurs 2 times"),
        ("bank:2", "no bank:2: 'bank' occurs once"),
    ],
)
def test_a_number_too_high_is_an_error_that_says_how_often_the_word_occurs(wanted: str, said: str) -> None:
    units = units_of(["The", "bank", "the"], random_weights((1, 1, 3)))
    with pytest.raises(UsageError) as caught:
        find_unit(units, wanted)
    assert caught.value.message == said
    assert caught.value.hint.startswith("Count from 1")


def test_a_number_of_thousands_of_digits_is_an_error_like_any_other() -> None:
    with pytest.raises(UsageError, match="'bank' occurs once"):
        find_unit(units_of(["bank"], random_weights((1, 1, 1))), "bank:" + "9" * 5000)


# Two texts, and layers with numbers of their own


def cross(queries: list[Spelled], keys: list[Spelled], **options: bool) -> tuple[list[str], list[str]]:
    """What counts among the queries and the keys of a cross map."""
    units = in_words(cross_record(queries, keys, random_weights((1, 2, len(queries), len(keys)))))
    selection = select(units, causal=options.pop("causal", False), **options)
    assert selection.itself
    assert selection.pairs.shape == (len(queries), len(keys))
    return (
        [queries[i] for i in np.flatnonzero(selection.queries)],  # type: ignore[misc]
        [keys[i] for i in np.flatnonzero(selection.keys)],
    )


def test_each_text_of_a_cross_map_is_sifted_by_itself() -> None:
    queries: list[Spelled] = ["[<s>]", "the", "Bank", "."]
    assert cross(queries, ["bank", "of", "river", "[</s>]", "!"]) == (["Bank"], ["bank", "river"])
    assert cross(queries, ["of", "river", "."], special=True) == (["[<s>]", "Bank", "."], ["river", "."])
    assert cross(queries, ["of", "river", "."], function=True) == (["the", "Bank"], ["of", "river"])
    assert cross(queries, ["of", "."], everything=True) == (queries, ["of", "."])


def test_the_first_word_of_the_source_is_no_sink_of_a_causal_text() -> None:
    assert cross(["Die", "Bank"], ["bank", "river"], causal=True)[1] == ["bank", "river"]


def test_words_at_the_same_place_of_two_texts_are_a_pair() -> None:
    units = content(peaked((1, 1, 2, 3), {(0, 0, 1, 1): 0.9}), cross=True)
    (link,) = strongest(select(units, causal=False), 1)
    assert (link.query_index, link.key_index, link.weight) == (1, 1, pytest.approx(0.9))
    (row,) = top_attended(select(units, causal=False), [1], 1)
    assert [(found.key_index, found.key) for found in row.best] == [(1, "loan")]
    assert row.average[0][0] == 1


@pytest.mark.parametrize("offset", [-1, 0, 1])
def test_a_cross_map_has_no_positional_heads(offset: int) -> None:
    weights = query_mask(offset, len(NOUNS))[None, None]
    assert positional_heads(record(NOUNS, weights)) != []
    assert positional_heads(cross_record(NOUNS, NOUNS, weights)) == []


def test_links_and_positional_heads_name_the_layer_by_its_own_number() -> None:
    weights = np.stack([random_weights((1, 1, 10))[0], query_mask(-1, 10)[None]])
    attention = record(NOUNS, weights, numbers=(3, 7))
    (found,) = positional_heads(attention)
    assert found.layer == 7
    selection = select(in_words(attention), [found], causal=False)
    assert selection.heads.tolist() == [[True], [False]]
    assert {link.layer for link in strongest(selection, 9)} == {3}


def test_a_word_of_a_cross_map_is_looked_for_in_the_target() -> None:
    units = in_words(cross_record(["Die", "Bank"], ["the", "bank", "Bank"], random_weights((1, 1, 2, 3))))
    assert find_unit(units, "bank") == [1]
    with pytest.raises(UsageError) as caught:
        find_unit(units, "the")
    assert caught.value.message == "the target text has no word 'the'"
    assert caught.value.hint == "It has: Die, Bank"


def test_function_words_can_count_alone() -> None:
    units = units_of(SENTENCE, random_weights((1, 2, 10)))
    selection = select(units, causal=True, function=True)
    assert chosen(units, selection.queries) == ["The", "bank", "approved", "it", "of", "loan"]
    first = units_of(["The", "bank"], random_weights((1, 1, 2)))
    assert chosen(first, select(first, causal=True, function=True).keys) == ["bank"]
