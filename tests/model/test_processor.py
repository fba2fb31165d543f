"""Which types of numbers are said to be slow."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from attnviz.model import processor


@pytest.fixture(autouse=True)
def _described(monkeypatch: pytest.MonkeyPatch, said: str) -> Iterator[None]:
    """A processor that Linux describes as ``said``."""
    processor._flags.cache_clear()
    monkeypatch.setattr(Path, "read_text", lambda *_, **__: said)
    yield
    processor._flags.cache_clear()


@pytest.mark.parametrize("said", ["flags\t\t: fpu avx2 avx512f\n"])
def test_a_type_without_instructions_is_slow(said: str) -> None:  # noqa: ARG001
    expected = "bfloat16 is slower than float32 here: the processor has no instructions for it"
    assert processor.slow_type("bfloat16") == f"{expected} (AVX512-BF16 or AMX or BF16)"
    assert processor.slow_type("float16").startswith("float16 is slower")
    assert processor.slow_type("float32") == processor.slow_type("float64") == ""


@pytest.mark.parametrize(
    "said", ["flags : fpu avx512_bf16\n", "model\nflags : amx_bf16 amx_tile\n", "Features : fp asimd bf16\n", "nothing"]
)
def test_with_instructions_or_unknown_nothing_is_said(said: str) -> None:  # noqa: ARG001
    assert processor.slow_type("bfloat16") == ""
