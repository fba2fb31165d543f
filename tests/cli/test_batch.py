"""``attnviz batch``: from a corpus to a folder of tables, and its messages."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
from pathlib import Path
from typing import Any

import fsspec
import pyarrow.parquet as pq
import pytest
from PIL import Image
from rich.console import Console

from attnviz.analysis.corpus.metrics import METRICS
from attnviz.batch.engine import work
from attnviz.cli import console
from attnviz.interface import load
from attnviz.record import Request
from tests import tiny
from tests.batch.jobs import LONG, SENTENCES, assert_rows, by_definition, facts, lines, table, without_picture
from tests.cli.conftest import Result, Run

TEXTS = [*SENTENCES, LONG]


@pytest.fixture(autouse=True)
def _without_picture(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    if "_picture_" not in request.node.name:
        without_picture(monkeypatch)


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    return lines(tmp_path / "texts.txt", TEXTS)


def names(where: Path) -> list[str]:
    return sorted(path.name for path in where.iterdir())


def test_a_folder_of_texts_becomes_tables_a_summary_a_picture_and_a_page(
    run: Run, tiny_bert: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "docs" / "more"
    folder.mkdir(parents=True)
    folder.parent.joinpath("b.md").write_text(SENTENCES[1])
    folder.joinpath("a.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in SENTENCES[2:5]))
    folder.parent.joinpath("a.txt.gz").write_bytes(gzip.compress(SENTENCES[0].encode()))
    out = tmp_path / "results"
    result = run("batch", folder.parent, "-o", out)
    assert (result.code, result.err) == (0, "")
    assert names(out) == [
        ".attnviz.lock",
        *("documents.parquet", "heads.parquet", "heads.png", "links.parquet", "report.html", "run.json"),
        *("summary.json", "summary.parquet"),
    ]
    documents = table(out, "documents").to_pylist()
    assert [(Path(row["source"]).name, row["line"]) for row in documents] == [
        *(("a.txt.gz", None), ("b.md", None), ("a.jsonl", 1), ("a.jsonl", 2), ("a.jsonl", 3)),
    ]
    model = load(tiny_bert)
    for number, text in enumerate(SENTENCES[:5]):
        encoding = model.encode(text)
        assert_rows(out, number, encoding, by_definition(model, encoding, Request()))
    assert json.loads(out.joinpath("summary.json").read_bytes())["counts"]["documents"] == 5
    amounts = sum(metric.kind == "amount" for metric in METRICS)
    scores = 2  # positional, and induction on random tokens
    assert pq.read_table(out / "summary.parquet").num_rows == 3 * 4 * (amounts + scores)
    with Image.open(out / "heads.png") as picture:
        assert picture.size[0] > 500
    assert out.joinpath("report.html").read_text().startswith("<!doctype html>")
    said = facts(out)
    assert said["complete"]
    assert said["facts"]["command"].startswith("attnviz batch ")
    assert said["facts"]["check"]["documents"] >= 3
    assert said["facts"]["check"]["passed"]
    assert result.lines[0].startswith("5 documents measured · ")
    verdict = next(line for line in result.lines if line.startswith("✓ "))
    assert "transformers: links " in verdict
    assert "  heads.png, report.html" in result.out


def test_the_example_of_standard_input(run: Run, tmp_path: Path) -> None:
    out = tmp_path / "results"
    result = run("batch", "-", "--split", "line", "-o", out, stdin="\n\n".join(SENTENCES).encode())
    assert (result.code, result.err) == (0, "")
    rows = table(out, "documents").to_pylist()
    assert [(row["source"], row["line"]) for row in rows] == [("-", 2 * i + 1) for i in range(6)]


@pytest.mark.parametrize(("kind", "content"), [
    ("jsonl", b'{"body": "The bank."}\n{"body": "The river."}\n'),
    ("csv", b"id,body\n1,The bank.\n2,The river.\n"),
    ("conllu", b"# text = The bank.\n1\tThe%b\n\n# text = The river.\n1\tThe%b\n\n" % (2 * (8 * b"\t_",))),
])  # fmt: skip
def test_standard_input_is_read_as_what_it_is_said_to_be(run: Run, tmp_path: Path, kind: str, content: bytes) -> None:
    result = run("batch", "-", "--read-as", kind, "--text-field", "body", "-o", tmp_path / "out", stdin=content)
    assert result.code == 0, result.err
    assert table(tmp_path / "out", "documents")["characters"].to_pylist() == [9, 10]


def test_long_documents_slide_or_fail(run: Run, texts: Path, tmp_path: Path) -> None:
    slid, whole = tmp_path / "slid", tmp_path / "whole"
    assert run("batch", texts, "--split", "line", "-o", slid, "--stride", 12).code == 0
    assert table(slid, "documents")["windows"].to_pylist()[-1] > 4
    result = run("batch", texts, "--split", "line", "-o", whole, "--no-windows")
    assert result.code == 6
    assert result.said == (
        f"error: 1 of 7 documents failed Why is in the column reason of {whole}/documents.parquet, "
        "where status is failed."
    )
    assert result.lines[0].startswith("6 documents measured, 1 failed · ")
    assert "  failed  1 × the text has " in result.out
    assert table(whole, "documents")["windows"].to_pylist() == [1] * 6 + [None]
    assert table(whole, "documents")["reason"].to_pylist()[-1].endswith("the model takes 64: 58 too many")


def test_what_is_kept_of_the_links_is_asked_for(run: Run, tiny_bert: Path, tmp_path: Path) -> None:
    path = lines(tmp_path / "a.txt", SENTENCES)
    model = load(tiny_bert)
    for number, (flags, asked) in enumerate({
        ("--top", 2): Request(links=2),
        ("--top", 0): Request(links=0),
        ("--special",): Request(links=8, special=True),
        ("--all", "--top", 500): Request(links=500, everything=True),
    }.items()):  # fmt: skip
        out = tmp_path / str(number)
        assert run("batch", path, "--split", "line", "-o", out, "--check", "none", *flags).code == 0
        for i in (0, 5):
            encoding = model.encode(SENTENCES[i])
            assert_rows(out, i, encoding, by_definition(model, encoding, asked))


def test_other_formats_stand_beside_parquet(run: Run, texts: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = run("batch", texts, "--split", "line", "-o", out, "--format", "csv", "--format", "jsonl")
    assert result.code == 0, result.err
    for name in ("documents", "heads", "links"):
        rows = table(out, name).to_pylist()
        assert f"  {name}.parquet/, .csv/, .jsonl/  " in result.out
        with out.joinpath(f"{name}.csv/part-00000000.csv").open(newline="") as file:
            assert len([*csv.DictReader(file)]) == len(rows)
        written = map(json.loads, out.joinpath(f"{name}.jsonl/part-00000000.jsonl").read_text().splitlines())
        assert [row["document"] for row in written] == [row["document"] for row in rows]
    assert run("batch", texts, "-o", tmp_path / "other", "--format", "xlsx").code == 2
    assert not tmp_path.joinpath("other").exists()


def test_quiet_says_nothing_but_errors(run: Run, texts: Path, tmp_path: Path) -> None:
    assert run("batch", texts, "--split", "line", "-o", tmp_path / "a", "-q") == Result(0, "", "")
    result = run("batch", texts, "--split", "line", "-o", tmp_path / "b", "-q", "--no-windows")
    assert (result.code, result.out) == (6, "")
    assert result.err.startswith("error: 1 of 7 documents failed\n")


def test_a_terminal_sees_how_far_it_is(run: Run, texts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("attnviz.cli.corpus_progress._EVERY", 0.0)
    shown = io.StringIO()
    monkeypatch.setattr(console, "errors", lambda: Console(file=shown, width=100, force_terminal=True))
    assert run("batch", texts, "--split", "line", "-o", tmp_path / "out", "--no-windows").code == 6
    assert "7 documents · " in shown.getvalue()
    assert "1 failed" in shown.getvalue()


def test_a_file_gets_plain_lines(run: Run, texts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("attnviz.cli.corpus_progress._LINES", 0.0)
    result = run("batch", texts, "--split", "line", "-o", tmp_path / "out")
    assert result.code == 0
    last = result.err.splitlines()[-1]
    assert last.startswith("7 documents · ")
    assert last.endswith(" tokens/s")
    assert "\x1b" not in result.err + result.out


def test_strict_stops_at_the_first(run: Run, texts: Path, tmp_path: Path) -> None:
    result = run("batch", texts, "--split", "line", "-o", tmp_path / "out", "--no-windows", "--strict")
    assert (result.code, result.out) == (6, "")
    assert result.err.startswith(f"error: {texts}:7: the text has 122 tokens, the model takes 64: 58 too many\n")
    assert not tmp_path.joinpath("out/run.json").exists(), "nothing was written: it is in nobody's way"


@pytest.mark.parametrize(("mode", "count"), [("none", 0), ("sample", 3), ("all", 6)])
def test_as_many_are_checked_as_asked(run: Run, tmp_path: Path, mode: str, count: int) -> None:
    path = lines(tmp_path / "a.txt", SENTENCES)
    result = run("batch", path, "--split", "line", "-o", tmp_path / "out", "--check", mode)
    assert result.code == 0
    assert facts(tmp_path / "out")["facts"]["check"]["documents"] == count
    assert (f"✓ {count} documents against transformers" in result.out) == (count > 0)


@pytest.mark.parametrize("quiet", [(), ("--quiet",)])
def test_a_check_that_fails_is_loud(
    run: Run, texts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quiet: tuple[str, ...]
) -> None:
    own = work.measure

    def wrong(*given: Any, **how: Any) -> Any:
        some = own(*given, **how)
        some[2].figures[1, 3, 0] *= 1.01
        return some

    monkeypatch.setattr(work, "measure", wrong)
    out = tmp_path / "out"
    result = run("batch", texts, "--split", "line", "-o", out, "--no-windows", *quiet)
    assert result.code == 5  # though a document failed too
    assert "✗ 3 documents against transformers: links " in result.said
    assert "beyond what rounding explains in 1 of them (number 2; entropy)" in result.said
    assert result.said.endswith("Do not rely on these tables. Please report the model and a text: something is wrong.")
    assert result.said.count("✗") == (1 if quiet else 2)  # at once, and at the end
    check = facts(out)["facts"]["check"]
    assert (check["passed"], check["failed"]) == (False, [2])
    assert check["verdict"] in json.dumps(json.loads(out.joinpath("summary.json").read_bytes()), ensure_ascii=False)
    assert "✓" not in result.out


def test_a_run_goes_on_and_one_of_others_is_refused(run: Run, texts: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = "batch", texts, "--split", "line", "-o", out
    first = run(*command)
    again = run(*command)
    assert again == first
    refused = run(*command, "--top", 3, "--model", tiny.bert(tmp_path / "other", seed=1))
    assert (refused.code, refused.out) == (2, "")
    model = Path(os.environ["ATTNVIZ_MODEL"]).name
    assert refused.err == (
        f"error: {out} is of another run: the model was {model}, is other; --top was 8, is 3\n"
        "Begin anew with --overwrite, give another folder, or give the same options to go on.\n"
    )
    assert run(*command, "--top", 3, "--overwrite").code == 0
    assert facts(out)["options"]["top"] == 3


def test_a_cluster_is_not_half_asked_for(run: Run, texts: Path, tmp_path: Path) -> None:
    for more in (("--address", "auto"), ("--cpus", 2)):
        result = run("batch", texts, "-o", tmp_path / "out", *more)
        assert result.code == 2
        assert "Add --engine ray, or leave them out." in result.err
    assert not tmp_path.joinpath("out").exists()


def test_a_stride_without_windows_is_refused(run: Run, texts: Path, tmp_path: Path) -> None:
    result = run("batch", texts, "-o", tmp_path / "out", "--no-windows", "--stride", 9)
    assert (result.code, result.err) == (2, "error: --stride is given, and --no-windows that it could be of\n")


def test_addresses_are_read_and_written(run: Run, tmp_path: Path) -> None:
    store = fsspec.filesystem("memory")
    store.pipe_file("/in/a.txt", SENTENCES[0].encode())
    try:
        result = run("batch", "memory://in/", "-o", "memory://out/results")
        assert result.code == 0, result.err
        assert "memory://out/results" in result.out
        store.get("/out/results/", f"{tmp_path}/got/", recursive=True)
    finally:
        store.rm("/", recursive=True)
    assert table(tmp_path / "got", "documents")["source"].to_pylist() == ["memory://in/a.txt"]
    assert "report.html" in names(tmp_path / "got")


def test_another_model_is_given_as_everywhere(run: Run, texts: Path, tiny_hosted: Path, tmp_path: Path) -> None:
    result = run("batch", texts, "--split", "line", "-o", tmp_path / "out", "-m", tiny_hosted, "--dtype", "float64")
    assert result.code == 0, result.err
    assert (facts(tmp_path / "out")["model"], facts(tmp_path / "out")["dtype"]) == (tiny_hosted.name, "float64")


def test_a_package_that_is_missing_is_named(
    run: Run, texts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = "attnviz.cli.documents.importlib.util.find_spec"
    monkeypatch.setattr(find, lambda name: None if name in ("fsspec", "pyarrow") else object())
    result = run("batch", texts, "-o", tmp_path / "out")
    assert (result.code, result.err) == (
        2, "error: attnviz batch needs fsspec and pyarrow\nInstall what it needs: pip install 'attnviz[batch]'\n"
    )  # fmt: skip
