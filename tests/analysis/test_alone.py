"""What is measured of one document, against the same from all of its weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from attnviz.analysis.alone import measure_alone
from attnviz.analysis.measured import NAMES, Asked, Measured
from attnviz.encoding import Encoding
from attnviz.interface import Model, load
from attnviz.model.observers import Weights
from tests import tiny
from tests.analysis import naive

TEXTS = {
    "a sentence": tiny.SENTENCE,
    "a letter": "a",
    "a sign": "?!",
    "marks within": "The bank [SEP] approved the loan. [SEP]",
    "long": "The bank approved the loan, because the company had strong financials of it. " * 12,
}


def weights_of(model: Model, encoding: Encoding) -> np.ndarray:
    kept = Weights()
    model.way.run(encoding, [kept])
    return kept.stacked().numpy()


def assert_alike(found: Measured, expected: Measured, close: float) -> None:
    for i, name in enumerate(NAMES):
        ours, theirs = found.figures[..., i], expected.figures[..., i]
        np.testing.assert_allclose(ours, theirs, rtol=close, atol=close, err_msg=name)
    for name, column in vars(found.links).items():
        theirs = getattr(expected.links, name)
        assert column.dtype == theirs.dtype
        np.testing.assert_allclose(column, theirs, rtol=max(close, 1e-6), err_msg=name)


def seen_by(behind: int | None, causal: bool, n: int) -> np.ndarray:
    apart = np.arange(n)[:, None] - np.arange(n)
    return (apart <= (n if behind is None else behind)) & ((apart >= 0) | (not causal))


@pytest.fixture(scope="module")
def opened() -> Callable[[Path, str], Model]:
    models: dict[tuple[Path, str], Model] = {}

    def find(folder: Path, dtype: str) -> Model:
        if (folder, dtype) not in models:
            models[folder, dtype] = load(folder, dtype=dtype)
        return models[folder, dtype]

    return find


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("family", ["bert", "llama", "mixtral"])
@pytest.mark.parametrize(("dtype", "close"), [("float64", 1e-10), ("float32", 3e-5)])
def test_a_text_read_whole(
    family: str, text: str, dtype: str, close: float, request: pytest.FixtureRequest, opened: Any
) -> None:
    model = opened(request.getfixturevalue(f"tiny_{family}"), dtype)
    encoding = model.encode(TEXTS[text], truncate=True)
    causal = family != "bert"
    found = measure_alone(model.way, encoding, Asked())
    seen = seen_by(None, causal, len(encoding))
    assert_alike(found, naive.measured(weights_of(model, encoding), encoding, Asked(), causal=causal, seen=seen), close)
