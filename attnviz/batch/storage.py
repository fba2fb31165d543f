"""Where results lie: a folder of this machine, or any that fsspec reaches by a URL (``s3://``, ``gs://``, ``hdfs://``).

A file is written whole or not at all. Names are relative to the folder, with ``/`` between their parts.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import BinaryIO, Protocol

from attnviz.batch.failing import reason
from attnviz.batch.local import Local
from attnviz.batch.remote import Remote
from attnviz.errors import UsageError


class Storage(Protocol):
    """A folder, there or not yet. Each method raises a ``UsageError`` that names the file and says what was wrong."""

    @property
    def where(self) -> str:
        """The folder, as it is shown."""

    def make(self, *folders: str) -> None:
        """Make the folder, or ``folders`` in it, where they are not there yet."""

    def names(self, folder: str = "") -> list[str]:
        """What lies in it, or in a ``folder`` in it, sorted: neither the lock nor what is half-written.

        Raises:
            UsageError: also where it is a file. Where there is nothing, there are no names.
        """

    def sweep(self, folder: str = "") -> None:
        """Delete what a run that was killed has left half-written."""

    def size(self, name: str) -> int | None:
        """The bytes of a file; None where there is none."""

    def open(self, name: str) -> BinaryIO | None:
        """A file to be read, at any place of it; None where there is none."""

    def write(self, name: str, content: bytes | memoryview) -> None:
        """Write a file, or replace it, whole."""

    def delete(self, name: str) -> None:
        """Delete a file if it is there, or a folder if it is empty."""

    def abandon(self) -> None:
        """Delete what this process is writing at the moment, since it ends."""

    def locked(self) -> AbstractContextManager[Callable[[], None]]:
        """Keep other runs out; what it gives raises where another run has taken the folder over even so.

        Raises:
            UsageError: another run writes there.
        """


def open_storage(where: str) -> Storage:
    """The storage at ``where``: a path, or a URL.

    Raises:
        UsageError: no such kind of storage is known, or what reads it is not installed.
    """
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
