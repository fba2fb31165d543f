"""The parts of the README and of the manual that are generated from the code; run as a module, it writes them anew."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from cogapp import Cog

from attnviz.analysis.corpus.roles import ROLES
from attnviz.checkpoint.gguf.architectures import ARCHITECTURES
from attnviz.cli.app import app
from attnviz.manual import CHAPTERS, FOLDER, chapter
from attnviz.model.listing import list_families
from attnviz.model.toured import read_tour
from attnviz.record.schemas import schema_text

ROOT = Path(__file__).parent.parent
PAGES = (ROOT / "README.md", *(FOLDER / f"{name}.md" for name in CHAPTERS))
"""All pages that have generated parts."""
LLMS = FOLDER / "llms.txt"
PARITY = Path(__file__).parent / "model" / "parity.json"
_WIDTH = "96"
_TOLD = ("I want", "How to read it")
"""The sections of the README that ``llms.txt`` has too."""


def help_of(*commands: str) -> str:
    """The ``--help`` of each command, as Markdown."""
    return "\n".join(f"### attnviz {command}\n\n```text\n{_printed(command, '--help')}\n```\n" for command in commands)


def sizing(*given: str) -> str:
    """What ``cost`` prints, without the lines that depend on the machine."""
    printed = _printed("cost", *given, "--no-measure")
    return re.sub(r"^  (?:a worker|free memory|time) .*\n(?:   {10,}.*\n)*", "", printed, flags=re.MULTILINE)


def printed(*arguments: str, lines: slice = slice(None)) -> str:
    """A command and what it prints, as Markdown; of many lines some."""
    command = " ".join(f'"{each}"' if " " in each else each for each in arguments)
    shown = "\n".join(_printed(*arguments).splitlines()[lines])
    return f"```text\n$ attnviz {command}\n{shown}\n```"


BANK = (ROOT / "samples" / "bank.txt").read_text().strip()
RIVER = "The bank flooded the meadow because the river had strong currents."
"""A sentence of the other bank, word beside word."""


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
    for row in list_families():
        names = ", ".join(f"`{name}`" for name in (row.name, *row.aliases))
        inside = f"; the text of {', '.join(f'`{larger}`' for larger in row.inside)}" if row.inside else ""
        lines.append(f"| {names} | {row.about}{inside} |")
    return "\n".join(lines)


def types() -> str:
    """How the model types of text run, by initial, as the tour of the tests found, and what is to be known of them."""
    tour = read_tour()
    head = ["", *(f"{way} ({len(kinds)})" for way, kinds in tour.types.items())]
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for initial in sorted({kind[0] for kinds in tour.types.values() for kind in kinds}):
        cells = (", ".join(f"`{kind}`" for kind in kinds if kind[0] == initial) for kinds in tour.types.values())
        lines.append(f"| {' | '.join((f'**{initial.upper()}**', *cells))} |")
    for way, what in (("observed", "what it hands in"), ("refused", "why")):
        said = (
            f"| `{kind}` | {words or 'a weight for each query and key'} |" for kind, words in tour.types[way].items()
        )
        lines += ["", f"| {way} | {what} |", "|---|---|", *said]
    return "\n".join(lines)


def toured() -> str:
    """Of how many types and of which transformers the tour was."""
    tour = read_tour()
    return f"{tour.count} types of text models of transformers {tour.transformers}"


def gguf_architectures() -> str:
    """The architectures of GGUF files that run native, under GGUF's names."""
    return ", ".join(f"`{name}`" for name in ARCHITECTURES) + "."


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


def names(document: str, part: str = "") -> str:
    """The names of a JSON document, or of a ``part`` of it, as a table: what its schema says of each."""
    found = json.loads(schema_text(document))
    properties = (found["$defs"][part] if part else found)["properties"]
    rows = (f"| `{name}` | {_described(each, found)} |" for name, each in properties.items())
    return "\n".join(["| name | what |", "|---|---|", *rows])


def _described(of: dict[str, Any], found: dict[str, Any]) -> str:
    said = of.get("description") or found["$defs"][of["$ref"].rpartition("/")[2]]["description"]
    return str(said).replace("|", "\\|")


def section(name: str, title: str) -> str:
    """A section of a chapter, for the README: its links lead where they lead there."""
    text = f"## {title}\n" + chapter(name).text.split(f"\n## {title}\n")[1].split("\n## ")[0].rstrip()
    return re.sub(r"\]\((\w+\.md)", r"](attnviz/manual/\1", text)


def chapters(folder: str = "attnviz/manual/") -> str:
    """The chapters as a list: title and summary."""
    found = map(chapter, CHAPTERS)
    return "\n".join(f"- [{each.title}]({folder}{each.name}.md): {each.summary}" for each in found)


def llms() -> str:
    """What ``llms.txt`` says (llmstxt.org): what attnviz is, how it is called, and where to read on."""
    page = (ROOT / "README.md").read_text(encoding="utf-8").replace("](attnviz/manual/", "](")
    name, about, *_ = page.split("\n\n")
    told = [f"## {title}{page.split(f'## {title}')[1].split('| all heads')[0].split('More: ')[0]}" for title in _TOLD]
    commands = (
        f"- `attnviz {command.name}`: {(command.callback.__doc__ or '').splitlines()[0]}"
        for command in app.registered_commands
        if command.callback
    )
    return "\n".join(
        [
            f"{name}\n\n> {' '.join(about.split())}\n",
            *told,
            "## Commands\n",
            *commands,
            "\n## Manual\n",
            chapters(""),
            "",
        ]
    ).replace("\n\n\n", "\n\n")


def write() -> None:
    """Write all generated parts anew."""
    Cog().main(["cog", "-r", *map(str, PAGES)])
    LLMS.write_text(llms(), encoding="utf-8")


if __name__ == "__main__":
    write()
