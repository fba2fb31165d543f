from __future__ import annotations

from typing import Any, get_args

import numpy as np
import pytest

from attnviz.analysis import metrics
from attnviz.analysis.links import select
from attnviz.analysis.summary import Cell, HeadMap, Heads, pick_maps, shown_units, summarise
from attnviz.analysis.units import Units, in_tokens, in_words
from attnviz.errors import UsageError
from attnviz.record import Attention
from tests.records import Spelled, looking, peaked, random_weights, record

SENTENCE: list[Spelled] = ["[CLS]", "the", "bank", ("loans", ["loan", "##s"]), "money", ".", "[SEP]"]
N = 8  # tokens
NOUNS = ("bank", "loan", "company", "river", "water", "money", "house", "stone", "cloud", "paper")


def attention() -> Attention:
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


def maps_of(**heads: Any) -> list[tuple[int, int | None]]:
    return places(summarise(attention(), heads=Heads(**heads)).maps)


def test_the_map_is_by_default_that_of_the_strongest_link() -> None:
    summary = summarise(attention())
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
    summary = summarise(attention(), heads=Heads(layers=(1,), mean=True))
    assert places(summary.maps) == [(1, None)]
    np.testing.assert_allclose(summary.maps[0].weights, in_words(attention()).weights[1].mean(0), atol=1e-7)


def test_the_mean_without_a_layer_is_one_map_a_layer() -> None:
    assert maps_of(mean=True) == [(0, None), (1, None), (2, None)]


def test_a_map_holds_the_weights_of_its_head() -> None:
    (head,) = summarise(attention(), heads=Heads((0,), (3,))).maps
    np.testing.assert_array_equal(head.weights, in_words(attention()).weights[0, 3])


def test_with_special_the_strongest_link_of_all_tokens_decides() -> None:
    summary = summarise(attention(), special=True)
    assert [(link.query, link.key) for link in summary.links[:2]] == [("bank", "[CLS]"), ("money", ".")]
    assert places(summary.maps) == [(0, 0)]


def test_with_everything_function_words_and_self_links_count() -> None:
    pairs = {(link.query, link.key) for link in summarise(attention(), everything=True).links}
    assert {("bank", "the"), ("bank", "bank"), ("bank", "[CLS]"), ("money", ".")} <= pairs


def test_a_head_that_counts_is_preferred_to_a_stronger_positional_one() -> None:
    weak = random_weights((1, 1, 10))[0, 0] * 0.01 + 0.99 / 10
    summary = summarise(record(NOUNS, np.stack([looking(1, 10), weak])[None]))
    assert places(summary.maps) == [(0, 1)]
    assert [(found.layer, found.head) for found in summary.positional] == [(0, 0)]
    assert np.isnan(summary.overview).tolist() == [[True, False]]


def test_where_every_head_is_positional_a_map_is_shown_all_the_same() -> None:
    summary = summarise(record(NOUNS, looking(1, 10)[None, None]))
    assert summary.links == []
    assert places(summary.maps) == [(0, 0)]
    assert [row.best for row in summary.attended] == [()] * 10


def test_a_text_without_content_words_is_summarised_all_the_same() -> None:
    summary = summarise(record(["[CLS]", "the", ".", "[SEP]"], random_weights((2, 2, 4))))
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
        summarise(attention(), heads=heads)
    assert caught.value.message == said


def test_a_word_that_is_not_there_is_an_error() -> None:
    with pytest.raises(UsageError, match="the text has no word 'river'"):
        summarise(attention(), words=["bank", "river"])


def test_a_word_is_no_token_and_a_token_no_word() -> None:
    summarise(attention(), words=["loans"])
    summarise(attention(), words=["##s"], tokens=True)
    with pytest.raises(UsageError, match="the text has no token 'loans'"):
        summarise(attention(), words=["loans"], tokens=True)


# Numbers


def test_shares_are_of_all_attention_in_tokens_whatever_counts() -> None:
    found = attention()
    special = found.weights[..., [0, 7]].sum(-1).mean()
    for options in ({}, {"special": True}, {"tokens": True}, {"everything": True}):
        summary = summarise(found, **options)
        assert summary.special_share == pytest.approx(special, abs=1e-6)
        assert summary.punctuation_share == pytest.approx(found.weights[..., 6].mean(), abs=1e-6)


def test_the_overview_of_links_is_each_heads_largest_weight_that_counts() -> None:
    summary = summarise(attention())
    weights, counting = summary.units.weights, [2, 3, 4]  # bank, loans, money
    for place in np.ndindex(3, 4):
        expected = max(weights[place][q, k] for q in counting for k in counting if q != k)
        assert summary.overview[place] == pytest.approx(expected)
    assert summary.overview.argmax() == 1 * 4 + 2


@pytest.mark.parametrize("cell", [cell for cell in get_args(Cell) if cell != "link"])
@pytest.mark.parametrize("tokens", [False, True])
def test_the_other_overviews_are_the_metrics_in_tokens(cell: Any, *, tokens: bool) -> None:
    found = attention()
    expected = metrics.sink(found.weights, False) if cell == "sink" else getattr(metrics, cell)(found.weights)
    np.testing.assert_array_equal(summarise(found, cell=cell, tokens=tokens).overview, expected)


def test_the_sink_of_a_causal_record_is_the_causal_one() -> None:
    causal = record(["a1", "b1", "c1", "d1"], random_weights((2, 2, 4), causal=True), causal=True)
    np.testing.assert_array_equal(summarise(causal, cell="sink").overview, metrics.sink(causal.weights, True))


def test_top_and_links_are_how_many_are_listed() -> None:
    summary = summarise(attention(), top=1, links=4)
    assert len(summary.links) == 4
    assert {len(row.best) for row in summary.attended} == {len(row.average) for row in summary.attended} == {1}


def test_the_attended_are_those_of_all_words_that_count_or_of_those_named() -> None:
    assert [row.query for row in summarise(attention()).attended] == ["bank", "loans", "money"]
    named = summarise(attention(), words=["the", "BANK:1"]).attended
    assert [(row.query, row.query_index) for row in named] == [("the", 1), ("bank", 2)]


# What a map shows


def units() -> Units:
    return in_words(attention())


def test_a_map_shows_the_words_without_special_tokens_and_punctuation() -> None:
    words = units().queries
    assert [words.labels[i] for i in shown_units(words, special=False)] == ["the", "bank", "loans", "money"]
    assert shown_units(words, special=True).tolist() == list(range(7))


def test_a_map_of_too_few_words_shows_everything() -> None:
    few = in_words(record(["[CLS]", "bank", ".", "[SEP]"], random_weights((1, 1, 4))))
    assert shown_units(few.queries, special=False).tolist() == [0, 1, 2, 3]


def test_maps_of_tokens_show_tokens() -> None:
    tokens = in_tokens(attention())
    (head,) = pick_maps(select(tokens, causal=False), Heads((0,), (0,)), special=False)
    assert head.weights.shape == (N, N)
    for shown in (head.rows, head.columns):
        assert [tokens.queries.labels[i] for i in shown] == ["the", "bank", "loan", "##s", "money"]
