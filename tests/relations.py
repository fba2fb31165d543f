"""The table of relations of the default model on UD English EWT, as samples/ has it: the manual and a picture show it.

``python -m tests.relations en_ewt-ud-dev.conllu`` asks the model anew; the treebank is at
https://github.com/UniversalDependencies/UD_English-EWT.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import numpy as np

from attnviz.analysis.corpus.relations import COLUMNS
from attnviz.analysis.table import Table
from attnviz.cli.app import app
from attnviz.render.figure import Style, draw_answer, to_png
from attnviz.render.terminal.answer import formatted

SAMPLES = Path(__file__).parent.parent / "samples"
TABLE, PICTURE = SAMPLES / "relations.csv", SAMPLES / "relations.png"
_SHOWN = 12


def table() -> Table:
    """The table that ``attnviz relations en_ewt-ud-dev.conllu -o samples/relations.csv`` wrote."""
    with TABLE.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    kinds = {"text": object, "count": np.int64}
    values = {
        each.name: np.array([row[each.name] for row in rows], object).astype(kinds.get(each.kind, np.float64))
        for each in COLUMNS
    }
    about = {"model": "sentence-transformers/all-MiniLM-L6-v2"}
    return Table("relations", "Which head knows which relation?", COLUMNS, values, "margin", about)


def markdown() -> str:
    """The first rows as Markdown."""
    names = ("relation", "head", "direction", "accuracy", "95 %", "baseline", "offset", "count")
    lines = [f"| {' | '.join(names)} |", "|---" * len(names) + "|"]
    for row in table().top(_SHOWN).rows():
        shares = {name: f"{100 * row[name]:.1f}" for name in ("accuracy", "low", "high", "baseline")}
        cells = (
            f"`{row['relation']}`", f"L{row['layer']} H{row['head']}", row["direction"], f"{shares['accuracy']} %",
            f"{shares['low']}–{shares['high']}", f"{shares['baseline']} %", f"{row['offset']:g}".replace("-", "−"),
            formatted(row["count"], "count"),
        )  # fmt: skip
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def picture() -> bytes:
    """The picture of all rows."""
    return to_png(draw_answer(table(), Style(dpi=110)))


def make() -> None:
    """Ask the model anew where a treebank is given, and draw the table."""
    if sys.argv[1:]:
        app(["relations", *sys.argv[1:], "-o", str(TABLE), "--force"], standalone_mode=False)
    PICTURE.write_bytes(picture())


if __name__ == "__main__":
    make()
