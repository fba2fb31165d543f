"""The folder that results are written to, on any file system."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from attnviz.batch.storage.addresses import file_system_of
from attnviz.batch.storage.errors import as_usage_error
from attnviz.batch.storage.filesystem import FileSystem, is_partial
from attnviz.batch.storage.lock import FILE
from attnviz.errors import UsageError


class Storage:
    """The folder ``root`` of a file system, there or not yet, which is shown as ``where``.

    Names are relative to the folder, with ``/`` between their parts. Each method raises a ``UsageError`` that names
    the file and says what was wrong.
    """

    def __init__(self, files: FileSystem, root: str, where: str) -> None:
        self._files, self._root, self.where = files, root.rstrip("/"), where.rstrip("/") or where

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}" if name else self._root or "/"

    def _shown(self, name: str) -> str:
        return f"{self.where}/{name}" if name else self.where

    def make(self, *folders: str) -> None:
        """Make the folder, or ``folders`` in it, and those above, if they do not exist."""
        for folder in folders or ("",):
            with as_usage_error(self._shown(folder), "made"):
                self._files.make(self._path(folder))

    def names(self, folder: str = "") -> list[str]:
        """The names in it, or in a ``folder`` in it, sorted: neither the lock nor what is half-written.

        Raises:
            UsageError: also where it is a file. Where there is nothing, there are no names.
        """
        return [name for name in self._listed(folder) if name != FILE and not is_partial(name)]

    def _listed(self, folder: str) -> list[str]:
        path, shown = self._path(folder), self._shown(folder)
        with as_usage_error(shown, "read"):
            try:
                return [name for name, _ in self._files.entries(path)] if self._files.kind(path) else []
            except NotADirectoryError:
                raise UsageError(f"{shown} is a file, expected a folder", hint="Give a new or an empty one.") from None

    def sweep(self, folder: str = "") -> None:
        """Delete what a run that was killed has left half-written."""
        for name in filter(is_partial, self._listed(folder)):
            self.delete(f"{folder}/{name}" if folder else name)

    def size(self, name: str) -> int | None:
        """The bytes of a file; None if there is none."""
        with as_usage_error(self._shown(name), "read"), contextlib.suppress(FileNotFoundError, NotADirectoryError):
            return self._files.size(self._path(name))
        return None

    def open(self, name: str) -> BinaryIO | None:
        """Open a file for reading, from any position; None if there is none."""
        with as_usage_error(self._shown(name), "read"), contextlib.suppress(FileNotFoundError, NotADirectoryError):
            return self._files.open(self._path(name))
        return None

    def write(self, name: str, content: bytes | memoryview) -> None:
        """Write a file, or replace it, whole."""
        with as_usage_error(self._shown(name), "written"):
            self._files.write(self._path(name), content)

    def delete(self, name: str) -> None:
        """Delete a file if it is there, or a folder if it is empty."""
        with as_usage_error(self._shown(name), "deleted"), contextlib.suppress(FileNotFoundError):
            self._files.delete(self._path(name))

    def abandon(self) -> None:
        """Delete what this process has half-written, since it ends."""
        self._files.abandon()

    def locked(self) -> contextlib.AbstractContextManager[Callable[[], None]]:
        """Keep other runs out; the function raises if another run has taken the folder over nevertheless.

        Raises:
            UsageError: another run writes there.
        """
        return self._files.locked(self._path(""), self.where)


def open_storage(where: str) -> Storage:
    """The storage at ``where``: a path, or an address.

    Raises:
        UsageError: nothing that is installed opens such an address, or files are not written there.
    """
    if not where.strip():
        raise UsageError("the folder of the results has no name", hint="Give one, such as results/")
    with as_usage_error(where, "reached"):
        files, path = file_system_of(where)
    if where.lower().startswith(_READ_ONLY):
        raise UsageError(
            f"results are not written to {where}: a run writes many files, one after the other",
            hint="Give a folder of this machine, and upload it when the run has ended.",
        )
    return Storage(files, path, str(Path(path)) if files.is_local else where)


_READ_ONLY = ("http://", "https://", "hf://")
"""The web takes no files, and the Hub takes each as a commit."""
