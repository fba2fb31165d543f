"""A job that is stopped, refused, or done again: nothing is lost, and nothing is made of two things."""

from __future__ import annotations

import errno
import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import fsspec
import pytest

from attnviz.batch.document import Document
from attnviz.batch.engine import job as jobs
from attnviz.batch.engine.job import run_job
from attnviz.batch.engine.quoting import quotations
from attnviz.batch.engine.work import WorkOptions
from attnviz.batch.input.options import ReadOptions
from attnviz.batch.input.source import read_documents
from attnviz.batch.storage.lock import lock_file
from attnviz.errors import AttnvizError, InputError, UsageError
from attnviz.record import Request
from tests import tiny
from tests.batch.jobs import LONG, SENTENCES, Seen, facts, job, lines, rows, table, without_picture

CORPUS = [f"{SENTENCES[i % 6]} {i}" for i in range(40)]
CORPUS[7], CORPUS[19], CORPUS[20] = LONG, "", "\0"


@pytest.fixture(autouse=True)
def _without_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    without_picture(monkeypatch)


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    return lines(tmp_path / "a.txt", CORPUS)


def files(where: Path) -> list[str]:
    return sorted(str(path.relative_to(where)) for path in where.rglob("*") if path.is_file())


# Each moment is a number of files that were opened, renamed or deleted below the folder of the results.
KILLED = """
import os, signal, sys
from pathlib import Path
from attnviz.batch.document import Document
from attnviz.batch.engine.job import run_job
from attnviz.batch.engine.quoting import quotations
from attnviz.render import figure
from tests.batch.jobs import Seen, job
corpus, model, *runs = sys.argv[1:]
figure.draw_maps, figure.to_png = lambda *_: None, lambda _: b"no picture"

def run(out, moment):
    left = [moment]

    def look(event, arguments):
        if event in ("open", "os.rename", "os.remove", "os.mkdir") and str(arguments[0]).startswith(out):
            left[0] -= 1
            if not left[0]:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(look)
    run_job(job(corpus, out, Path(model), check="sample", formats=("csv",), chunk=5), Seen())

run(runs[0] + "-before", 0)  # what takes long the first time is done once
for out, moment in zip(runs[::2], map(int, runs[1::2])):
    child = os.fork()
    if not child:
        code = 1
        try:
            run(out, moment)
            code = 0
        finally:
            os._exit(code)
    state = os.waitpid(child, 0)[1]
    parts = os.path.join(out, "documents.parquet")
    print(os.waitstatus_to_exitcode(state), len(os.listdir(parts)) if os.path.isdir(parts) else 0, flush=True)
"""


@pytest.mark.slow
def test_killed_at_any_moment_it_ends_with_the_rows_of_an_undisturbed_run(
    corpus: Path, tiny_bert: Path, tmp_path: Path
) -> None:
    chance = random.Random(3)
    moments = [3, 25, *(chance.randrange(20, 90) for _ in range(6)), 0]
    killed, alone = tmp_path / "killed", tmp_path / "alone"
    runs = [word for moment in moments for word in (str(killed), str(moment))]
    command = [sys.executable, "-c", KILLED, str(corpus), str(tiny_bert), *runs, str(alone), "0"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    ends = [tuple(map(int, line.split())) for line in done.stdout.splitlines()]
    assert [code for code, _ in ends] == [-signal.SIGKILL] * 8 + [0, 0], done.stderr
    parts = [count for _, count in ends]
    assert parts == sorted(parts)
    assert len({*parts}) > 3, "it was killed on its way"
    assert files(killed) == files(alone)
    mine, theirs = rows(killed), rows(alone)
    assert mine["documents"].num_rows == len(CORPUS) - 1
    for name, found in theirs.items():
        assert mine[name].equals(found), name
    one, other = facts(killed), facts(alone)
    assert one["complete"]
    for name in ("documents", "failed", "tokens", "links", "parts", "check"):
        assert one["facts"][name] == other["facts"][name], name


def test_what_killed_runs_have_taken_counts(
    corpus: Path, tiny_bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "_NOTED", 0.0)
    out, small = tmp_path / "out", job(corpus, tmp_path / "out", tiny_bert, chunk=10)
    with pytest.raises(KeyboardInterrupt):
        run_job(small, Stopping(2))
    far = facts(out)
    assert (far["complete"], far["facts"]["parts"]) == (False, 2)
    assert far["facts"]["seconds"] > 0
    done = run_job(small, Seen())
    assert done.about.seconds > far["facts"]["seconds"]
    assert facts(out)["facts"]["parts"] == 4


class Stopping(Seen):
    """Ends the run when it hears of a part for the third time."""

    def __init__(self, after: int) -> None:
        super().__init__()
        self.left = after

    def failed(self, documents: int) -> None:
        super().failed(documents)
        self.left -= 1
        if self.left < 0:
            raise KeyboardInterrupt


@pytest.mark.parametrize("kept", [10**6, 0], ids=["kept", "read again"])
def test_the_report_quotes_the_sentence_of_a_link_and_its_line(
    corpus: Path, tiny_bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: int
) -> None:
    monkeypatch.setattr("attnviz.batch.engine.quoting.MOST_KEPT", kept)
    done = run_job(job(corpus, tmp_path / "out", tiny_bert), Seen())
    report = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    link = done.corpus.typical[0].strongest
    assert f"{corpus.name}:{link.document + 1}" in report
    assert CORPUS[link.document][:30] in report


def test_inputs_that_are_gone_at_the_end_are_not_quoted(corpus: Path, tiny_bert: Path, tmp_path: Path) -> None:
    found = run_job(job(corpus, tmp_path / "out", tiny_bert), Seen()).corpus

    def gone() -> Iterator[Document]:
        raise InputError("a.txt can't be read")

    assert quotations(found, gone) == quotations(found, None) == {}
    corpus.write_text("other words\n" * len(CORPUS))
    assert quotations(found, lambda: read_documents([str(corpus)], ReadOptions(split="line"))) == {}


def test_a_run_that_has_ended_says_the_same_again(corpus: Path, tiny_bert: Path, tmp_path: Path) -> None:
    out, small = tmp_path / "out", job(corpus, tmp_path / "out", tiny_bert, chunk=10, check="sample")
    first = run_job(small, Seen())
    before, times = facts(out), {path: path.stat().st_mtime_ns for path in out.glob("*.parquet/*")}
    seen = Seen()
    again = run_job(small, seen)
    assert (again.corpus.counts, again.checked, again.about) == (first.corpus.counts, first.checked, first.about)
    assert seen.documents == len(CORPUS) - 1
    assert {path: path.stat().st_mtime_ns for path in out.glob("*.parquet/*")} == times
    assert {**facts(out)["facts"], "ended": ""} == {**before["facts"], "ended": ""}


CHANGED: dict[str, tuple[Callable[[jobs.Job], jobs.Job], str]] = {
    "top": (lambda job: replace(job, how=WorkOptions(Request(links=3))), "`top` was 8, is 3"),
    "special": (lambda job: replace(job, how=WorkOptions(Request(special=True))), "`special` was off, is on"),
    "all": (lambda job: replace(job, how=WorkOptions(Request(everything=True))), "`all` was off, is on"),
    "windows": (lambda job: replace(job, how=WorkOptions(windows=False)), "`windows` was on, is off"),
    "stride": (lambda job: replace(job, how=WorkOptions(stride=9)), "`stride` was not given, is 9"),
    "split": (lambda job: replace(job, reading=ReadOptions()), "`split` was line, is not given"),
    "format": (lambda job: replace(job, formats=("jsonl", "csv")), "`format` was not given, is csv and jsonl"),
    "dtype": (lambda job: replace(job, model={**job.model, "dtype": "float64"}), "`dtype` was float32, is float64"),
    "chunk": (lambda job: replace(job, chunk=7), "`chunk` was 20, is 7"),
}


@pytest.fixture(scope="module")
def made(tiny_bert: Path, tmp_path_factory: pytest.TempPathFactory) -> jobs.Job:
    """A job that is done. Not to be changed."""
    folder = tmp_path_factory.mktemp("made")
    done = job(lines(folder / "a.txt", CORPUS), folder / "out", tiny_bert, chunk=20)
    with pytest.MonkeyPatch.context() as patch:
        without_picture(patch)
        run_job(done, Seen())
    return done


def refused(asked: jobs.Job, kind: type[AttnvizError] = UsageError) -> AttnvizError:
    """Why a job is not done; nothing in its folder changes."""
    where = Path(asked.output)
    before = {path: path.read_bytes() for path in where.rglob("*") if path.is_file()}
    with pytest.raises(kind) as ended:
        run_job(asked, Seen())
    after = {path: path.read_bytes() for path in where.rglob("*") if path.is_file()}
    assert before == after
    return ended.value


@pytest.mark.parametrize("name", CHANGED)
def test_another_option_is_refused_by_its_name(made: jobs.Job, name: str) -> None:
    change, why = CHANGED[name]
    error = refused(change(made))
    assert error.message == f"{made.output} is of another run: {why}"
    assert "`overwrite`" in error.hint
    assert facts(Path(made.output))["complete"]


def test_another_model_is_refused_by_its_name_and_the_same_elsewhere_is_not(
    made: jobs.Job, tiny_bert: Path, tmp_path: Path
) -> None:
    other = tiny.bert(tmp_path / "other", seed=1)
    error = refused(replace(made, model={"model": str(other)}))
    assert error.message == f"{made.output} is of another run: the model was {tiny_bert.name}, is other"
    same = tiny.bert(tmp_path / "same")
    assert run_job(replace(made, model={"model": str(same)}), Seen()).corpus.counts.documents == len(CORPUS) - 1


@pytest.mark.parametrize("what", ["changed", "fewer", "more", "another name"])
def test_other_texts_are_refused(made: jobs.Job, what: str, tmp_path: Path) -> None:
    texts = {"changed": [*CORPUS[:-1], "other"], "fewer": CORPUS[:21], "more": [*CORPUS, "one more"]}.get(what, CORPUS)
    path = Path(made.inputs[0])
    own = path.read_bytes()
    try:
        lines(path, texts)
        asked = made
        if what == "another name":
            asked = replace(made, inputs=(str(lines(tmp_path / "b.txt", CORPUS)),))
        error = refused(asked)
    finally:
        path.write_bytes(own)
    if what == "fewer":
        assert "there are fewer texts than when" in error.message
    else:
        part, size = (0, 20) if what == "another name" else (1, 19)
        assert f"was begun with: part {part}, of {size} documents, is of others" in error.message
    assert "`overwrite`" in error.hint
    assert run_job(made, Seen()).corpus.counts.documents == len(CORPUS) - 1


def test_overwrite_of_nothing_leaves_what_there_was(made: jobs.Job) -> None:
    path = Path(made.inputs[0])
    own = path.read_bytes()
    try:
        path.write_bytes(b"\n")
        error = refused(replace(made, overwrite=True), InputError)
    finally:
        path.write_bytes(own)
    assert "there are no documents" in error.message


def test_texts_behind_whole_parts_are_refused_too(corpus: Path, tiny_bert: Path, tmp_path: Path) -> None:
    small = job(corpus, tmp_path / "out", tiny_bert, chunk=13)  # 39 documents are three parts
    run_job(small, Seen())
    lines(corpus, [*CORPUS, "one more"])
    assert "there are more texts than when" in refused(small).message
    assert run_job(replace(small, overwrite=True), Seen()).corpus.counts.documents == len(CORPUS)


def test_a_run_that_found_no_text_is_not_in_the_way_of_the_right_one(tiny_bert: Path, tmp_path: Path) -> None:
    table, out = tmp_path / "a.csv", tmp_path / "out"
    table.write_text("id,body\n1,The bank approved the loan.\n2,A river.\n")
    wrong = job(table, out, tiny_bert, reading=ReadOptions(field="txet"))
    assert run_job(wrong, Seen()).corpus.counts.measured == 0
    assert run_job(replace(wrong, reading=ReadOptions(field="body")), Seen()).corpus.counts.measured == 2
    assert "`text_field` was body, is txet" in refused(wrong).message
    table.unlink()
    table.mkdir()
    with pytest.raises(InputError, match="there are no texts in"):
        run_job(replace(wrong, output=str(tmp_path / "other")), Seen())
    assert not tmp_path.joinpath("other").exists()


def test_overwrite_begins_anew(corpus: Path, tiny_bert: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    small = job(corpus, out, tiny_bert, chunk=10)
    run_job(replace(small, how=WorkOptions(Request(links=1)), formats=("csv",)), Seen())
    lines(corpus, CORPUS[:5])
    done = run_job(replace(small, overwrite=True), Seen())
    assert done.corpus.counts.documents == 5
    assert files(out) == [
        ".attnviz.lock",
        *(f"{name}.parquet/part-00000000.parquet" for name in ("documents", "heads")),
        "heads.png",
        "links.parquet/part-00000000.parquet",
        "report.html",
        "run.json",
        "summary.json",
        "summary.parquet",
    ]


def test_a_second_run_is_refused(made: jobs.Job) -> None:
    with lock_file(made.output, made.output):
        error = refused(made)
    assert error.message == f"another run is writing to {made.output}"


def test_without_documents_there_is_nothing_to_be_made(tiny_bert: Path, tmp_path: Path) -> None:
    empty = job(lines(tmp_path / "a.txt", ["", "  ", ""]), tmp_path / "out", tiny_bert)
    with pytest.raises(InputError, match="there are no documents"):
        run_job(empty, Seen())
    assert files(tmp_path / "out") == [".attnviz.lock"]
    lines(tmp_path / "a.txt", SENTENCES)
    assert run_job(empty, Seen()).corpus.counts.documents == len(SENTENCES)


FULL = ["links.parquet/", "documents.parquet/", "summary.json", "report.html", "run.json"]


@pytest.mark.parametrize("what", FULL)
def test_a_disk_that_is_full_ends_it_and_it_goes_on_later(
    what: str, corpus: Path, tiny_bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, small = tmp_path / "out", job(corpus, tmp_path / "out", tiny_bert, chunk=10)
    sync, left = os.fsync, [3 if what == "run.json" else 2 if what.endswith("/") else 1]

    def fsync(handle: int) -> None:
        if f"/out/{what}" in str(Path(f"/proc/self/fd/{handle}").readlink()).replace("/.", "/"):
            left[0] -= 1
            if left[0] <= 0:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        sync(handle)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fsync)
        with pytest.raises(UsageError, match=r"can't be written \(No space left on device\)") as ended:
            run_job(small, Seen())
    assert ended.value.hint == "Make room and give the same command again: it goes on where it was."
    assert facts(out)["complete"] is False
    assert not [name for name in files(out) if name.endswith(".partial")]
    whole = table(out, "documents")["document"].to_pylist() if what != "documents.parquet/" else []
    assert whole == [*range(len(whole))]
    done = run_job(small, Seen())
    assert done.corpus.counts.documents == len(CORPUS) - 1
    assert rows(out)["documents"]["document"].to_pylist() == [*range(len(CORPUS) - 1)]
    assert facts(out)["complete"]


def test_a_store_of_objects_is_read_and_written(corpus: Path, tiny_bert: Path, tmp_path: Path) -> None:
    files = fsspec.filesystem("memory")
    files.pipe_file("/in/a.txt", corpus.read_bytes())
    try:
        far = job("memory://in/*.txt", "memory://out/results", tiny_bert, chunk=10, check="sample")
        with pytest.raises(KeyboardInterrupt):
            run_job(far, Stopping(1))
        run_job(far, Seen())
        files.get("/out/results/", f"{tmp_path}/got/", recursive=True)
    finally:
        files.rm("/", recursive=True)
    run_job(job(corpus, tmp_path / "near", tiny_bert, chunk=10, check="sample"), Seen())
    mine, theirs = rows(tmp_path / "got"), rows(tmp_path / "near")
    assert {*mine["documents"]["source"].to_pylist()} == {"memory://in/a.txt"}
    for name in mine:
        assert mine[name].drop_columns(drop(name)).equals(theirs[name].drop_columns(drop(name)))
    assert facts(tmp_path / "got")["facts"]["check"] == facts(tmp_path / "near")["facts"]["check"]


def drop(name: str) -> list[str]:
    return ["source"] if name == "documents" else []


def test_run_json_says_what_it_was_made_from(made: jobs.Job) -> None:
    said: dict[str, Any] = facts(Path(made.output))
    assert (said["complete"], said["dtype"], said["device"]) == (True, "float32", "cpu")
    assert said["options"]["split"] == "line"
    assert len(said["digest"]) == 64
    assert {"attnviz", "torch", "transformers", "tokenizers"} <= said["versions"].keys()
    counts = {name: said["facts"][name] for name in ("documents", "failed", "parts", "inputs", "check_mode")}
    assert counts == {"documents": 39, "failed": 1, "parts": 2, "inputs": [*made.inputs], "check_mode": "none"}
    assert said["facts"]["check"] | {"verdict": "not made", "passed": None} == said["facts"]["check"]
