"""Observations of texts longer than the model: read in windows, against the weights put together from these."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from attnviz.analysis.text.replaying import replay
from attnviz.analysis.text.summary import Summary, summarise
from attnviz.errors import InputError, UsageError
from attnviz.interface import Model, load
from attnviz.record import AttentionRecord, Observation
from attnviz.render.document import summary_document
from attnviz.render.terminal import screen as terminal
from tests import tiny
from tests.analysis import whole
from tests.analysis.whole import sink
from tests.documents import Array, Read, read_windows

TEXT = "\n\n".join(
    ["The bank approved the loan.", "The company had strong financials of it.", "It flooded the river."] * 3
)


@pytest.fixture(scope="module", params=["bert", "llama"])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Model:
    """A model of 24 positions; the decoder is given that limit, and no special tokens."""
    folder = tmp_path_factory.mktemp(request.param)
    if request.param == "bert":
        return load(tiny.bert(folder, max_position_embeddings=24), dtype="float64")
    found = load(tiny.llama(folder), dtype="float64")
    found.checkpoint.tokenizer.post_processor = None
    found.backend.limit = 24
    return found


def both(model: Model, **wanted: Any) -> tuple[Read, Observation]:
    observation = model.observe(TEXT, windows=True, **wanted)
    assert observation.windows
    assert len(observation.windows) > 3
    backend: Any = model.backend
    return read_windows(
        backend, observation.encoding, observation.windows, sinks=not observation.window_sinks
    ), observation


def assert_alike(found: Summary, naive: Summary | whole.Whole) -> None:
    assert [(x.layer, x.head, x.query_index, x.key_index) for x in found.links] == [
        (x.layer, x.head, x.query_index, x.key_index) for x in naive.links
    ]
    for row, expected in zip(found.attended, naive.attended, strict=True):
        assert [(x.head, x.key_index) for x in row.best] == [(x.head, x.key_index) for x in expected.best]
    for head, other in zip(found.maps, naive.maps, strict=True):
        assert np.abs(head.weights - other.weights).max() < 1e-6
    assert np.nanmax(np.abs(found.overview - naive.overview)) < 1e-6


@pytest.mark.parametrize("options", [{}, {"unit": "token"}, {"special": True}])
def test_links_and_maps_are_of_the_whole_text(model: Model, options: dict[str, bool]) -> None:
    read, observation = both(model, **options)
    attention = AttentionRecord("m", "native", observation.causal, read.document, read.whole)
    assert observation.window_sinks == (observation.causal and "special" not in options)
    assert_alike(summarise(observation), whole.summarise(attention, observation.request))


def test_shares_and_sinks_are_of_the_windows(model: Model) -> None:
    read, observation = both(model)
    special = np.array(read.document.special)
    kept = [(weights[:, :, window.kept], window) for weights, window in zip(read.each, read.windows, strict=True)]
    shares = np.concatenate([rows[..., special[window.positions]].sum(-1) for rows, window in kept], axis=-1)
    assert summarise(observation).special_share == pytest.approx(shares.mean())
    assert shares.shape[-1] == len(read.document)
    if not observation.causal:
        sinks = [rows.mean(2).max(-1) * rows.shape[2] for rows, _ in kept]
        assert np.abs(observation.figures["sink"] - sum(sinks) / len(read.document)).max() < 1e-6
    assert ((observation.figures["sink"] > 0) & (observation.figures["sink"] <= 1)).all()


@pytest.mark.parametrize("passage", [None, "approved the loan"])
def test_passages_are_compared_with_what_their_windows_see(model: Model, passage: str | None) -> None:
    read, observation = both(model, passage=passage)
    content = np.repeat(observation.key_mask, [word.stop - word.start for word in read.document.words])
    starts = [*observation.passages, len(read.document)]
    received, expected = naive_passages(read, observation, content, starts)
    ratio = received / received.sum() / (expected / np.nansum(expected))
    found = [each.received for each in summarise(observation).passages]
    assert len(found) == 9
    assert np.allclose(found, ratio, atol=1e-5, equal_nan=True)


def naive_passages(read: Read, observation: Observation, content: Array, starts: list[int]) -> tuple[Array, Array]:
    """What each passage receives of others, and what it got if each query looked alike at all that it sees."""
    n = len(read.document)
    number = np.searchsorted(starts, range(n), side="right")
    received, expected = np.zeros(len(starts) + 1), np.zeros(len(starts) + 1)
    weights = read.whole.sum((0, 1))
    for window in read.windows:
        for query in range(window.first, window.last):
            if observation.within is not None and not observation.within[query]:
                continue
            keys = range(window.start, min(window.stop, query + 1) if observation.causal else window.stop)
            seen = [key for key in keys if content[key] and (read.sinks or key > window.start)]
            for key in seen:
                if number[key] != number[query]:
                    received[number[key]] += weights[query, key]
                    expected[number[key]] += 1 / len(seen)
    expected[expected == 0] = np.nan
    return received[1:-1], expected[1:-1]


def test_a_text_that_fits_is_read_at_once(model: Model) -> None:
    observation = model.observe(tiny.SENTENCE, windows=True)
    assert observation.windows is None
    assert_alike(summarise(observation), summarise(replay(model.attend(tiny.SENTENCE))))
    assert observation.figures["sink"] == pytest.approx(sink(model.attend(tiny.SENTENCE).weights, observation.causal))


def test_without_windows_a_long_text_is_refused_and_they_are_named(model: Model) -> None:
    if not model.backend.causal():
        with pytest.raises(InputError, match="the model takes 24") as caught:
            model.observe(TEXT)
        assert "`windows`" in caught.value.hint


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"windows": True, "pair": "It."}, "does not go with `pair`"),
        ({"windows": True, "truncate": True, "generate": 2}, "does not go with `generate` and `truncate`"),
        ({"windows": True, "stride": 0}, "`stride` is 0, expected 1 to"),
        ({"stride": 3}, "`stride` is given, and no `windows`"),
    ],
)
def test_what_windows_do_not_go_with(model: Model, options: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        model.observe(TEXT, **options)


def test_models_that_read_no_windows(tiny_t5: Path, tiny_llama: Path) -> None:
    with pytest.raises(UsageError, match="is an encoder–decoder: it reads no text in windows"):
        load(tiny_t5).observe(TEXT, windows=True)
    with pytest.raises(UsageError, match="reads texts of any length: leave `windows` out"):
        load(tiny_llama).observe(TEXT, windows=True)


def test_views_say_in_which_windows_a_text_was_read(model: Model) -> None:
    observation = model.observe(TEXT, windows=True)
    assert observation.windows
    longest = max(len(window.encoding) for window in observation.windows)
    said = terminal.summary_heading(observation).plain
    assert f"in {len(observation.windows)} windows of {longest} tokens, which no link leaves" in said
    on_progress = summary_document(summarise(observation), None)["windows"]
    assert [(each["first_query"], each["last_query"] + 1) for each in on_progress] == [
        (w.first, w.last) for w in observation.windows
    ]
    assert "windows" not in terminal.summary_heading(model.observe(tiny.SENTENCE, windows=True)).plain
