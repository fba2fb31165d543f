"""What a file system does for us, whether it is this machine's or one behind fsspec."""

from __future__ import annotations

import re
import secrets
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from typing import BinaryIO, ClassVar, Literal

EntryKind = Literal["file", "folder"]
_PARTIAL = re.compile(r"\..+\.[0-9a-f]{8}\.partial", re.DOTALL)


class FileSystem(ABC):
    """Files and folders by their paths. Methods raise OSError, and FileNotFoundError if nothing lies there."""

    is_local: ClassVar[bool]
    """Whether it is this machine's."""

    @abstractmethod
    def kind(self, path: str) -> EntryKind | None:
        """What lies there; "file" also for a file that can't be opened."""

    @abstractmethod
    def entries(self, folder: str) -> list[tuple[str, EntryKind | None]]:
        """The names and kinds in a folder, sorted; None for what is not read: pipes, devices, links to folders."""

    @abstractmethod
    def key(self, path: str) -> str:
        """The name by which two paths of the same file or folder are seen to be the same."""

    @abstractmethod
    def size(self, path: str) -> int | None:
        """The bytes of a file; None if they are not known before it is read."""

    @abstractmethod
    def open(self, path: str) -> BinaryIO:
        """Open a file for reading, from any position."""

    @abstractmethod
    def make(self, folder: str) -> None:
        """Make a folder and those above it, if they do not exist."""

    @abstractmethod
    def write(self, path: str, content: bytes | memoryview) -> None:
        """Write or replace a file: all of it or nothing."""

    @abstractmethod
    def delete(self, path: str) -> None:
        """Delete a file, or a folder if it is empty."""

    @abstractmethod
    def abandon(self) -> None:
        """Delete what this process has half-written, since it ends."""

    @abstractmethod
    def locked(self, folder: str, shown: str) -> AbstractContextManager[Callable[[], None]]:
        """Keep other runs out of a folder; the function raises if another run took it over nevertheless.

        Raises:
            UsageError: another run writes to the folder, which is shown as ``shown``.
        """


def sort_entries(entries: Iterable[tuple[str, EntryKind | None]]) -> list[tuple[str, EntryKind | None]]:
    """Sort the entries of a folder as their paths are sorted: ``a.txt`` comes before what lies in ``a/``."""
    return sorted(entries, key=lambda entry: f"{entry[0]}/" if entry[1] == "folder" else entry[0])


def partial_path(path: str) -> str:
    """What a file is called while it is written."""
    folder, slash, name = path.rpartition("/")
    return f"{folder}{slash}.{name}.{secrets.token_hex(4)}.partial"


def is_partial(name: str) -> bool:
    """Whether this is the name of a file that is half-written."""
    return bool(_PARTIAL.fullmatch(name))


def with_slash(folder: str) -> str:
    """The folder with one slash at its end."""
    return folder if folder.endswith("/") else f"{folder}/"
