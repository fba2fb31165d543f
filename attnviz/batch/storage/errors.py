"""What goes wrong with files, in words: each library behind fsspec raises errors of its own."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator

from attnviz.errors import UsageError


def reason(error: Exception) -> str:
    """What went wrong, on one line."""
    said = (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
    return said.splitlines()[0]


@contextlib.contextmanager
def as_os_error() -> Iterator[None]:
    """Turn whatever a library raises inside into an ``OSError``."""
    try:
        yield
    except OSError:
        raise
    except Exception as error:
        raise OSError(str(error) or type(error).__name__) from error


@contextlib.contextmanager
def as_usage_error(where: object, done: str) -> Iterator[None]:
    """Turn whatever is raised inside into a ``UsageError``: ``where`` can't be ``done``, such as "written"."""
    try:
        yield
    except UsageError:
        raise
    except Exception as error:
        full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
        hint = "See whether the folder of the results is there and yours to use, or give another."
        if full:
            hint = "Make room and give the same command again: it goes on where it was."
        raise UsageError(f"{where} can't be {done} ({reason(error)})", hint=hint) from error
