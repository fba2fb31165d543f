from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from attnviz.analysis.text.formula import weight_formula
from attnviz.errors import UsageError
from attnviz.record import AttentionRecord
from tests.records import record


def scored(bias: float = 0.0) -> AttentionRecord:
    """One causal head over three words, whose first key has a ``bias``."""
    products = np.array([[1.0, 5, 5], [2, 6, 5], [0, 4, 8]])
    logits = np.where(np.tri(3, dtype=bool), 0.5 * products + [bias, 0, 0], -np.inf)
    weights = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    found = record(["a", "b", "c"], weights[None, None].astype(np.float32), causal=True, numbers=(4,))
    return replace(found, scores=products[None, None].astype(np.float32), scales=(0.5,))


def test_the_numbers_of_a_cell() -> None:
    found = weight_formula(scored(), 4, 0, 1, 0)
    assert (found.product, found.scale, found.scaled, found.hidden, found.largest) == (2.0, 0.5, 1.0, 1, 3.0)
    assert found.normaliser == pytest.approx(1 + np.exp(-2))
    assert found.softmax == pytest.approx(np.exp(-2) / (1 + np.exp(-2)))
    assert found.weight == pytest.approx(found.softmax)
    assert found.added == pytest.approx(0, abs=1e-6)


def test_what_is_added_is_told_apart() -> None:
    found = weight_formula(scored(bias=1.0), 4, 0, 1, 0)
    assert found.added > 0.5
    assert found.weight == pytest.approx(found.softmax * np.exp(found.added))


def test_a_hidden_key() -> None:
    found = weight_formula(scored(), 4, 0, 0, 2)
    assert (found.product, found.weight, found.softmax, found.hidden) == (5.0, 0.0, 0.0, 2)


@pytest.mark.parametrize(
    ("place", "message"),
    [((0, 0, 0, 0), "no layer 0: there are 4"), ((4, 1, 0, 0), "no head 1"), ((4, 0, 3, 0), "no query 3"),
     ((4, 0, 0, -1), "no key -1")],
)  # fmt: skip
def test_no_such_cell(place: tuple[int, int, int, int], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        weight_formula(scored(), *place)


def test_no_scores() -> None:
    with pytest.raises(UsageError, match="no scores"):
        weight_formula(replace(scored(), scores=None), 4, 0, 0, 0)
