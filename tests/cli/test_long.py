"""Long texts from the command line: what is shown and drawn of an observation is what all weights show."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests import tiny
from tests.cli.conftest import Result, Run
from tests.schemas import validate

S = tiny.SENTENCE


@pytest.fixture
def survey_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every text is long, even a short one."""
    monkeypatch.setattr("attnviz.model.backends.MAX_KEPT_BYTES", 0)


def document(result: Result) -> dict[str, object]:
    assert (result.code, result.err) == (0, "")
    found: dict[str, object] = json.loads(result.out)
    validate(found)
    return found


@pytest.mark.parametrize(
    "options",
    [[], ["--tokens"], ["--layer", "1", "--rows", "2:6", "--cols", "3:"], ["--from", "the company had"]],
    ids=["words", "tokens", "a window", "a passage"],
)
def test_a_survey_shows_the_maps_of_all_weights(run: Run, monkeypatch: pytest.MonkeyPatch, options: list[str]) -> None:
    given = ["show", S, "--json", "--no-check", *options]
    whole = document(run(*given))
    monkeypatch.setattr("attnviz.model.backends.MAX_KEPT_BYTES", 0)
    monkeypatch.setattr("attnviz.analysis.text.summary.LONG", 0)
    kept = document(run(*given))
    assert (whole["weights_kept"], kept["weights_kept"]) == ("all", "observed")
    (ours,), (theirs,) = kept["maps"], whole["maps"]  # type: ignore[misc]
    assert {name: ours[name] for name in ours if name != "weights"} == {
        name: theirs[name] for name in theirs if name != "weights"
    }
    for row, expected in zip(ours["weights"], theirs["weights"], strict=True):
        assert row == pytest.approx(expected, abs=1e-6)
    assert kept["distance_profile"]


@pytest.mark.usefixtures("survey_everything")
@pytest.mark.parametrize("head", [[], ["--layer", "1", "--head", "2"], ["--layer", "1", "--head", "mean"]])
def test_a_survey_is_drawn(run: Run, tmp_path: Path, head: list[str]) -> None:
    assert run("export", S, tmp_path / "a.png", "--size", "4x3", "--dpi", "50", *head).code == 0
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.usefixtures("survey_everything")
def test_a_layer_that_there_is_not_is_refused(run: Run) -> None:
    result = run("show", S, "--layer", "9", "--no-check")
    assert result.code == 2
    assert "no layer 9: this model has layers 0–2" in result.said


TOO_LONG = " ".join([S] * 8)
"""Eight sentences: more than the tiny model's 64 positions."""


def test_windows_slide_over_a_text_that_is_longer_than_the_model(run: Run, tmp_path: Path) -> None:
    refused = run("show", TOO_LONG, "--no-check")
    assert refused.code == 3
    assert "--windows" in refused.err
    found = document(run("show", TOO_LONG, "--windows", "--stride", "20", "--json"))
    assert len(found["windows"]) > 2  # type: ignore[arg-type]
    assert found["check"]["passed"]  # type: ignore[index]
    assert run("export", TOO_LONG, tmp_path / "a.png", "--windows", "--dpi", "50").code == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["show", TOO_LONG, "--stride", "20"], "no --windows that it could be of"),
        (["show", TOO_LONG, "--windows", "--stride", "2000"], "stride"),
        (["show", TOO_LONG, "--windows", "--truncate"], "does not go with --truncate"),
        (["check", TOO_LONG, "--windows"], "are for show and pictures"),
        (["export", TOO_LONG, "a.json", "--windows"], "are for show and pictures"),
    ],
)
def test_windows_that_can_not_be_are_refused(run: Run, arguments: list[str], message: str) -> None:
    result = run(*arguments)
    assert result.code == 2
    assert message in result.err
