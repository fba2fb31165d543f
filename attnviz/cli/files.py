"""Output files: verify the path before anything is computed, and replace files atomically."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from attnviz.cli.signals import CLEANUPS
from attnviz.errors import UsageError


def output_path(name: str, suffixes: tuple[str, ...], *, force: bool) -> Path:
    """Return the path of an output, verified before anything is computed.

    Raises:
        UsageError: the suffix is unknown, the folder is missing or can't be written to, or the file exists and
            ``force`` is False.
    """
    from attnviz.record.writing import require_replaceable

    path = Path(os.path.expanduser(name))  # noqa: PTH111  (pathlib's raises for an unknown user)
    if path.suffix not in suffixes:
        ending = f"ends in {path.suffix!r}" if path.suffix else "has no suffix"
        raise UsageError(f"{name} {ending}, expected one of {', '.join(suffixes)}")
    try:
        if not path.parent.is_dir():
            raise UsageError(f"there is no folder {path.parent}", hint=f"Make it first: mkdir -p {path.parent}")
        require_replaceable(path, force)
        folder = Path(os.path.realpath(path)).parent  # the folder of a link's target
    except (OSError, ValueError) as error:  # too long for a path, or with a NUL in it
        raise UsageError(f"{name} can't be a file ({getattr(error, 'strerror', None) or error})") from None
    if not os.access(folder, os.W_OK):
        raise UsageError(f"{path} can't be written (its folder is read-only, or not there)")
    return path


@contextlib.contextmanager
def replace_output(path: Path, *, force: bool) -> Iterator[Path]:
    """Yield a new file that becomes ``path`` if the block succeeds, and is removed otherwise, even by a signal.

    Raises:
        UsageError: the folder can't be written to, the disk is full, or the file was created meanwhile.
    """
    from attnviz.record import writing

    CLEANUPS.add(writing.abandon)
    with writing.replaced(path, force=force) as partial:
        yield partial
