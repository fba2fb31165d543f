"""The parts of the README that are generated from the code."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

from attnviz.analysis.corpus.roles import ROLES
from attnviz.model.overview import rows

PARITY = Path(__file__).parent / "model" / "parity.json"
_WIDTH = "96"


def help_of(*commands: str) -> str:
    """The ``--help`` of each command, as Markdown that unfolds."""
    return "\n".join(map(_folded, commands))


def _folded(command: str) -> str:
    title = f"<summary><code>attnviz {command} --help</code></summary>"
    return f"<details>{title}\n\n```text\n{_printed(command, '--help')}\n```\n\n</details>\n"


def sizing(*given: str) -> str:
    """What ``cost`` prints, without the lines that depend on the machine."""
    printed = _printed("cost", *given, "--no-measure")
    return re.sub(r"^  (?:a worker|free memory|time) .*\n(?:   {10,}.*\n)*", "", printed, flags=re.MULTILINE)


def _printed(*arguments: str) -> str:
    plain = {name: value for name, value in os.environ.items() if name not in ("FORCE_COLOR", "ATTNVIZ_MODEL")}
    printed = subprocess.run(
        [sys.executable, "-c", "from attnviz.cli.app import app; app(prog_name='attnviz')", *arguments],
        env=plain | {"COLUMNS": _WIDTH, "TERM": "dumb", "NO_COLOR": "1", "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=True,
    ).stdout
    return re.sub(r" +$", "", printed, flags=re.MULTILINE).strip("\n")


def families() -> str:
    """The native families as a table: model types, and what each is."""
    lines = ["| `model_type` | what it is |", "|---|---|"]
    for row in rows():
        names = ", ".join(f"`{name}`" for name in (row.name, *row.aliases))
        lines.append(f"| {names} | {row.about} |")
    return "\n".join(lines)


def roles() -> str:
    """The roles of heads as a table: what each goes by, and from which score on a head has it."""
    lines = ["| role | score | threshold | of |", "|---|---|---|---|"]
    lines += [f"| {role.name} | {role.score} | {role.rule} | {role.source or 'attnviz'} |" for role in ROLES]
    return "\n".join(lines)


def parity() -> str:
    """What the parity tests found when they last ran with ``--report``: a row for each family."""
    lines = ["| family | compared | max \\|Δ\\| float32 | float64 |", "|---|---|---|---|"]
    found = json.loads(PARITY.read_text(encoding="utf-8"))
    for family, variants in found.items():
        largest = [max(apart[dtype] for apart in variants.values()) for dtype in ("float32", "float64")]
        numbers = " | ".join(f"{number:.1e}" if number else "0" for number in largest)
        lines.append(f"| `{family}` | {'; '.join(variants)} | {numbers} |")
    return "\n".join(lines)


def compared() -> str:
    """How many families, variants, and how far apart at most."""
    found = json.loads(PARITY.read_text(encoding="utf-8"))
    every = [apart for variants in found.values() for apart in variants.values()]
    single, double = (max(apart[dtype] for apart in every) for dtype in ("float32", "float64"))
    return f"{len(found)} families, {len(every)} variants: at most {single:.1e} in float32, {double:.1e} in float64."
