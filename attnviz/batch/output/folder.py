"""The output folder of a run. One run at a time begins or resumes it."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, BinaryIO

from attnviz.batch.output import manifest
from attnviz.batch.output.manifest import Identity, Manifest
from attnviz.batch.output.parts import PartFacts, PartFiles, clear, strangers
from attnviz.batch.output.storage import Storage, open_storage
from attnviz.batch.output.tables import PartTables
from attnviz.batch.output.writers import WRITERS
from attnviz.errors import AttnvizError, UsageError, not_one_of

CLAIMED = 64
"""How many parts run.json notes before the first of them is written."""


class RunFolder:
    """The open output folder of a run, made by ``open_folder``.

    It stays unchanged until the run writes something: a run that is refused, or finds no text, leaves it as it
    was. Methods raise a ``UsageError`` where something can't be read or written.
    """

    def __init__(
        self, files: PartFiles, about: Manifest, require_ours: Callable[[], None], old: Manifest | None = None
    ) -> None:
        """``old`` is the run that was there and is replaced."""
        self.files = files
        """Its parts, which other processes can write too: they can be pickled."""
        self.manifest = about
        self._require_ours = require_ours
        self._old = old
        self._begun = False
        self._facts: dict[str, Any] = {}

    @property
    def where(self) -> str:
        """The folder, as it is shown."""
        return self.files.storage.where

    @property
    def complete(self) -> bool:
        """Whether a run has ended here, and since then nothing was written but by ``put``."""
        return self.manifest.complete

    def expect(self, **facts: Any) -> None:
        """Note ``facts`` in run.json as soon as anything is written."""
        self._facts |= facts

    def begin(self, parts: int = 0) -> None:
        """Prepare to write up to ``parts`` parts: note it in run.json, and delete the run that is replaced."""
        if self._begun and parts <= self.manifest.parts:
            return
        self._require_ours()
        storage = self.files.storage
        if self._old is not None:
            _clear(storage, self._old)
            self._old = None
        claimed = max(parts, self.manifest.parts)
        self.manifest = replace(self.manifest, folders=tuple(self.files.folders()), parts=claimed)
        self._begun = True
        self.note(complete=False, **self._facts)
        storage.make(*self.files.folders())

    def finished(self, number: int, digest: str) -> PartFacts | None:
        """The facts of the part ``number``; None if it is not complete.

        Raises:
            UsageError: it is of texts with another ``digest``, or damaged, or the run ended without it.
        """
        return None if self._old is not None else self.files.finished(number, digest)

    def write(self, number: int, digest: str, tables: PartTables, check: Mapping[str, Any] | None = None) -> PartFacts:
        """Write the part ``number``, with the verdict of the ``check``. If interrupted, it counts as not written."""
        self._require_ours()
        self.begin(number + CLAIMED if number >= self.manifest.parts else 0)
        return self.files.write(number, digest, tables, check)

    def require_last(self, number: int) -> None:
        """Require that no part follows ``number`` (−1: that there is no part).

        Raises:
            UsageError: some parts do; they are of texts that are not in the input any more.
        """
        beyond = [] if self._old is not None else [other for other in self.files.numbers() if other > number]
        if beyond:
            raise UsageError(
                f"there are fewer texts than when {self.where} was begun: {len(beyond)} parts are of others",
                hint="Begin anew with `overwrite`, or give another folder.",
            )

    def put(self, name: str, content: bytes | Callable[[BinaryIO], object]) -> None:
        """Write one of the ``RESULTS``, given its content or a function that writes it."""
        if name not in manifest.RESULTS:
            raise ValueError(f"{name} is none of {', '.join(manifest.RESULTS)}")
        if not isinstance(content, bytes):
            buffer = io.BytesIO()
            content(buffer)
            content = buffer.getvalue()
        self._require_ours()
        if name not in self.manifest.files:
            if self.files.storage.size(name) is not None:
                raise _in_the_way(self.where, name)
            self.manifest = replace(self.manifest, files=(*self.manifest.files, name))
            self.note()
        self.files.storage.write(name, content)

    def note(self, *, complete: bool | None = None, **facts: Any) -> None:
        """Write ``facts``, and whether the run has ended, into run.json."""
        self._require_ours()
        about = self.manifest.noting(complete=complete, **facts)
        self.files.storage.write(manifest.FILE, manifest.to_json(about))
        self.manifest = about

    def progress(self, **facts: Any) -> None:
        """Note the progress of a run that has written something."""
        if self._begun:
            self.note(**facts)

    def end(self, *, parts: int, **facts: Any) -> None:
        """Note that the run has ended with ``parts`` parts."""
        self.manifest = replace(self.manifest, parts=parts)
        self.note(complete=True, parts=parts, **self._facts, **facts)

    @contextlib.contextmanager
    def unchanged_if_refused(self) -> Iterator[None]:
        """Restore run.json if the body fails, unless it added parts to the run."""
        before, parts = self.manifest, self.files.numbers()
        said = None if self._old is not None else _said(self.files.storage)
        try:
            yield
        except AttnvizError:
            if said is not None and self._begun and (before.complete or self.files.numbers() == parts):
                self.files.storage.write(manifest.FILE, said)
                self.manifest, self._begun = before, False
            raise

    def abandon(self) -> None:
        """Delete what is half-written, since the process ends at once."""
        self.files.storage.abandon()


@contextlib.contextmanager
def open_folder(
    where: str, identity: Identity, *, formats: Sequence[str] = (), overwrite: bool = False
) -> Iterator[RunFolder]:
    """Open the folder ``where`` (a path or a URL) for a new run, or to resume the same run.

    Args:
        formats: those beside Parquet, ``csv`` or ``jsonl``; they are the option ``format`` of the identity.
        overwrite: delete what a run has left there, and nothing else, and begin anew; so is done without it where that
            run has measured nothing.

    Raises:
        UsageError: a file is in the way, or what is no run's; it is of another run, or damaged; another run writes
            there; it can't be written to.
    """
    unknown = [name for name in formats if name not in WRITERS]
    if unknown:
        raise not_one_of("`formats`", unknown[0], tuple(WRITERS))
    beside = tuple(sorted(set(formats) - {"parquet"}))
    identity = replace(identity, options={**identity.options, "format": beside})
    storage = open_storage(where)
    _require_ours(storage)  # before a lock is left in it
    storage.make()
    with storage.locked() as require_ours:
        found = _found(storage)
        _require_room(storage, found)
        old, about = None, Manifest(identity, {"started": datetime.now(UTC).isoformat(timespec="seconds")})
        if found is not None and (overwrite or _replaceable(storage, found, identity)):
            old = found
        elif found is not None:
            about = found
        files = PartFiles(storage, beside, about.parts if about.complete else None)
        files.sweep()
        yield RunFolder(files, about, require_ours, old)


def _replaceable(storage: Storage, found: Manifest, identity: Identity) -> bool:
    """Whether the run that was found has measured nothing; if it has, it must be the same run.

    Raises:
        UsageError: it is another.
    """
    others = manifest.differences(found.identity, identity)
    if not PartFiles(storage).measured():
        return True
    if others:
        raise UsageError(
            f"{storage.where} is of another run: {'; '.join(others)}",
            hint="Begin anew with `overwrite`, give another folder, or give the same options to go on.",
        )
    return False


def _require_room(storage: Storage, found: Manifest | None) -> None:
    """Raise if a file that no run wrote has the name of a file that a run writes."""
    files, folders, parts = (found.files, found.folders, found.parts) if found else ((), (), 0)
    names = storage.names()
    strange = [name for name in names if name in manifest.RESULTS and name not in files]
    for folder in (name for name in names if name in manifest.FOLDERS):
        strange += strangers(storage, folder, parts if folder in folders else 0)
    if strange:
        raise _in_the_way(storage.where, strange[0])


def _in_the_way(where: str, name: str) -> UsageError:
    return UsageError(
        f"{where}/{name} is in the way: no run has written it, and this one would",
        hint="Move it elsewhere, or give another folder. Nothing in this one was changed.",
    )


def _require_ours(storage: Storage) -> bool:
    """Whether the folder is of a run; raise if it is neither that nor empty."""
    names = storage.names()
    if names and manifest.FILE not in names:
        raise UsageError(
            f"{storage.where} is not empty, and no folder of results: it has no {manifest.FILE}",
            hint="Give a folder that is new or empty. Nothing in this one was changed.",
        )
    return bool(names)


def _found(storage: Storage) -> Manifest | None:
    said = _said(storage) if _require_ours(storage) else None
    return None if said is None else manifest.from_json(said, f"{storage.where}/{manifest.FILE}")


def _said(storage: Storage) -> bytes | None:
    """The content of run.json; None if there is none."""
    file = storage.open(manifest.FILE)
    if file is None:
        return None
    with file:
        return file.read()


def _clear(storage: Storage, found: Manifest) -> None:
    """Delete all that a run wrote but run.json, which marks the folder as ours and is replaced afterwards."""
    storage.write(manifest.FILE, manifest.to_json(found.noting(complete=False)))  # should this be the last that is done
    clear(storage, found.folders, found.parts)
    for name in found.files:
        storage.delete(name)
