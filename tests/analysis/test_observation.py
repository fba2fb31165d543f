"""A summary of an observation is that of all weights, whatever is asked for; and what only long texts have is right."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from attnviz import record
from attnviz.analysis.text import maps, observers
from attnviz.analysis.text.links import counting
from attnviz.analysis.text.long_range import LongRange
from attnviz.analysis.text.observers import AVERAGED
from attnviz.analysis.text.replaying import replay
from attnviz.analysis.text.summary import Summary, summarise
from attnviz.analysis.text.units import within
from attnviz.attention.kernel import Observer, Tile
from attnviz.errors import UsageError
from attnviz.interface import Model, load
from attnviz.model.native.forward import Network
from attnviz.record import Array, AttentionRecord, Crop, Heads, Observation
from attnviz.render.document import summary_document
from attnviz.render.terminal import screen as terminal
from tests.analysis import whole
from tests.analysis.whole import Whole, in_tokens, in_words

TEXT = (
    "The bank approved the loan, because of it.\n\nThe company had strong financials: the loan of the bank.\n\n"
    "A river had it. The  river\nbank had financials!"
)


@pytest.fixture(scope="module")
def models(tiny_bert: Path, tiny_llama: Path, tiny_t5: Path, tiny_hosted: Path) -> dict[str, Model]:
    return {"bert": load(tiny_bert), "llama": load(tiny_llama), "t5": load(tiny_t5), "hosted": load(tiny_hosted)}


def both(model: Model, texts: tuple[str, ...] = (TEXT,), **options: Any) -> tuple[AttentionRecord, Observation]:
    """All weights, and the observation of the same text."""
    run = {"generate": options.pop("generate")} if "generate" in options else {}
    found = model.attend(*texts, **run)
    if isinstance(found, record.EncoderDecoderRecord):
        found = getattr(found, options.get("map") or "cross")
    return found, model.observe(*texts, **run, **options)


def summaries(model: Model, **options: Any) -> tuple[Whole, Summary]:
    """What all weights say, and what was observed; what is said of a record by itself is the same."""
    heads = options.pop("heads", Heads())  # of all layers, as more is compared than maps
    found, observation = both(model, **options)
    request = replace(observation.request, heads=heads)
    naive = whole.summarise(found, request)
    assert_equal(naive, summarise(replay(found, replace(request, map=None))))
    return naive, summarise(observation, heads=heads)


def assert_equal(naive: Whole | Summary, found: Summary) -> None:
    """Weights to rounding: the softmax of an observation is another than that of all weights."""
    assert [vars(link) | {"weight": 0} for link in found.links] == [vars(link) | {"weight": 0} for link in naive.links]
    np.testing.assert_allclose([it.weight for it in found.links], [it.weight for it in naive.links], rtol=3e-5)
    for mask in ("query_mask", "key_mask", "heads"):
        np.testing.assert_array_equal(getattr(found, mask), getattr(naive, mask))
    assert found.special_share == pytest.approx(naive.special_share, abs=1e-6)
    assert found.punctuation_share == pytest.approx(naive.punctuation_share, abs=1e-6)
    assert found.positional == naive.positional
    np.testing.assert_allclose(found.overview, naive.overview, rtol=1e-4, atol=1e-6)
    assert len(found.maps) == len(naive.maps)
    for ours, theirs in zip(found.maps, naive.maps, strict=True):
        assert (ours.layer, ours.head, ours.down, ours.across) == (theirs.layer, theirs.head, 1, 1)
        np.testing.assert_array_equal(ours.rows, theirs.rows)
        np.testing.assert_array_equal(ours.columns, theirs.columns)
        np.testing.assert_allclose(ours.weights, theirs.weights, rtol=1e-5, atol=1e-6)
    assert_attended(naive, found)
    assert (found.units.kind, found.units.queries.labels) == (naive.units.kind, naive.units.queries.labels)
    assert (found.units.keys.names, found.units.layers) == (naive.units.keys.names, naive.units.layers)


def assert_attended(naive: Whole | Summary, found: Summary) -> None:
    pairs = list(zip(found.attended, naive.attended, strict=True))
    for ours, theirs in [*pairs, *zip(found.generated, naive.generated, strict=True)]:
        assert (ours.query, ours.query_index) == (theirs.query, theirs.query_index)
        places = [[(link.layer, link.head, link.key, link.key_index) for link in it.best] for it in (ours, theirs)]
        assert places[0] == places[1]
        for a, b in zip(ours.best, theirs.best, strict=True):
            assert (a.query, a.query_index) == (b.query, b.query_index)
            assert a.weight == pytest.approx(b.weight, rel=3e-5)
        assert [key for key, _ in ours.average] == [key for key, _ in theirs.average]
        expected = [weight for _, weight in theirs.average]
        assert [weight for _, weight in ours.average] == pytest.approx(expected, rel=3e-5)


def test_averages_are_those_of_the_first_words_where_all_would_be_too_many(
    models: dict[str, Model], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(observers, "AVERAGES", 1)
    every = replay(models["bert"].attend("bank loan company river " * 6))
    rows = summarise(every).attended
    assert [bool(row.average) for row in rows] == [True] * AVERAGED + [False] * (24 - AVERAGED)


@pytest.mark.parametrize("name", ["bert", "llama", "t5", "hosted"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"unit": "token"},
        {"special": True},
        {"everything": True},
        {"unit": "token", "everything": True},
        {"heads": Heads((1,), (0, 2)), "links": 40},
        {"heads": Heads((1,), mean=True), "top": 4},
        {"links": 1, "top": 1, "cell": "entropy"},
        {"cell": "sink"},
    ],
)
def test_a_survey_has_the_summary_of_all_weights(name: str, options: dict[str, Any], models: dict[str, Model]) -> None:
    wide = {"texts": (TEXT, None, "The river bank, of the loan and the company.")} if name == "t5" else {}
    assert_equal(*summaries(models[name], **options, **wide))


@pytest.mark.parametrize("name", ["bert", "llama", "hosted"])
def test_so_it_has_of_distances(name: str, models: dict[str, Model]) -> None:
    assert_equal(*summaries(models[name], cell="distance"))


@pytest.mark.parametrize("name", ["bert", "llama", "t5"])
@pytest.mark.parametrize("options", [{}, {"unit": "token", "special": True}])
def test_words_may_be_asked_for(name: str, options: dict[str, Any], models: dict[str, Model]) -> None:
    words = ("of",) if name == "t5" else ("the", "river:2")
    texts = {"texts": (TEXT, None, "The loan of the river of it")} if name == "t5" else {}
    assert_equal(*summaries(models[name], words=words, **options, **texts))


def test_a_word_that_does_not_count_is_listed_and_its_links_are_not(models: dict[str, Model]) -> None:
    found, observation = both(models["bert"], words=("the",), links=1000)
    assert_equal(whole.summarise(found, observation.request), summarise(observation))
    assert summarise(observation).long_range == summarise(models["bert"].observe(TEXT)).long_range


@pytest.mark.parametrize("name", ["bert", "llama", "t5", "hosted"])
@pytest.mark.parametrize("cell", ["link", "entropy", "sink", "distance"])
@pytest.mark.parametrize("options", [{}, {"unit": "token"}, {"everything": True}])
def test_of_a_passage_only_its_words_look(
    name: str, cell: Any, options: dict[str, Any], models: dict[str, Model]
) -> None:
    if name == "t5" and cell == "distance":
        return
    texts = {"texts": (TEXT, None, "The loan of the river: the loan of the bank.")} if name == "t5" else {}
    naive, found = summaries(models[name], passage="loan of the", cell=cell, **options, **texts)
    assert_equal(naive, found)
    assert {link.query.casefold() for link in naive.links} <= {"loan", "of", "the"}
    assert 0 < naive.query_mask.sum() < len(naive.query_mask)


def test_a_passage_of_a_word_and_a_mark_is_shown_alike(models: dict[str, Model]) -> None:
    for passage in ("it.", ".", "it. The  river\nbank"):
        assert_equal(*summaries(models["bert"], passage=passage))


@pytest.mark.parametrize("kind", ["encoder", "decoder", "cross"])
def test_any_map_of_an_encoder_decoder_may_be_surveyed(kind: Any, models: dict[str, Model]) -> None:
    assert_equal(*summaries(models["t5"], map=kind, texts=(TEXT,), generate=9))


def test_a_pair_is_surveyed(models: dict[str, Model]) -> None:
    assert_equal(*summaries(models["bert"], texts=("The bank had it.", "A river, the loan.")))


@pytest.mark.parametrize("name", ["llama", "hosted", "t5"])
@pytest.mark.parametrize("options", [{}, {"special": True}, {"everything": True, "unit": "token"}])
def test_new_tokens_have_the_rows_they_were_made_from(
    name: str, options: dict[str, Any], models: dict[str, Model]
) -> None:
    naive, found = summaries(models[name], generate=6, **options)
    assert_equal(naive, found)
    assert len(naive.generated) > 3


def test_the_tiles_do_not_matter(models: dict[str, Model], monkeypatch: pytest.MonkeyPatch) -> None:
    for bound in (1, 500, 2000):
        monkeypatch.setattr("attnviz.attention.kernel.TILE", bound)
        for name in ("bert", "llama"):
            assert_equal(*summaries(models[name], links=20))


# What only an observation has


@pytest.mark.parametrize("name", ["bert", "llama"])
@pytest.mark.parametrize("passage", [None, "had strong financials: the loan"])
@pytest.mark.parametrize("tokens", [False, True])
def test_long_range_links_are_the_strongest_of_each_distance(
    name: str, passage: str | None, models: dict[str, Model], *, tokens: bool
) -> None:
    found, observation = both(models[name], unit="token" if tokens else "word", passage=passage)
    summary, units = summarise(observation), (in_tokens if tokens else in_words)(found)
    assert [(far.near, far.far) for far in summary.long_range] == [(1, 10), (10, None)]
    n = len(units.queries)
    apart = np.abs(np.arange(n)[:, None] - np.arange(n))
    for far in summary.long_range:
        counting_pairs = np.outer(summary.query_mask, summary.key_mask) & (apart >= far.near) & (apart < (far.far or n))
        best = np.where(counting_pairs, units.weights[summary.heads].max(0), 0)
        order = np.argsort(-best, axis=None)[:3]
        expected = [(*map(int, divmod(i, n)), pytest.approx(best.flat[i], rel=1e-5)) for i in map(int, order)]
        assert [(it.link.query_index, it.link.key_index, it.link.weight) for it in far.links] == expected
        assert_told(far, found)


def assert_told(far: LongRange, found: AttentionRecord) -> None:
    lines = found.encoding.text.split("\n")
    for it in far.links:
        assert it.distance == abs(it.link.query_index - it.link.key_index)
        for place in (it.query, it.key):
            assert place.word in lines[place.line - 1]
            assert place.page is None
        assert found.encoding.text.find(it.query.word) >= 0


@pytest.mark.parametrize("name", ["bert", "llama"])
@pytest.mark.parametrize("passage", [None, "the loan of the bank"])
def test_the_profile_says_how_far_attention_goes(name: str, passage: str | None, models: dict[str, Model]) -> None:
    found, observation = both(models[name], passage=passage)
    profile, n = summarise(observation).profile, len(found.tokens)
    assert profile is not None
    assert profile.edges == (1, 10)
    rows = np.ones(n, bool) if passage is None else within("token", found.encoding, passage)
    weights = found.weights.astype(float)[:, :, rows]
    np.testing.assert_allclose(profile.first, weights[..., 0].mean((1, 2)), atol=1e-6)
    apart = np.abs(np.flatnonzero(rows)[:, None] - np.arange(n))
    for band, (near, far) in enumerate([(0, 1), (1, 10), (10, n)]):
        inside = (apart >= near) & (apart < far)
        inside[:, 0] = False
        expected = np.where(inside, weights, 0).sum(-1).mean((1, 2))
        np.testing.assert_allclose(profile.shares[:, band], expected, atol=1e-6)
    np.testing.assert_allclose(profile.first + profile.shares.sum(1), 1, atol=1e-5)


@pytest.mark.parametrize("name", ["bert", "llama", "t5"])
@pytest.mark.parametrize("options", [{}, {"unit": "token", "special": True}, {"passage": "the loan"}])
def test_passages_receive_what_the_others_give(name: str, options: dict[str, Any], models: dict[str, Model]) -> None:
    texts = (TEXT, None, "The loan of the river: the loan.") if name == "t5" else (TEXT,)
    found, observation = both(models[name], texts, **options)
    summary = summarise(observation)
    received = [passage.received for passage in summary.passages]
    assert received == pytest.approx(naive_received(found, summary, observation), rel=1e-4, nan_ok=True)
    assert [passage.number for passage in summary.passages] == [1, 2, 3]
    assert [passage.line for passage in summary.passages] == [1, 3, 5]
    assert summary.passages[1].text == "The company had strong financials: the …"
    assert summary.passages[2].text == "A river had it. The river bank had …"
    assert [it.stop for it in summary.passages[:-1]] == [it.start for it in summary.passages[1:]]
    assert np.isnan(received[-1]) == (name == "llama")


def naive_received(found: AttentionRecord, summary: Summary, observation: Observation) -> list[float]:
    """Query by query, key by key."""
    n, m = found.weights.shape[2:]
    passage_of = np.searchsorted(observation.passages, np.arange(m), side="right") - 1
    words = [(word.start, word.stop) for word in found.key_encoding.words]
    spans = [(i, i + 1) for i in range(m)] if summary.units.kind == "token" else words
    content = np.zeros(m, bool)
    for (start, stop), counts in zip(spans, summary.key_mask, strict=True):
        content[start:stop] = counts
    mean = found.weights.astype(float).mean((0, 1))
    given, expected = np.zeros(3), np.zeros(3)
    for q in range(n):
        if observation.within is not None and not observation.within[q]:
            continue
        seen = content & (np.arange(m) <= q) if found.causal else content
        for k in np.flatnonzero(seen):
            if found.keys is not None or passage_of[q] != passage_of[k]:
                given[passage_of[k]] += mean[q, k]
                expected[passage_of[k]] += 1 / seen.sum()
    with np.errstate(invalid="ignore"):
        return list((given / given.sum()) / (expected / expected.sum()))


def test_a_text_of_one_passage_has_none_and_two_texts_have_no_distances(models: dict[str, Model]) -> None:
    assert summarise(models["bert"].observe("The bank had it.")).passages == []
    summary = summarise(models["t5"].observe(TEXT, None, "The loan"))
    assert (summary.long_range, summary.profile) == ([], None)


# Maps that do not fit


@pytest.mark.parametrize("name", ["bert", "llama"])
@pytest.mark.parametrize("options", [{}, {"special": True}])
def test_maps_are_pooled_where_there_are_too_many_words(
    name: str, options: dict[str, Any], models: dict[str, Model]
) -> None:
    found, observation = both(models[name], size=10, **options)
    (head,) = summarise(observation).maps
    n = len(found.words)
    assert (head.down, head.across, head.size) == (4, 4, (n, n))
    np.testing.assert_array_equal(head.rows, range(0, n, 4))
    weights = in_words(found).weights[head.layer, head.head].copy()
    rows, keys, _ = counting(in_words(found), causal=found.causal, function=True, **options)
    weights[~rows], weights[:, ~keys] = 0, 0
    for place in np.ndindex(head.weights.shape):
        row, column = (i * 4 for i in place)
        assert head.weights[place] == pytest.approx(weights[row : row + 4, column : column + 4].max(), abs=1e-6)


def test_a_window_is_exact(models: dict[str, Model]) -> None:
    found, observation = both(models["bert"], size=10, crop=Crop((3, 12), (20, 28)))
    (head,) = summarise(observation, heads=Heads((1,), (2,))).maps
    weights = in_words(found).weights[1, 2]
    assert (head.down, head.across, head.size) == (1, 1, None)
    assert set(head.rows) <= set(range(3, 12))
    assert set(head.columns) <= set(range(20, 28))
    np.testing.assert_allclose(head.weights, weights[np.ix_(head.rows, head.columns)], rtol=1e-5)
    with pytest.raises(UsageError, match="no rows 3:99"):
        models["bert"].observe(TEXT, crop=Crop((3, 99)))


def test_all_maps_together_have_a_bound(models: dict[str, Model], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_EXACT", "_CELLS"):
        monkeypatch.setattr(maps, name, 3 * 4 * 6 * 6)
    assert models["bert"].observe(TEXT).maps.values.size <= 3 * 4 * 6 * 6


# The run


@pytest.mark.parametrize("generate", [None, 4])
def test_of_layers_that_are_asked_for_no_others_are_observed_or_run(
    generate: int | None, models: dict[str, Model], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, ran, layer = models["llama"], list[int](), Network._layer
    monkeypatch.setattr(Network, "_layer", lambda self, i, *given: (ran.append(i), layer(self, i, *given))[1])
    whole = model.observe(TEXT, generate=generate)
    ran.clear()
    found = model.observe(TEXT, generate=generate, heads=Heads((1,), (2,)))
    assert generate or ran == [0]  # of the last one the weights are made, and no more
    assert (found.layer_numbers, found.unobserved, found.shape[0]) == ((1,), (0, 2), 1)
    for name, figure in found.figures.items():
        np.testing.assert_allclose(figure[0], whole.figures[name][1], rtol=1e-5, err_msg=name)
    (head,), (same,) = summarise(found).maps, summarise(whole, heads=Heads((1,), (2,))).maps
    np.testing.assert_allclose(head.weights, same.weights, rtol=1e-5)
    heading = terminal.summary_heading(found).plain
    assert "only L1 looked at" in heading
    assert summary_document(summarise(found), None)["unobserved_layers"] == [0, 2]
    assert model.check_record(found).passed
    with pytest.raises(UsageError, match="no layer 9: this model has layers 0–2"):
        model.observe(TEXT, heads=Heads((9,)))


def test_others_see_the_run(models: dict[str, Model]) -> None:
    seen: list[int] = []

    class Other(Observer):
        def tile(self, tile: Tile) -> None:
            seen.append(tile.layer)

    models["bert"].observe(TEXT, observers=[Other()])
    assert set(seen) == {0, 1, 2}


def test_a_survey_tells_of_its_texts_as_a_record_does(models: dict[str, Model]) -> None:
    for name, texts in (("bert", (TEXT,)), ("t5", (TEXT, None, "The loan"))):
        found, observation = both(models[name], texts)
        for fact in (
            "model",
            "backend",
            "causal",
            "kind",
            "tokens",
            "words",
            "key_tokens",
            "key_words",
            "layers",
            "heads",
        ):
            assert getattr(observation, fact) == getattr(found, fact)
        assert observation.layer_numbers == found.layer_numbers
        assert observation.shape == found.shape
    said = repr(models["bert"].observe("The bank"))
    assert said == f"<Observation of {models['bert'].name}: 3 layers × 4 heads, 4 tokens>"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"words": ("money",)}, "no word 'money'"),
        ({"passage": "the money"}, "no passage 'the money'"),
        ({"map": "cross"}, "has one map, and none for cross"),
    ],
)
def test_what_is_not_there_is_an_error(options: dict[str, Any], said: str, models: dict[str, Model]) -> None:
    with pytest.raises(UsageError, match=said):
        models["bert"].observe(TEXT, **options)


def test_nothing_kept_grows_with_the_square(tmp_path: Path) -> None:
    """Four times the text takes four times the memory, and maps stay as large as they may be."""
    from tests import tiny

    model = load(tiny.llama(tmp_path, max_position_embeddings=5000))
    sizes = [kept_numbers(model.observe("the bank of it " * count, size=32)) for count in (250, 1000)]
    assert sizes[1] < 4.2 * sizes[0]


def kept_numbers(observation: Observation) -> int:
    tops = [top for top in (observation.links, observation.bands, observation.made) if top]
    arrays: list[Array] = [observation.received, observation.profile, *observation.figures.values()]
    arrays += [array for top in tops for array in (top.weights, top.keys)]
    return sum(array.size for array in arrays) + (0 if observation.average is None else observation.average.size)
