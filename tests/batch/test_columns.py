from __future__ import annotations

import subprocess
import sys

from attnviz.analysis.corpus.metrics import METRICS, NAMES
from attnviz.batch.output.columns import DOCUMENTS, HEADS, LINKS, MEANS, TABLES, columns_as_markdown


def test_every_metric_is_a_column_of_the_heads() -> None:
    assert [column.name for column in HEADS.columns] == ["document", "layer", "head", *NAMES]
    types = {metric.name: column.type for metric, column in zip(METRICS, HEADS.columns[3:], strict=True)}
    assert types["sink_position"] == types["offset"] == "int32"
    assert types["entropy"] == "float32"


def test_documents_have_the_means_of_figures_that_have_a_unit() -> None:
    assert set(MEANS) < {column.name for column in DOCUMENTS.columns}
    amounts = {metric.name for metric in METRICS if metric.kind == "amount"}
    assert set(MEANS) <= amounts


def test_every_column_says_what_it_is_once() -> None:
    for kind in TABLES:
        assert len({column.name for column in kind.columns}) == len(kind.columns)
        assert all(column.meaning for column in kind.columns)


def test_the_markdown_has_a_table_each_and_a_row_a_column() -> None:
    text = columns_as_markdown()
    rows = [line for line in text.splitlines() if line.startswith("| `")]
    assert len(rows) == sum(len(kind.columns) for kind in TABLES)
    assert (
        "| `distance` | int32 | words | \\|query_position − key_position\\|; null between the two texts of a pair |"
        in rows
    )
    assert f"`links`: one row is {LINKS.row}\n\n| column | type | unit | what |\n|---|---|---|---|\n" in text
    cells = {row.replace("\\|", "").count("|") for row in rows}
    assert cells == {5}


def test_arrow_is_not_loaded_to_describe_the_columns() -> None:
    code = "import sys, attnviz.batch.output.columns as c; c.columns_as_markdown(); sys.exit('pyarrow' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
