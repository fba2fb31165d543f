"""``attnviz generate``, and ``--weights gradient``, on the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from attnviz.errors import ExitCode
from tests import tiny
from tests.cli.conftest import Run
from tests.schemas import validate

S = tiny.SENTENCE


@pytest.fixture
def llama(tmp_path: Path) -> str:
    return str(tiny.llama(tmp_path / "llama"))


def test_both_texts_are_printed(run: Run, llama: str) -> None:
    result = run("generate", S, "--without", "0.1", "--without", "1.*", "--tokens", "8", "-m", llama)
    assert (result.code, result.err) == (0, "")
    assert result.lines[0].startswith("What the model writes without L0 H1, L1 H0")
    assert "6 of 8 rows; --top all lists them all." in result.out
    assert ("as it is" in result.out) != ("both write the same 8 tokens" in result.out)


def test_the_document_is_as_the_schema_says(run: Run, llama: str) -> None:
    given = ("--cut", "generated", "bank", "--max-new-tokens", "5", "-m", llama, "--json")
    document = json.loads(run("generate", S, *given).out)
    validate(document, "answer")
    assert (document["answer"], document["ranked"], document["about"]["to"]) == ("generate", "kl", "bank")
    assert {row["step"] for row in document["rows"]} == {1, 2, 3, 4, 5}
    assert {"both", "plain", "changed", "same", "odds"} <= document["about"].keys()


@pytest.mark.parametrize("suffix", ["csv", "parquet", "jsonl", "html", "png", "svg"])
def test_files(run: Run, llama: str, tmp_path: Path, suffix: str) -> None:
    file = tmp_path / f"texts.{suffix}"
    result = run("generate", S, "--without", "0.1", "--tokens", "4", "-m", llama, "-o", str(file))
    assert result.out == f"wrote {file}\n"
    assert file.stat().st_size > 200


def test_means_and_uniform_weights(run: Run, llama: str, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(f"{S}\nThe river had it.\n")
    for given in (("--mean", str(tmp_path / "a.txt"), "--split", "line"), ("--freeze", "uniform")):
        result = run("generate", S, "--without", "0.1", *given, "--tokens", "3", "-m", llama, "--json")
        assert json.loads(result.out)["about"]["way"] == ("mean" if given[0] == "--mean" else "uniform")


@pytest.mark.parametrize(
    ("given", "code", "said"),
    [
        ([S], ExitCode.USAGE, "no head is given to do without"),
        ([S, "--without", "x"], ExitCode.USAGE, "'x' is no head"),
        ([S, "--without", "9.0"], ExitCode.USAGE, "there is no layer 9"),
        ([S, "--without", "0.0", "--tokens", "0"], ExitCode.USAGE, "should be greater"),
        ([S, "--without", "0.0", "--freeze", "mean"], ExitCode.INPUT, "this text grows"),
        ([S, "--without", "0.0", "--split", "line"], ExitCode.USAGE, "of the files of --mean"),
        ([S, "--cut", "generated", "lone"], ExitCode.USAGE, "the text has no word 'lone'"),
        ([S, "--without", "0.0", "--map", "cross"], ExitCode.USAGE, "the model has no cross attention"),
        (["", "--without", "0.0"], ExitCode.INPUT, "empty"),
    ],
)
def test_bad_questions(run: Run, llama: str, given: list[str], code: ExitCode, said: str) -> None:
    result = run("generate", *given, "-m", llama)
    assert (result.code, result.out) == (code, "")
    assert said in result.err
    assert "Traceback" not in result.err


def test_a_model_that_predicts_no_tokens(run: Run) -> None:
    result = run("generate", S, "--without", "0.0")
    assert (result.code, result.out) == (ExitCode.MODEL, "")
    assert "no head that predicts the next token" in result.err
    assert "attnviz ablate" in result.err


def test_gradients_are_shown_drawn_found_and_compared(run: Run, llama: str, tmp_path: Path) -> None:
    asked = ("--weights", "gradient", "--of", "loan", "--against", "river", "-m", llama)
    shown = run("show", S, *asked)
    assert (shown.code, shown.err) == (0, "")
    assert "y is the logit of ' loan' minus that of ' river'" in " ".join(shown.out.split())
    document = json.loads(run("show", S, *asked, "--json").out)
    validate(document, "show")
    assert document["measure"]["name"] == "gradient"
    for name in ("a.png", "a.html", "a.json"):
        assert run("export", S, str(tmp_path / name), *asked).code == 0
    again = run("show", "--from", str(tmp_path / "a.json"))
    assert "y is the logit" in again.out
    assert run("find", S, "--from", "loan", "--to", "bank", *asked).code == 0
    assert run("compare", S, S.replace("bank", "company"), *asked).code == 0


@pytest.mark.parametrize(
    ("given", "code", "said"),
    [
        (["show", S, "--of", "loan"], ExitCode.USAGE, "--of is given, and no weights that are of an answer"),
        (["show", S, "--weights", "gradient"], ExitCode.USAGE, "predicts no tokens and no labels"),
    ],
)
def test_gradients_of_nothing(run: Run, given: list[str], code: ExitCode, said: str) -> None:
    result = run(*given)
    assert (result.code, result.out) == (code, "")
    assert said in result.err


def test_a_record_has_its_own_answer(run: Run, llama: str, tmp_path: Path) -> None:
    file = str(tmp_path / "a.json")
    assert run("export", S, file, "--weights", "gradient", "-m", llama).code == 0
    result = run("show", "--from", file, "--weights", "gradient", "--of", "loan")
    assert result.code == ExitCode.USAGE
    assert "a record holds its numbers" in result.err


@pytest.mark.parametrize("save", [tiny.llama, tiny.t5])
def test_a_tokenizer_with_more_tokens_than_the_model_is_refused(run: Run, tmp_path: Path, save: Any) -> None:
    model = str(save(tmp_path / "model", vocab_size=50))
    for given in (("show", S, "--generate", "2"), ("ablate", S), ("generate", S, "--without", "0.1")):
        result = run(*given, "-m", model)
        assert (result.code, result.out) == (ExitCode.MODEL, "")
        assert "the model's vocabulary ends at 49: they do not belong together" in result.said
