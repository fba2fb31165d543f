"""Hosted models, encoder–decoders and other types of numbers, through the command line."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from attnviz.attention import kernel
from attnviz.model.native import run as runs
from attnviz.record import EncoderDecoderRecord, read
from tests import tiny
from tests.cli.conftest import Run
from tests.model.test_backends import own_code
from tests.schemas import validate

S = tiny.SENTENCE
TARGET = ("--target", "the loan of the bank")
WHY = "hosted: transformers runs the model, our kernel is its attention (attnviz has no forward pass of its own for "


# Hosted


def test_a_hosted_model_is_shown_named_explained_and_checked(run: Run, tiny_hosted: Path) -> None:
    result = run("show", S, "-m", tiny_hosted)
    assert result.code == 0
    assert result.lines[0].startswith(f"{tiny_hosted.name} · hosted · 3 layers × 4 heads")
    assert result.said.startswith(WHY + "models of type 'dots1'")
    assert result.lines[-1].startswith("✓ 12 heads agree with transformers ")


def test_the_document_of_a_hosted_model_says_so(run: Run, tiny_hosted: Path) -> None:
    result = run("show", S, "-m", tiny_hosted, "--json")
    assert result.code == 0
    found = json.loads(result.out)
    validate(found)
    assert found["backend"] == "hosted"
    assert (found["check"]["passed"], found["check"]["compared"]) == (True, "weights")


def test_a_hosted_model_is_checked_and_explained(run: Run, tiny_hosted: Path) -> None:
    for more in ([], ["--float64"]):
        result = run("check", S, "-m", tiny_hosted, *more)
        assert result.code == 0
        assert result.said.startswith(WHY)
        assert result.lines[-1].startswith("✓ 12 heads agree with transformers ")


def test_a_hosted_record_is_exported_and_shown_as_hosted(run: Run, tiny_hosted: Path, tmp_path: Path) -> None:
    result = run("export", S, tmp_path / "a.json", "-m", tiny_hosted)
    assert result.code == 0
    assert result.said.startswith(WHY)
    again = run("show", "--from", tmp_path / "a.json")
    assert (again.code, again.err) == (0, "")
    assert " · hosted · " in again.lines[0]


@pytest.fixture
def wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the kernel a scale that is 1 % too large, in both backends."""
    attend: Callable[..., Any] = kernel.attend

    def wrong(*tensors: Any, scale: float, **options: Any) -> Any:
        return attend(*tensors, scale=scale * 1.01, **options)

    monkeypatch.setattr(kernel, "attend", wrong)
    monkeypatch.setattr(runs, "attend", wrong)


@pytest.mark.usefixtures("wrong")
@pytest.mark.parametrize("command", ["show", "check"])
@pytest.mark.parametrize("name", ["tiny_bert", "tiny_llama", "tiny_hosted", "tiny_t5"])
def test_a_broken_kernel_fails_the_check_in_both_ways(
    name: str, command: str, run: Run, request: pytest.FixtureRequest
) -> None:
    target = TARGET if name == "tiny_t5" else ()
    result = run(command, S, *target, "-m", request.getfixturevalue(name))
    assert result.code == 5
    assert "✓" not in result.out
    assert "✗ attnviz and transformers differ by " in result.said
    assert "this is a mistake, not rounding" in result.said


# Code of the checkpoint's own


def test_code_of_a_model_is_run_only_if_told_to_and_with_a_warning(
    run: Run, tiny_llama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", str(tmp_path / "cache"))
    folder = own_code(tiny_llama, tmp_path)
    for command in (["show", S], ["check", S], ["export", S, tmp_path / "a.json"]):
        result = run(*command, "-m", folder)
        assert (result.code, result.out) == (4, "")
        assert "--trust-remote-code runs the model's own code" in result.said
    assert "--trust-remote-code" in " ".join(run("models", folder).out.split())
    assert not (tmp_path / "executed").exists()

    result = run("show", S, "-m", folder, "--trust-remote-code")
    assert result.code == 0
    assert result.said.startswith("warning: --trust-remote-code runs code that the model brings along, with all your")
    assert (tmp_path / "executed").exists()
    assert " · hosted · " in result.lines[0]
    assert result.lines[-1].startswith("✓ 12 heads agree")


def test_there_is_no_warning_without_the_flag(run: Run, tiny_llama: Path) -> None:
    assert run("show", S, "-m", tiny_llama).err == ""


# Encoder–decoders


@pytest.mark.parametrize(
    ("options", "name", "sizes"),
    [
        ([], "cross", "cross · {n} target tokens look at {m} source tokens"),
        (["--map", "encoder"], "encoder", "encoder · {m} tokens"),
        (["--map", "decoder"], "decoder", "decoder · {n} tokens"),
    ],
)
def test_each_map_of_an_encoder_decoder_is_shown_and_all_are_checked(
    options: list[str], name: str, sizes: str, run: Run, tiny_t5: Path
) -> None:
    found = json.loads(run("show", S, *TARGET, "-m", tiny_t5, "--json", *options).out)
    validate(found)
    assert found["map"] == name
    layers = {"encoder": 3, "decoder": 2, "cross": 2}
    assert found["layers"] == layers[name]
    expected = [(kind, i) for kind in layers for i in range(layers[kind])]
    assert sorted((row["map"], row["layer"]) for row in found["check"]["layers"]) == sorted(expected)
    assert found["check"]["passed"]
    result = run("show", S, *TARGET, "-m", tiny_t5, *options)
    assert (result.code, result.err) == (0, "")
    n, m = 7, 15  # the target is shifted right: a start, and no mark at the end
    assert sizes.format(n=n, m=m) in " ".join(" ".join(result.lines[:2]).split())
    said = " ".join(result.lines[-3:])
    assert re.search(r"✓ 28 heads agree with transformers .* in all 15 and 7 rows", said)


def test_the_check_of_an_encoder_decoder_has_a_line_for_each_layer_of_each_map(run: Run, tiny_t5: Path) -> None:
    result = run("check", S, *TARGET, "-m", tiny_t5)
    assert (result.code, result.err) == (0, "")
    rows = [line.split() for line in result.lines if re.match(r" *(encoder|decoder|cross) L\d", line)]
    assert [tuple(row[:2]) for row in rows] == [
        *[("encoder", f"L{i}") for i in range(3)],
        *[("decoder", f"L{i}") for i in range(2)],
        *[("cross", f"L{i}") for i in range(2)],
    ]
    assert [row[-1] == "–" for row in rows] == [False] * 4 + [True] * 3
    assert run("check", S, *TARGET, "-m", tiny_t5, "--float64").code == 0


def test_the_three_maps_are_exported_and_read_back(run: Run, tiny_t5: Path, tmp_path: Path) -> None:
    path = tmp_path / "three.safetensors"
    assert run("export", S, path, *TARGET, "-m", tiny_t5).code == 0
    found = read(path)
    assert isinstance(found, EncoderDecoderRecord)
    assert found.cross.weights.shape == (2, 4, 7, 15)
    assert run("show", "--from", path, "--map", "decoder").code == 0


def test_a_blank_target_is_refused(run: Run, tiny_t5: Path) -> None:
    result = run("show", S, "--target", " ", "-m", tiny_t5)
    assert (result.code, result.out) == (3, "")
    assert "the target is empty" in result.said


# Types of numbers


@pytest.mark.parametrize("dtype", ["float64", "bfloat16", "float16"])
@pytest.mark.parametrize("name", ["tiny_llama", "tiny_hosted"])
def test_a_model_runs_in_the_type_that_is_asked_for(
    name: str, dtype: str, run: Run, request: pytest.FixtureRequest
) -> None:
    result = run("show", S, "-m", request.getfixturevalue(name), "--dtype", dtype, "--json")
    assert result.code == 0
    found = json.loads(result.out)
    validate(found)
    assert found["check"]["dtype"] == dtype
    assert np.isfinite(found["check"]["max_abs_diff"])
    if dtype == "float64":
        assert (found["check"]["tolerance"], found["check"]["wider"], found["check"]["rounding"]) == (1e-10, None, None)
    else:  # half precision hides all but gross mistakes, so that the model is checked in float32 as well
        assert (found["check"]["wider"]["dtype"], found["check"]["wider"]["passed"]) == ("float32", True)
        assert found["check"]["rounding"]["times"] < found["check"]["rounding"]["bound"]


def test_the_cpu_and_the_fastest_device_can_be_asked_for(run: Run, tiny_llama: Path) -> None:
    expected = run("show", S, "-m", tiny_llama, "--no-check")
    assert expected.code == 0
    assert run("show", S, "-m", tiny_llama, "--no-check", "--device", "cpu").out == expected.out
    assert run("show", S, "-m", tiny_llama, "--device", "auto").code == 0
