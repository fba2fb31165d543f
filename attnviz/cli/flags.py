"""Replace parameter names in messages of the library (`stride`) with the command line's flags (--stride)."""

from __future__ import annotations

import re
from collections.abc import Mapping

_PARAMETER = re.compile("`([a-z][a-z0-9_]*)`")


def with_flags(text: str, flags: Mapping[str, str]) -> str:
    """Return ``text`` with the flag of each parameter in backquotes; other words in backquotes are unchanged."""
    return _PARAMETER.sub(lambda match: flags.get(match[1], match[0]), text)


def flags_of(group: object) -> dict[str, str]:
    """Return the flags of all commands, by their parameters' names (``formats``) and by their own (``format``)."""
    flags: dict[str, str] = {}
    for command in getattr(group, "commands", {}).values():
        for parameter in command.params:
            flag = next((name for name in parameter.opts if name.startswith("--")), None)
            if flag:
                flags |= {parameter.name: flag, flag.removeprefix("--").replace("-", "_"): flag}
    return flags
