"""Files are written whole, by one run at a time, wherever the results lie."""

from __future__ import annotations

import errno
import json
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from fsspec.implementations.local import LocalFileSystem
from fsspec.implementations.memory import MemoryFileSystem

from attnviz.batch.output.storage import Storage, open_storage
from attnviz.batch.storage import lock
from attnviz.batch.storage.local import LocalFiles
from attnviz.batch.storage.remote import RemoteFiles
from attnviz.errors import UsageError


def _local(folder: Path) -> Storage:
    return Storage(LocalFiles(), str(folder), str(folder))


def _hdfs(folder: str, files: Any = None) -> Storage:
    """A file system that renames, behind fsspec."""
    return Storage(RemoteFiles(files or LocalFileSystem()), folder, "hdfs://host/results")


KINDS = ("local", "memory", "distributed")


@pytest.fixture(params=KINDS)
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    """A folder that is not there yet: of this machine, of an object store, and of a file system that renames."""
    return {
        "local": lambda: open_storage(str(tmp_path / "results")),
        "memory": lambda: open_storage(f"memory://{tmp_path}/results"),
        "distributed": lambda: _hdfs(f"{tmp_path}/results"),
    }[request.param]()


def test_files_are_written_listed_read_and_deleted(storage: Storage) -> None:
    assert storage.names() == storage.names("a.parquet") == []
    assert storage.size("b.json") is storage.open("b.json") is storage.open("a.parquet/part") is None
    storage.make()
    storage.make("a.parquet", "c.csv")
    for _ in range(2):
        storage.write("a.parquet/part-1", b"first")
        storage.write("a.parquet/part-1", memoryview(b"the second"))
        storage.write("b.json", b"{}")
    assert storage.names("a.parquet") == ["part-1"]
    assert {"a.parquet", "b.json"} <= set(storage.names()) <= {"a.parquet", "b.json", "c.csv"}
    assert storage.size("a.parquet/part-1") == 10
    file = storage.open("a.parquet/part-1")
    assert file is not None
    with file:
        file.seek(4)
        assert file.read() == b"second"
    storage.delete("a.parquet")  # is not empty
    assert storage.size("a.parquet/part-1") == 10
    for name in ("a.parquet/part-1", "a.parquet", "b.json", "c.csv", "never"):
        storage.delete(name)
    assert storage.names() == []


def test_a_file_where_the_folder_should_be_is_refused(storage: Storage) -> None:
    storage.make()
    storage.write("file", b"")
    with pytest.raises(UsageError, match="file is a file, expected a folder"):
        storage.names("file")


def test_what_is_half_written_is_no_name_and_is_swept_away(tmp_path: Path) -> None:
    for storage in (_local(tmp_path), _hdfs(str(tmp_path))):
        tmp_path.joinpath(".part-1.parquet.0123abcd.partial").write_bytes(b"PAR1")
        tmp_path.joinpath(".mine.partial").write_bytes(b"the user's")
        storage.write("part-0.parquet", b"")
        assert storage.names() == [".mine.partial", "part-0.parquet"]
        storage.sweep()
        assert sorted(_names(tmp_path)) == [".mine.partial", "part-0.parquet"]


def _names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def _fail(_: Any, *__: Any, **___: Any) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("broken", ["os.fsync", "fsspec.implementations.local.LocalFileSystem.mv"])
def test_on_a_full_disk_the_old_file_stays_and_nothing_else(
    broken: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = _local(tmp_path) if broken == "os.fsync" else _hdfs(str(tmp_path))
    storage.write("run.json", b"old")
    monkeypatch.setattr(broken, _fail)
    with pytest.raises(UsageError, match=r"run.json can't be written \(No space left on device\)") as error:
        storage.write("run.json", b"new")
    assert "it goes on where it was" in error.value.hint
    monkeypatch.undo()
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"run.json": b"old"}


def test_hdfs_renames_only_to_what_is_not_there(tmp_path: Path) -> None:
    renamed = []

    class Hdfs(LocalFileSystem):
        protocol = "hdfs"

        def mv(self, path1: str, path2: str, **_: Any) -> None:
            renamed.append(path2)
            if Path(path2).exists() or len(renamed) == 7:
                raise OSError(errno.EIO, "rename failed")
            Path(path1).rename(path2)

    storage = _hdfs(str(tmp_path), Hdfs())
    storage.write("run.json", b"old")
    storage.write("run.json", b"new")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"run.json": b"new"}
    with pytest.raises(UsageError, match="rename failed"):
        storage.write("run.json", b"newer")  # the old one is aside when the new one fails
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"run.json": b"new"}


def test_the_end_of_the_program_takes_away_what_is_half_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage, seen = _local(tmp_path), []

    def end(_: int) -> None:
        seen.append(_names(tmp_path))
        storage.abandon()
        seen.append(_names(tmp_path))

    monkeypatch.setattr("os.fsync", end)
    with pytest.raises(UsageError, match="can't be written"):
        storage.write("a", b"content")
    assert len(seen[0]) == 1
    assert seen[0][0].endswith(".partial")
    assert seen[1] == []


def test_files_get_the_permissions_of_any_new_file(tmp_path: Path) -> None:
    _local(tmp_path).write("a", b"")
    tmp_path.joinpath("b").write_bytes(b"")
    assert tmp_path.joinpath("a").stat().st_mode == tmp_path.joinpath("b").stat().st_mode


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("", "has no name"),
        ("foo://bucket/results", "foo://bucket/results can't be opened: Protocol not known: foo"),
        ("nul\0", "can't be made"),
        ("hf://datasets/of/reviews", "results are not written to hf://datasets/of/reviews"),
    ],
)
def test_where_nothing_can_be_is_said(where: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        open_storage(where).make()


def test_a_file_url_is_a_folder_of_this_machine(tmp_path: Path) -> None:
    storage = open_storage(f"file://{tmp_path}/r")
    assert storage.where == f"{tmp_path}/r"


def test_a_link_to_nothing_is_refused(tmp_path: Path) -> None:
    tmp_path.joinpath("results").symlink_to(tmp_path / "gone")
    with pytest.raises(UsageError, match=r"results can't be read \(a broken link, to .*gone\)"):
        open_storage(str(tmp_path / "results")).names()


def test_a_folder_that_can_not_be_made_is_said(tmp_path: Path) -> None:
    tmp_path.joinpath("file").write_bytes(b"")
    with pytest.raises(UsageError, match=r"results can't be made \(Not a directory\)"):
        open_storage(str(tmp_path / "file" / "results")).make()


def test_a_storage_can_be_sent_to_another_process(storage: Storage) -> None:
    storage.make()
    pickle.loads(pickle.dumps(storage)).write("a", b"sent")
    assert storage.size("a") == 4


def test_a_second_run_is_refused_until_the_first_has_ended(storage: Storage) -> None:
    storage.make()
    with storage.locked() as require_ours:
        require_ours()
        with pytest.raises(UsageError, match="another run is writing"), storage.locked():
            pass
        assert storage.names() == []  # the lock is no content
    with storage.locked():
        pass


def test_an_error_lets_the_lock_go(storage: Storage) -> None:
    storage.make()
    with pytest.raises(ZeroDivisionError), storage.locked():
        raise ZeroDivisionError
    with storage.locked():
        pass


def test_the_lock_of_a_process_that_was_killed_is_no_hindrance(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from attnviz.batch.storage.lock import lock_file\n"
        "with lock_file(sys.argv[1], sys.argv[1]): print('locked', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"locked\n"
        with pytest.raises(UsageError, match="another run is writing"), _local(tmp_path).locked():
            pass
        process.send_signal(signal.SIGKILL)
    with _local(tmp_path).locked():
        pass


def test_a_folder_that_can_not_be_locked_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr("filelock.FileLock.acquire", refuse)
    with pytest.raises(UsageError, match=r"can't be written to: no lock can be had \(Read-only file system"):
        _local(tmp_path).locked().__enter__()


def _said(name: str, **about: Any) -> None:
    said = {"host": "far", "pid": 7, "token": "t", "time": time.time()} | about
    MemoryFileSystem().pipe_file(f"/{name}/{lock.FILE}", json.dumps(said).encode())


def test_a_lock_object_says_who_writes_and_how_to_go_on() -> None:
    _said("who", time=time.time() - 100)
    with pytest.raises(UsageError, match=r"process 7 on far, 100 s ago") as error:
        open_storage("memory://who").locked().__enter__()
    assert f"delete memory://who/{lock.FILE}" in error.value.hint
    assert "5 minutes" in error.value.hint


def test_a_lock_object_that_nobody_refreshed_is_taken_over() -> None:
    _said("dead", time=time.time() - 301)
    with open_storage("memory://dead").locked():
        assert json.loads(MemoryFileSystem().cat_file(f"/dead/{lock.FILE}"))["pid"] == os.getpid()
    assert not MemoryFileSystem().exists(f"/dead/{lock.FILE}")


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b"\xff"])
def test_a_damaged_lock_object_locks(content: bytes) -> None:
    MemoryFileSystem().pipe_file(f"/damaged/{lock.FILE}", content)
    with pytest.raises(UsageError, match="another run is writing"):
        open_storage("memory://damaged").locked().__enter__()


def _wait(until: Any) -> None:
    end = time.monotonic() + 10
    while not until():
        assert time.monotonic() < end
        time.sleep(0.005)


def test_a_lock_object_is_refreshed_and_its_loss_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "REFRESHED", 0.01)
    files, path = MemoryFileSystem(), f"/alive/{lock.FILE}"
    with open_storage("memory://alive").locked() as require_ours:
        first = json.loads(files.cat_file(path))["time"]
        _wait(lambda: json.loads(files.cat_file(path))["time"] > first)
        require_ours()
        threads = {thread.name for thread in threading.enumerate()}
        assert "attnviz-lock" in threads
        files.rm_file(path)
        _wait(lambda: "attnviz-lock" not in {thread.name for thread in threading.enumerate()})
        _said("alive")
        with pytest.raises(UsageError, match="another run has taken over memory://alive"):
            require_ours()
    # What is another run's stays its own.
    assert json.loads(files.cat_file(path))["host"] == "far"
