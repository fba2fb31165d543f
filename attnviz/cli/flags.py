"""Messages of the library name parameters, as `stride`; the command line says them as flags, as --stride."""

from __future__ import annotations

import re
from collections.abc import Mapping

import typer
from typer.main import get_command

_PARAMETER = re.compile("`([a-z][a-z0-9_]*)`")


def with_flags(text: str, flags: Mapping[str, str]) -> str:
    """The text with the flag of each parameter that stands in backquotes; other words in backquotes stay."""
    return _PARAMETER.sub(lambda match: flags.get(match[1], match[0]), text)


def flags_of(app: typer.Typer) -> dict[str, str]:
    """The flags of all commands, by the names of their parameters (``formats``) and by their own (``format``)."""
    flags: dict[str, str] = {}
    for command in getattr(get_command(app), "commands", {}).values():
        for parameter in command.params:
            flag = next((name for name in parameter.opts if name.startswith("--")), None)
            if flag:
                flags |= {parameter.name: flag, flag.removeprefix("--").replace("-", "_"): flag}
    return flags
