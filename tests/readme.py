"""The parts of the README that are generated from the code."""

from __future__ import annotations

import os
import re
import subprocess
import sys

_WIDTH = "96"


def help_of(*commands: str) -> str:
    """The ``--help`` of each command, as Markdown that unfolds."""
    return "\n".join(map(_folded, commands))


def _folded(command: str) -> str:
    title = f"<summary><code>attnviz {command} --help</code></summary>"
    return f"<details>{title}\n\n```text\n{_help(command)}\n```\n\n</details>\n"


def _help(command: str) -> str:
    plain = {name: value for name, value in os.environ.items() if name not in ("FORCE_COLOR", "ATTNVIZ_MODEL")}
    printed = subprocess.run(
        [sys.executable, "-c", "from attnviz.cli.app import app; app(prog_name='attnviz')", command, "--help"],
        env=plain | {"COLUMNS": _WIDTH, "TERM": "dumb", "NO_COLOR": "1", "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=True,
    ).stdout
    return re.sub(r" +$", "", printed, flags=re.MULTILINE).strip("\n")
