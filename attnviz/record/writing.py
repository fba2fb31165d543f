"""Files that are written whole or not at all: beside their place, and then renamed."""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

from attnviz.errors import UsageError

_WRITING: set[Path] = set()
"""What this process is writing at the moment."""


@contextlib.contextmanager
def replaced(path: Path, *, force: bool) -> Iterator[Path]:
    """A new file beside ``path`` that becomes ``path`` when all went well, and vanishes otherwise.

    Where ``path`` is a link, what it leads to is replaced, and keeps its permissions.

    Raises:
        UsageError: the folder can't be written to, the disk is full, or there is a file and ``force`` is not given.
    """

    def may_replace(partial: Path) -> None:
        require_replaceable(path, force)
        with contextlib.suppress(FileNotFoundError):
            partial.chmod(stat.S_IMODE(place.stat().st_mode))

    try:
        require_replaceable(path, force)
        place = _place(path)
        partial = place.with_name(f".{place.stem[:40]}-{secrets.token_hex(4)}{place.suffix}")
        with renamed(partial, place, may_replace):
            yield partial
    except OSError as error:
        raise UsageError(f"{path} can't be written ({error.strerror or error})") from None


@contextlib.contextmanager
def renamed(partial: Path, place: Path, settled: Callable[[Path], None] | None = None) -> Iterator[None]:
    """Make the new file ``partial``, and rename it to ``place`` if the block succeeds; delete it otherwise.

    The content is on the disk before the new name is. ``settled`` is called with ``partial`` between the two.

    Raises:
        OSError: one of the two can't be written.
    """
    _WRITING.add(partial)
    try:
        partial.touch(exist_ok=False)
        yield
        _settle(partial)
        if settled:
            settled(partial)
        partial.replace(place)
        sync_names(place.parent)
    finally:
        _forget(partial)


def sync_names(folder: Path) -> None:
    """Write the names in ``folder`` to the disk, if its file system can, so that they survive a power failure."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def abandon() -> None:
    """Delete what this process is writing at the moment, since it ends."""
    for partial in list(_WRITING):
        _forget(partial)


def require_replaceable(path: Path, force: bool) -> None:
    """Raise a ``UsageError`` where ``path`` is there already and may not be replaced, or can't be."""
    if not os.path.lexists(path):
        return
    if path.is_dir():
        raise UsageError(f"{path} is a folder")
    if path.exists() and not path.is_file():
        raise UsageError(f"{path} is a pipe or a device, expected a file")
    if not force:  # also a link to what is not there
        raise UsageError(f"{path} exists", hint="Replace it with `force`, or give another name.")


def _place(path: Path) -> Path:
    """Where ``path`` leads to."""
    try:
        return Path(os.path.realpath(path))
    except ValueError as error:  # a name with a NUL in it
        raise OSError(str(error)) from None


def _settle(partial: Path) -> None:
    """All of it is on the disk from here on: some disks say only now that they are full."""
    with partial.open("rb+") as file:
        os.fsync(file.fileno())


def _forget(partial: Path) -> None:
    with contextlib.suppress(OSError):
        partial.unlink(missing_ok=True)
    _WRITING.discard(partial)
