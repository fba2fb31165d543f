"""Attention between sentences, lines and paragraphs, per token or not, from a passage or from what was generated."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from attnviz import record
from attnviz.analysis.text.replaying import replay
from attnviz.analysis.text.summary import Summary, summarise
from attnviz.errors import UsageError
from attnviz.interface import Model, load
from attnviz.record import AttentionRecord, Observation, Request, Unit
from tests import tiny
from tests.analysis.large import Large, large

TEXT = (
    "The bank approved the loan. It had strong financials!\nThe company had it, of the loan\nbecause.\n\n"
    "A river had it. The river bank: the loan.\n\nThe company of the bank"
)
UNITS: tuple[Unit, ...] = ("sentence", "line", "paragraph")


@pytest.fixture(scope="module")
def models(
    tiny_bert: Path, tiny_llama: Path, tiny_t5: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Model]:
    mistral = tiny.mistral(tmp_path_factory.mktemp("mistral"), sliding_window=9)
    return {"bert": load(tiny_bert), "llama": load(tiny_llama), "t5": load(tiny_t5), "mistral": load(mistral)}


@pytest.fixture(scope="module")
def attentions(models: dict[str, Model]) -> dict[str, AttentionRecord]:
    """All weights of the text, with six generated tokens where the model writes some."""
    found: dict[str, Any] = {"bert": models["bert"].attend(TEXT)}
    found |= {name: models[name].attend(TEXT, generate=6) for name in ("llama", "mistral")}
    cross = models["t5"].attend(TEXT, target="The river bank. It had the loan, of the company.")
    assert isinstance(cross, record.EncoderDecoderRecord)
    return found | {"t5": cross.cross}


def seen_by(attention: AttentionRecord, window: int | None = None) -> np.ndarray:
    n, m = attention.weights.shape[2:]
    apart = np.arange(n)[:, None] - np.arange(m)
    seen = apart >= 0 if attention.causal else np.ones((n, m), bool)
    return seen if window is None else seen & (apart < window)


def assert_alike(found: Summary, naive: Large) -> None:
    """The maps, and each row of the tables with its baselines."""
    for head in found.maps:
        place = head.layer, head.head
        expected = naive.weights[place][np.ix_(head.rows, head.columns)]
        np.testing.assert_allclose(head.weights, expected, rtol=1e-5, atol=1e-7)
    for row in found.attended:
        assert len(row.best_baselines) == len(row.best)
        for link, baseline in zip(row.best, row.best_baselines, strict=True):
            place = link.layer, link.head, row.query_index, link.key_index
            assert link.weight == pytest.approx(naive.weights[place], rel=3e-5)
            right = naive.baseline[place]
            assert (baseline is None) == bool(np.isnan(right)), place
            assert baseline is None or baseline == pytest.approx(right, rel=1e-4, abs=1e-6)
        for (key, weight), baseline in zip(row.average, row.average_baselines, strict=True):
            assert weight == pytest.approx(naive.weights[:, :, row.query_index, key].mean(), rel=3e-5)
            right = naive.baseline[:, :, row.query_index, key].mean()
            assert (baseline is None) == bool(np.isnan(right))
            assert baseline is None or baseline == pytest.approx(right, rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("name", ["bert", "llama", "t5", "mistral"])
@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("per_token", [False, True])
def test_maps_and_rows_are_those_of_all_weights(
    name: str, unit: Unit, per_token: bool, attentions: dict[str, AttentionRecord]
) -> None:
    attention = attentions[name]
    request = Request(unit=unit, per_token=per_token, heads=record.Heads((0, 1), (0, 1, 2)))
    seen = seen_by(attention, 9 if name == "mistral" else None)
    naive = large(attention, request, seen, {i: i for i in range(len(attention.tokens))})
    assert_alike(summarise(replay(attention, request)), naive)


@pytest.mark.parametrize("name", ["llama", "mistral"])
@pytest.mark.parametrize("unit", ["token", "word", *UNITS])
@pytest.mark.parametrize("per_token", [False, True])
def test_generated_tokens_look_with_the_rows_that_made_them(
    name: str, unit: Unit, per_token: bool, attentions: dict[str, AttentionRecord]
) -> None:
    attention = attentions[name]
    n = len(attention.tokens)
    request = Request(unit=unit, per_token=per_token, generated=True, heads=record.Heads((0, 1), (0, 1, 2)), top=9)
    found = summarise(replay(attention, request))
    rows = {i: i + 1 for i in range(n - 7, n - 1)}
    seen = seen_by(attention, 9 if name == "mistral" else None)
    naive = large(attention, request, seen, rows)
    assert_maps(found, naive)
    if unit in UNITS:
        assert_alike(found, naive)
        starts = found.units.queries.starts
        assert {starts[row.query_index] >= n - 6 for row in found.attended} == {True}
        assert [row.query_index for row in found.generated] == list(range(n - 7, n - 1))
        for row in found.generated:
            alone = large(attention, replace(request, unit="token"), seen, {row.query_index: row.query_index + 1})
            weights = np.add.reduceat(alone.weights[:, :, row.query_index + 1], starts, axis=-1)
            tokens = np.add.reduceat(seen[row.query_index], starts) if per_token else 1
            weights = weights / np.maximum(tokens, 1)
            for link in row.best:
                assert link.weight == pytest.approx(weights[link.layer, link.head, link.key_index], rel=3e-5)
            own = np.searchsorted(starts, row.query_index + 1, side="right") - 1
            assert own not in {link.key_index for link in row.best}


@pytest.mark.parametrize("name", ["bert", "llama", "t5"])
@pytest.mark.parametrize("unit", UNITS)
def test_only_the_words_of_a_passage_look(name: str, unit: Unit, attentions: dict[str, AttentionRecord]) -> None:
    attention, passage = attentions[name], "river bank"
    request = Request(unit=unit, passage=passage, heads=record.Heads((0, 1), (0, 1, 2)))
    found = summarise(replay(attention, request))
    tokens = [i for i in range(len(attention.tokens)) if attention.tokens[i] in ("river", "bank")]
    inside = [i for i in tokens if {i - 1, i + 1} & set(tokens)]
    naive = large(attention, request, seen_by(attention), {i: i for i in inside})
    assert_maps(found, naive)
    assert_alike(found, naive)
    assert len(found.attended) == 1


@pytest.mark.parametrize("name", ["bert", "llama", "t5"])
def test_a_word_is_looked_up_among_larger_units(name: str, attentions: dict[str, AttentionRecord]) -> None:
    attention = attentions[name]
    word = "river:1" if name != "t5" else "river"
    found = summarise(replay(attention, Request(unit="sentence", words=(word,), top=20)))
    (row,) = found.attended
    place = attention.encoding.words[row.query_index]
    assert place.text == "river"
    a = attention.weights[:, :, place.start : place.stop].mean(-2)
    weights = np.add.reduceat(a, found.units.keys.starts, axis=-1)
    own = np.searchsorted(found.units.queries.starts, place.start, side="right") - 1
    assert row.best
    for link in row.best:
        assert link.weight == pytest.approx(float(weights[link.layer, link.head, link.key_index]), rel=3e-5)
        assert found.units.keys.special[link.key_index] == np.False_
        assert attention.keys is not None or link.key_index != own


def assert_maps(found: Summary, naive: Large) -> None:
    assert found.maps
    for head in found.maps:
        expected = naive.weights[head.layer, head.head][np.ix_(head.rows, head.columns)]
        np.testing.assert_allclose(head.weights, expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(
    ("name", "asked"),
    [
        ("llama", {"unit": "sentence", "per_token": True}),
        ("llama", {"unit": "paragraph", "generated": True}),
        ("mistral", {"unit": "line", "per_token": True, "generated": True}),
        ("bert", {"unit": "line", "words": ("river",), "per_token": True}),
        ("bert", {"unit": "sentence", "passage": "the loan"}),
        ("llama", {"unit": "word", "generated": True, "per_token": True}),
    ],
)
def test_a_long_text_is_observed_and_checked_as_a_short_one(
    name: str, asked: dict[str, Any], models: dict[str, Model], attentions: dict[str, AttentionRecord]
) -> None:
    model, attention, request = models[name], attentions[name], Request(**asked)
    observed = model.observe(TEXT, generate=None if name == "bert" else 6, request=request)
    kept, found = summarise(replay(attention, request)), summarise(observed)
    assert [vars(link) | {"weight": 0} for link in found.links] == [vars(link) | {"weight": 0} for link in kept.links]
    for ours, theirs in zip((*found.attended, *found.generated), (*kept.attended, *kept.generated), strict=True):
        assert ours.query_index == theirs.query_index
        assert [link.key_index for link in ours.best] == [link.key_index for link in theirs.best]
        assert ours.average_baselines == pytest.approx(theirs.average_baselines, rel=1e-4)
    assert found.special_share == pytest.approx(kept.special_share, abs=1e-6)
    assert model.check_record(observed).passed


def broken(found: Observation, name: str) -> Observation:
    """What is shown of two heads in each other's place."""

    def swap(array: np.ndarray) -> np.ndarray:
        array = array.copy()
        array[-1, [1, 2]] = array[-1, [2, 1]]
        return array

    part = getattr(found, name)
    names = {"others": ("weights",), "maps": ("values",)}.get(name, ("weights", "keys"))
    return replace(found, **{name: replace(part, **{each: swap(getattr(part, each)) for each in names})})


@pytest.mark.parametrize("name", ["links", "maps", "others", "made"])
def test_mutation_of_larger_units(name: str, models: dict[str, Model]) -> None:
    found = models["llama"].observe(TEXT, generate=6, request=Request(unit="sentence", per_token=True))
    check = models["llama"].check_record(broken(found, name))
    assert not check.passed


def test_mutation_of_the_words_that_were_asked_for(models: dict[str, Model]) -> None:
    found = models["bert"].observe(TEXT, request=Request(unit="line", words=("river",)))
    assert not models["bert"].check_record(broken(found, "named_links")).passed


@pytest.mark.parametrize("per_token", [False, True])
def test_a_text_in_windows_is_seen_as_far_as_its_windows(per_token: bool, models: dict[str, Model]) -> None:
    model = models["bert"]
    text = "\n\n".join([TEXT] * 3)
    found = model.observe(text, windows=True, request=Request(unit="sentence", per_token=per_token))
    assert found.windows
    assert len(found.windows) > 1
    assert found.others is not None
    assert model.check_record(found).passed


def test_what_can_not_be_looked_from_is_said(attentions: dict[str, AttentionRecord]) -> None:
    for asked in (Request(generated=True), Request(passage="generated")):
        with pytest.raises(UsageError, match="wrote none of the text"):
            replay(attentions["bert"], asked)
    found = replay(attentions["llama"], Request(passage="generated"))
    assert found.request.generated


def test_a_text_of_one_sentence_is_one_row(models: dict[str, Model]) -> None:
    for name in ("bert", "llama"):
        summary = summarise(replay(models[name].attend("The bank of the river"), Request(unit="sentence")))
        assert [head.weights.shape for head in summary.maps] == [(1, 1)]
        assert summary.links == []
        assert [row.best for row in summary.attended] == [()]
        assert summary.special_share > 0


def test_the_links_of_a_record_are_between_any_units(models: dict[str, Model]) -> None:
    attention = models["llama"].attend(TEXT, generate=4)
    (strongest, *_) = attention.links(unit="paragraph", top=3)
    request = Request(unit="paragraph", links=3)
    assert [strongest] == summarise(replay(attention, request)).links[:1]
    from_word = attention.links("river:1", unit="sentence")
    assert {link.query for link in from_word} == {"river"}
    made = attention.links(unit="line", passage="generated", per_token=True)
    assert {link.query_index for link in made} == {max(link.query_index for link in made)}
    with pytest.raises(UsageError, match="`unit` is 'sentances', expected one of token, word") as caught:
        attention.links(unit="sentances")  # type: ignore[arg-type]
    assert "Did you mean sentence?" in str(caught.value.hint)
