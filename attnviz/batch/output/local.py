"""A folder of this machine that results are written to."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from attnviz.batch.failing import saying
from attnviz.batch.output.lock import lock_file
from attnviz.batch.output.storage import Storage, partial_name
from attnviz.errors import UsageError


class Local(Storage):
    """The folder ``root``. What is there under its name survives a power failure."""

    def __init__(self, root: Path) -> None:
        self._root, self.where = root, str(root)
        self._writing: set[Path] = set()

    def make(self, *folders: str) -> None:
        """Make the folder, or ``folders`` in it, and those above."""
        for folder in folders or ("",):
            path = self._root / folder
            with saying(path, "made"):
                path.mkdir(parents=True, exist_ok=True)
                _settle(path.parent)

    def listed(self, folder: str) -> list[str]:
        """All that lies in it, sorted."""
        path = self._root / folder
        with saying(path, "read"):
            try:
                return sorted(os.listdir(path))  # noqa: PTH208  (a million names, and no object for each)
            except FileNotFoundError:
                if os.path.lexists(path):
                    raise UsageError(f"{path} is a link to a folder that is not there") from None
                return []
            except NotADirectoryError:
                raise UsageError(f"{path} is a file, expected a folder", hint="Give a new or an empty one.") from None

    def size(self, name: str) -> int | None:
        """The bytes of a file, or None."""
        with saying(self._root / name, "read"):
            try:
                return self._root.joinpath(name).stat().st_size
            except (FileNotFoundError, NotADirectoryError):
                return None

    def open(self, name: str) -> BinaryIO | None:
        """A file to be read, or None."""
        with saying(self._root / name, "read"):
            try:
                return self._root.joinpath(name).open("rb")
            except (FileNotFoundError, NotADirectoryError):
                return None

    def write(self, name: str, content: bytes | memoryview) -> None:
        """Write a file under another name, and rename it when all of it is on the disk."""
        path = self._root / name
        partial = path.with_name(partial_name(path.name))
        with saying(path, "written"):
            self._writing.add(partial)
            try:
                with partial.open("xb") as file:
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())
                partial.replace(path)
                _settle(path.parent)
            finally:
                self._forget(partial)

    def _forget(self, partial: Path) -> None:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
        self._writing.discard(partial)

    def delete(self, name: str) -> None:
        """Delete a file, or a folder that is empty."""
        path = self._root / name
        with saying(path, "deleted"), contextlib.suppress(FileNotFoundError):
            if path.is_dir() and not path.is_symlink():
                with contextlib.suppress(OSError):  # something lies in it that is not ours
                    path.rmdir()
            else:
                path.unlink()

    def abandon(self) -> None:
        """Delete what is half-written by this process."""
        for partial in list(self._writing):
            self._forget(partial)

    def locked(self) -> contextlib.AbstractContextManager[Callable[[], None]]:
        """Keep other runs out."""
        return lock_file(self._root)


def _settle(folder: Path) -> None:
    """The names in ``folder`` survive a power failure from here on, where its file system can do that."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
