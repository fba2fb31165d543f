"""On a GPU: the same weights as on the CPU, in text by text and in packs. Skipped where there is none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from attnviz.analysis.corpus.metrics import NAMES, Measured
from attnviz.analysis.corpus.packed import measure
from attnviz.interface import load
from attnviz.record import Request
from tests import tiny

pytestmark = [
    pytest.mark.cuda,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU"),
]
TEXTS = (tiny.SENTENCE, "The bank of the river.", "It had the loan!")


@pytest.mark.parametrize("save", [tiny.bert, tiny.llama, tiny.mistral])
def test_a_gpu_agrees_with_the_processor_and_with_transformers(save: Callable[[Path], Path], tmp_path: Path) -> None:
    folder = save(tmp_path)
    gpu, processor = load(folder, device="cuda"), load(folder)
    np.testing.assert_allclose(
        gpu.attend(tiny.SENTENCE).weights, processor.attend(tiny.SENTENCE).weights, rtol=0, atol=1e-5
    )
    assert gpu.check(tiny.SENTENCE).passed


@pytest.mark.parametrize("save", [tiny.bert, tiny.llama])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_packs_on_a_gpu_give_the_same_figures(dtype: str, save: Callable[[Path], Path], tmp_path: Path) -> None:
    folder = save(tmp_path)
    gpu, processor = load(folder, device="cuda", dtype=dtype), load(folder)
    found, expected = (
        measure(model.backend, [model.encode(text) for text in TEXTS], Request()) for model in (gpu, processor)
    )
    entropy = NAMES.index("entropy")
    for one, other in zip(found, expected, strict=True):
        assert isinstance(one, Measured)
        assert isinstance(other, Measured)
        tolerance = 1e-4 if dtype == "float32" else 0.05
        np.testing.assert_allclose(one.figures[..., entropy], other.figures[..., entropy], rtol=0, atol=tolerance)
