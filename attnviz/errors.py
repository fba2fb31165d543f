"""The errors that attnviz raises on purpose, and the exit codes of the command line.

Low layers raise with the bare reason; the caller that knows the model or the file adds it; one handler, in
``cli/app.py``, prints the message and exits with the error's code. A message names a parameter as Python does, in
backquotes (`stride`); the command line says it as a flag (--stride).
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Sequence


class ExitCode(enum.IntEnum):
    """The exit codes of the command line."""

    OK = 0
    USAGE = 2
    """An option names something that does not exist, or an output that can't be written."""
    INPUT = 3
    """The text can't be read, is empty, or does not fit the model."""
    MODEL = 4
    """The checkpoint is missing, damaged or of an unsupported kind."""
    CHECK = 5
    """Our attention and the model's own disagree."""
    SOME_FAILED = 6
    """Some documents of a corpus could not be analysed; the others were."""
    INTERRUPTED = 130
    UNREAD = 141
    """The reader of standard output has closed it, as ``| head`` does."""


def few(names: Sequence[str], most: int = 3) -> str:
    """Join ``names`` in words, at most ``most`` of them: ``a, b, c and 7 more``."""
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return f"{', '.join(names[:most])}{more}"


def join_ranges(numbers: Iterable[int]) -> str:
    """Join consecutive numbers: ``0–3, 5, 7–9``."""
    parts: list[list[int]] = []
    for number in numbers:
        if parts and number == parts[-1][-1] + 1:
            parts[-1].append(number)
        else:
            parts.append([number])
    return ", ".join(f"{part[0]}–{part[-1]}" if len(part) > 1 else f"{part[0]}" for part in parts)


def name_layers(numbers: Sequence[int]) -> str:
    """``layer 3`` or ``layers 0–2``."""
    return f"layer{'s' if len(numbers) > 1 else ''} {join_ranges(numbers)}"


def layers_there(numbers: Sequence[int]) -> str:
    """Say which layers a model has; of a hybrid one, which have attention."""
    some = "" if list(numbers) == list(range(len(numbers))) else "attention in "
    return f"this model has {some}{name_layers(numbers)}"


def count_of(count: int, noun: str) -> str:
    """Write a count: ``1 head``, ``1,024 heads``."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def short(value: object, most: int = 80) -> str:
    """Return the ``repr`` of a value from a stranger's file, cut after ``most`` characters."""
    if isinstance(value, str):
        value = value[: most + 1]
    said = repr(value)
    return said if len(said) <= most else f"{said[: most - 1]}…"


def did_you_mean(asked: str, known: Iterable[str], least: float = 0.6) -> str:
    """Return ``Did you mean sentence? `` for a name that is spelt like one of the ``known``; otherwise nothing.

    ``least`` is how alike two names must be, from 0 to 1.
    """
    near = find_alike(asked, known, 1, least)
    return f"Did you mean {near[0]}? " if near else ""


def find_alike(asked: str, known: Iterable[str], most: int = 1, least: float = 0.6) -> list[str]:
    """The ``known`` names that are spelt like ``asked``, whatever their case: at most so many, the nearest first."""
    import difflib

    names = {name.casefold(): name for name in known}
    return [names[near] for near in difflib.get_close_matches(asked[:200].casefold(), names, most, least)]


def without_middle(text: str, most: int) -> str:
    """A text, or about as many characters of its ends where it has more than ``most``."""
    return text if len(text) <= most else f"{text[: most // 2]} … {text[-most // 2 :]}"


_LONGEST = 2000
"""The most characters of a message; the middle of a longer one is left out, as its end says what was expected."""


class AttnvizError(Exception):
    """The base of all errors that attnviz raises on purpose.

    Args:
        message: what was wrong, with the value and what was expected.
        hint: what to do next, as a sentence of its own.
    """

    exit_code: ExitCode = ExitCode.USAGE

    def __init__(self, message: str, *, hint: str = "") -> None:
        message = without_middle(message, _LONGEST)  # values of configs and messages of libraries may be of any length
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n{self.hint}" if self.hint else self.message


class UsageError(AttnvizError):
    """An option or output that is not possible: ``no head 14 in layer 2: this model has heads 0–11``."""

    exit_code = ExitCode.USAGE


def not_one_of(option: str, value: str, known: Sequence[str]) -> UsageError:
    """Return the error for an ``option`` whose ``value`` is none of the ``known``, with what was probably meant."""
    message = f"{option} is {short(value)}, expected one of {', '.join(known)}"
    return UsageError(message, hint=did_you_mean(value, known).strip())


class InputError(AttnvizError):
    """A text that can't be analysed."""

    exit_code = ExitCode.INPUT


class ModelError(AttnvizError):
    """A checkpoint that can't be found, read or trusted."""

    exit_code = ExitCode.MODEL


class SomeFailed(AttnvizError):
    """Some documents of a corpus could not be analysed; all others were, or in a strict run those before it."""

    exit_code = ExitCode.SOME_FAILED


class UnsupportedModel(ModelError):
    """A model that the forward pass can't express exactly; the message names the reason."""
