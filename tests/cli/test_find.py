from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from attnviz.errors import ExitCode
from tests import tiny
from tests.cli.conftest import Run
from tests.schemas import validate

S = tiny.SENTENCE


def test_the_heads_are_ranked_and_what_is_left_out_is_said(run: Run) -> None:
    result = run("find", S, "--from", "bank", "--to", "loan", "--top", "3")
    assert (result.code, result.err) == (0, "")
    assert result.lines[0].startswith("Which heads take 'bank' to 'loan'?")
    assert len([line for line in result.lines if line.startswith("  L")]) >= 3
    assert "3 of 24 rows; --top all lists them all." in result.out


def test_the_document_is_as_the_schema_says(run: Run) -> None:
    result = run("find", S, "--to", "loan", "--json")
    document = json.loads(result.out)
    validate(document, "answer")
    lifts = [row["lift"] for row in document["rows"]]
    assert document["ranked"] == "lift"
    assert lifts == sorted(lifts, reverse=True)
    assert {row["key"] for row in document["rows"]} == {"loan"}


@pytest.mark.parametrize("suffix", ["csv", "parquet", "jsonl", "json", "html", "png", "svg", "pdf"])
def test_each_file_is_written_once(run: Run, tmp_path: Path, suffix: str) -> None:
    file = tmp_path / f"links.{suffix}"
    assert run("find", S, "--from", "bank", "-o", str(file)).out == f"wrote {file}\n"
    assert file.stat().st_size > 500
    again = run("find", S, "--from", "bank", "-o", str(file))
    assert again.code == ExitCode.USAGE
    assert "exists" in again.err


def test_a_word_is_no_formula_and_no_markup(run: Run, tmp_path: Path) -> None:
    text = "=SUM(A1) bank <script>alert(1)</script> loan"
    assert run("find", text, "--from", "bank", "-o", str(tmp_path / "x.csv"), "--special").code == 0
    with (tmp_path / "x.csv").open(newline="") as stream:
        assert not any(cell.startswith("=") for row in csv.reader(stream) for cell in row)
    assert run("find", text, "--from", "bank", "-o", str(tmp_path / "x.html"), "--special").code == 0
    assert "<script>alert" not in (tmp_path / "x.html").read_text()


def test_a_page_names_words_as_words_and_has_a_bounded_number_of_rows(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("attnviz.render.page.answer._PAGE", 5)
    assert run("find", S, "--from", "bank", "--from", "loan", "-o", str(tmp_path / "x.html")).code == 0
    page = (tmp_path / "x.html").read_text()
    assert "from: <bdi>bank, loan</bdi>" in page
    assert page.count("<tr><td") == 5
    assert "The first 5 of " in page


def test_a_record_comes_before_the_words(run: Run, tmp_path: Path) -> None:
    saved = tmp_path / "r.safetensors"
    run("export", S, str(saved))
    ours, theirs = (
        json.loads(run("find", *given, "--from", "bank", "--to", "loan", "--json").out)["rows"]
        for given in ((S,), ("--from", str(saved)))
    )
    assert [row["head"] for row in ours] == [row["head"] for row in theirs]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ((S,), "no words are given to look for"),
        ((S, "--from", "bnak"), "the text has no word 'bnak'"),
        ((S, "--from", "bank:7"), "no bank:7"),
        ((S, "--from", "bank loan"), "the text has no passage"),
        ((S, "--from", "/[/"), "is no regular expression"),
        ((S, "--to", "loan", "--top", "0"), "--top is '0'"),
        ((S, "--to", "loan", "-o", "x.doc"), "expected one of"),
        ((S, "--to", "loan", "-o", "x.json", "--json"), "both --json and -o"),
    ],
)
def test_bad_input_says_what_to_do(run: Run, given: tuple[str, ...], message: str) -> None:
    result = run("find", *given)
    assert result.code == ExitCode.USAGE
    assert message in result.err
    assert "Traceback" not in result.err


def test_only_the_heads_that_are_asked_for_are_ranked(run: Run) -> None:
    rows = json.loads(run("find", S, "--from", "bank", "--layer", "1", "--head", "0,2", "--json").out)["rows"]
    assert {(row["layer"], row["head"]) for row in rows} == {(1, 0), (1, 2)}
    result = run("find", S, "--from", "bank", "--head", "14")
    assert result.code == ExitCode.USAGE
    assert "no head 14" in result.err
    assert "no layer 9" in run("find", S, "--from", "bank", "--layer", "9").err
