"""Bad input of ``attnviz batch``: it is reported, as a row with its reason if others can continue, without a
traceback.
"""

from __future__ import annotations

import bz2
import errno
import gzip
import json
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file, save_file

from attnviz.batch.storage.lock import lock_file
from tests import tiny
from tests.batch.jobs import SENTENCES, facts, table, without_picture
from tests.cli.conftest import Result, Run

GOOD = SENTENCES[0]


@pytest.fixture(autouse=True)
def _without_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    without_picture(monkeypatch)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with one good text, the first by its name."""
    found = tmp_path / "in"
    found.mkdir()
    found.joinpath("0.txt").write_text(GOOD)
    return found


@pytest.fixture
def batch(run: Run, tmp_path: Path) -> Callable[..., Result]:
    """Run ``batch`` with an output in the test's folder, and without the check."""
    return lambda *given, **more: run("batch", *given, "-o", tmp_path / "out", "--check", "none", **more)


Batch = Callable[..., Result]


def rows(tmp_path: Path) -> list[dict[str, Any]]:
    return table(tmp_path / "out", "documents").to_pylist()


def some_failed(result: Result, tmp_path: Path, *reasons: str) -> list[dict[str, Any]]:
    """Return the rows of a run whose first document is good, and which reports the others as failed."""
    assert result.code == 6, result.err
    assert "Traceback" not in result.err
    found = rows(tmp_path)
    assert (found[0]["status"], found[0]["tokens"]) == ("ok", 8)
    failed = [row for row in found if row["status"] == "failed"]
    assert [row["reason"] for row in failed] == [*reasons]
    assert f"error: {len(failed):,} of {len(found):,} documents failed" in result.err
    assert facts(tmp_path / "out")["complete"]
    assert set(table(tmp_path / "out", "heads")["document"].to_pylist()) == {
        row["document"] for row in found if row["status"] == "ok"
    }
    return found


def broken_gzip(path: Path) -> None:
    packed = gzip.compress("".join(f"line {i} of the bank\n" for i in range(20)).encode())
    path.with_suffix(".txt.gz").write_bytes(packed[: len(packed) // 2] + bytes(9) + packed[len(packed) // 2 + 9 :])


def short_gzip(path: Path) -> None:
    path.with_suffix(".txt.gz").write_bytes(gzip.compress(random.Random(0).randbytes(99).hex().encode())[:-20])


def no_gzip(path: Path) -> None:
    path.with_suffix(".txt.gz").write_bytes(b"The bank.")


def short_bzip(path: Path) -> None:
    path.with_suffix(".txt.bz2").write_bytes(bz2.compress(b"The bank. " * 99)[:-9])


def binary(path: Path) -> None:
    path.with_suffix(".txt").write_bytes(random.Random(1).randbytes(4000))


def picture(path: Path) -> None:
    path.with_suffix(".txt").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 9)


def zeros(path: Path) -> None:
    path.with_suffix(".txt").write_bytes(bytes(4000))


def empty(path: Path) -> None:
    path.with_suffix(".txt").touch()


def blank(path: Path) -> None:
    path.with_suffix(".txt").write_text(" \n\t\n")


def broken_link(path: Path) -> None:
    path.with_suffix(".txt").symlink_to("nowhere.txt")


def loop(path: Path) -> None:
    path.with_suffix(".txt").symlink_to(path.with_suffix(".txt").name)


def no_parquet(path: Path) -> None:
    path.with_suffix(".parquet").write_bytes(b"PAR1 and no more")


def other_columns(path: Path) -> None:
    pq.write_table(pa.table({"id": [1], "body": ["The bank."]}), path.with_suffix(".parquet"))


def csv_of_others(path: Path) -> None:
    path.with_suffix(".csv").write_text("id,body\n1,The bank.\n")


BROKEN: dict[Callable[[Path], None], str] = {
    broken_gzip: "the gzip data is broken (Error -3 while decompressing data: ",
    short_gzip: "the gzip data ends too early",
    no_gzip: "the gzip data is broken (Error -3 while decompressing data: incorrect header check)",
    short_bzip: "the bz2 data ends too early",
    binary: "it is no text (binary)",
    picture: "it is no text (a PNG picture)",
    zeros: "it is no text (binary)",
    empty: "the text is empty",
    blank: "the text is empty",
    broken_link: "it can't be read (a broken link, to nowhere.txt)",
    loop: "it can't be read (",
    no_parquet: "",
    other_columns: "no column 'text': there are id, body",
    csv_of_others: "no column 'text': there are id, body",
}


def test_a_file_that_can_not_be_read_is_a_row_and_the_others_go_on(batch: Batch, folder: Path, tmp_path: Path) -> None:
    for number, make in enumerate(BROKEN):
        make(folder / f"1{number:02}")
    folder.joinpath("2.txt").write_text(SENTENCES[5])
    result = batch(folder)
    assert result.code == 6, result.err
    assert f"error: {len(BROKEN)} of {len(BROKEN) + 2} documents failed\n" in result.err
    assert result.lines[0].startswith(f"2 documents measured, {len(BROKEN)} failed · ")
    found = rows(tmp_path)
    assert [row["status"] for row in found] == ["ok", *["failed"] * len(BROKEN), "ok"]
    for row, (make, reason) in zip(found[1:], BROKEN.items(), strict=False):
        assert row["reason"].startswith(reason), make.__name__
        assert row["reason"]
        assert Path(row["source"]).parent == folder


def test_what_was_read_before_it_broke_off_counts(batch: Batch, folder: Path, tmp_path: Path) -> None:
    content = gzip.compress("".join(f"{i} {random.Random(i).random()}\n" for i in range(4000)).encode())
    folder.joinpath("1.txt.gz").write_bytes(content[:-9000])
    result = batch(folder, "--split", "line")
    found = rows(tmp_path)
    good = len(found) - 2
    assert good > 1000
    some_failed(result, tmp_path, f"the gzip data ends too early, after {good:,} documents")
    assert [row["line"] for row in found[1:-1]] == [*range(1, good + 1)]


def test_broken_json_lines_have_a_row_each(batch: Batch, folder: Path, tmp_path: Path) -> None:
    broken = ['{"text": "The bank."', '["a"]', '{"text": 7}', '{"body": "a", "id": 1}', "null", '{"text": ""}']
    content = "\n".join(['{"text": "The bank approved the loan."}', *broken, '{"text": "The river."}'])
    folder.joinpath("0.txt").unlink()
    folder.joinpath("0.jsonl").write_text(content)
    found = some_failed(
        batch(folder),
        tmp_path,
        "broken JSON: Expecting ',' delimiter (column 21)",
        "the line is a list, expected an object",
        "the field 'text' is a number, expected a string",
        "no field 'text': there are body, id",
        "the line is null, expected an object",
        "the text is empty",
    )
    assert [row["line"] for row in found] == [*range(1, 9)]


def test_a_missing_field_says_which_there_are(batch: Batch, folder: Path, tmp_path: Path) -> None:
    folder.joinpath("1.jsonl").write_text('{"text": "The bank.", "title": "A"}\n')
    some_failed(batch(folder, "--text-field", "body"), tmp_path, "no field 'body': there are text, title")


@pytest.mark.parametrize("what", ["1.txt", "1", "."])
def test_what_may_not_be_read_is_a_row(
    batch: Batch, folder: Path, tmp_path: Path, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file, a folder in the folder, and the folder itself; a user who may read everything gets the error by a
    patch.
    """
    folder.joinpath("1").mkdir()
    folder.joinpath("1", "a.txt").write_text(GOOD)
    folder.joinpath("1.txt").write_text(GOOD)
    closed = folder / what
    for module, name in ((os, "scandir"), (Path, "open")):
        own = getattr(module, name)

        def refuse(path: Any, *given: Any, own: Any = own, **more: Any) -> Any:
            if os.path.normpath(path) == os.path.normpath(closed):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
            return own(path, *given, **more)

        monkeypatch.setattr(module, name, refuse)
    result = batch(folder)
    reason = "it can't be read (Permission denied)"
    if what == ".":
        assert result.code == 6
        assert [row["reason"] for row in rows(tmp_path)] == [reason]
        assert "heads.png" not in result.out
        assert not tmp_path.joinpath("out/summary.json").exists()
        return
    found = some_failed(result, tmp_path, reason)
    assert len(found) == 3 if what == "1.txt" else 2
    assert [row["source"].rstrip("/") for row in found if row["status"] == "failed"] == [str(closed)]


@pytest.mark.parametrize(("inputs", "code", "said"), [
    (["{in}/none.txt"], 2, "error: there is no file or folder '{in}/none.txt'"),
    (["{in}/*.md"], 2, "error: no file matches '{in}/*.md'"),
    (["{in}/empty"], 3, "error: there are no texts in {in}/empty Of folders, these files are read: .txt, .md"),
    (["{in}/pictures"], 3, "error: there are no texts in {in}/pictures"),
    (["nowhere://x/y.txt"], 2, "error: nowhere://x/y.txt can't be opened: "),
    ([""], 2, "error: there is no file or folder ''"),
    (["{in}/blank.jsonl"], 3, "error: there are no documents in what is to be read"),
])  # fmt: skip
def test_inputs_that_hold_nothing(
    batch: Batch, folder: Path, tmp_path: Path, inputs: list[str], code: int, said: str
) -> None:
    folder.joinpath("empty").mkdir()
    folder.joinpath("pictures").mkdir()
    folder.joinpath("pictures", "a.png").touch()
    folder.joinpath("blank.jsonl").write_text("\n\n")
    result = batch(*(name.replace("{in}", str(folder)) for name in inputs))
    assert (result.code, result.out) == (code, "")
    assert result.said.startswith(said.replace("{in}", str(folder)))
    out = tmp_path / "out"
    left = sorted(path.name for path in out.rglob("*") if path.is_file()) if out.exists() else []
    assert left == ([".attnviz.lock"] if "blank" in inputs[0] else [])


def test_standard_input_that_is_closed_or_empty(batch: Batch, tmp_path: Path) -> None:
    closed = batch("-", stdin=None)
    assert (closed.code, closed.said) == (
        3, "error: standard input is closed Pipe texts into it: cat FILE | attnviz batch - …"
    )  # fmt: skip
    assert not tmp_path.joinpath("out").exists()
    empty = batch("-", "--split", "line")
    assert (empty.code, empty.said) == (
        3, "error: there are no documents in what is to be read Blank lines are none. Is it empty?"
    )  # fmt: skip


@pytest.mark.parametrize("overwrite", [(), ("--overwrite",)])
def test_a_folder_that_is_not_ours_stays_as_it_is(
    batch: Batch, folder: Path, tmp_path: Path, overwrite: tuple[str, ...]
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    out.joinpath("thesis.txt").write_text("mine")
    result = batch(folder, *overwrite)
    assert (result.code, result.out) == (2, "")
    assert f"{out} is not empty, and no folder of results: it has no run.json" in result.said
    assert [path.name for path in out.iterdir()] == ["thesis.txt"]


def test_a_run_json_of_others_and_a_file_in_the_way(batch: Batch, folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.touch()
    result = batch(folder)
    assert (result.code, f"error: {out} is a file, expected a folder" in result.said) == (2, True)
    out.unlink()
    out.mkdir()
    out.joinpath("run.json").write_text('{"mine": 1}')
    result = batch(folder)
    assert (result.code, "run.json is not what a run of attnviz wrote" in result.said) == (2, True)
    assert out.joinpath("run.json").read_text() == '{"mine": 1}'


def test_results_in_the_folder_that_is_read_are_not_read(run: Run, folder: Path) -> None:
    command = "batch", folder, "-o", folder / "out", "--format", "jsonl", "--check", "none"
    first = run(*command)
    assert first.code == 0
    assert run(*command) == first
    assert table(folder / "out", "documents").num_rows == 1
    inside = run("batch", folder / "out/documents.jsonl/part-00000000.jsonl", "-o", folder / "out")
    assert (inside.code, "lies in the output folder" in inside.said) == (2, True)
    same = run("batch", folder, "-o", folder)
    assert (same.code, same.out) == (3, "")
    assert "hidden ones and the output folder are not" in same.said
    assert sorted(path.name for path in folder.iterdir()) == ["0.txt", "out"]


def test_another_run_in_the_folder_is_waited_for_by_the_user(batch: Batch, folder: Path, tmp_path: Path) -> None:
    tmp_path.joinpath("out").mkdir()
    with lock_file(str(tmp_path / "out"), "out"):
        tmp_path.joinpath("out/run.json").write_text("{}")
        result = batch(folder)
    assert (result.code, result.said) == (
        2, f"error: another run is writing to {tmp_path}/out Wait for its end, or give another folder."
    )  # fmt: skip


@pytest.mark.parametrize("what", ["heads.parquet", "report.html"])
def test_a_full_disk(batch: Batch, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    sync = os.fsync

    def fsync(handle: int) -> None:
        if what in str(Path(f"/proc/self/fd/{handle}").readlink()):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        sync(handle)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fsync)
        result = batch(folder)
    assert (result.code, result.out) == (2, "")
    assert f"/{what}" in result.said
    assert result.said.endswith(
        "can't be written (No space left on device) Make room and give the same command again: it goes on where it was."
    )
    assert not [*tmp_path.rglob("*.partial")]
    assert batch(folder).code == 0
    assert facts(tmp_path / "out")["complete"]


def test_documents_that_are_there_twice_are_two_rows_of_one_id(batch: Batch, folder: Path, tmp_path: Path) -> None:
    folder.joinpath("1.txt").write_text(GOOD)
    folder.joinpath("link.txt").symlink_to("0.txt")
    assert batch(folder, folder / "0.txt", f"{folder}/*.txt").code == 0
    found = rows(tmp_path)
    assert [(row["document"], Path(row["source"]).name) for row in found] == [
        (0, "0.txt"),
        (1, "1.txt"),
        (2, "link.txt"),
    ]
    assert len({row["id"] for row in found}) == 1
    heads = table(tmp_path / "out", "heads").drop_columns(["document"])
    assert heads.slice(0, 12).equals(heads.slice(12, 12))


NOTHING = "the text has only special tokens or characters that the model's tokenizer does not know"


@pytest.mark.parametrize(("text", "reason"), [
    *((text, None) for text in ("a", "?", "é", "a\0b", "\x1b[2J", "a\u202eb")),
    *((text, NOTHING) for text in ("中", "😀", "\u202e")),
    ("\0", "it is no text (binary)"),
    ("\ufeff", "the text is empty"),
])  # fmt: skip
def test_the_shortest_texts_and_the_strangest(
    batch: Batch, folder: Path, tmp_path: Path, text: str, reason: str | None
) -> None:
    folder.joinpath("1.txt").write_text(text, encoding="utf-8")
    result = batch(folder)
    row = rows(tmp_path)[1]
    assert row["reason"] == reason
    assert result.code == (0 if reason is None else 6)
    assert "\x1b" not in result.out + result.err


def test_a_document_of_a_thousand_words(batch: Batch, folder: Path, tmp_path: Path) -> None:
    folder.joinpath("1.txt").write_text("the bank of the river " * 200)
    assert batch(folder).code == 0
    row = rows(tmp_path)[1]
    assert (row["words"], row["tokens"], row["status"]) == (1000, 1002, "ok")
    assert row["windows"] == 32


def test_lone_surrogates_are_replaced_and_that_is_said(batch: Batch, folder: Path, tmp_path: Path) -> None:
    folder.joinpath("1.jsonl").write_text('{"text": "The bank\\ud800 of it \\u0000."}\n')
    assert batch(folder).code == 0
    assert rows(tmp_path)[1]["note"] == "1 character that can't be read is replaced by U+FFFD"


def test_other_encodings_are_found_and_said(batch: Batch, folder: Path, tmp_path: Path) -> None:
    folder.joinpath("1.txt").write_bytes("Müller hörte den Fluß, die Bänke grüßten. Über allem schön.".encode("cp1252"))
    assert batch(folder).code == 0
    assert rows(tmp_path)[1]["note"] == "read as cp1252"


def test_names_of_files_are_data(batch: Batch, folder: Path, tmp_path: Path) -> None:
    names = [b"1\xff\xfe.txt", b"2 \x1b[2J.txt", b"3 <script>.txt", b"4\n.txt"]
    for name in names:
        Path(os.fsdecode(os.fsencode(folder) + b"/" + name)).touch()
    result = batch(os.fsdecode(os.fsencode(folder) + b"/" + names[0]), folder)
    assert result.code == 6
    sources = [row["source"].removeprefix(f"{folder}/") for row in rows(tmp_path)]
    assert sources == ["1\\xff\\xfe.txt", "0.txt", "2 \x1b[2J.txt", "3 <script>.txt", "4\n.txt"]
    assert "\x1b" not in result.out + result.err
    assert "<script>.txt" not in tmp_path.joinpath("out/report.html").read_text()
    json.loads(tmp_path.joinpath("out/summary.json").read_bytes())
    assert facts(tmp_path / "out")["complete"]
    strict = batch(folder, "--strict", "--overwrite")
    assert strict.code == 6
    assert "\x1b" not in strict.err


def test_the_output_may_have_such_a_name_too(run: Run, folder: Path, tmp_path: Path) -> None:
    out = os.fsdecode(os.fsencode(tmp_path) + b"/\xff\x1b[2J")
    result = run("batch", folder, "-o", out, "--check", "none")
    assert result.code == 0, result.err
    assert "\x1b" not in result.out
    assert facts(Path(out))["complete"]


def test_a_model_that_makes_nan_of_one_text(run: Run, folder: Path, tiny_bert: Path, tmp_path: Path) -> None:
    model = tmp_path / "model"
    shutil.copytree(tiny_bert, model)
    state = load_file(model / "model.safetensors")
    state["embeddings.word_embeddings.weight"][tiny.VOCABULARY.index("river")] = torch.nan
    save_file(state, model / "model.safetensors", {"format": "pt"})
    folder.joinpath("1.txt").write_text("The river of it.")
    folder.joinpath("2.txt").write_text("The loan of it.")
    result = run("batch", folder, "-o", tmp_path / "out", "-m", model)
    assert result.code == 6
    assert "  failed  1 × " in result.out
    assert "NaN" in rows(tmp_path)[1]["reason"]
    assert [row["status"] for row in rows(tmp_path)] == ["ok", "failed", "ok"]


def test_a_model_that_is_not_there_leaves_no_folder(batch: Batch, folder: Path, tmp_path: Path) -> None:
    result = batch(folder, "-m", tmp_path / "nothing")
    assert (result.code, result.out) == (4, "")
    assert not tmp_path.joinpath("out").exists()


@pytest.mark.parametrize(("flags", "said"), [
    (("--top", -1), "--top"),
    (("--stride", 0), "--stride"),
    (("--split", "word"), "--split"),
    (("--check", "some"), "--check"),
    (("--engine", "spark"), "--engine"),
    (("--read-as", "pdf"), "--read-as"),
    (("--format", "xlsx"), "--format is 'xlsx', expected one of parquet, csv, jsonl"),
])  # fmt: skip
def test_options_that_can_not_be(run: Run, folder: Path, tmp_path: Path, flags: tuple[object, ...], said: str) -> None:
    result = run("batch", folder, "-o", tmp_path / "out", *flags)
    assert (result.code, result.out) == (2, "")
    assert said in result.said
    assert not tmp_path.joinpath("out").exists()


@pytest.mark.parametrize(("stride", "fits"), [(62, True), (63, False), (500, False)])
def test_a_stride_that_would_leave_gaps(batch: Batch, folder: Path, tmp_path: Path, stride: int, fits: bool) -> None:
    folder.joinpath("1.txt").write_text("the bank of the river " * 60)
    result = batch(folder, "--stride", stride)
    if fits:
        assert (result.code, rows(tmp_path)[1]["windows"]) == (0, 5)
        return
    assert (result.code, result.said) == (
        2, f"error: --stride is {stride}, expected 1 to 62: a window has 62 tokens of the text"
    )  # fmt: skip
    assert not tmp_path.joinpath("out").exists()
