"""Parity: our forward pass against transformers' eager one, in every layer and head, for every family and variant.

``python -m pytest tests/model -m parity --report`` writes what was found to ``tests/model/parity.json``, from which the
README's table is made; with ``-k qwen2`` it does so for one family, and the rows of the others stay.
"""

from __future__ import annotations

import dataclasses
import inspect
import json
import tempfile
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
import torch

from attnviz.attention import kernel
from attnviz.model.architecture.description import parameters
from attnviz.model.architecture.shapes import optional_shapes
from attnviz.model.families import find_family
from attnviz.model.hosted.precision import precision
from attnviz.model.native.forward import Network
from attnviz.model.native.weights import take_tensors
from tests.model.parity import (
    DTYPES,
    TOLERANCES,
    apart,
    assert_same,
    assert_telling,
    files_of,
    make,
    network_of,
    ours_of,
    theirs_of,
    weights_of,
    write_report,
)
from tests.model.variants import all_variants

CASES = all_variants()
Case = tuple[str, str]
"""A family and the name of one of its variants."""
FIRST = dict(reversed(CASES))
"""One variant of each family."""
MOSTLY_SLOW = pytest.mark.parametrize(
    "case",
    [pytest.param(case, marks=() if FIRST[case[0]] == case[1] else pytest.mark.slow) for case in CASES],
    ids=[f"{family}: {name}" for family, name in CASES],
    indirect=True,
    scope="module",
)
"""One variant of each family, and the others among the slow tests."""


@pytest.fixture(scope="module", params=CASES, ids=[f"{family}: {name}" for family, name in CASES])
def case(request: pytest.FixtureRequest) -> Case:
    """A module-scoped parameter, so that the tests of one variant run together and share its models."""
    return request.param  # type: ignore[no-any-return]


@lru_cache(maxsize=1)
def made(case: Case) -> tuple[Any, dict[str, Any], dict[str, torch.Tensor]]:
    """The transformers model of a variant in float32, and what it is on disk."""
    model = make(CASES[case], torch.float32)
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        return model, *files_of(Path(folder))


@lru_cache(maxsize=len(DTYPES))
def both(case: Case, dtype: torch.dtype) -> tuple[Any, Network]:
    """The transformers model of a variant and ours of what it saved, in ``dtype``; not to be changed."""
    model, *files = made(case)
    if dtype is torch.float64:
        state = model.state_dict()
        with precision(dtype):  # angles and slopes are computed when a model is made
            model = make(CASES[case], dtype)
        model.load_state_dict(state)
    return model, network_of(*files, dtype)


@pytest.mark.parity
@pytest.mark.parametrize("dtype", DTYPES, ids=["float32", "float64"])
def test_against_transformers(case: Case, dtype: torch.dtype, report: Callable[..., None]) -> None:
    variant = CASES[case]
    model, network = both(case, dtype)
    with precision(dtype):
        expected = theirs_of(model, variant)
    found = ours_of(network, variant)
    assert found.keys() == expected.keys()
    for kind in expected:
        assert_same(found[kind], expected[kind], dtype)
        assert_telling(expected[kind][0])
    report(*case, dtype, max(float(apart(found[kind], expected[kind])[0].max()) for kind in expected))


@MOSTLY_SLOW
def test_one_token(case: Case) -> None:
    variant = CASES[case]
    short = dataclasses.replace(
        variant,
        ids=variant.ids[:1],
        types=variant.types and variant.types[:1],
        target=variant.target and variant.target[:1],
    )
    model, network = both(case, torch.float32)
    expected, found = theirs_of(model, short), ours_of(network, short)
    for kind in expected:
        assert_same(found[kind], expected[kind], torch.float32)


@MOSTLY_SLOW
def test_small_tiles_change_nothing(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    variant = CASES[case]
    _, network = both(case, torch.float64)
    whole = ours_of(network, variant)
    monkeypatch.setattr(kernel, "TILE", 4 * len(variant.ids) * 5)
    tiled = ours_of(network, variant)
    for kind in whole:
        assert_same(tiled[kind], whole[kind], torch.float64)


def test_parameters_are_those_of_the_tensors_that_are_used(case: Case) -> None:
    """A shared tensor is counted once; sines and what is zero beside blocks are no parameters."""
    if case[1] == "embeddings of their own":
        pytest.skip("it stores an embedding for each side, which a spec does not tell")
    _, config, stored = made(case)
    family = find_family(config)
    spec = family.spec(config)
    used = take_tensors(family, spec, stored, torch.float32)
    sines = optional_shapes(spec)
    taken = {tensor.data_ptr(): int(tensor.count_nonzero()) for name, tensor in used.items() if name not in sines}
    assert parameters(spec) == sum(taken.values())


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("family", FIRST)
def test_padding_changes_nothing(family: str, side: str) -> None:
    """We run a text without padding; transformers gives the same result in a batch that is padded on either side."""
    case = family, FIRST[family]
    variant = CASES[case]
    model, network = both(case, torch.float32)
    takes_positions = "position_ids" in inspect.signature(model.forward).parameters
    if side == "left" and network.spec.embedding.positions and not (takes_positions or counts_padding(network)):
        pytest.skip("its positions count the padding: transformers gives other results on the left")
    stack = network.encoder.spec if network.encoder else network.spec
    if side == "left" and stack.crowds(4 + len(variant.ids)):
        pytest.skip("transformers lets padding take the place of tokens in experts")
    pads, length = 4, len(variant.ids)
    real = slice(pads, pads + length) if side == "left" else slice(0, length)
    ids, mask = torch.full((1, pads + length), padding_id(model)), torch.zeros(1, pads + length, dtype=torch.long)
    ids[0, real], mask[0, real] = torch.tensor(variant.ids), 1
    given = {"input_ids": ids, "attention_mask": mask}
    if takes_positions and not counts_padding(network):
        given["position_ids"] = (mask.cumsum(1) - 1).clamp(min=0)
    if variant.target is not None:
        given["decoder_input_ids"] = torch.tensor([variant.target])
    with torch.inference_mode():
        output = model(**given, output_attentions=True, use_cache=False)
    theirs = torch.cat(output.encoder_attentions if variant.target else output.attentions)
    theirs = weights_of(variant, theirs)[..., real, real]
    mine = ours_of(network, variant)["encoder" if variant.target else "self"][0]
    assert float((mine - theirs).abs().max()) <= TOLERANCES[torch.float32]


def counts_padding(network: Network) -> bool:
    """Whether the model itself counts only tokens that are not padding."""
    return getattr(network.spec.embedding.positions, "padding", None) is not None


def padding_id(model: Any) -> int:
    padding = getattr(model.config.get_text_config(), "pad_token_id", None)
    return 0 if padding is None or padding < 0 else padding


def test_the_report_of_one_family_keeps_the_rows_of_the_others(tmp_path: Path) -> None:
    path, ((one, variant), *_, (other, another)) = tmp_path / "parity.json", CASES
    write_report(path, {one: {variant: {"float32": 1.0, "float64": 2.0}}, other: {another: {"float32": 3.0}}})
    said = json.loads(path.read_text())
    path.write_text(json.dumps(said | {"gone": {"a": {"float32": 0.0}}, one: said[one] | {"gone": {"float32": 0.0}}}))
    write_report(path, {one: {variant: {"float32": 4.0}}})
    assert json.loads(path.read_text()) == {
        one: {variant: {"float32": 4.0, "float64": 2.0}},
        other: {another: {"float32": 3.0}},
    }
