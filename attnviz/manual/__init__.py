"""The chapters of the manual: Markdown, shown by ``attnviz help`` and on the project's page."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

CHAPTERS = (
    "reading",
    "explore",
    "commands",
    "answers",
    "effects",
    "pictures",
    "long",
    "corpora",
    "cluster",
    "models",
    "python",
    "json",
    "check",
    "speed",
    "developers",
)
"""The names of all chapters, in the order in which they are read."""
FOLDER = Path(__file__).parent
_GENERATOR = re.compile(r"<!-- \[\[\[.*?\]\]\] -->\n|<!-- \[\[\[end\]\]\] -->\n?", re.DOTALL)
"""The comments around what is generated."""


@dataclass(frozen=True)
class Chapter:
    """A chapter: its Markdown ``text`` begins with the ``title``, then a ``summary`` of one sentence."""

    name: str
    title: str
    summary: str
    text: str


def chapter(name: str) -> Chapter:
    """Read one of ``CHAPTERS``."""
    text = _GENERATOR.sub("", (FOLDER / f"{name}.md").read_text(encoding="utf-8"))
    title, summary, _ = text.split("\n\n", 2)
    return Chapter(name, title.removeprefix("# "), " ".join(summary.split()), text)
