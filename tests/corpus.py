"""The corpus of samples/ in the tables of ``attnviz batch``, and the README's queries on them."""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path

import duckdb

from attnviz.cli.app import app

ROOT = Path(__file__).parent.parent
CORPUS = "samples/corpus/"

QUESTIONS = {
    "Which words look at *loan*?": """
SELECT lower(query) AS word, count(DISTINCT document) AS documents,
       round(avg(weight), 2) AS mean, round(max(weight), 2) AS strongest
FROM 'results/links.parquet/*.parquet'
WHERE lower(key) = 'loan'
GROUP BY word ORDER BY documents DESC, mean DESC LIMIT 5;
""",
    "Which head has the longest links, of those with twenty or more?": """
SELECT layer, head, count(*) AS links,
       round(avg(distance), 1) AS words_apart, max(distance) AS longest
FROM 'results/links.parquet/*.parquet'
GROUP BY layer, head HAVING links >= 20
ORDER BY words_apart DESC LIMIT 5;
""",
    "Which bank is it? Where *bank* looks at *river*, and in which head most:": """
SELECT source, line, max(weight) AS weight,
       arg_max(concat('L', layer, ' H', head), weight) AS head
FROM 'results/links.parquet/*.parquet'
JOIN 'results/documents.parquet/*.parquet' USING (document)
WHERE lower(query) = 'bank' AND lower(key) = 'river'
GROUP BY source, line ORDER BY weight DESC LIMIT 5;
""",
}
"""Questions, and the queries that answer them from the tables in results/."""


def analyse(folder: Path) -> None:
    """Run the README's first command with the output ``results`` in a folder."""
    with contextlib.chdir(ROOT):  # sources are named as they are given
        app(["batch", CORPUS, "--output", str(folder / "results"), "--quiet", "--check", "none"], standalone_mode=False)


def questions() -> str:
    """Return every question as Markdown: its query and its answer."""
    with tempfile.TemporaryDirectory() as folder:
        analyse(Path(folder))
        shown = (
            f"{question}\n\n```sql{query}```\n\n{answer(query, Path(folder))}" for question, query in QUESTIONS.items()
        )
        return "\n\n".join(shown)


def answer(query: str, folder: Path) -> str:
    """Return the result of a query on the ``results`` in a folder, as a table."""
    with duckdb.connect() as connection:
        found = connection.execute(query.replace("'results/", f"'{folder}/results/"))
        names = [each[0] for each in found.description]
        rows = [[_cell(value) for value in row] for row in found.fetchall()]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [names, ["---"] * len(names), *rows])


def _cell(value: object) -> str:
    if value is None:
        return ""
    return f"{round(value, 2):g}" if isinstance(value, float) else str(value)
