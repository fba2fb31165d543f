"""``attnviz cost``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from attnviz.render.cost import duration
from tests import tiny
from tests.cli.conftest import Run


def test_the_cost_of_a_number_of_tokens(run: Run, tiny_llama: Path) -> None:
    result = run("cost", "-m", tiny_llama, "--tokens", 100_000, "--no-measure")
    assert (result.code, result.err) == (0, "")
    assert result.lines[0] == f"{tiny_llama.name} · llama · native · 100,000 tokens"
    said = " ".join(result.out.split())
    assert "10¹⁰ a head and layer (100,000²)" in said
    assert "1.2 × 10¹¹ in 3 layers, 6 × 10¹⁰ of them seen" in said
    assert "all weights 480 GB" in said
    assert "time not measured" in said
    assert "limit" not in said


def test_a_time_is_measured_unless_told_not_to(run: Run) -> None:
    result = run("cost", "--tokens", 50, "--json")
    assert (result.code, result.err) == (0, "")
    found = json.loads(result.out)
    assert (found["tokens"], found["all_scores"]) == (50, 12 * 50 * 50)
    assert isinstance(found["model"], str)
    assert found["peak"] == found["model_bytes"] + found["activations"] + found["kept"]
    assert 0 < found["seconds"] < 10
    assert found["fits"] is True
    assert json.loads(run("cost", "--tokens", 50, "--json", "--no-measure").out)["seconds"] is None


def test_a_text_or_a_file_is_counted(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text(tiny.SENTENCE)
    counts = {
        json.loads(run("cost", *given, "--json", "--no-measure", stdin=tiny.SENTENCE.encode()).out)["tokens"]
        for given in ((tiny.SENTENCE,), ("-",), ("--file", path))
    }
    assert len(counts) == 1
    assert counts.pop() > 12


def test_a_limit_of_positions_is_said_where_the_text_is_longer(run: Run) -> None:
    result = run("cost", "bank " * 99, "--no-measure")
    assert result.code == 0
    assert "limit the model has positions for 64 tokens only: --windows slides over" in " ".join(result.out.split())


def test_a_hosted_model_is_measured_too(run: Run, tiny_mixtral: Path) -> None:
    result = run("cost", "-m", tiny_mixtral, "--tokens", 2000, "--json")
    assert (result.code, result.err) == (0, "")
    found = json.loads(result.out)
    assert (found["path"], found["unknown"]) == ("hosted", [])
    assert found["seconds"] > 0


def test_what_does_not_fit_is_an_answer_and_no_error(run: Run) -> None:
    result = run("cost", "--tokens", 10**12, "--no-measure")
    assert result.code == 0
    assert "it does not fit" in result.out


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.0001, "less than 1 ms"),
        (0.0094, "9 ms"),
        (0.0949, "95 ms"),
        (0.096, "0.1 s"),
        (0.32, "0.3 s"),
        (12, "12 s"),
        (99.4, "99 s"),
        (120, "2.0 min"),
        (7200, "2.0 h"),
        (259_200, "3.0 days"),
    ],
)
def test_durations_are_said(seconds: float, said: str) -> None:
    assert duration(seconds) == said
