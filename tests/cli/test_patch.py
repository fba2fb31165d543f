"""``attnviz patch`` on the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from attnviz.errors import ExitCode
from tests.cli.conftest import Run
from tests.schemas import validate

TEXTS = "The bank approved the loan of the", "The river approved the loan of the"
ASKED = "--target", "loan", "--against", "river"


@pytest.fixture
def patch(run: Run, tiny_llama: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("ATTNVIZ_MODEL", str(tiny_llama))
    return lambda *given, **stdin: run("patch", *given, **stdin)


def test_heads_are_ranked_by_what_they_move_back(patch: Run) -> None:
    result = patch(*TEXTS, *ASKED, "--top", 3)
    assert (result.code, result.err) == (0, "")
    assert result.lines[0].startswith("Which head restores ' loan' against ' river'?")
    assert result.lines[1].split() == ["head", "share", "change", "patched"]
    assert [line.split()[0] for line in result.lines[2:5]] > ["L0"] * 3
    assert "3 of 12 rows; --top all lists them all." in result.out
    said = " ".join(result.out.split())
    assert "The logit of ' loan' minus that of ' river': " in said
    assert "The texts differ in token 2, river → bank." in said


def test_some_layers_and_heads(patch: Run) -> None:
    rows = json.loads(patch(*TEXTS, *ASKED, "--layer", "1-2", "--head", "0.3", "--json").out)["rows"]
    assert sorted((row["layer"], row["head"]) for row in rows) == [
        (0, 3), *((layer, head) for layer in (1, 2) for head in range(4))
    ]  # fmt: skip


def test_ways_are_ranked(patch: Run) -> None:
    result = patch(*TEXTS, *ASKED, "--path", "0.1")
    assert result.lines[0].startswith("By which way does L0 H1 restore ' loan' against ' river'?")
    assert result.lines[1].split() == ["to", "by", "share", "change", "patched"]
    every = patch(*TEXTS, *ASKED, "--path", "all", "--head", "1.*", "--json")
    rows = json.loads(every.out)["rows"]
    assert {row["from_layer"] for row in rows} == {1}
    assert {row["from"] for row in rows} == {f"L1 H{head}" for head in range(4)}
    one = patch(*TEXTS, *ASKED, "--path", "0.1,L2H3", "--through-mlps", "--json")
    assert len(json.loads(one.out)["rows"]) == 3


def test_documents_are_as_the_schema_says(patch: Run) -> None:
    for more in ((), ("--what", "pattern"), ("--path", "0.1")):
        document = json.loads(patch(*TEXTS, *ASKED, *more, "--json").out)
        validate(document, "answer")
        assert document["ranked"] == "share"
        assert document["about"]["clean"] == TEXTS[0]
        assert (document["about"]["target"], document["about"]["against"]) == (" loan", " river")
        sizes = [abs(row["share"]) for row in document["rows"]]
        assert sizes == sorted(sizes, reverse=True)


@pytest.mark.parametrize("suffix", ["csv", "parquet", "jsonl", "json", "html", "png", "svg"])
@pytest.mark.parametrize("more", [(), ("--path", "0.1")])
def test_each_file_is_written(patch: Run, tmp_path: Path, suffix: str, more: tuple[str, ...]) -> None:
    file = tmp_path / f"heads.{suffix}"
    assert patch(*TEXTS, *ASKED, *more, "-o", file).out == f"wrote {file}\n"
    assert file.stat().st_size > 300


def test_an_encoder_decoder(run: Run, tiny_t5: Path) -> None:
    given = "-m", tiny_t5, "--decoder-text", "the loan of", "--map", "cross"
    rows = json.loads(run("patch", *TEXTS, *ASKED, *given, "--json").out)["rows"]
    assert {row["map"] for row in rows} == {"cross"}
    paths = run("patch", *TEXTS, *ASKED, "-m", tiny_t5, "--map", "encoder", "--path", "0.0", "--top", "all")
    assert "cross L1 H0" in paths.out


@pytest.mark.parametrize(
    ("given", "code", "said"),
    [
        ((), ExitCode.USAGE, "two texts are needed"),
        (TEXTS[:1], ExitCode.USAGE, "two texts are needed"),
        ((TEXTS[0], TEXTS[0]), ExitCode.USAGE, "are the same tokens"),
        ((TEXTS[0], "The river"), ExitCode.INPUT, "the texts differ in length, 9 and 4 tokens"),
        (
            (*TEXTS, "--target", "loan", "--against", "loan"),
            ExitCode.USAGE,
            "--target and --against are both the token",
        ),
        ((*TEXTS, "--path", "0.1,0.2"), ExitCode.USAGE, "nothing goes straight from L0 H1 to L0 H2"),
        ((*TEXTS, "--path", "9.1"), ExitCode.USAGE, "there is no layer 9"),
        ((*TEXTS, "--head", "0.9"), ExitCode.USAGE, "layer 0 has no head 9"),
        ((*TEXTS, "--layer", "9"), ExitCode.USAGE, "there is no layer 9"),
        ((*TEXTS, "--layer", "x"), ExitCode.USAGE, "--layer is 'x', expected numbers"),
        ((*TEXTS, "--head", "nine"), ExitCode.USAGE, "'nine' is no head"),
        ((*TEXTS, "--through-mlps"), ExitCode.USAGE, "--through-mlps is of ways, and no --path is given"),
        ((*TEXTS, "--what", "outptu"), ExitCode.USAGE, "Did you mean output?"),
        ((*TEXTS, "--map", "cross"), ExitCode.USAGE, "the model has no cross attention"),
        ((*TEXTS, "--decoder-text", "the"), ExitCode.USAGE, "has no decoder beside an encoder"),
        ((*TEXTS, "--target", ""), ExitCode.USAGE, "the target is empty"),
        ((*TEXTS, "--top", "0"), ExitCode.USAGE, "--top is '0'"),
    ],
)
def test_bad_questions_are_answered_in_words(patch: Run, given: tuple[Any, ...], code: int, said: str) -> None:
    result = patch(*given)
    assert (result.code, result.out) == (code, "")
    assert said in " ".join(result.said.split())
    assert "Traceback" not in result.err


def test_the_tokens_of_texts_that_do_not_fit_stand_one_under_the_other(patch: Run) -> None:
    result = patch(*TEXTS[:1], "The bank of the river approved the loan of it")
    rows = [line for line in result.err.splitlines() if "[CLS]" in line]
    assert len(rows) == 2
    assert rows[0].index("approved") == rows[1].index("of")


def test_a_model_without_a_head_is_told_what_can_be_measured(run: Run) -> None:
    result = run("patch", *TEXTS)
    assert result.code == ExitCode.USAGE
    assert "no head that predicts tokens or labels" in result.said
    assert "attnviz ablate" in result.said


def test_a_hosted_model_has_no_paths(run: Run, tiny_hosted: Path) -> None:
    assert run("patch", *TEXTS, *ASKED, "-m", tiny_hosted).code == 0
    result = run("patch", *TEXTS, *ASKED, "-m", tiny_hosted, "--path", "0.0")
    assert result.code == ExitCode.USAGE
    assert "can be patched without --path" in result.said
