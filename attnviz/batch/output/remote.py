"""A folder that results are written to through fsspec: of an object store, or of a distributed file system."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any, BinaryIO

from attnviz.batch.failing import saying
from attnviz.batch.output.lock import FILE, lock_object
from attnviz.batch.output.storage import Storage, partial_name
from attnviz.errors import UsageError

_OBJECT_STORES = {"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "adl", "oss", "memory"}
"""Where nobody sees a half of what is put, and a folder is only a part of names."""


class Remote(Storage):
    """The folder ``root`` of the fsspec file system ``files``. It is shown as ``where``."""

    def __init__(self, files: Any, root: str, where: str) -> None:
        self._files, self._root, self.where = files, root.rstrip("/"), where.rstrip("/")
        protocols = {files.protocol} if isinstance(files.protocol, str) else set(files.protocol)
        self._is_object_store = bool(protocols & _OBJECT_STORES)

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}" if name else self._root

    def _shown(self, name: str) -> str:
        return f"{self.where}/{name}" if name else self.where

    def make(self, *folders: str) -> None:
        """Make the folder, or ``folders`` in it, and those above."""
        if self._is_object_store:
            return
        for folder in folders or ("",):
            with saying(self._shown(folder), "made"):
                self._files.makedirs(self._path(folder), exist_ok=True)

    def listed(self, folder: str) -> list[str]:
        """All that lies in it, sorted."""
        path = self._path(folder)
        with saying(self._shown(folder), "read"):
            self._files.invalidate_cache()
            if self._files.isfile(path):
                raise UsageError(f"{self._shown(folder)} is a file, expected a folder", hint="Give a new one.")
            try:
                found = [entry.strip("/") for entry in self._files.ls(path, detail=False)]
            except FileNotFoundError:
                return []
        # An object store may name the folder itself too.
        return sorted(entry.rpartition("/")[2] for entry in found if entry != path.strip("/"))

    def size(self, name: str) -> int | None:
        """The bytes of a file, or None."""
        with saying(self._shown(name), "read"):
            try:
                return int(self._files.info(self._path(name))["size"])
            except FileNotFoundError:
                return None

    def open(self, name: str) -> BinaryIO | None:
        """A file to be read, or None."""
        with saying(self._shown(name), "read"):
            try:
                file: BinaryIO = self._files.open(self._path(name), "rb")
            except FileNotFoundError:
                return None
            return file

    def write(self, name: str, content: bytes | memoryview) -> None:
        """Put an object; on other file systems write a file under another name, and rename it."""
        path = self._path(name)
        with saying(self._shown(name), "written"):
            if self._is_object_store:
                self._files.pipe_file(path, bytes(content))
                return
            partial = _partial(path)
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
        old = _partial(path)
        self._files.mv(path, old)
        try:
            self._files.mv(partial, path)
        except BaseException:
            self._files.mv(old, path)
            raise
        self._files.rm_file(old)

    def delete(self, name: str) -> None:
        """Delete a file, or a folder that is empty."""
        path = self._path(name)
        with saying(self._shown(name), "deleted"), contextlib.suppress(FileNotFoundError):
            if self._files.isfile(path):
                self._files.rm_file(path)
            elif not self._is_object_store and not self._files.ls(path, detail=False):
                self._files.rmdir(path)

    def abandon(self) -> None:
        """What is half-written has no name yet, or one that the next run sweeps away: the network is not waited for."""

    def locked(self) -> contextlib.AbstractContextManager[Callable[[], None]]:
        """Keep other runs out."""
        return lock_object(self._files, self._path(FILE), self._shown(FILE))


def _partial(path: str) -> str:
    folder, _, name = path.rpartition("/")
    return f"{folder}/{partial_name(name)}"
