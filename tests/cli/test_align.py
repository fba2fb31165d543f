from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from attnviz.errors import ExitCode
from attnviz.record import save
from tests import tiny, translators
from tests.cli.conftest import Run
from tests.records import three_maps
from tests.schemas import validate

A, B = "The bank approved the loan.", "The river had the bank."


@pytest.fixture
def diagonal(tmp_path: Path) -> Path:
    """A record whose target words each look at the source word in the same place."""
    found = three_maps(["the", "red", "dog", "[E]"], ["[S]", "le", "chien", "rouge"])
    weights = np.zeros((2, 3, 4, 4), np.float32)
    weights[:, :, [0, 1, 2, 3], [3, 0, 2, 1]] = 1
    file = tmp_path / "diagonal.safetensors"
    save(replace(found, cross=replace(found.cross, weights=weights)), file)
    return file


def test_each_target_word_has_a_row(run: Run, diagonal: Path) -> None:
    result = run("align", "--from", diagonal)
    assert (result.code, result.err) == (0, "")
    assert result.lines[:5] == [
        "Which source word does each target word stand for?  fixed",
        "  target  source  weight  next  next weight  special",
        "  le      the       1.00  red          0.00     0.0%",
        "  chien   dog       1.00  the          0.00     0.0%",
        "  rouge   red       1.00  the          0.00     0.0%",
    ]
    assert result.lines[5].startswith("  Weights: the mean of the heads of L0, at the step that reads the target word")


def test_programs_get_lines_of_pharaoh(run: Run, diagonal: Path) -> None:
    assert run("align", "--from", diagonal, "--format", "pharaoh").out == "0-0 1-2 2-1\n"
    late = run("align", "--from", diagonal, "--format", "pharaoh", "--step", "predicts").out
    assert late == "0-1 2-2\n"  # the row before: of the first word it looks at the end of the source alone


def test_the_document_is_as_the_schema_says(run: Run, tiny_t5: Path) -> None:
    document = json.loads(run("align", A, "--target", B, "-m", tiny_t5, "--json").out)
    validate(document, "answer")
    assert [row["target"] for row in document["rows"]] == ["The:1", "river", "had", "the:2", "bank", "."]
    assert document["about"]["heads"] == "the mean of the heads of L0"
    assert all(0 < row["weight"] <= 1 - row["special"] + 1e-6 for row in document["rows"])


@pytest.mark.parametrize("make", [tiny.t5, translators.nllb, translators.seamless], ids=["t5", "nllb", "hosted"])
def test_a_model_and_its_record_give_the_same(run: Run, tmp_path: Path, make: tiny.Saver) -> None:
    (tmp_path / "model").mkdir()
    folder, saved = make(tmp_path / "model"), tmp_path / "r.safetensors"
    given = (translators.SOURCE, "--target", translators.TARGET, "-m", folder)
    assert run("export", translators.SOURCE, saved, *given[1:]).code == 0
    ours, theirs = (run("align", *each, "--layer", "1") for each in (given, ("--from", saved)))
    assert ours.code == 0
    assert ours.lines[1:] == theirs.lines[1:]
    assert len(ours.lines) > 5


def test_what_the_model_writes_is_aligned_where_no_target_is_given(run: Run, tiny_t5: Path) -> None:
    result = run("align", A, "-m", tiny_t5, "--generate", "3", "--unit", "token", "--json")
    assert len(json.loads(result.out)["rows"]) <= 3


@pytest.mark.parametrize("suffix", ["csv", "parquet", "jsonl", "json", "html", "png", "svg", "pdf"])
def test_files_are_written(run: Run, diagonal: Path, tmp_path: Path, suffix: str) -> None:
    file = tmp_path / f"x.{suffix}"
    assert run("align", "--from", diagonal, "-o", file).out == f"wrote {file}\n"
    assert file.stat().st_size > 150


def test_a_model_of_one_stack_is_told_which_models_can(run: Run) -> None:
    for given in ((A,), (A, "--target", B)):
        result = run("align", *given)
        assert result.code == ExitCode.USAGE
        assert "no decoder" in result.said
        assert "T5, BART, Marian" in result.said


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (("--layer", "7"), "no layer 7: this model has layers 0–1"),
        (("--head", "9"), "no head 9"),
        (("--step", "writes"), "--step is 'writes'"),
        (("--unit", "sentence"), "--unit is 'sentence'"),
        (("--format", "pharao"), "--format is 'pharao'"),
        (("--format", "pharaoh", "--json"), "prints lines"),
    ],
)
def test_bad_input_says_what_to_do(run: Run, diagonal: Path, given: tuple[str, ...], message: str) -> None:
    result = run("align", "--from", diagonal, *given)
    assert result.code == ExitCode.USAGE
    assert message in result.said
    assert "Traceback" not in result.err


def test_without_a_text_it_says_how_to_give_one(run: Run) -> None:
    result = run("align")
    assert result.code == ExitCode.USAGE
    assert "no text is given" in result.err
    assert "attnviz align" in result.err


def test_norms_are_aligned_as_weights_are(run: Run, tiny_t5: Path, tmp_path: Path) -> None:
    given = ("align", A, "--target", B, "-m", tiny_t5, "--weights", "norm")
    document = json.loads(run(*given, "--json").out)
    assert document["about"]["weights"] == "norm"
    assert {each["name"]: each["kind"] for each in document["columns"]}["weight"] == "number"
    assert "norm: ‖A·f(x)‖" in document["notes"][0]
    assert max(row["weight"] for row in document["rows"]) > 1
    assert run(*given, "-o", tmp_path / "norm.png").code == 0
