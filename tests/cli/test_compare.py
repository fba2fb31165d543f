from __future__ import annotations

import json
from pathlib import Path

import pytest

from attnviz.errors import ExitCode
from tests import tiny
from tests.cli.conftest import Run
from tests.schemas import validate

A, B = "The bank approved the loan.", "The bank refused the loan."


def test_two_texts_are_compared(run: Run) -> None:
    result = run("compare", A, B, "--top", "3")
    assert (result.code, result.err) == (0, "")
    assert result.lines[0].startswith("In which heads do the rows of the same words differ?")
    assert "Compared: the rows of 3 words (bank, approved, loan)." in result.out


def test_the_document_is_as_the_schema_says(run: Run) -> None:
    document = json.loads(run("compare", A, B, "--word", "bank", "--json").out)
    validate(document, "answer")
    assert {row["query"] for row in document["rows"]} == {"bank"}
    assert len(document["rows"]) == 12


def test_two_models_on_one_text(run: Run, tiny_bert: Path, tmp_path: Path) -> None:
    other = tiny.bert(tmp_path / "other", seed=5)
    document = json.loads(run("compare", A, "-m", str(tiny_bert), "-m", str(other), "--json").out)
    assert document["rows"][0]["divergence"] > 0
    same = json.loads(run("compare", A, "-m", str(tiny_bert), "-m", str(tiny_bert), "--json").out)
    assert {row["divergence"] for row in same["rows"]} == {0}


def test_two_records_give_what_their_texts_give(run: Run, tmp_path: Path) -> None:
    files = [str(tmp_path / name) for name in ("a.safetensors", "b.json")]
    for text, file in zip((A, B), files, strict=True):
        run("export", text, file)
    ours, theirs = (
        json.loads(run("compare", *given, "--json").out)["rows"]
        for given in ((A, B), ("--from", files[0], "--from", files[1]))
    )
    assert [(row["layer"], row["head"]) for row in ours] == [(row["layer"], row["head"]) for row in theirs]


@pytest.mark.parametrize("suffix", ["csv", "parquet", "html", "png", "svg"])
def test_files_are_written(run: Run, tmp_path: Path, suffix: str) -> None:
    file = tmp_path / f"x.{suffix}"
    assert run("compare", A, "Today the bank refused the loan again.", "-o", str(file)).out == f"wrote {file}\n"
    assert file.stat().st_size > 300


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ((), "0 texts and 1 models are given"),
        ((A,), "there is one text in one model"),
        ((A, B, "Third."), "3 texts and 1 models are given"),
        ((A, B, "--word", "bnak"), "Did you mean bank?"),
        ((A, B, "--word", "refused"), "the first text has no word 'refused'"),
        (("bank", "Zebras run far."), "no words of the two texts correspond"),
        (("--from", "nowhere.json", "--from", "none.json"), "nowhere.json"),
    ],
)
def test_bad_input_says_what_to_do(run: Run, given: tuple[str, ...], message: str) -> None:
    result = run("compare", *given)
    assert result.code in (ExitCode.USAGE, ExitCode.INPUT)
    assert message in result.err
    assert "Traceback" not in result.err
