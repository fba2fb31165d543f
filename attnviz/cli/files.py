"""Writing files: whole or not at all, and never over another without being told to."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from attnviz.cli.signals import CLEANING
from attnviz.errors import UsageError


def output_path(name: str, suffixes: tuple[str, ...], *, force: bool) -> Path:
    """The path of an output, verified before anything is computed.

    Raises:
        UsageError: the suffix is unknown, the folder is missing, or the file exists and ``force`` is not given.
    """
    path = Path(os.path.expanduser(name))  # noqa: PTH111  (pathlib's raises for an unknown user)
    if path.suffix not in suffixes:
        ending = f"ends in {path.suffix!r}" if path.suffix else "has no suffix"
        raise UsageError(f"{name} {ending}, expected one of {', '.join(suffixes)}")
    try:
        if not path.parent.is_dir():
            raise UsageError(f"there is no folder {path.parent}", hint=f"Make it first: mkdir -p {path.parent}")
        if path.is_dir():
            raise UsageError(f"{path} is a folder")
        _require_new(path, force)
    except (OSError, ValueError) as error:  # too long for a path, or with a NUL in it
        raise UsageError(f"{name} can't be a file ({getattr(error, 'strerror', None) or error})") from None
    return path


def _require_new(path: Path, force: bool) -> None:
    if os.path.lexists(path) and not force:  # also a link to what is not there
        raise UsageError(f"{path} exists", hint="Replace it with --force, or give another name.")


@contextlib.contextmanager
def replaced(path: Path, *, force: bool) -> Iterator[Path]:
    """A temporary path beside ``path`` that becomes ``path`` when all went well, and vanishes otherwise.

    Raises:
        UsageError: the folder can't be written to, the disk is full, or the file has come into being meanwhile.
    """
    partial = None

    def clean() -> None:
        if partial is not None:
            partial.unlink(missing_ok=True)

    CLEANING.add(clean)
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.stem[:40]}-", suffix=path.suffix, dir=path.parent)
        os.close(handle)
        partial = Path(name)
        yield partial
        _require_new(path, force)
        # mkstemp makes private files; the result gets the permissions of any other new file.
        mask = os.umask(0)
        os.umask(mask)
        partial.chmod(0o666 & ~mask)
        partial.replace(path)
    except OSError as error:
        raise UsageError(f"{path} can't be written ({error.strerror or error})") from None
    finally:
        clean()
        CLEANING.remove(clean)
