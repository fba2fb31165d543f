"""What can go wrong, said so that the reader knows what to do next.

Low layers raise with the bare reason; the caller that knows the model or the file adds it; one
handler, in ``cli/app.py``, prints the message and turns the kind into an exit code.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence


class ExitCode(enum.IntEnum):
    """The exit codes of the command line."""

    OK = 0
    USAGE = 2
    """The command was asked for something that does not exist, or for an output that it may not write."""
    INPUT = 3
    """The text can't be read, is empty, or does not fit the model."""
    MODEL = 4
    """The checkpoint is missing, damaged or of an unsupported kind."""
    CHECK = 5
    """Our attention and the model's own disagree."""
    SOME_FAILED = 6
    """Of a corpus some documents could not be analysed; the others were."""
    INTERRUPTED = 130
    UNREAD = 141
    """Whoever read standard output has stopped, as ``| head`` does."""


def few(names: Sequence[str], most: int = 3) -> str:
    """``a, b, c and 7 more``."""
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return f"{', '.join(names[:most])}{more}"


def short(value: object, most: int = 80) -> str:
    """The value of a stranger's file as Python writes it, cut where it is long."""
    if isinstance(value, str):
        value = value[: most + 1]
    said = repr(value)
    return said if len(said) <= most else f"{said[: most - 1]}…"


_LONGEST = 2000
"""The most characters of a message; of a longer one the middle is left out, as its end says what was expected."""


class AttnvizError(Exception):
    """The base of all errors that attnviz raises on purpose.

    Args:
        message: what was wrong, with the value and what was expected.
        hint: what to do next, as a sentence of its own.
    """

    exit_code: ExitCode = ExitCode.USAGE

    def __init__(self, message: str, *, hint: str = "") -> None:
        if len(message) > _LONGEST:  # strangers' configs and libraries say what they like
            message = f"{message[: _LONGEST // 2]} … {message[-_LONGEST // 2 :]}"
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n{self.hint}" if self.hint else self.message


class UsageError(AttnvizError):
    """An option or an output that can't be: ``no head 14 in layer 2: this model has heads 0–11``."""

    exit_code = ExitCode.USAGE


class InputError(AttnvizError):
    """A text that can't be analysed."""

    exit_code = ExitCode.INPUT


class ModelError(AttnvizError):
    """A checkpoint that can't be found, read or trusted."""

    exit_code = ExitCode.MODEL


class SomeFailed(AttnvizError):
    """Documents of a corpus that could not be analysed; all others were, or with ``--strict`` those before it."""

    exit_code = ExitCode.SOME_FAILED


class UnsupportedModel(ModelError):
    """A model that our forward pass can't express exactly; the message names what stands in the way."""
