from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from attnviz.errors import ExitCode
from tests import tiny
from tests.cli.conftest import Run
from tests.schemas import validate

TEXTS = f"{tiny.SENTENCE}\nthe river had a bank\nthe company approved the loan, because it had the bank\n"


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    path = tmp_path / "texts.txt"
    path.write_text(TEXTS)
    return path


@pytest.fixture
def results(run: Run, corpus: Path, tmp_path: Path) -> Path:
    where = tmp_path / "results"
    assert run("batch", corpus, "--split", "line", "-o", where, "-q", "--check", "none").code == 0
    return where


def test_without_files_it_says_what_random_tokens_show(run: Run) -> None:
    result = run("heads")
    assert (result.code, result.err) == (0, "")
    assert result.lines[0].startswith("What is each head for?")
    assert "12 of 12" not in result.out
    assert "random tokens that repeat" in result.out
    assert "over the texts that were read" in " ".join(result.out.split())
    assert "No sink rate" in result.out
    document = json.loads(run("heads", "--json", "--seed", "1").out)
    validate(document, "answer")
    assert len(document["rows"]) == 12


def test_files_and_results_give_the_same_table(run: Run, corpus: Path, results: Path) -> None:
    ours, theirs = (
        json.loads(run("heads", *given, "--json").out) for given in ((corpus, "--split", "line"), ("--from", results))
    )
    validate(ours, "answer")
    assert ours["notes"][1:] == theirs["notes"][1:]
    for one, other in zip(ours["rows"], theirs["rows"], strict=True):
        assert one == pytest.approx(other, abs=1e-5)


def test_a_role_ranks_and_a_file_is_written(run: Run, corpus: Path, tmp_path: Path) -> None:
    pq = pytest.importorskip("pyarrow.parquet")
    file = tmp_path / "heads.parquet"
    assert run("heads", corpus, "--role", "sink", "-o", file).code == 0
    scores = pq.read_table(file)["sink"].to_pylist()
    assert scores == sorted(scores, reverse=True)
    assert {"induction", "induction_low", "positional"} <= set(pq.read_schema(file).names)


def test_the_summary_of_batch_has_the_scores(results: Path) -> None:
    pq = pytest.importorskip("pyarrow.parquet")
    rows = pq.read_table(results / "summary.parquet").to_pylist()
    scores = json.loads((results / "summary.json").read_text())["induction"]
    found = {(row["layer"], row["head"]): row for row in rows if row["metric"] == "induction"}
    assert {row["count"] for row in found.values()} == {10}
    for layer in range(3):
        assert [found[layer, head]["mean"] for head in range(4)] == pytest.approx(scores[layer], rel=1e-5)
    assert {row["metric"] for row in rows} >= {"positional", "sink", "previous"}


@pytest.mark.parametrize(
    ("given", "code", "message"),
    [
        (("--role", "sinc"), ExitCode.USAGE, "--role is 'sinc'"),
        (("--role", "broad"), ExitCode.USAGE, "without texts there is no score of broad"),
        (("nowhere.txt",), ExitCode.USAGE, "there is no file or folder 'nowhere.txt'"),
        (("--from", "nowhere"), ExitCode.USAGE, "nowhere is no folder of results: it has no run.json"),
        (("x.txt", "--from", "nowhere"), ExitCode.USAGE, "both files and --from"),
        (("--split", "line"), ExitCode.USAGE, "none are given"),
        (("--circuits", "--seed", "1"), ExitCode.USAGE, "a role, clusters or a seed are given too"),
        (("--from", "nowhere", "--seed", "1"), ExitCode.USAGE, "--seed is of texts, and --from has results"),
        (("--from", "nowhere", "--split", "line"), ExitCode.USAGE, "are of files, and none are given"),
        (("--from", "nowhere", "--model", "x"), ExitCode.USAGE, "results hold their model: --model is for texts"),
        (("-",), ExitCode.INPUT, "no text could be measured: the text is empty"),
        (("-o", "heads.doc"), ExitCode.USAGE, "expected one of"),
        (("--model", "nowhere"), ExitCode.MODEL, "nowhere"),
    ],
)
def test_bad_input_says_what_to_do(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, given: tuple[str, ...], code: int, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    result = run("heads", *given)
    assert result.code == code
    assert message in result.said
    assert "Traceback" not in result.err


def test_damaged_results_are_named(run: Run, results: Path) -> None:
    summary, manifest = results / "summary.json", results / "run.json"
    whole = json.loads(summary.read_text())
    for damage in (
        "{", "[]", "{}", json.dumps(whole | {"layers": [0]}), json.dumps(whole | {"schema_version": 99}),
        json.dumps(whole | {"roles": [{"role": "sink"}]}),
    ):  # fmt: skip
        summary.write_text(damage)
        result = run("heads", "--from", results)
        assert result.code == ExitCode.USAGE
        assert "summary.json is damaged" in result.said
    summary.unlink()
    assert "has no summary: there is no summary.json" in run("heads", "--from", results).said
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"complete": False}))
    assert "its run has not ended" in run("heads", "--from", results).said
    manifest.write_text("{}")
    assert "is not what a run of attnviz wrote" in run("heads", "--from", results).said


def test_a_file_that_can_not_be_read_is_counted(run: Run, corpus: Path, tmp_path: Path) -> None:
    (tmp_path / "torn.txt").write_bytes(b"\xff\xfe\x00\xd8 \x00\x80")
    result = run("heads", corpus, tmp_path / "torn.txt")
    assert result.code in (0, ExitCode.SOME_FAILED)
    assert "1 document of" in result.out


def test_circuits_need_no_text(run: Run, tiny_llama: Path, tmp_path: Path) -> None:
    document = json.loads(run("heads", "--circuits", "--model", tiny_llama, "--json").out)
    validate(document, "answer")
    assert document["ranked"] == "copying"
    edges = run("heads", "--circuits", "--edges", "--model", tiny_llama)
    assert edges.lines[0].startswith("Which heads compose?")
    assert run("heads", "--circuits", "--model", tiny_llama, "-o", tmp_path / "copying.png").code == 0
    assert "--circuits are of weights alone" in run("heads", "x.txt", "--circuits").said


def test_clusters_are_made_and_drawn(run: Run, corpus: Path, results: Path, tmp_path: Path) -> None:
    pytest.importorskip("scipy")
    shown = run("heads", corpus, "--split", "line", "--clusters", "3")
    assert shown.lines[0].startswith("Which heads behave alike?")
    assert "Cluster 3: " in shown.out
    for given in (("--clusters", "auto"), ()):
        assert run("heads", corpus, *given, "-o", tmp_path / "heads.png", "--force").code == 0
    assert "--clusters is '1'" in run("heads", "--clusters", "1").said
    assert "which results do not keep" in run("heads", "--from", results, "--clusters", "auto").said
    assert "12 heads make no 13 clusters" in run("heads", corpus, "--clusters", "13").said


def test_without_scipy_the_extra_is_named(run: Run, corpus: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "scipy.cluster.hierarchy", None)
    said = run("heads", corpus, "--clusters", "3").said
    assert "clusters of heads need scipy" in said
    assert "attnviz[answers]" in said


def test_standard_input_is_read_as_what_it_is_said_to_be(run: Run) -> None:
    lines = "\n".join(json.dumps({"body": text}) for text in ("The bank approved the loan.", "The river rose."))
    given = "heads", "-", "--read-as", "jsonl", "--text-field", "body", "--json"
    assert json.loads(run(*given, stdin=lines.encode()).out)["about"]["documents"] == 2
    text = run("heads", "-", "--read-as", "text", "--split", "line", "--json", stdin=TEXTS.encode())
    assert json.loads(text.out)["about"]["documents"] == 3


@pytest.mark.parametrize("given", [("--split", "line"), ("--read-as", "jsonl", "--circuits")])
def test_options_of_files_need_files(run: Run, given: tuple[str, ...]) -> None:
    result = run("heads", *given)
    assert result.code == ExitCode.USAGE
    assert "--split, --text-field and --read-as are of files" in result.said


def test_pairs_that_are_read_as_texts_are_said_once(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "pairs.txt"
    file.write_text("The bank ||| the loan\nThe loan . ||| . the\n")
    for given in ((), ("--split", "line")):
        result = run("heads", file, *given)
        assert result.code == 0
        assert result.said.count("are read as one text: batch --target-field reads pairs") == 1
