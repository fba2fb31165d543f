"""A run's folder is its own, and a run that ended at any moment goes on in it."""

from __future__ import annotations

import errno
import os
import pickle
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from attnviz.batch.output.columns import TABLE_NAMES
from attnviz.batch.output.folder import RunFolder, open_folder
from attnviz.batch.output.storage import open_storage
from attnviz.batch.output.tables import PartTables, table_schema
from attnviz.errors import UsageError
from tests.batch import made

PARTS = 16
KILLED = f"""
import os, signal, sys, pyarrow.compute, pyarrow.csv, pyarrow.parquet
from attnviz.batch.output.folder import open_folder
from tests.batch import made

def run(moment):
    left = [moment]

    def look(event, arguments):  # at each file that is opened, renamed or deleted, and each folder that is made
        if event in ("open", "os.rename", "os.remove", "os.mkdir") and ".py" not in str(arguments[0]):
            left[0] -= 1
            if not left[0]:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(look)
    with open_folder(sys.argv[1], made.identity(), formats=["csv"]) as folder:
        for number, digest, tables in made.chunks({PARTS}):
            if folder.finished(number, digest) is None:
                folder.write(number, digest, tables)
        folder.require_last({PARTS - 1})
        folder.note(complete=True)

made.chunk(0)  # imports what is slow, once
for moment in map(int, sys.argv[2:]):
    child = os.fork()
    if not child:
        run(moment)
        os._exit(0)
    state = os.waitpid(child, 0)[1]
    parts = os.path.join(sys.argv[1], "documents.parquet")
    print(os.waitstatus_to_exitcode(state), len(os.listdir(parts)) if os.path.isdir(parts) else 0)
"""


def _write(folder: RunFolder, count: int) -> list[int]:
    """The numbers of the parts that were still to be written."""
    todo = [(number, digest, tables) for number, digest, tables in made.chunks(count)
            if folder.finished(number, digest) is None]  # fmt: skip
    for number, digest, tables in todo:
        folder.write(number, digest, tables)
    return [number for number, _, _ in todo]


def _all(folder: RunFolder) -> dict[str, pa.Table]:
    found = list(_parts(folder))
    return {name: pa.concat_tables([getattr(part, name) for part in found]) for name in TABLE_NAMES}


def _parts(folder: RunFolder) -> Iterator[PartTables]:
    return map(folder.files.read, folder.files.numbers())


def _files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()} - {".attnviz.lock"}


@pytest.fixture(params=["local", "memory"])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return str(tmp_path / "results") if request.param == "local" else f"memory://{tmp_path}/results"


def test_a_run_writes_parts_and_reads_them_back(where: str) -> None:
    with open_folder(where, made.identity()) as folder:
        assert folder.where == where
        assert list(_parts(folder)) == []
        assert _write(folder, 3) == [0, 1, 2]
        written = [tables for _, _, tables in made.chunks(3)]
        for part, expected in zip(_parts(folder), written, strict=True):
            for (name, table), (_, other) in zip(part.items(), expected.items(), strict=True):
                assert table.equals(other)
                assert table.schema.equals(table_schema(name), check_metadata=True)


def test_a_part_says_what_it_holds(where: str) -> None:
    digest, tables = made.chunk(4)
    with open_folder(where, made.identity(), formats=["jsonl"]) as folder:
        assert folder.finished(4, digest) is None
        facts = folder.write(4, digest, tables)
        assert folder.finished(4, digest) == facts
    assert (facts.number, facts.digest, facts.documents, facts.failed) == (4, digest, 3, 1)
    assert (facts.tokens, facts.links, facts.seconds) == (16, tables.links.num_rows, 0.5)
    assert set(facts.sizes) == {"heads.parquet", "heads.jsonl", "links.parquet", "links.jsonl", "documents.jsonl"}


def test_a_run_goes_on_where_it_was(where: str) -> None:
    with open_folder(where, made.identity()) as folder:
        assert not folder.complete
        _write(folder, 2)
        started = folder.manifest.facts["started"]
    with open_folder(where, made.identity()) as folder:
        assert _write(folder, 4) == [2, 3]
        folder.end(parts=4, documents=12)
    with open_folder(where, made.identity()) as folder:
        assert folder.complete
        assert _write(folder, 4) == []
        assert folder.manifest.facts == {"started": started, "documents": 12, "parts": 4}
        assert folder.complete
        folder.write(3, *made.chunk(3))
        assert not folder.complete  # until this run says so


def test_a_run_that_has_ended_is_not_added_to(where: str) -> None:
    with open_folder(where, made.identity()) as folder:
        _write(folder, 2)
        folder.end(parts=2)
    with open_folder(where, made.identity()) as folder:
        with pytest.raises(UsageError, match=r"there are more texts than when .* was made: its parts are 2"):
            folder.finished(2, made.chunk(2)[0])
        assert folder.complete
    with open_folder(where, made.identity(), overwrite=True) as folder:
        assert _write(folder, 3) == [0, 1, 2]


def test_texts_that_have_changed_are_refused(where: str) -> None:
    with open_folder(where, made.identity()) as folder:
        _write(folder, 3)
        with pytest.raises(
            UsageError, match=r"the texts are not those that .* was begun with: part 1, of 3 documents, is of others"
        ):
            folder.finished(1, "another digest")
        folder.require_last(2)
        with pytest.raises(UsageError, match=r"there are fewer texts than when .* was begun: 2 parts are of others"):
            folder.require_last(0)


@pytest.mark.parametrize("harm", ["gone", "cut", "longer"])
@pytest.mark.parametrize("name", ["heads.parquet", "links.parquet", "links.csv", "documents.csv", "documents.parquet"])
def test_a_part_of_which_a_file_is_gone_or_damaged_is_made_anew(tmp_path: Path, name: str, harm: str) -> None:
    with open_folder(str(tmp_path), made.identity(), formats=["csv"]) as folder:
        _write(folder, 2)
        before = _all(folder)
        path = tmp_path / name / f"part-00000001.{name.rpartition('.')[2]}"
        content = path.read_bytes()
        path.unlink()
        if harm != "gone":
            path.write_bytes(content[:-9] if harm == "cut" else content + b"x")
        assert _write(folder, 2) == [1]
        assert path.read_bytes() == content
        assert all(table.equals(before[name]) for name, table in _all(folder).items())


def test_a_damaged_part_is_named_when_it_is_read(tmp_path: Path) -> None:
    with open_folder(str(tmp_path), made.identity()) as folder:
        _write(folder, 1)
        path = tmp_path / "heads.parquet" / "part-00000000.parquet"
        path.write_bytes(b"x" * path.stat().st_size)
        with pytest.raises(UsageError, match=r"heads.parquet/part-00000000.parquet is damaged \(") as error:
            list(_parts(folder))
        assert "Delete it" in error.value.hint
        path.unlink()
        with pytest.raises(UsageError, match="is missing"):
            list(_parts(folder))


@pytest.mark.parametrize("table", TABLE_NAMES)
def test_a_bit_that_has_flipped_is_seen(tmp_path: Path, table: str) -> None:
    with open_folder(str(tmp_path), made.identity()) as folder:
        _write(folder, 1)
        before = _all(folder)
        path = tmp_path / f"{table}.parquet" / "part-00000000.parquet"
        content = path.read_bytes()
        places = [*range(4, len(content), 97)]
        for place in places:
            path.write_bytes(content[:place] + bytes([content[place] ^ 16]) + content[place + 1 :])
            try:
                found = _all(folder)
            except UsageError as error:
                assert f"{table}.parquet/part-00000000.parquet is damaged" in error.message  # noqa: PT017
                continue
            assert found[table].equals(before[table]), place


def _edited(table: pa.Table, how: str) -> pa.Table:
    about, first = table.schema.metadata, table.column_names[0]
    if how == "removed":
        return table.drop_columns([table.column_names[-1]])
    if how == "renamed":
        return table.rename_columns({first: "number"})
    if how == "retyped":
        return table.set_column(0, first, table[first].cast(pa.string()))
    if how == "cut":
        return table.slice(1)
    said = {key: value.replace(b'"documents": 3', b'"documents": 4') for key, value in about.items()}
    return table.replace_schema_metadata(said if how == "facts" else {b"pandas": b"{}"})


@pytest.mark.parametrize("how", ["removed", "renamed", "retyped", "cut", "facts", "rewritten"])
@pytest.mark.parametrize("table", TABLE_NAMES)
def test_a_table_that_somebody_has_edited_is_damaged(tmp_path: Path, table: str, how: str) -> None:
    with open_folder(str(tmp_path), made.identity()) as folder:
        _write(folder, 1)
        path = tmp_path / f"{table}.parquet" / "part-00000000.parquet"
        pq.write_table(_edited(pq.ParquetFile(path).read(), how), path)
        if table != "documents":
            assert _write(folder, 1) == [0]  # its size is another
            return
        for again in (lambda: _write(folder, 1), lambda: list(_parts(folder))):
            with pytest.raises(UsageError, match=r"documents.parquet/part-00000000.parquet is damaged \(") as error:
                again()
            assert error.value.hint == "Delete it and give the same command again: it is made anew."
        path.unlink()
        assert _write(folder, 1) == [0]


@pytest.mark.parametrize("how", ["removed", "renamed", "retyped", "cut"])
@pytest.mark.parametrize("table", ["heads", "links"])
def test_a_table_that_is_edited_before_it_is_summed_up_is_damaged(tmp_path: Path, table: str, how: str) -> None:
    with open_folder(str(tmp_path), made.identity()) as folder:
        _write(folder, 1)
        path = tmp_path / f"{table}.parquet" / "part-00000000.parquet"
        pq.write_table(_edited(pq.ParquetFile(path).read(), how), path)
        with pytest.raises(UsageError, match=r"part-00000000\.parquet is damaged"):
            list(_parts(folder))


@pytest.mark.parametrize("ended", [False, True])
def test_a_run_that_adds_no_part_leaves_run_json_as_it_was(where: str, ended: bool) -> None:
    with open_folder(where, made.identity()) as folder:
        _write(folder, 2)
        folder.note(complete=ended, seconds=1.5)
    before = _run_json(where)
    _begin_and_fail(where, adding=False)
    assert _run_json(where) == before
    if not ended:  # what has ended is not added to
        _begin_and_fail(where, adding=True)
        with open_folder(where, made.identity()) as folder:
            assert (folder.manifest.facts["command"], folder.manifest.parts) == ("another", 1 << 20)


def _begin_and_fail(where: str, *, adding: bool) -> None:
    """A run whose second part is of other texts, as a cluster does it: it claims all parts first."""

    def fail() -> None:
        with folder.unchanged_if_refused():
            folder.expect(command="another")
            folder.begin(1 << 20)
            if adding:
                folder.write(2, *made.chunk(2))
            folder.finished(1, "of others")

    with open_folder(where, made.identity()) as folder, pytest.raises(UsageError, match="of others"):
        fail()


def _run_json(where: str) -> bytes:
    file = open_storage(where).open("run.json")
    assert file is not None
    with file:
        return file.read()


def test_another_run_is_refused_and_nothing_of_the_first_changes(where: str) -> None:
    with open_folder(where, made.identity()) as folder:
        _write(folder, 1)
    other = replace(made.identity(top=9), device="cuda")
    with pytest.raises(UsageError, match="is of another run: `device` was cpu, is cuda; `top` was 2, is 9") as error:
        open_folder(where, other).__enter__()
    assert "`overwrite`" in error.value.hint
    with pytest.raises(UsageError, match="`format` was not given, is csv"):
        open_folder(where, made.identity(), formats=["csv"]).__enter__()
    with open_folder(where, made.identity()) as folder:
        assert _write(folder, 1) == []


def test_overwrite_deletes_what_a_run_made_and_nothing_else(tmp_path: Path) -> None:
    where = str(tmp_path)
    with open_folder(where, made.identity(), formats=["csv", "jsonl"]) as folder:
        _write(folder, 2)
        for name in ("summary.json", "report.html"):
            folder.put(name, b"{}")
        folder.note(complete=True)
    others = {
        "notes.txt",
        "summary.csv",
        "heads.parquet/mine.parquet",
        "links.csv/part-1.csv",
        "documents.jsonl/part-00000001.jsonl.bak",
    }
    for name in others:
        tmp_path.joinpath(name).write_text("the user's")
    before = _files(tmp_path)
    with open_folder(where, made.identity(top=9), overwrite=True) as folder:
        assert _files(tmp_path) == before, "until something is written"
        folder.begin()
        assert _files(tmp_path) == others | {"run.json"}
        assert not tmp_path.joinpath("documents.csv").exists()
        assert not folder.complete
        assert folder.manifest.identity.options["top"] == 9
    assert all(tmp_path.joinpath(name).read_text() == "the user's" for name in others)


def test_overwrite_that_is_killed_leaves_no_run_that_seems_complete(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    where = str(tmp_path)
    with open_folder(where, made.identity()) as folder:
        _write(folder, 3)
        folder.note(complete=True)
    unlink, left = Path.unlink, [2]

    def dying(path: Path, **options: Any) -> None:
        if not path.name.endswith(".partial") and not left[0]:
            raise KeyboardInterrupt
        left[0] -= not path.name.endswith(".partial")
        unlink(path, **options)

    monkeypatch.setattr(Path, "unlink", dying)
    with pytest.raises(KeyboardInterrupt), open_folder(where, made.identity(top=9), overwrite=True) as folder:
        folder.begin()
    monkeypatch.undo()
    with open_folder(where, made.identity()) as folder:
        assert not folder.complete
        assert _write(folder, 3) == [0, 1]
    with open_folder(where, made.identity(top=9), overwrite=True) as folder:
        assert _write(folder, 3) == [0, 1, 2]


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("name", ["report.html", "links.csv/part-00000000.csv", "heads.parquet/part-00000064.parquet"])
def test_a_strangers_file_that_a_run_would_replace_is_named(tmp_path: Path, name: str, overwrite: bool) -> None:
    where = str(tmp_path)
    with open_folder(where, made.identity()) as folder:
        _write(folder, 1)
        folder.put("summary.json", b"{}")
    tmp_path.joinpath(name).parent.mkdir(exist_ok=True)
    tmp_path.joinpath(name).write_text("the user's")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(UsageError, match=f"{name} is in the way: no run has written it") as error:
        open_folder(where, made.identity(), overwrite=overwrite).__enter__()
    assert "Move it elsewhere" in error.value.hint
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_a_file_that_came_while_the_run_went_on_is_not_replaced(tmp_path: Path) -> None:
    with open_folder(str(tmp_path), made.identity()) as folder:
        _write(folder, 1)
        tmp_path.joinpath("heads.png").write_text("the user's")
        with pytest.raises(UsageError, match=r"heads\.png is in the way"):
            folder.put("heads.png", b"ours")
    assert tmp_path.joinpath("heads.png").read_text() == "the user's"


def test_what_has_measured_nothing_is_in_nobodys_way(where: str) -> None:
    digest, _ = made.chunk(0)
    nothing = made.build_tables([made.DocumentResult(made.Document(0, "x", 7, "", "no field"))], made.LAYERS)
    with open_folder(where, made.identity(text_field="wrong")) as folder:
        folder.write(0, "its digest", nothing)
        folder.end(parts=1)
    for option in ("right", "wrong"):
        with open_folder(where, made.identity(text_field=option)) as folder:
            assert folder.finished(0, digest) is None
    with open_folder(where, made.identity(text_field="right")) as folder:
        assert _write(folder, 2) == [0, 1]
    with pytest.raises(UsageError, match="is of another run: `text_field` was right, is wrong"):
        open_folder(where, made.identity(text_field="wrong")).__enter__()


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_folder_that_is_not_ours_is_left_as_it_is(tmp_path: Path, overwrite: bool) -> None:
    tmp_path.joinpath("summary.json").write_text("the user's")
    with pytest.raises(UsageError, match=r"is not empty, and no folder of results: it has no run.json") as error:
        open_folder(str(tmp_path), made.identity(), overwrite=overwrite).__enter__()
    assert "Nothing in this one was changed" in error.value.hint
    assert [path.name for path in tmp_path.iterdir()] == ["summary.json"]


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("content", ['{"name": "app"}', '{"format": "attnviz.run/9"}', "not JSON"])
def test_a_run_json_that_is_not_ours_is_not_touched(tmp_path: Path, content: str, overwrite: bool) -> None:
    tmp_path.joinpath("run.json").write_text(content)
    tmp_path.joinpath("summary.json").write_text("the user's")
    with pytest.raises(UsageError, match=r"run.json (is not what|has the format)"):
        open_folder(str(tmp_path), made.identity(), overwrite=overwrite).__enter__()
    assert _files(tmp_path) == {"run.json", "summary.json"}
    assert tmp_path.joinpath("run.json").read_text() == content


def test_a_file_in_the_way_is_refused(tmp_path: Path) -> None:
    tmp_path.joinpath("results").write_text("text")
    for where in (tmp_path / "results", tmp_path / "results" / "deeper"):
        with pytest.raises(UsageError, match=r"results.* is a file|Not a directory"):
            open_folder(str(where), made.identity()).__enter__()
    assert tmp_path.joinpath("results").read_text() == "text"


def test_an_empty_folder_is_taken_and_missing_ones_are_made(tmp_path: Path) -> None:
    tmp_path.joinpath("empty").mkdir()
    for name in ("empty", "a/b/c"):
        with open_folder(str(tmp_path / name), made.identity()) as folder:
            assert _files(tmp_path / name) == set()
            folder.begin()
            assert _files(tmp_path / name) == {"run.json"}


def test_a_second_run_is_refused(where: str) -> None:
    with open_folder(where, made.identity()) as folder:
        with pytest.raises(UsageError, match="another run is writing"):
            open_folder(where, made.identity(), overwrite=True).__enter__()
        _write(folder, 1)
        assert len(list(_parts(folder))) == 1


def test_an_unknown_format_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="`formats` is 'xlsx', expected one of parquet, csv, jsonl"):
        open_folder(str(tmp_path / "r"), made.identity(), formats=["xlsx"]).__enter__()
    assert not tmp_path.joinpath("r").exists()


def test_results_are_put_whole(where: str) -> None:
    with open_folder(where, made.identity()) as folder:
        folder.put("summary.json", b"{}")
        folder.put("summary.parquet", lambda file: pq.write_table(pa.table({"a": [1]}), file))
        file = folder.files.storage.open("summary.parquet")
        assert file is not None
        with file:
            assert pq.read_table(file).to_pydict() == {"a": [1]}
        with pytest.raises(ValueError, match=r"notes.txt is none of summary.json"):
            folder.put("notes.txt", b"")

        def fail(file: Any) -> None:
            file.write(b"half")
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            folder.put("summary.json", fail)
        assert folder.files.storage.size("summary.json") == 2


def test_any_process_can_write_parts(tmp_path: Path) -> None:
    with open_folder(str(tmp_path), made.identity()) as folder:
        folder.begin(2)
        there = pickle.loads(pickle.dumps(folder.files))
        digest, tables = made.chunk(1)
        there.write(1, digest, tables)
        there.write(0, *made.chunk(0))
        assert folder.finished(1, digest) is not None
        assert [part.documents["document"][0].as_py() for part in _parts(folder)] == [0, 3]


def test_everybody_reads_the_parts_as_one_table(tmp_path: Path) -> None:
    with open_folder(str(tmp_path), made.identity(), formats=["csv", "jsonl"]) as folder:
        _write(folder, 3)
        expected = _all(folder)
        # While the run goes on: what is half-written is not read.
        tmp_path.joinpath("links.parquet/.part-00000003.parquet.0123abcd.partial").write_bytes(b"PAR1")
        for name, table in expected.items():
            of = tmp_path / f"{name}.parquet"
            assert ds.dataset(of).to_table().equals(table)
            assert pq.read_table(of).equals(table)
            assert len(pd.read_parquet(of)) == table.num_rows
            for files in (f"{name}.parquet/*.parquet", f"{name}.csv/*.csv", f"{name}.jsonl/*.jsonl"):
                (count,) = duckdb.sql(f"select count(*) from '{tmp_path}/{files}'").fetchall()
                assert count == (table.num_rows,)


def _full(_: Any) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("after", range(0, 8, 2))
def test_a_disk_that_is_full_ends_the_run_and_it_goes_on_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    sync, count = os.fsync, iter(range(10**6))
    with open_folder(str(tmp_path), made.identity()) as folder:
        _write(folder, 1)
        monkeypatch.setattr("os.fsync", lambda handle: _full(handle) if next(count) >= after else sync(handle))
        with pytest.raises(UsageError, match=r"part-0000000\d.parquet can't be written \(No space left on device\)"):
            _write(folder, 3)
        monkeypatch.undo()
        assert not [name for name in _files(tmp_path) if ".partial" in name]
    with open_folder(str(tmp_path), made.identity()) as folder:
        assert _write(folder, 3) == [1, 2][after >= 6 :]
        assert _all(folder)["heads"].num_rows == 3 * 16


FULL = """
import sys, os
from attnviz.batch.output.folder import open_folder
from attnviz.errors import UsageError
from tests.batch import made
try:
    with open_folder(sys.argv[1], made.identity()) as folder:
        for number, digest, tables in made.chunks(1000):
            folder.write(number, digest, tables)
except UsageError as error:
    print(error)
os.truncate(sys.argv[1] + "/../ballast", 0)
with open_folder(sys.argv[1], made.identity()) as folder:
    done = [folder.finished(number, digest) is not None for number, digest, _ in made.chunks(20)]
    again = [folder.write(number, digest, tables) for number, digest, tables in made.chunks(20) if not done[number]]
    assert 0 < len(again) < 20, done
    assert len(folder.files.numbers()) == 20
"""


@pytest.mark.skipif(
    shutil.which("unshare") is None
    or subprocess.run(["unshare", "-rm", "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True).returncode != 0,
    reason="no file system can be mounted here",
)
def test_a_file_system_that_is_really_full(tmp_path: Path) -> None:
    mount = 'mount -t tmpfs -o size=1600k none "$0" && head -c 1200k /dev/zero > "$0/ballast" && exec "$@"'
    command = ["unshare", "-rm", "sh", "-c", mount, str(tmp_path), sys.executable, "-c", FULL, f"{tmp_path}/results"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "can't be written (No space left on device)" in done.stdout
    assert "give the same command again" in done.stdout


@pytest.mark.slow
def test_killed_at_any_moment_it_ends_with_the_same_rows(tmp_path: Path) -> None:
    chance, where = random.Random(1), tmp_path / "results"
    moments = [2, 4, 6, 9, *(chance.randrange(20, 120) for _ in range(8))]
    command = [sys.executable, "-c", KILLED, str(where), *map(str, moments), "1000000"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    *killed, last = (tuple(map(int, line.split())) for line in done.stdout.splitlines())
    assert {code for code, _ in killed} == {-signal.SIGKILL}
    assert len({parts for _, parts in killed}) > 4, "it was killed on its way"
    assert last[0] == 0
    with open_folder(str(tmp_path / "undisturbed"), made.identity(), formats=["csv"]) as folder:
        _write(folder, PARTS)
        expected = _all(folder)
    assert _files(where) == _files(tmp_path / "undisturbed")
    with open_folder(str(where), made.identity(), formats=["csv"]) as folder:
        assert folder.complete
        assert all(table.equals(expected[name]) for name, table in _all(folder).items())
    for path in where.glob("*.csv/*"):
        assert path.read_bytes() == (tmp_path / "undisturbed" / path.relative_to(where)).read_bytes()
