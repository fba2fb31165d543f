from __future__ import annotations

import io
import json
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from attnviz.analysis.corpus.accumulation import AMOUNTS, Collector, Corpus
from attnviz.analysis.corpus.metrics import METRICS
from attnviz.batch.output.summary import add_part, summary_files
from attnviz.render.about import About
from tests.analysis.corpora import HEADS, LAYERS, Figures, Row, corpus, figures
from tests.schemas import validate

ABOUT = About("maker/mini", "native", "float32", ("docs/",), options={"top": "8"}, seconds=2.0)
HEADS_OF_ALL = len(LAYERS) * HEADS


@pytest.fixture
def no_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    """What takes most of the time is left out."""
    monkeypatch.setattr("attnviz.render.figure.to_png", lambda _: b"")


def documents_table(reasons: list[str | None], first: int = 0) -> pa.Table:
    count = len(reasons)
    return pa.table(
        {
            "document": pa.array(range(first, first + count), pa.int64()),
            "source": pa.array(["a.txt"] * count).dictionary_encode(),
            "line": pa.array([None, *range(2, count + 1)], pa.int64()),
            "row": pa.array([None, *range(1, count)], pa.int64()),
            "reason": pa.array(reasons, pa.string()),
            "note": pa.array([None] * count, pa.string()),
            "words": pa.array([None if reason else 20 for reason in reasons], pa.int64()),
            "tokens": pa.array([None if reason else 24 for reason in reasons], pa.int64()),
            "special_tokens": pa.array([None if reason else 2 for reason in reasons], pa.int64()),
        }
    )


def heads_table(found: Figures) -> pa.Table:
    columns: dict[str, pa.Array] = {}
    for metric in METRICS:
        kind = pa.int32() if metric.kind == "position" else pa.float32()
        columns[metric.name] = pa.array(found[metric.name].ravel(), from_pandas=True).cast(kind)
    return pa.table(columns)


def links_table(rows: list[Row], dictionary: bool = True) -> pa.Table:
    columns = list(zip(*rows, strict=True)) or [()] * 7
    words = [pa.array(column, pa.string()) for column in columns[3:5]]
    query, key = (each.dictionary_encode() if dictionary else each for each in words)
    document, layer, head, distance = (pa.array(columns[i], pa.int32()) for i in (0, 1, 2, 5))
    weight = pa.array(columns[6], pa.float32())
    ends = {"query": query, "key": key, "distance": distance, "weight": weight}
    return pa.table({"document": document.cast(pa.int64()), "layer": layer.cast(pa.int16()), "head": head, **ends})


def json_of(found: Corpus) -> dict[str, Any]:
    def no_constant(name: str) -> None:
        raise AssertionError(f"{name} is no JSON")

    document = json.loads(summary_files(found, ABOUT)["summary.json"], parse_constant=no_constant)
    assert isinstance(document, dict)
    return document


@pytest.mark.parametrize("dictionary", [True, False])
def test_parts_of_tables_are_collected(dictionary: bool) -> None:
    collector = Collector(LAYERS, HEADS)
    found = figures(3, entropy=1.5)
    found["duplicate"][1] = np.nan
    found["received_position"][0, 0, 0] = np.nan
    rows: list[Row] = [(0, 3, 1, "loan", "bank", 4, 0.5), (2, 1, 1, "bank", "loan", 2, 0.25)]
    add_part(collector, documents_table([None, "empty", None]), heads_table({k: v[:2] for k, v in found.items()}),
             links_table(rows, dictionary))  # fmt: skip
    more: list[Row] = [(3, 3, 2, "Loan", "bank", 9, 0.75)]
    add_part(collector, documents_table([None], 3), heads_table({k: v[2:] for k, v in found.items()}),
             links_table(more, dictionary))  # fmt: skip
    corpus = collector.corpus()
    counts = corpus.counts
    assert (counts.documents, counts.failed, counts.words, counts.tokens, counts.links) == (4, 1, 60, 72, 3)
    np.testing.assert_allclose(corpus.figures["entropy"].mean, 1.5)
    np.testing.assert_allclose(corpus.figures["sink"].mean, found["sink"].mean(0), rtol=1e-6)
    assert (corpus.figures["duplicate"].count == 2).all()
    assert corpus.modes["received_position"].documents[0, :2].tolist() == [2, 3]
    best = corpus.typical[0]
    assert (best.strongest.query, best.strongest.key, best.documents, best.weight) == ("Loan", "bank", 2, 0.625)
    assert corpus.longest[0].distance == 9
    assert [(each.text, each.first.document, each.first.line) for each in corpus.failures] == [("empty", 1, 2)]


def test_parts_without_links_or_of_failures_only_are_parts_too() -> None:
    collector = Collector(LAYERS, HEADS)
    add_part(collector, documents_table(["empty", "empty"]), heads_table(figures(0)), links_table([]))
    assert collector.corpus().counts.failed == 2


@pytest.mark.usefixtures("no_picture")
def test_the_json_keeps_its_schema_and_has_the_numbers() -> None:
    rows: list[Row] = [(i, 1, 2, "loan", "bank", 3, 0.5) for i in range(5)]
    document = json_of(corpus(30, rows, sink=0.7, duplicate=np.nan))
    validate(document, "batch")
    assert document["metrics"]["sink"]["mean"] == [[0.7] * HEADS] * len(LAYERS)
    assert document["metrics"]["duplicate"]["mean"][0][0] is None
    assert document["metrics"]["duplicate"]["count"][0][0] == 0
    assert set(document["metrics"]) == {metric.name for metric in AMOUNTS}
    roles = {role["role"]: role for role in document["roles"]}
    assert (roles["sink"]["threshold"], len(roles["sink"]["heads"])) == (0.3, HEADS_OF_ALL)
    assert roles["induction"]["scores"] is None
    assert document["typical_links"][0]["documents"] == 5
    assert document["places"]["offset"]["place"][0][0] == -1
    assert document["run"]["model"] == "maker/mini"


def test_an_empty_corpus_has_all_files() -> None:
    files = summary_files(Collector(LAYERS, HEADS).corpus(), ABOUT)
    assert list(files) == ["summary.json", "summary.parquet", "heads.png", "report.html"]
    validate(json.loads(files["summary.json"]), "batch")
    assert files["heads.png"].startswith(b"\x89PNG")
    assert b"in 0 documents" in files["report.html"]


@pytest.mark.usefixtures("no_picture")
def test_the_table_has_a_row_for_each_head_and_figure() -> None:
    found = corpus(30, entropy=1.25, duplicate=np.nan)
    table = pq.read_table(io.BytesIO(summary_files(found, ABOUT)["summary.parquet"]))
    rows = table.to_pylist()
    assert len(rows) == HEADS_OF_ALL * (len(AMOUNTS) + 1)
    assert [row["layer"] for row in rows[:: HEADS * (len(AMOUNTS) + 1)]] == list(LAYERS)
    by_place = {(row["layer"], row["head"], row["metric"]): row for row in rows}
    entropy = by_place[3, 2, "entropy"]
    assert (entropy["count"], entropy["mean"], entropy["unit"]) == (30, 1.25, "nats")
    for name in ("sink", "confidence", "offset_share"):
        for (layer, head), mean in np.ndenumerate(found.figures[name].mean):
            assert by_place[LAYERS[layer], head, name]["mean"] == mean
    sink = by_place[1, 3, "sink"]
    assert sink["q05"] <= sink["q25"] <= sink["q50"] <= sink["q75"] <= sink["q95"]
    assert (sink["min"], sink["max"]) == (found.figures["sink"].minimum[1, 3], found.figures["sink"].maximum[1, 3])
    missing = by_place[0, 0, "duplicate"]
    assert (missing["count"], missing["mean"], missing["min"]) == (0, None, None)


@pytest.mark.usefixtures("no_picture")
def test_the_tables_schema_says_what_its_columns_and_figures_are() -> None:
    schema = pq.read_schema(io.BytesIO(summary_files(corpus(3), ABOUT)["summary.parquet"]))
    assert all(field.metadata[b"meaning"] for field in schema)
    assert "Clark" in schema.metadata[b"entropy"].decode()


def test_the_files_are_the_same_each_time() -> None:
    once, again = (summary_files(corpus(5, layers=1), ABOUT) for _ in range(2))
    assert once == again


@pytest.mark.usefixtures("no_picture")
def test_text_that_utf_8_can_not_write_is_written_all_the_same() -> None:
    rows: list[Row] = [(0, 1, 2, "lo\ud800an", "bank", 3, 0.5)]
    files = summary_files(corpus(5, rows), ABOUT)
    assert "lo" in json.loads(files["summary.json"])["typical_links"][0]["strongest"]["query"]
    assert b"bank" in files["report.html"]
