"""Parity: our forward pass against transformers' eager one, in every layer and head, for every family and variant.

``python -m pytest tests/model -m parity --report`` writes what was found to ``tests/model/parity.json``, from which the
README's table is made.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from attnviz.model import kernel
from attnviz.model.precision import precision
from tests.model.parity import (
    DTYPES,
    apart,
    assert_same,
    assert_telling,
    make,
    ours_of,
    saved,
    theirs_of,
)
from tests.model.variants import Variant, all_variants

CASES = all_variants()
each = pytest.mark.parametrize(("family", "name"), CASES, ids=[f"{family}: {name}" for family, name in CASES])


@pytest.mark.parity
@pytest.mark.parametrize("dtype", DTYPES, ids=["float32", "float64"])
@each
def test_against_transformers(
    family: str, name: str, dtype: torch.dtype, tmp_path: Path, report: Callable[..., None]
) -> None:
    variant = CASES[family, name]
    with precision(dtype):
        model = make(variant, dtype)
        expected = theirs_of(model, variant)
        network = saved(model, tmp_path, dtype)
    found = ours_of(network, variant)
    assert found.keys() == expected.keys()
    for kind in expected:
        assert_same(found[kind], expected[kind], dtype)
        assert_telling(expected[kind][0])
    report(family, name, dtype, max(float(apart(found[kind], expected[kind])[0].max()) for kind in expected))


@each
def test_one_token(family: str, name: str, tmp_path: Path) -> None:
    variant = CASES[family, name]
    short = Variant(
        variant.model,
        variant.config,
        ids=variant.ids[:1],
        types=variant.types and variant.types[:1],
        target=variant.target and variant.target[:1],
        scale=variant.scale,
        edit=variant.edit,
    )
    model = make(short, torch.float32)
    expected, found = theirs_of(model, short), ours_of(saved(model, tmp_path, torch.float32), short)
    for kind in expected:
        assert_same(found[kind], expected[kind], torch.float32)


@each
def test_small_tiles_change_nothing(family: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    variant = CASES[family, name]
    network = saved(make(variant, torch.float64), tmp_path, torch.float64)
    whole = ours_of(network, variant)
    monkeypatch.setattr(kernel, "TILE", 4 * len(variant.ids) * 5)
    tiled = ours_of(network, variant)
    for kind in whole:
        assert_same(tiled[kind], whole[kind], torch.float64)
