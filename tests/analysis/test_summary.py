from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, get_args

import numpy as np
import pytest

from attnviz.analysis.text.replaying import replay
from attnviz.analysis.text.shown_maps import HeadMap, grid
from attnviz.analysis.text.summary import Summary
from attnviz.errors import UsageError
from attnviz.record import Array, AttentionRecord, Cell, Crop, Heads, Request
from tests.analysis import whole as metrics
from tests.analysis.whole import Units, in_tokens, in_words, shown_units
from tests.records import Spelled, cross_record, peaked, query_mask, random_weights, record, summary_of

SENTENCE: list[Spelled] = ["[CLS]", "the", "bank", ("loans", ["loan", "##s"]), "money", ".", "[SEP]"]
N = 8  # tokens
NOUNS = ("bank", "loan", "company", "river", "water", "money", "house", "stone", "cloud", "paper")


def attention() -> AttentionRecord:
    """Strongest content link: money → bank in L1 H2; L0's own is bank → money in H1; stronger ones do not count."""
    peaks = {
        (1, 2, 5, 2): 0.75,
        (0, 1, 2, 5): 0.5,
        (0, 0, 2, 0): 0.9,  # bank → [CLS]
        (0, 2, 2, 1): 0.9,  # bank → the
        (0, 3, 2, 2): 0.9,  # bank → bank
        (2, 3, 5, 6): 0.9,  # money → .
    }
    return record(SENTENCE, peaked((3, 4, N), peaks))


def places(maps: list[HeadMap]) -> list[tuple[int, int | None]]:
    return [(head.layer, head.head) for head in maps]


def shown(weights: Array) -> Array:
    """What a map shows of the sentence: the, bank, loans, money."""
    return weights[1:5, 1:5]


def maps_of(**heads: Any) -> list[tuple[int, int | None]]:
    return places(summary_of(attention(), heads=Heads(**heads)).maps)


def test_the_map_is_by_default_that_of_the_strongest_link() -> None:
    summary = summary_of(attention())
    assert places(summary.maps) == [(1, 2)]
    (link, *_) = summary.links
    assert (link.query, link.key, link.layer, link.head, link.weight) == ("money", "bank", 1, 2, 0.75)


def test_a_layer_alone_gives_the_map_of_its_strongest_link() -> None:
    assert maps_of(layers=(0,)) == [(0, 1)]
    assert maps_of(layers=(1, 0)) == [(1, 2), (0, 1)]


def test_a_head_alone_gives_its_map_in_the_layer_of_its_strongest_link() -> None:
    assert maps_of(heads=(1,)) == [(0, 1)]
    assert maps_of(heads=(2,)) == [(1, 2)]


def test_several_heads_alone_share_a_layer() -> None:
    assert maps_of(heads=(2, 1)) == [(1, 2), (1, 1)]


def test_layers_and_heads_give_each_with_each() -> None:
    assert maps_of(layers=(0, 2), heads=(3, 1)) == [(0, 3), (0, 1), (2, 3), (2, 1)]


def test_layer_and_head_zero_are_wishes_too() -> None:
    assert maps_of(layers=(0,), heads=(0,)) == [(0, 0)]
    assert maps_of(heads=(0,)) != maps_of()


def test_the_mean_is_the_mean_of_a_layers_heads() -> None:
    summary = summary_of(attention(), heads=Heads(layers=(1,), mean=True))
    assert places(summary.maps) == [(1, None)]
    np.testing.assert_allclose(summary.maps[0].weights, shown(in_words(attention()).weights[1].mean(0)), atol=1e-7)


def test_the_mean_without_a_layer_is_one_map_a_layer() -> None:
    assert maps_of(mean=True) == [(0, None), (1, None), (2, None)]


def test_a_map_holds_the_weights_of_its_head() -> None:
    (head,) = summary_of(attention(), heads=Heads((0,), (3,))).maps
    np.testing.assert_allclose(head.weights, shown(in_words(attention()).weights[0, 3]), rtol=1e-6)


def test_with_special_the_strongest_link_of_all_tokens_decides() -> None:
    summary = summary_of(attention(), special=True)
    assert [(link.query, link.key) for link in summary.links[:2]] == [("bank", "[CLS]"), ("money", ".")]
    assert places(summary.maps) == [(0, 0)]


def test_with_everything_function_words_and_self_links_count() -> None:
    pairs = {(link.query, link.key) for link in summary_of(attention(), everything=True).links}
    assert {("bank", "the"), ("bank", "bank"), ("bank", "[CLS]"), ("money", ".")} <= pairs


def test_a_head_that_counts_is_preferred_to_a_stronger_positional_one() -> None:
    weak = random_weights((1, 1, 10))[0, 0] * 0.01 + 0.99 / 10
    summary = summary_of(record(NOUNS, np.stack([query_mask(1, 10), weak])[None]))
    assert places(summary.maps) == [(0, 1)]
    assert [(found.layer, found.head) for found in summary.positional] == [(0, 0)]
    assert np.isnan(summary.overview).tolist() == [[True, False]]


def test_where_every_head_is_positional_a_map_is_shown_all_the_same() -> None:
    summary = summary_of(record(NOUNS, query_mask(1, 10)[None, None]))
    assert summary.links == []
    assert places(summary.maps) == [(0, 0)]
    assert [row.best for row in summary.attended] == [()] * 10


def test_a_text_without_content_words_is_summarised_all_the_same() -> None:
    summary = summary_of(record(["[CLS]", "the", ".", "[SEP]"], random_weights((2, 2, 4))))
    assert summary.links == []
    assert summary.attended == []
    assert not summary.overview.any()
    assert len(summary.maps) == 1


# What there is not


@pytest.mark.parametrize(
    ("heads", "said"),
    [
        (Heads(heads=(14,)), "no head 14: each layer of this model has heads 0–3"),
        (Heads(layers=(0,), heads=(1, 4)), "no head 4: each layer of this model has heads 0–3"),
        (Heads(layers=(3,)), "no layer 3: this model has layers 0–2"),
        (Heads(layers=(0, 7), mean=True), "no layer 7: this model has layers 0–2"),
    ],
)
def test_a_layer_or_head_that_is_not_there_is_an_error_that_says_what_is(heads: Heads, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        summary_of(attention(), heads=heads)
    assert caught.value.message == said


def test_a_word_that_is_not_there_is_an_error() -> None:
    with pytest.raises(UsageError, match="the text has no word 'river'"):
        summary_of(attention(), words=("bank", "river"))


def test_a_word_is_no_token_and_a_token_no_word() -> None:
    summary_of(attention(), words=("loans",))
    summary_of(attention(), words=("##s",), unit="token")
    with pytest.raises(UsageError, match="the text has no token 'loans'"):
        summary_of(attention(), words=("loans",), unit="token")


# Numbers


def test_shares_are_of_all_attention_in_tokens_whatever_counts() -> None:
    found = attention()
    special = found.weights[..., [0, 7]].sum(-1).mean()
    for options in ({}, {"special": True}, {"unit": "token"}, {"everything": True}):
        summary = summary_of(found, **options)
        assert summary.special_share == pytest.approx(special, abs=1e-6)
        assert summary.punctuation_share == pytest.approx(found.weights[..., 6].mean(), abs=1e-6)


def test_the_overview_of_links_is_each_heads_largest_weight_that_counts() -> None:
    summary = summary_of(attention())
    weights, counting = in_words(attention()).weights, [2, 3, 4]  # bank, loans, money
    for place in np.ndindex(3, 4):
        expected = max(weights[place][q, k] for q in counting for k in counting if q != k)
        assert summary.overview[place] == pytest.approx(expected)
    assert summary.overview.argmax() == 1 * 4 + 2


@pytest.mark.parametrize("cell", [cell for cell in get_args(Cell) if cell != "link"])
@pytest.mark.parametrize("tokens", [False, True])
def test_the_other_overviews_are_the_metrics_in_tokens(cell: Any, *, tokens: bool) -> None:
    found = attention()
    expected = metrics.sink(found.weights, False) if cell == "sink" else getattr(metrics, cell)(found.weights)
    np.testing.assert_allclose(
        summary_of(found, cell=cell, unit="token" if tokens else "word").overview, expected, rtol=1e-6
    )


def test_the_sink_of_a_causal_record_is_the_causal_one() -> None:
    causal = record(["a1", "b1", "c1", "d1"], random_weights((2, 2, 4), causal=True), causal=True)
    np.testing.assert_allclose(summary_of(causal, cell="sink").overview, metrics.sink(causal.weights, True), rtol=1e-6)


def test_top_and_links_are_how_many_are_listed() -> None:
    summary = summary_of(attention(), top=1, links=4)
    assert len(summary.links) == 4
    assert {len(row.best) for row in summary.attended} == {len(row.average) for row in summary.attended} == {1}


def test_the_attended_are_those_of_all_words_that_count_or_of_those_named() -> None:
    assert [row.query for row in summary_of(attention()).attended] == ["bank", "loans", "money"]
    named = summary_of(attention(), words=("the", "BANK:1")).attended
    assert [(row.query, row.query_index) for row in named] == [("the", 1), ("bank", 2)]


# What a map shows


def units() -> Units:
    return in_words(attention())


def shown_words(found: Units, window: Crop | None = None, *, special: bool = False) -> list[list[str]]:
    return [[found.queries.labels[i] for i in axis] for axis in shown_units(found, window, special=special)]


def test_a_map_shows_the_words_without_special_tokens_and_punctuation() -> None:
    assert shown_words(units()) == [["the", "bank", "loans", "money"]] * 2
    assert [axis.tolist() for axis in shown_units(units(), special=True)] == [list(range(7))] * 2


def test_a_map_of_too_few_words_shows_everything() -> None:
    few = in_words(record(["[CLS]", "bank", ".", "[SEP]"], random_weights((1, 1, 4))))
    assert [axis.tolist() for axis in shown_units(few, special=False)] == [[0, 1, 2, 3]] * 2


# A part of a map


def test_a_window_cuts_the_maps_of_the_heads_and_of_the_grid() -> None:
    window = Crop((2, 4), (1, None))
    (head,) = summary_of(attention(), heads=Heads((0,), (3,)), crop=window).maps
    assert (head.rows.tolist(), head.columns.tolist()) == ([2, 3], [1, 2, 3, 4])
    whole = units().weights
    np.testing.assert_allclose(head.weights, whole[0, 3, 2:4, 1:5], rtol=1e-6)
    shown_of_all = grid(replay(attention(), Request(crop=window))).weights
    np.testing.assert_allclose(shown_of_all, whole[:, :, 2:4, 1:5], rtol=1e-6)
    (mean,) = summary_of(attention(), heads=Heads((1,), mean=True), crop=window).maps
    np.testing.assert_allclose(mean.weights, whole[1, :, 2:4, 1:5].mean(0), atol=1e-7)


def test_a_window_changes_nothing_but_the_maps() -> None:
    whole, part = summary_of(attention()), summary_of(attention(), crop=Crop((5, 7)))
    assert (part.links, part.attended) == (whole.links, whole.attended)
    np.testing.assert_array_equal(part.overview, whole.overview)


def test_a_window_without_two_words_shows_what_is_there() -> None:
    assert shown_words(units(), Crop((5, 7), (0, 2))) == [[".", "[SEP]"], ["[CLS]", "the"]]
    assert shown_words(units(), Crop((3, 4), (5, 6))) == [["loans"], ["."]]
    assert shown_words(units(), Crop((None, 3), (4, None)), special=True) == [
        ["[CLS]", "the", "bank"],
        ["money", ".", "[SEP]"],
    ]


@pytest.mark.parametrize(
    ("window", "said"),
    [
        (Crop((2, 8)), "no rows 2:8: there are 7 words"),
        (Crop((7, None)), "no rows 7:: there are 7 words"),
        (Crop((9, 10)), "no rows 9:10: there are 7 words"),
        (Crop((None, None), (0, 8)), "no columns 0:8: there are 7 words"),
        (Crop((3, 3)), "no rows 3:3: the range is empty"),
        (Crop((5, 2)), "no rows 5:2: the range is empty"),
    ],
)
def test_a_window_beyond_the_text_is_refused_with_the_size(window: Crop, said: str) -> None:
    with pytest.raises(UsageError) as error:
        summary_of(attention(), crop=window)
    assert str(error.value).splitlines() == [said, "They are numbered from 0 to 6."]


def test_a_window_counts_tokens_where_tokens_are_shown() -> None:
    (head,) = summary_of(attention(), unit="token", crop=Crop((3, 5))).maps
    assert head.rows.tolist() == [3, 4]
    with pytest.raises(UsageError, match="there are 8 tokens"):
        summary_of(attention(), unit="token", crop=Crop((3, 9)))


def test_the_rows_of_a_cross_map_are_of_the_target_and_its_columns_of_the_source() -> None:
    (head,) = summary_of(cross(), crop=Crop((1, 2), (2, 4))).maps
    assert (head.rows.tolist(), head.columns.tolist()) == ([1], [2, 3])
    with pytest.raises(UsageError, match="no columns 0:9: there are 6 words"):
        summary_of(cross(), crop=Crop((1, 2), (0, 9)))


def test_maps_of_tokens_show_tokens() -> None:
    tokens = in_tokens(attention())
    (head,) = summary_of(attention(), unit="token", heads=Heads((0,), (0,))).maps
    assert head.weights.shape == (5, 5)
    for shown in (head.rows, head.columns):
        assert [tokens.queries.labels[i] for i in shown] == ["the", "bank", "loan", "##s", "money"]


# Layers with numbers of their own


def hybrid(numbers: tuple[int, ...] = (3, 7, 11)) -> AttentionRecord:
    return replace(attention(), numbers=numbers)


def test_layers_are_asked_for_and_named_by_their_own_numbers() -> None:
    summary = summary_of(hybrid())
    assert places(summary.maps) == [(7, 2)]
    assert summary.links[0].layer == 7
    assert {link.layer for row in summary.attended for link in row.best} <= {3, 7, 11}
    weights = in_words(attention()).weights
    for number, layer in ((3, 0), (11, 2)):
        (head,) = summary_of(hybrid(), heads=Heads((number,), (3,))).maps
        assert (head.layer, head.head) == (number, 3)
        np.testing.assert_allclose(head.weights, shown(weights[layer, 3]), rtol=1e-6)
    (mean,) = summary_of(hybrid(), heads=Heads((11,), mean=True)).maps
    np.testing.assert_allclose(mean.weights, shown(weights[2].mean(0)), atol=1e-7)
    assert places(summary_of(hybrid(), heads=Heads(mean=True)).maps) == [(3, None), (7, None), (11, None)]
    assert places(summary_of(hybrid(), heads=Heads((3,))).maps) == [(3, 1)]


@pytest.mark.parametrize(
    ("numbers", "said"),
    [
        ((3, 7, 11), "no layer 1: this model has attention in layers 3, 7, 11"),
        ((4, 5, 6), "no layer 1: this model has attention in layers 4–6"),
    ],
)
def test_a_layer_without_attention_is_an_error_that_says_which_have_it(numbers: tuple[int, ...], said: str) -> None:
    with pytest.raises(UsageError) as caught:
        summary_of(hybrid(numbers), heads=Heads((1,)))
    assert caught.value.message == said


# Two texts

SOURCE: list[Spelled] = ["The", "bank", ("loans", ["loan", "##s"]), "money", ".", "[SEP]"]


def cross() -> AttentionRecord:
    """Five target words look at seven source tokens; Bank → bank is strongest, in L1 H0."""
    weights = peaked((2, 2, 5, 7), {(1, 0, 2, 1): 0.875, (0, 1, 1, 4): 0.5, (0, 0, 0, 6): 0.9})
    return cross_record(["[<s>]", "Die", "Bank", "gab", "."], SOURCE, weights)


def test_a_cross_map_has_the_words_of_both_texts() -> None:
    summary = summary_of(cross())
    (head,) = summary.maps
    assert (head.layer, head.head) == (1, 0)
    assert head.weights.shape == (3, 4)
    assert (head.rows.tolist(), head.columns.tolist()) == ([1, 2, 3], [0, 1, 2, 3])
    assert [row.query for row in summary.attended] == ["Die", "Bank", "gab"]
    link = summary.links[0]
    assert (link.query, link.key, link.layer, link.head) == ("Bank", "bank", 1, 0)
    assert summary.special_share == pytest.approx(cross().weights[..., 6].mean())
    assert summary.punctuation_share == pytest.approx(cross().weights[..., 5].mean())
    assert summary.positional == []


@pytest.mark.parametrize("cell", ["entropy", "sink"])
def test_the_overviews_of_a_cross_map_are_the_metrics(cell: Any) -> None:
    weights = cross().weights
    expected = metrics.sink(weights, False) if cell == "sink" else metrics.entropy(weights)
    np.testing.assert_allclose(summary_of(cross(), cell=cell).overview, expected, rtol=1e-6)


def test_there_is_no_distance_between_two_texts() -> None:
    with pytest.raises(UsageError, match="no distance between two texts") as caught:
        summary_of(cross(), cell="distance")
    assert caught.value.hint == "Ask for link, entropy or sink."


def test_a_map_of_too_few_words_of_one_text_shows_all_of_that_one() -> None:
    few = cross_record(["[<s>]", "Bank", "."], SOURCE, random_weights((1, 1, 3, 7)))
    (head,) = summary_of(few).maps
    assert (head.rows.tolist(), head.columns.tolist()) == ([0, 1, 2], [0, 1, 2, 3])


# What the new tokens were made from

STORY: list[Spelled] = ["The", "of", "bank", ".", ("loans", ["loan", "##s"]), "[END]"]


def naive_generated(
    attention: AttentionRecord, top: int, allowed: Callable[[int], bool]
) -> list[tuple[int, list[tuple[int, float]], list[tuple[int, float]]]]:
    """For each new token its place, the strongest keys by their best head, and by the average over all heads."""
    n, rows = len(attention.tokens), []
    for token in range(max(1, n - attention.encoding.generated), n):
        row = attention.weights[:, :, token - 1]
        keys = [key for key in range(row.shape[-1]) if allowed(key)]
        best = sorted(((key, float(row[..., key].max())) for key in keys), key=lambda found: -found[1])
        mean = sorted(((key, float(row[..., key].mean())) for key in keys), key=lambda found: -found[1])
        rows.append((token, *([found for found in each if found[1] > 0][:top] for each in (best, mean))))
    return rows


def assert_generated(summary: Summary, expected: list[Any]) -> None:
    found, found_in = summary.generated, summary.observation.whole
    assert isinstance(found_in, AttentionRecord)
    assert [row.query_index + 1 for row in found] == [token for token, _, _ in expected]
    for row, (_, best, mean) in zip(found, expected, strict=True):
        assert row.query == found_in.tokens[row.query_index]
        assert [(link.key_index, link.weight) for link in row.best] == best
        for link in row.best:
            assert link.query_index == row.query_index
            assert link.key == found_in.key_tokens[link.key_index]
            layer = found_in.layer_numbers.index(link.layer)
            assert found_in.weights[layer, link.head, link.query_index, link.key_index] == link.weight
        assert [key for key, _ in row.average] == [key for key, _ in mean]
        assert [weight for _, weight in row.average] == pytest.approx([weight for _, weight in mean], rel=1e-5)


@pytest.mark.parametrize("generated", [1, 3, 7])
@pytest.mark.parametrize("tokens", [False, True])
@pytest.mark.parametrize("numbers", [(), (2, 5)])
def test_a_new_token_has_the_row_of_the_token_before_it(
    generated: int, numbers: tuple[int, ...], *, tokens: bool
) -> None:
    weights = random_weights((2, 3, 7), causal=True)
    found = record(STORY, weights, causal=True, generated=generated, numbers=numbers)
    # Function words count and so does the token itself; the first token, punctuation and special tokens do not.
    assert_generated(
        summary_of(found, unit="token" if tokens else "word"),
        naive_generated(found, 3, lambda key: key in (1, 2, 4, 5)),
    )
    assert len(summary_of(found).generated) == min(generated, 6)  # before the first token there is none


@pytest.mark.parametrize("options", [{"special": True}, {"everything": True}])
def test_with_special_or_all_a_new_token_may_have_looked_anywhere(options: dict[str, bool]) -> None:
    found = record(STORY, random_weights((2, 3, 7), causal=True), causal=True, generated=4)
    assert_generated(summary_of(found, top=9, **options), naive_generated(found, 9, lambda _: True))


def test_a_new_token_of_a_target_has_the_row_before_it_in_the_cross_map_too() -> None:
    found = cross_record(["[<s>]", "Die", "Bank"], SOURCE, random_weights((2, 2, 3, 7)), generated=2)
    assert_generated(summary_of(found), naive_generated(found, 3, lambda key: key < 5))
    assert summary_of(found).generated[0].query == "[<s>]"


def test_the_first_token_of_a_source_is_a_key_like_any() -> None:
    weights = peaked((1, 1, 2, 7), {(0, 0, 0, 0): 0.9})
    (row,) = summary_of(cross_record(["[<s>]", "Bank"], SOURCE, weights, generated=1), top=1).generated
    assert [(link.key, link.key_index) for link in row.best] == [("The", 0)]


def test_where_nothing_was_generated_there_are_no_rows() -> None:
    assert summary_of(attention()).generated == []
    assert summary_of(cross()).generated == []
