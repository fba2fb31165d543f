from __future__ import annotations

import json
from pathlib import Path

import pytest

from attnviz.cli import console
from attnviz.cli.progress import step_progress
from attnviz.errors import ExitCode
from tests import tiny
from tests.cli.conftest import Run
from tests.cli.test_progress import Clock, Screen
from tests.schemas import validate

S = tiny.SENTENCE


def test_every_head_is_changed_by_itself(run: Run) -> None:
    result = run("ablate", S, "--top", "3")
    assert (result.code, result.err) == (0, "")
    assert result.lines[0].startswith("What changes without each head?")
    assert len([line for line in result.lines if line.startswith("  L") and "H" in line[:9]]) == 3
    assert "3 of 12 rows; --top all lists them all." in result.out
    assert "self-repair" in result.out


def test_the_document_is_as_the_schema_says(run: Run) -> None:
    document = json.loads(run("ablate", S, "--head", "0.1,1.*", "--json").out)
    validate(document, "answer")
    assert document["ranked"] == "pooled"
    assert {(row["layer"], row["head"]) for row in document["rows"]} == {(0, 1), (1, 0), (1, 1), (1, 2), (1, 3)}
    assert document["about"]["way"] == "zero"
    assert document["about"]["together"]["pooled"] > 0


@pytest.mark.parametrize("suffix", ["csv", "parquet", "jsonl", "json", "html", "png", "svg", "pdf"])
def test_files(run: Run, tmp_path: Path, suffix: str) -> None:
    file = tmp_path / f"effects.{suffix}"
    assert run("ablate", S, "-o", str(file)).out == f"wrote {file}\n"
    assert file.stat().st_size > 500


def test_texts_in_files_make_means(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(f"{S}\nThe river had it.\n")
    (tmp_path / "b.jsonl").write_text(json.dumps({"body": S}) + "\n")
    result = run("ablate", S, "--mean", str(tmp_path / "a.txt"), "--split", "line", "--json")
    assert json.loads(result.out)["about"]["documents"] == 2
    frozen = run("ablate", S, "--freeze", "mean", "--mean", str(tmp_path / "b.jsonl"), "--text-field", "body", "--json")
    document = json.loads(frozen.out)
    assert document["about"]["documents"] == 1
    assert max(row["pooled"] for row in document["rows"]) < 1e-6  # the mean over this text alone
    missing = run("ablate", S, "--mean", str(tmp_path / "c.txt"))
    assert missing.code in (ExitCode.USAGE, ExitCode.INPUT)
    assert "c.txt" in missing.err


@pytest.mark.parametrize(
    ("given", "code", "said"),
    [
        ([], ExitCode.USAGE, "no text is given"),
        ([S, "--head", "5"], ExitCode.USAGE, "'5' is no head"),
        ([S, "--head", "9.0"], ExitCode.USAGE, "there is no layer 9"),
        ([S, "--head", "0.0", "--all"], ExitCode.USAGE, "both --all and some heads"),
        ([S, "--role", "poet"], ExitCode.USAGE, "--role is 'poet'"),
        ([S, "--cut", "bank", "lone"], ExitCode.USAGE, "the text has no word 'lone'"),
        ([S, "--cut", "bank", "loan", "--freeze", "uniform"], ExitCode.USAGE, "expected one of them"),
        ([S, "--as", "The bank."], ExitCode.INPUT, "differ in length"),
        ([S, "--target", "loan"], ExitCode.USAGE, "no logit of a target"),
        ([S, "--decoder-text", "loan"], ExitCode.USAGE, "has no decoder"),
        ([S, "--split", "line"], ExitCode.USAGE, "of the files of --mean"),
        ([S, "--rank", "p"], ExitCode.USAGE, "there is no column 'p'"),
        ([S, "--map", "cross"], ExitCode.USAGE, "the model has no cross attention"),
        ([S, "-o", "effects.txt"], ExitCode.USAGE, ".parquet"),
        (["", "--head", "0.0"], ExitCode.INPUT, "empty"),
    ],
)
def test_bad_questions(run: Run, given: list[str], code: ExitCode, said: str) -> None:
    result = run("ablate", *given)
    assert (result.code, result.out) == (code, "")
    assert said in result.said
    assert "Traceback" not in result.err


def test_a_text_is_data(run: Run) -> None:
    result = run("ablate", "bank \x1b[31mloan\x1b[0m <b>", "--by-word", "--top", "all")
    assert "\x1b" not in result.out


def test_a_bar_is_shown_after_two_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, screen = Clock(), Screen()
    monkeypatch.setattr(console, "errors", lambda: screen.console)
    with step_progress("runs", clock) as tell:
        tell(1, 10)
        clock.now += 1.9
        tell(2, 10)
        assert screen.raw == ""
        clock.now += 0.2
        tell(5, 10)
    assert any(each.startswith("5 of 10 runs") and each.endswith("left") for each in screen.pictures), screen.pictures
