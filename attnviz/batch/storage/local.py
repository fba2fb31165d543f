"""The files of this machine."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from attnviz.batch.storage.filesystem import EntryKind, FileSystem, partial_path, sort_entries
from attnviz.batch.storage.lock import lock_file
from attnviz.record.writing import abandon, renamed, sync_names


class LocalFiles(FileSystem):
    """This machine. What was written is still there under its name after a power failure."""

    is_local = True

    def kind(self, path: str) -> EntryKind | None:
        """What lies there. A broken link, or what we may not look at, is a file: opening it says what is wrong."""
        if not path:
            return None
        try:
            return "folder" if stat.S_ISDIR(Path(path).stat().st_mode) else "file"
        except (FileNotFoundError, NotADirectoryError, ValueError):
            return "file" if Path(path).is_symlink() else None
        except OSError as error:
            return None if error.errno == errno.ENAMETOOLONG else "file"

    def entries(self, folder: str) -> list[tuple[str, EntryKind | None]]:
        """Links to files are followed; links to folders are not."""
        _require_whole(folder)
        with os.scandir(folder or ".") as entries:
            return sort_entries((entry.name, _kind(entry)) for entry in entries)

    def key(self, path: str) -> str:
        """The path without links."""
        return os.path.realpath(path)

    def size(self, path: str) -> int | None:
        """None for pipes and devices."""
        found = Path(path).stat()
        return found.st_size if stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode) else None

    def open(self, path: str) -> BinaryIO:
        """Open a file for reading."""
        _require_whole(path)
        return Path(path).open("rb")

    def make(self, folder: str) -> None:
        """Make a folder."""
        Path(folder).mkdir(parents=True, exist_ok=True)
        sync_names(Path(folder).parent)

    def write(self, path: str, content: bytes | memoryview) -> None:
        """Write a file under another name, and rename it when all of it is on the disk."""
        partial = Path(partial_path(path))
        with renamed(partial, Path(path)):
            partial.write_bytes(content)

    def delete(self, path: str) -> None:
        """Delete a file or an empty folder."""
        file = Path(path)
        if file.is_dir() and not file.is_symlink():
            with contextlib.suppress(OSError):  # something lies in it that is not ours
                file.rmdir()
        else:
            file.unlink()

    def abandon(self) -> None:
        """Delete what is half-written by this process."""
        abandon()

    def locked(self, folder: str, shown: str) -> contextlib.AbstractContextManager[Callable[[], None]]:
        """Keep other runs out by a lock of the operating system's."""
        return lock_file(folder, shown)


def _kind(entry: os.DirEntry[str]) -> EntryKind | None:
    if entry.is_dir(follow_symlinks=False):
        return "folder"
    broken = entry.is_symlink() and not Path(entry.path).exists()
    return "file" if broken or entry.is_file() else None


def _require_whole(path: str) -> None:
    """Raise for a broken link, and say where it leads."""
    link = Path(path)
    if link.is_symlink() and not link.exists():
        raise FileNotFoundError(errno.ENOENT, f"a broken link, to {os.readlink(path)}")  # noqa: PTH115
