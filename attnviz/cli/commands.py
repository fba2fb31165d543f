"""The group of commands, which understands mistyped commands and suggests what was meant."""

from __future__ import annotations

import ast
import os
import re
import shlex
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import typer
from rich.text import Text
from typer.core import TyperCommand, TyperGroup

from attnviz.errors import UsageError, find_alike, not_one_of

_SENTENCE = "The bank approved the loan."
EXAMPLES = (
    (("attnviz", "show", _SENTENCE), "which words each head looks at, here in the terminal"),
    (("attnviz", "export", _SENTENCE, "heads.png"), "the same as a picture of all heads"),
    (("attnviz", "batch", "texts/", "--output", "results/"), "a whole corpus, as tables, maps and a page"),
)
"""Three commands to begin with, and what they do."""
_LONG = 200
"""The most characters of a text that a message repeats."""


class Commands(TyperGroup):
    """The group of all commands."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return the command that the first of ``args`` names.

        Raises:
            UsageError: there is none; the hint suggests what was meant.
        """
        if args[0] not in self.commands and not ctx.resilient_parsing:
            raise _unknown(args, self.commands)
        return super().resolve_command(ctx, args)


class Command(TyperCommand):
    """A command that suggests what was meant by a mistyped value of an option."""

    def parse_args(self, ctx: Any, args: list[str]) -> Any:
        """Return the arguments that are left over.

        Raises:
            UsageError: the value of an option is none of those that there are.
        """
        try:
            return super().parse_args(ctx, args)
        except typer.BadParameter as error:
            # typer keeps the value in its message only: Value error, 'sentense' is not one of 'token', 'word'.
            found = re.search(r"('.*'|\".*\") is not one of ", error.message)
            known = getattr(getattr(error.param, "type_descriptor", None), "choices", None)
            if not (found and known and error.param):
                raise
            raise not_one_of(error.param.opts[0], ast.literal_eval(found[1]), tuple(map(str, known))) from None


def examples() -> Text:
    """Return what ``attnviz`` prints without a command."""
    text = Text("attnviz shows where a transformer looks: the attention of every layer and head.\n\n")
    for command, what in EXAMPLES:
        text.append(f"  {what}:\n    ", "dim").append(f"{quoted(command)}\n\n", "bold")
    return text.append(
        "All commands: attnviz --help. The options of one: attnviz show --help. The manual: attnviz help"
    )


def quoted(words: Sequence[str]) -> str:
    """Quote the words as a command line that can be typed."""
    if os.name == "nt":
        return subprocess.list2cmdline(words)
    return " ".join(f'"{word}"' if _simple(word) else shlex.quote(word) for word in words)


def _simple(word: str) -> bool:
    """Whether a text can stand in double quotation marks, which read better."""
    return " " in word and not set(word) & set('"$`\\!')


def nearest(asked: str, known: Mapping[str, str], kind: str, command: str) -> str:
    """Return the value of the name ``asked``, ignoring case.

    Raises:
        UsageError: there is no such name; the hint suggests the nearest.
    """
    if asked.lower() in known:
        return known[asked.lower()]
    near = find_alike(asked, known)
    meant = f"Did you mean this? {command} {known[near[0]]}" if near else f"{command} lists all."
    raise UsageError(f"there is no {kind} {_shown(asked)}", hint=meant)


def _unknown(args: Sequence[str], commands: Iterable[str]) -> UsageError:
    first, *rest = args
    meant = _meant(first, rest, list(commands))
    return UsageError(f"there is no command {_shown(first)}", hint=f"Did you mean this? {quoted(['attnviz', *meant])}")


def _shown(name: str) -> str:
    return repr(name) if len(name) <= _LONG else f"{name[:40]!r}…"


def _meant(first: str, rest: Sequence[str], commands: Sequence[str]) -> list[str]:
    """Return the command line that was probably meant: a mistyped command, a file, or a text to show."""
    if first == "version":
        return ["--version"]
    near = find_alike(first, commands)
    if near:
        return [near[0], *rest]
    if _is_file(first):
        return ["show", "--from" if first.endswith((".json", ".safetensors")) else "--file", first, *rest]
    # Words without quotation marks form one text, up to the first option.
    count = next((i for i, word in enumerate(rest) if word.startswith("-")), len(rest))
    text = " ".join([first, *rest[:count]])
    if len(text) > _LONG or not text.isprintable():
        text = _SENTENCE
    return ["show", text, *rest[count:]]


def _is_file(name: str) -> bool:
    try:
        return Path(name).is_file()
    except (OSError, ValueError):  # too long for a path, or with a NUL in it
        return False
