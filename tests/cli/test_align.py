from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from attnviz.errors import ExitCode, InputError, UsageError
from attnviz.interface import load
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
    assert result.lines[5].startswith("  Weights: the mean of all heads of L0, at the step that reads the target word")


def test_programs_get_lines_of_pharaoh(run: Run, diagonal: Path) -> None:
    assert run("align", "--from", diagonal, "--format", "pharaoh").out == "0-0 1-2 2-1\n"
    late = run("align", "--from", diagonal, "--format", "pharaoh", "--step", "predicts").out
    assert late == "0-1 2-2\n"  # the row before: of the first word it looks at the end of the source alone


def test_the_document_is_as_the_schema_says(run: Run, tiny_t5: Path) -> None:
    document = json.loads(run("align", A, "--target", B, "-m", tiny_t5, "--json").out)
    validate(document, "answer")
    assert [row["target"] for row in document["rows"]] == ["The:1", "river", "had", "the:2", "bank", "."]
    assert document["about"]["heads"] == "all heads of L0"
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


PAIRS = "The bank ||| the loan\nThe bank approved it ||| it had a river\n\nThe loan . ||| . the\n"
GOLD = "0-0 1-1\n0-0 1?1 2p2 3-3\n\n0-1 2-0\n"


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    (tmp_path / "pairs.txt").write_text(PAIRS)
    (tmp_path / "gold.txt").write_text(GOLD)
    return tmp_path / "pairs.txt"


def test_pairs_have_a_line_each_also_where_they_can_not_be_aligned(run: Run, tiny_t5: Path, pairs: Path) -> None:
    result = run("align", "--pairs", pairs, "-m", tiny_t5, "--format", "pharaoh")
    assert result.code == ExitCode.SOME_FAILED
    assert "1 of 4 pairs could not be aligned" in result.said
    assert "pairs.txt:3: the line is empty" in result.said
    lines = result.out.split("\n")
    assert len(lines) == 5
    assert lines[2] == lines[4] == ""
    assert sorted(link.split("-")[1] for link in lines[1].split()) == ["0", "1", "2", "3"]
    alone = run("align", "The loan .", "--target", ". the", "-m", tiny_t5, "--format", "pharaoh")
    assert alone.out.strip() == lines[3]


def test_parallel_files_give_what_lines_with_bars_give(run: Run, tiny_t5: Path, tmp_path: Path) -> None:
    split = [line.split(" ||| ") for line in PAIRS.splitlines() if line]
    for place, name in enumerate(("x.en", "x.de")):
        (tmp_path / name).write_text("".join(pair[place] + "\n" for pair in split))
    (tmp_path / "x.txt").write_text("".join(" ||| ".join(pair) + "\n" for pair in split))
    files = "--pairs", tmp_path / "x.en", "--pairs", tmp_path / "x.de"
    ours = run("align", *files, "-m", tiny_t5, "--json", "--unit", "token")
    theirs = run("align", "--pairs", tmp_path / "x.txt", "-m", tiny_t5, "--json", "--unit", "token")
    assert ours.code == theirs.code == 0
    assert ours.out == theirs.out
    assert {row["pair"] for row in json.loads(ours.out)["rows"]} == {1, 2, 3}


def test_gold_links_rank_the_heads_by_their_errors(run: Run, tiny_t5: Path, pairs: Path) -> None:
    given = "align", "--pairs", pairs, "--gold", pairs.with_name("gold.txt"), "-m", tiny_t5
    document = json.loads(run(*given, "--json").out)
    validate(document, "answer")
    assert document["ranked"] == "aer"
    assert len(document["rows"]) == 2 * (2 * 4 + 2 + 1)
    assert (document["about"]["pairs"], document["about"]["sure"]) == (3, 6)
    one = json.loads(run(*given, "--layer", "1", "--head", "2", "--step", "reads", "--json").out)["rows"]
    assert one == [row for row in document["rows"] if (row["heads"], row["step"]) == ("L1 H2", "reads")]
    assert run(*given, "-o", pairs.with_name("x.png")).code == ExitCode.SOME_FAILED
    assert pairs.with_name("x.png").stat().st_size > 1000


def test_a_record_is_compared_with_one_line_of_gold(run: Run, diagonal: Path, tmp_path: Path) -> None:
    (tmp_path / "gold").write_text("0-0 1-2 2-1\n")
    rows = json.loads(run("align", "--from", diagonal, "--gold", tmp_path / "gold", "--json").out)["rows"]
    assert {row["aer"] for row in rows if row["step"] == "reads"} == {0}


@pytest.mark.parametrize(
    ("given", "code", "message"),
    [
        (("--pairs", "{pairs}", "A text"), ExitCode.USAGE, "both one pair and --pairs are given"),
        (("--pairs", "{pairs}", "--target", "x"), ExitCode.USAGE, "both one pair and --pairs are given"),
        (("--pairs", "none.txt"), ExitCode.USAGE, "there is no file or folder 'none.txt'"),
        (("--pairs", "{pairs}", "-o", "x.png"), ExitCode.USAGE, "a picture is of one pair, and there are 4"),
        (("--pairs", "{pairs}", "--gold", "{short}"), ExitCode.INPUT, "has 1 line and there are 4 pairs"),
        (("--pairs", "{pairs}", "--gold", "{far}"), ExitCode.INPUT, "the link 0-9, and the target has 2 words"),
        (("--pairs", "{pairs}", "--pairs", "{short}"), ExitCode.INPUT, "line 2 has no counterpart"),
        (("--pairs", "{pairs}", "--gold", "{short}", "--format", "pharaoh"), ExitCode.USAGE, "prints lines"),
        (("--pairs", "{blank}"), ExitCode.SOME_FAILED, "2 of 2 pairs could not be aligned"),
        (("--pairs", "{pairs}", "--gold", "{empty}"), ExitCode.INPUT, "has no links"),
        (("--pairs", "{pairs}", "--one-based"), ExitCode.USAGE, "--one-based is of gold links, and none are given"),
        ((A, "--target", " "), ExitCode.INPUT, "the target is empty"),
    ],
)
def test_bad_files_say_what_to_do(
    run: Run, tiny_t5: Path, pairs: Path, given: tuple[str, ...], code: ExitCode, message: str
) -> None:
    folder = pairs.parent
    for name, content in (("short", "0-0\n"), ("far", "0-9\n\n\n\n"), ("blank", "\n\n"), ("empty", "\n\n\n\n")):
        (folder / name).write_text(content)
    names = {name: folder / name for name in ("short", "far", "blank", "empty")}
    result = run("align", "-m", tiny_t5, *(each.format(pairs=pairs, **names) for each in given))
    assert (result.code, result.out, message in result.said) == (code, "", True), result.err
    assert "Traceback" not in result.err


def test_a_file_of_pairs_is_no_single_source(run: Run, tiny_t5: Path, tmp_path: Path) -> None:
    file = tmp_path / "pairs.txt"
    file.write_text("The bank ||| the loan\n\nThe loan . ||| . the\n")
    result = run("align", "-f", file, "-m", tiny_t5)
    assert result.code == ExitCode.USAGE
    assert "pairs.txt looks like 2 pairs of texts" in result.said
    assert "--pairs" in result.said
    assert "the text looks like 1 pair of texts" in run("align", "The bank ||| the loan", "-m", tiny_t5).said
    file.write_text("The bank ||| the loan\nThe loan .\n")
    assert run("align", "-f", file, "--generate", "3", "-m", tiny_t5).code == 0


@pytest.mark.parametrize("command", [("show",), ("find", "--from", "bank"), ("compare", "The bank.")])
def test_other_commands_say_that_pairs_are_read_as_one_text(run: Run, tmp_path: Path, command: tuple[str, ...]) -> None:
    file = tmp_path / "pairs.txt"
    file.write_text("The bank ||| the loan\n")
    result = run(*command, "-f", file)
    assert result.code == 0
    assert "pairs.txt looks like 1 pair of texts, 'source ||| target', and is read as one text" in result.said
    file.write_text("The bank || the loan\n")
    assert "pair" not in run(*command, "-f", file).said


def test_gold_links_that_are_only_possible_have_no_recall(run: Run, diagonal: Path, tmp_path: Path) -> None:
    (tmp_path / "gold").write_text("0?0 1?2 2?1\n")
    result = run("align", "--from", diagonal, "--gold", tmp_path / "gold")
    assert result.code == 0
    assert "precision 100.0%." in " ".join(result.out.split())
    assert "nan" not in result.out


def test_python_aligns_one_pair_many_and_against_gold(run: Run, tiny_t5: Path, tmp_path: Path) -> None:
    model = load(tiny_t5)
    one = json.loads(run("align", A, "--target", B, "-m", tiny_t5, "--json").out)
    assert [row["source"] for row in model.align(A, B).rows()] == [row["source"] for row in one["rows"]]
    pairs, gold = tmp_path / "pairs.txt", tmp_path / "gold.txt"
    pairs.write_text(f"{A} ||| {B}\n{B} ||| {A}\n")
    gold.write_text("0-0 1-1\n0-0\n")
    for given, named in (((), {}), (("--gold", gold), {"gold": gold})):
        theirs = json.loads(run("align", "--pairs", pairs, *given, "-m", tiny_t5, "--json").out)
        ours = model.align([(A, B), (B, A)], **named)
        assert len(theirs["rows"]) == len(ours)
        for row, expected in zip(ours.rows(), theirs["rows"], strict=True):
            assert {name: value for name, value in row.items() if not isinstance(value, float)} == {
                name: value for name, value in expected.items() if not isinstance(value, float)
            }
    with pytest.raises(UsageError, match="`target` is of one source"):
        model.align([(A, B)], B)
    with pytest.raises(InputError, match="no pairs to align"):
        model.align([])
