from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from attnviz.model.native import run as runs
from tests import tiny
from tests.cli.conftest import Run

TITLE = ["layer", "max |Δ| weights", "mean |Δ| weights", "worst head", "max |Δ| hidden states"]


def rows(lines: list[str]) -> list[list[str]]:
    """The table under its titles."""
    assert re.split(r"\s{2,}", lines[0].strip()) == TITLE
    return [line.split() for line in lines[1:] if line.strip().startswith("L")]


def test_each_layer_has_its_line_and_the_verdict_is_the_last(run: Run) -> None:
    result = run("check", tiny.SENTENCE)
    assert (result.code, result.err) == (0, "")
    found = rows(result.lines)
    assert [row[0] for row in found] == ["L0", "L1", "L2"]
    assert all(float(row[1]) <= 1e-5 and float(row[2]) <= float(row[1]) for row in found)
    assert all(re.fullmatch(r"H[0-3]", row[3]) for row in found)
    assert result.lines[-1].startswith("✓ 12 heads agree with transformers ")


def test_without_a_text_a_sentence_of_ours_is_checked(run: Run) -> None:
    result = run("check")
    assert result.code == 0
    assert result.lines == run("check", tiny.SENTENCE).lines


def test_float64_runs_both_in_double_precision(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    result = run("check", tiny.SENTENCE, "--float64")
    assert result.code == 0
    assert all(float(row[1]) <= 1e-14 for row in rows(result.lines))
    # A mistake that float32 takes for rounding is none in float64.
    attend = runs.attend
    monkeypatch.setattr(runs, "attend", lambda *qkv, scale, **more: attend(*qkv, scale=scale * (1 + 1e-7), **more))
    assert run("check", tiny.SENTENCE).code == 0
    assert run("check", tiny.SENTENCE, "--float64").code == 5


@pytest.mark.parametrize("arguments", [["--pair", "the loan"], ["--truncate"]])
def test_other_inputs_can_be_checked(run: Run, arguments: list[str]) -> None:
    text = "bank loan " * (60 if arguments == ["--truncate"] else 1)
    assert run("check", text, *arguments).code == 0


def test_a_file_and_standard_input_can_be_checked(run: Run, tmp_path: Path) -> None:
    (tmp_path / "bank.txt").write_text(tiny.SENTENCE)
    expected = run("check", tiny.SENTENCE).out
    assert run("check", "--file", tmp_path / "bank.txt").out == expected
    assert run("check", "-", stdin=tiny.SENTENCE.encode()).out == expected


def test_a_failed_check_shows_the_table_and_ends_with_its_code(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    attend = runs.attend

    def wrong(*tensors: Any, layer: int, scale: float, **options: Any) -> Any:
        return attend(*tensors, layer=layer, scale=scale * (1.01 if layer == 1 else 1), **options)

    monkeypatch.setattr(runs, "attend", wrong)
    result = run("check", tiny.SENTENCE)
    assert result.code == 5
    first, second, *_ = rows(result.lines)
    assert float(first[1]) <= 1e-5 < float(second[1])
    assert "✓" not in result.out
    assert result.said.startswith("✗ attnviz and transformers differ by ")


def test_errors_have_their_codes(run: Run, tmp_path: Path) -> None:
    assert run("check", " ").code == 3
    assert run("check", "--model", tmp_path).code == 4
    assert run("check", "a", "--file", "b").code == 2
