"""The folder of a run: begun, or gone on with, by one run at a time."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, BinaryIO

from attnviz.batch import manifest
from attnviz.batch.formats import WRITERS
from attnviz.batch.manifest import Identity, Manifest
from attnviz.batch.parts import PartFacts, PartFiles, clear
from attnviz.batch.storage import Storage, open_storage
from attnviz.batch.tables import Tables
from attnviz.errors import UsageError

RESULTS = ("summary.json", *(f"summary.{suffix}" for suffix in ("parquet", "csv", "jsonl")), "heads.png", "report.html")
"""What a run may ``put`` beside its parts; --overwrite deletes these, the parts and run.json, and nothing else."""


class Folder:
    """The folder of a run that is open. Made by ``opened``.

    Methods raise a ``UsageError`` where something can't be read or written.
    """

    def __init__(self, files: PartFiles, about: Manifest, require_ours: Callable[[], None]) -> None:
        self.files = files
        """Its parts, for other processes to write too: they can be sent there."""
        self.manifest = about
        self._require_ours = require_ours

    @property
    def where(self) -> str:
        """The folder, as it is shown."""
        return self.files.storage.where

    @property
    def complete(self) -> bool:
        """Whether a run has come to its end here, and nothing was written since but what ``put`` puts."""
        return self.manifest.complete

    def finished(self, number: int, digest: str) -> PartFacts | None:
        """What the part ``number`` holds, if all of it is there; None if it is still to be made.

        Raises:
            UsageError: it is there, and of texts with another ``digest``.
        """
        return self.files.finished(number, digest)

    def write(self, number: int, digest: str, tables: Tables, check: Mapping[str, Any] | None = None) -> PartFacts:
        """Write the part ``number``: whole, or as good as not at all; ``check`` is kept with it."""
        self._require_ours()
        if self.complete:
            self.note(complete=False)
        return self.files.write(number, digest, tables, check)

    def require_last(self, number: int) -> None:
        """Say that no part follows ``number`` (−1: there is none at all).

        Raises:
            UsageError: some do: they are of texts that are not there any more.
        """
        beyond = [other for other in self.files.numbers() if other > number]
        if beyond:
            raise UsageError(
                f"there are fewer texts than when {self.where} was begun: {len(beyond)} parts are of others",
                hint="Begin anew with --overwrite, or give another folder.",
            )

    def put(self, name: str, content: bytes | Callable[[BinaryIO], object]) -> None:
        """Write one of the ``RESULTS``, whole: its content, or what a function writes into a file."""
        if name not in RESULTS:
            raise ValueError(f"{name} is none of {', '.join(RESULTS)}")
        if not isinstance(content, bytes):
            buffer = io.BytesIO()
            content(buffer)
            content = buffer.getvalue()
        self._require_ours()
        self.files.storage.write(name, content)

    def note(self, *, complete: bool | None = None, **facts: Any) -> None:
        """Write ``facts``, and whether the run has come to its end, into run.json."""
        self._require_ours()
        about = self.manifest.noting(complete=complete, **facts)
        self.files.storage.write(manifest.FILE, manifest.to_json(about))
        self.manifest = about

    def abandon(self) -> None:
        """Delete what is half-written, since the process ends at once."""
        self.files.storage.abandon()


@contextlib.contextmanager
def opened(where: str, identity: Identity, *, formats: Sequence[str] = (), overwrite: bool = False) -> Iterator[Folder]:
    """Make the folder ``where`` (a path or a URL) for a run, or go on with what the same run has left there.

    Args:
        formats: those beside Parquet, ``csv`` or ``jsonl``; they are the option ``format`` of the identity.
        overwrite: delete what a run has left there, and nothing else, and begin anew.

    Raises:
        UsageError: a file is in the way, or what is no run's; it is of another run; another run writes there; it can't
            be written to.
    """
    unknown = [name for name in formats if name not in WRITERS]
    if unknown:
        raise UsageError(f"--format is {unknown[0]!r}, expected one of {', '.join(WRITERS)}")
    beside = tuple(sorted(set(formats) - {"parquet"}))
    identity = replace(identity, options={**identity.options, "format": beside})
    storage = open_storage(where)
    _require_ours(storage)  # before a lock is left in it
    storage.make()
    with storage.locked() as require_ours:
        files = PartFiles(storage, beside)
        found = _found(storage)
        files.sweep()
        if found is not None and overwrite:
            _clear(storage, found)
            found = None
        if found is None:
            found = Manifest(identity, {"started": datetime.now(UTC).isoformat(timespec="seconds")})
            storage.write(manifest.FILE, manifest.to_json(found))
        _require_same(found.identity, identity, storage.where)
        storage.make(*files.folders())
        yield Folder(files, found, require_ours)


def _require_ours(storage: Storage) -> bool:
    """Whether a run has been there; what is neither a run's folder nor empty is refused."""
    names = storage.names()
    if names and manifest.FILE not in names:
        raise UsageError(
            f"{storage.where} is not empty, and no folder of results: it has no {manifest.FILE}",
            hint="Give a folder that is new or empty. Nothing in this one was changed.",
        )
    return bool(names)


def _found(storage: Storage) -> Manifest | None:
    name = f"{storage.where}/{manifest.FILE}"
    file = storage.open(manifest.FILE) if _require_ours(storage) else None
    if file is None:
        return None
    with file:
        return manifest.from_json(file.read(), name)


def _clear(storage: Storage, found: Manifest) -> None:
    """Delete all that a run writes but run.json, which says that the folder is ours and is replaced after."""
    storage.write(manifest.FILE, manifest.to_json(found.noting(complete=False)))  # should this be the last that is done
    clear(storage)
    for name in RESULTS:
        storage.delete(name)


def _require_same(old: Identity, new: Identity, where: str) -> None:
    others = manifest.differences(old, new)
    if others:
        raise UsageError(
            f"{where} is of another run: {'; '.join(others)}",
            hint="Begin anew with --overwrite, give another folder, or give the same options to go on.",
        )
