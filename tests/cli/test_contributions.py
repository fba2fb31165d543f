from __future__ import annotations

import json
from pathlib import Path

import pytest

from attnviz.errors import ExitCode
from tests import tiny
from tests.cli.conftest import Run
from tests.schemas import validate

S = tiny.SENTENCE


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.llama(tmp_path_factory.mktemp("model") / "llama")


def test_the_parts_are_ranked_by_size_and_their_sum_is_said(run: Run, llama: Path) -> None:
    result = run("contributions", S, "--target", "loan", "--against", "river", "-m", llama, "--top", 4)
    assert (result.code, result.err) == (0, "")
    assert result.lines[:2] == [
        "What adds to the logit of ' loan' minus that of ' river'?  llama",
        "  component  contribution  word        of word  second word  of second",
    ]
    assert len([line for line in result.lines if line.startswith("  L")]) == 4
    assert "which is the logit difference" in " ".join(result.out.split())
    assert "Direct effects only" in result.out


def test_the_document_is_as_the_schema_says(run: Run, llama: Path) -> None:
    result = run("contributions", S, "--target", "loan", "-m", llama, "--json")
    document = json.loads(result.out)
    validate(document, "answer")
    sizes = [abs(row["contribution"]) for row in document["rows"]]
    assert sizes == sorted(sizes, reverse=True)
    assert sum(row["contribution"] for row in document["rows"]) == pytest.approx(document["about"]["logit"], abs=1e-4)
    assert {row["head"] for row in document["rows"] if row["part"] == "MLP"} == {None}
    words = json.loads(run("contributions", S, "--target", "loan", "-m", llama, "--by", "word", "--json").out)
    heads = sum(row["contribution"] for row in document["rows"] if row["part"] == "head")
    assert sum(row["contribution"] for row in words["rows"]) == pytest.approx(heads, abs=1e-4)


@pytest.mark.parametrize("suffix", ["csv", "parquet", "html", "png", "svg"])
@pytest.mark.parametrize("by", ["head", "word"])
def test_each_file_is_written(run: Run, llama: Path, tmp_path: Path, suffix: str, by: str) -> None:
    file = tmp_path / f"contributions.{suffix}"
    result = run("contributions", S, "--by", by, "-m", llama, "-o", file)
    assert (result.code, result.out) == (0, f"wrote {file}\n")
    assert file.stat().st_size > 500


def test_an_encoder_decoder_reads_its_decoders_text(run: Run, tmp_path: Path) -> None:
    model = tiny.t5(tmp_path / "t5")
    result = run("contributions", S, "--decoder-text", "the bank", "--target", "loan", "-m", model)
    assert (result.code, result.err) == (0, "")
    assert "  cross L" in result.out
    assert "The encoder adds through the cross heads alone." in " ".join(result.out.split())
    for by in ("head", "word"):
        picture = tmp_path / f"{by}.png"
        assert run("contributions", S, "--by", by, "-m", model, "-o", picture).code == 0


@pytest.mark.parametrize(
    ("given", "code", "said"),
    [
        (
            ["--target", "loan", "--against", "loan"],
            ExitCode.USAGE,
            "--target and --against are both the token ' loan'",
        ),
        (["--target", ""], ExitCode.USAGE, "the target is empty"),
        (["--target", "☃"], ExitCode.INPUT, "the model's tokenizer does not know '☃'"),
        (["--at", "nowhere"], ExitCode.USAGE, "the text has no word 'nowhere'"),
        (["--at", "the"], ExitCode.USAGE, "Name one of them: The:1"),
        (["--by", "letter"], ExitCode.USAGE, "--by is 'letter'"),
        (["--decoder-text", "the"], ExitCode.USAGE, "has no decoder"),
        (["--top", "0"], ExitCode.USAGE, "--top is '0'"),
    ],
)
def test_bad_input(run: Run, llama: Path, given: list[str], code: ExitCode, said: str) -> None:
    result = run("contributions", S, "-m", llama, *given)
    assert (result.code, result.out) == (code, "")
    assert said in result.said


def test_a_model_without_a_head_says_what_can_be_measured(run: Run) -> None:
    result = run("contributions", S)
    assert (result.code, result.out) == (ExitCode.USAGE, "")
    assert "no head that predicts tokens or labels" in result.said
    assert "--weights norm+residual" in result.said
    assert run("contributions").code == ExitCode.USAGE


def test_the_maps_of_what_adds_to_the_prediction(run: Run, llama: Path, tmp_path: Path) -> None:
    shown = run("show", S, "--weights", "contribution", "-m", llama, "--no-check")
    assert (shown.code, shown.err) == (0, "")
    assert "the columns add to the logit of what each row predicts" in " ".join(shown.out.split())
    found = run("find", S, "--to", "bank", "--weights", "contribution-", "-m", llama, "--rank", "weight")
    assert (found.code, found.err) == (0, "")
    for name in ("heads.png", "page.html"):
        assert run("export", S, tmp_path / name, "--weights", "contribution", "-m", llama).code == 0
    refused = run("show", S, "--weights", "contribution")
    assert refused.code == ExitCode.USAGE
    assert "predicts no tokens" in refused.said
