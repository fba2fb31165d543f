"""Where results lie: a folder of this machine, or any that fsspec reaches by a URL (``s3://``, ``gs://``, ``hdfs://``).

A file is written whole or not at all. Names are relative to the folder, with ``/`` between their parts.
"""

from __future__ import annotations

import os
import re
import secrets
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import BinaryIO

from attnviz.batch.failing import reason
from attnviz.batch.output.lock import FILE
from attnviz.errors import UsageError

_PARTIAL = re.compile(r"\..+\.[0-9a-f]{8}\.partial", re.DOTALL)


class Storage(ABC):
    """A folder, there or not yet. Each method raises a ``UsageError`` that names the file and says what was wrong."""

    where: str
    """The folder, as it is shown."""

    @abstractmethod
    def make(self, *folders: str) -> None:
        """Make the folder, or ``folders`` in it, and those above, where they are not there yet."""

    @abstractmethod
    def listed(self, folder: str) -> list[str]:
        """All that lies in it, or in a ``folder`` in it, sorted.

        Raises:
            UsageError: also where it is a file. Where there is nothing, there are no names.
        """

    def names(self, folder: str = "") -> list[str]:
        """What is ``listed``: neither the lock nor what is half-written."""
        return [name for name in self.listed(folder) if name != FILE and not _PARTIAL.fullmatch(name)]

    def sweep(self, folder: str = "") -> None:
        """Delete what a run that was killed has left half-written."""
        for name in self.listed(folder):
            if _PARTIAL.fullmatch(name):
                self.delete(f"{folder}/{name}" if folder else name)

    @abstractmethod
    def size(self, name: str) -> int | None:
        """The bytes of a file; None where there is none."""

    @abstractmethod
    def open(self, name: str) -> BinaryIO | None:
        """A file to be read, at any place of it; None where there is none."""

    @abstractmethod
    def write(self, name: str, content: bytes | memoryview) -> None:
        """Write a file, or replace it, whole."""

    @abstractmethod
    def delete(self, name: str) -> None:
        """Delete a file if it is there, or a folder if it is empty."""

    @abstractmethod
    def abandon(self) -> None:
        """Delete what this process is writing at the moment, since it ends."""

    @abstractmethod
    def locked(self) -> AbstractContextManager[Callable[[], None]]:
        """Keep other runs out; what it gives raises where another run has taken the folder over even so.

        Raises:
            UsageError: another run writes there.
        """


def partial_name(name: str) -> str:
    """What a file of this ``name`` is called while it is written."""
    return f".{name}.{secrets.token_hex(4)}.partial"


def open_storage(where: str) -> Storage:
    """The storage at ``where``: a path, or a URL.

    Raises:
        UsageError: no such kind of storage is known, or what reads it is not installed.
    """
    from attnviz.batch.output.local import Local
    from attnviz.batch.output.remote import Remote

    if not where.strip():
        raise UsageError("the folder of the results has no name", hint="Give one: --output results/")
    if "://" not in where:
        return Local(Path(os.path.expanduser(where)))  # noqa: PTH111  (pathlib's raises for an unknown user)
    from fsspec.core import url_to_fs
    from fsspec.implementations.local import LocalFileSystem

    try:
        files, root = url_to_fs(where)
    except Exception as error:  # whatever the file system's own package raises
        hint = "Install what reads it, such as s3fs for s3:// or gcsfs for gs://, or give a folder."
        raise UsageError(f"{where} can't be reached ({reason(error)})", hint=hint) from error
    return Local(Path(root)) if isinstance(files, LocalFileSystem) else Remote(files, root, where)
