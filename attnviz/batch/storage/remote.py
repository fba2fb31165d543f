"""The files that fsspec opens: those of object stores, of distributed file systems, of the web and of the Hub."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

from attnviz.batch.storage.errors import as_os_error
from attnviz.batch.storage.filesystem import EntryKind, FileSystem, partial_path, sort_entries
from attnviz.batch.storage.lock import FILE, lock_object

_OBJECT_STORES = {"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "adl", "oss", "memory"}
"""Object stores: an object is written as a whole, and a folder is only a part of names."""
_LISTED = {"hf"}
"""Where a file is looked up in the listing of its folder, so that listings are worth keeping."""


class RemoteFiles(FileSystem):
    """The fsspec file system ``files``; its library may raise anything, which becomes an OSError."""

    is_local = False

    def __init__(self, files: Any) -> None:
        self._files = files
        protocols = {files.protocol} if isinstance(files.protocol, str) else set(files.protocol)
        self._is_object_store = bool(protocols & _OBJECT_STORES)
        self._keeps_listings = bool(protocols & _LISTED)

    @contextlib.contextmanager
    def _asking(self, path: str) -> Iterator[None]:
        """Ask the store anew inside, and do not keep its listings: they may be of a whole corpus."""
        with as_os_error():
            self._files.invalidate_cache(path)
            try:
                yield
            finally:
                if not self._keeps_listings:
                    self._files.invalidate_cache(path)

    def kind(self, path: str) -> EntryKind | None:
        """What the store says."""
        with self._asking(path):
            if not path.endswith("/") and self._files.isfile(path):
                return "file"
            if self._files.isdir(path):
                return "folder"
            with contextlib.suppress(FileNotFoundError):
                self._files.info(path)  # raises what both of the others keep back
        return None

    def entries(self, folder: str) -> list[tuple[str, EntryKind | None]]:
        """What the store lists."""
        own = folder.rstrip("/")
        with self._asking(own):
            found = self._files.ls(own, detail=True)
        if [(entry["name"], entry["type"]) for entry in found] == [(own, "file")]:
            raise NotADirectoryError(own)
        # Some stores keep a folder as an empty file of its own name.
        own = own.strip("/")
        kinds: dict[str, EntryKind | None] = {
            entry["name"].rstrip("/").rpartition("/")[2]: "folder" if entry["type"] == "directory" else "file"
            for entry in found
            if entry["name"].strip("/") != own
        }
        return sort_entries(kinds.items())

    def key(self, path: str) -> str:
        """The whole address."""
        return str(self._files.unstrip_protocol(path)).rstrip("/")

    def size(self, path: str) -> int | None:
        """The bytes of a file."""
        with as_os_error():
            found: int | None = self._files.info(path)["size"]
        return found

    def open(self, path: str) -> BinaryIO:
        """Open a file for reading; it is read ahead in parts."""
        with as_os_error():
            opened: BinaryIO = self._files.open(path, "rb")
        return opened

    def make(self, folder: str) -> None:
        """Make a folder, unless the store has none."""
        if not self._is_object_store:
            with as_os_error():
                self._files.makedirs(folder, exist_ok=True)

    def write(self, path: str, content: bytes | memoryview) -> None:
        """Put an object; on other file systems write a file under another name, and rename it."""
        with as_os_error():
            if self._is_object_store:
                self._files.pipe_file(path, bytes(content))
                return
            partial = partial_path(path)
            try:
                self._files.pipe_file(partial, bytes(content))
                self._move(partial, path)
            except BaseException:
                with contextlib.suppress(Exception):
                    self._files.rm_file(partial)
                raise

    def _move(self, partial: str, path: str) -> None:
        try:
            self._files.mv(partial, path)
            return
        except Exception:
            if not (self._files.exists(partial) and self._files.exists(path)):
                raise
        # HDFS renames only to what is not there.
        old = partial_path(path)
        self._files.mv(path, old)
        try:
            self._files.mv(partial, path)
        except BaseException:
            self._files.mv(old, path)
            raise
        self._files.rm_file(old)

    def delete(self, path: str) -> None:
        """Delete a file or an empty folder."""
        with as_os_error():
            if self._files.isfile(path):
                self._files.rm_file(path)
            elif not self._is_object_store and not self._files.ls(path, detail=False):
                self._files.rmdir(path)

    def abandon(self) -> None:
        """What is half-written has no name yet, or one that the next run sweeps away: the network is not waited for."""

    def locked(self, folder: str, shown: str) -> contextlib.AbstractContextManager[Callable[[], None]]:
        """Keep other runs out by an object that names the run that writes."""
        return lock_object(self._files, f"{folder}/{FILE}", f"{shown}/{FILE}")
