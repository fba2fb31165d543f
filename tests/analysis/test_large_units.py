"""Attention between sentences, lines and paragraphs, per token or not, from a passage or from what was generated."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from attnviz import record
from attnviz.analysis.text.observing import replay
from attnviz.analysis.text.summary import Summary, summarise
from attnviz.interface import Model, load
from attnviz.record import Attention, Request, Unit
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
def attentions(models: dict[str, Model]) -> dict[str, Attention]:
    """All weights of the text, with six generated tokens where the model writes some."""
    found: dict[str, Any] = {"bert": models["bert"].attend(TEXT)}
    found |= {name: models[name].attend(TEXT, generate=6) for name in ("llama", "mistral")}
    cross = models["t5"].attend(TEXT, target="The river bank. It had the loan, of the company.")
    assert isinstance(cross, record.EncoderDecoder)
    return found | {"t5": cross.cross}


def seen_by(attention: Attention, window: int | None = None) -> np.ndarray:
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
    name: str, unit: Unit, per_token: bool, attentions: dict[str, Attention]
) -> None:
    attention = attentions[name]
    request = Request(unit=unit, per_token=per_token, heads=record.Heads((0, 1), (0, 1, 2)))
    seen = seen_by(attention, 9 if name == "mistral" else None)
    naive = large(attention, request, seen, {i: i for i in range(len(attention.tokens))})
    assert_alike(summarise(replay(attention, request)), naive)
