from __future__ import annotations

import io
import json
import re
from csv import reader
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import csv

from attnviz.analysis.corpus.metrics import NAMES, Measured, WordLinks
from attnviz.batch.document import Document
from attnviz.batch.output.columns import MEANS, TABLES
from attnviz.batch.output.result import DocumentResult
from attnviz.batch.output.tables import build_tables, table_schema
from attnviz.batch.output.writers import as_csv, as_json_lines, as_parquet
from tests.batch import made
from tests.batch.made import HEADS, LAYERS, TEXT

NASTY = 'a "b",\n=1+1\r\x00\t\\ é 漢 \u2028 </script>'


def test_heads_are_every_figure_of_every_head_under_the_layers_own_numbers() -> None:
    found = [made.found(0), made.found(5)]
    rows = build_tables(found, LAYERS).heads.to_pylist()
    assert len(rows) == 2 * len(LAYERS) * HEADS
    expected = [
        (one.document.number, layer, head, one.measured.figures[i, head])
        for one in found
        if one.measured
        for i, layer in enumerate(LAYERS)
        for head in range(HEADS)
    ]
    for row, (document, layer, head, figures) in zip(rows, expected, strict=True):
        assert (row["document"], row["layer"], row["head"]) == (document, layer, head)
        for name, value in zip(NAMES, figures, strict=True):
            if name in ("sink_position", "received_position", "offset"):
                assert row[name] == int(value)
            else:
                assert row[name] == np.float32(value)


def test_links_name_their_words_and_where_they_stand() -> None:
    # Two documents of different words: those of the second are not looked up among the first's.
    found = [made.found(2), made.found(3, "A river of words")]
    rows = iter(build_tables(found, LAYERS).links.to_pylist())
    for one in found:
        assert one.measured is not None
        assert one.encoding is not None
        links = one.measured.links
        for i in range(len(links)):
            query, key = int(links.query[i]), int(links.key[i])
            assert next(rows) == {
                "document": one.document.number,
                "layer": LAYERS[links.layer[i]],
                "head": links.head[i],
                "query": one.encoding.words[query].text,
                "key": one.encoding.words[key].text,
                "query_position": query,
                "key_position": key,
                "distance": abs(query - key),
                "weight": links.weight[i],
            }
    assert next(rows, None) is None


def test_a_document_is_counted_without_its_special_tokens() -> None:
    one = made.found(4, "the bank the loan", note="read as cp1252", line=9)
    (row,) = build_tables([one], LAYERS).documents.to_pylist()
    assert one.measured is not None
    means = one.measured.figures.reshape(-1, len(NAMES)).mean(0)
    assert row == {
        "document": 4,
        "id": one.document.id,
        "source": "4.txt",
        "row": None,
        "line": 9,
        "status": "ok",
        "reason": None,
        "note": "read as cp1252",
        "characters": 17,
        "words": 4,
        "tokens": 7,
        "special_tokens": 2,
        "distinct_tokens": 4,
        "tokens_per_word": 1.25,
        "windows": 1,
        "seconds": 0.25,
        **{name: pytest.approx(means[NAMES.index(name)], rel=1e-6) for name in MEANS},
    }


def test_what_failed_is_a_row_of_the_documents_alone() -> None:
    unread = DocumentResult(Document(0, "a.gz", None, "", "the file is cut off"))
    long = replace(made.found(1), measured=None, reason="too long", windows=0)
    made_of = build_tables([made.found(2), long, unread], LAYERS)
    rows = made_of.documents.to_pylist()
    assert [row["document"] for row in rows] == [0, 1, 2]
    assert [row["status"] for row in rows] == ["failed", "failed", "ok"]
    assert [row["reason"] for row in rows] == ["the file is cut off", "too long", None]
    assert [row["characters"] for row in rows] == [None, len(TEXT), len(TEXT)]
    assert [row["tokens"] for row in rows] == [None, 8, 8]
    assert rows[1]["entropy"] is None
    assert rows[2]["entropy"] is not None
    assert set(made_of.heads["document"].to_pylist()) == set(made_of.links["document"].to_pylist()) == {2}


@pytest.mark.parametrize("found", [[], [DocumentResult(Document(0, "a", None, "", "empty"))]])
def test_nothing_measured_makes_empty_tables_of_the_same_columns(found: list[DocumentResult]) -> None:
    made_of = build_tables(found, LAYERS)
    assert made_of.documents.num_rows == len(found)
    assert made_of.heads.num_rows == made_of.links.num_rows == 0
    for name, table in made_of.items():
        assert table.schema.equals(table_schema(name), check_metadata=True)


def test_no_links_are_no_rows() -> None:
    one = made.found(0)
    assert one.measured is not None
    none = WordLinks(*(np.empty(0, kind) for kind in ("i2", "i2", "i4", "i4", "f4")))
    assert build_tables([replace(one, measured=Measured(one.measured.figures, none))], LAYERS).links.num_rows == 0


def test_a_figure_that_there_is_not_is_null() -> None:
    one = made.found(0)
    assert one.measured is not None
    one.measured.figures[0, 0, [NAMES.index("cls"), NAMES.index("offset")]] = np.nan
    one.measured.figures[:, :, NAMES.index("punctuation")] = np.nan
    made_of = build_tables([one], LAYERS)
    assert made_of.heads["cls"].null_count == made_of.heads["offset"].null_count == 1
    assert made_of.heads["cls"][0].as_py() is made_of.heads["offset"][0].as_py() is None
    assert made_of.documents["punctuation"].to_pylist() == [None]
    assert made_of.documents["special"].null_count == 0


def test_lone_surrogates_become_the_mark_for_what_can_not_be_shown() -> None:
    one = made.found(0, "\ud800x the\udfff é", source="caf\udce9.txt", note="\ud83d")
    links = replace(one.measured.links, query=np.full(4, 1, np.int32)) if one.measured else None
    assert links is not None
    assert one.measured is not None
    made_of = build_tables([replace(one, measured=replace(one.measured, links=links))], LAYERS)
    assert made_of.documents["source"].to_pylist() == ["caf�.txt"]
    assert made_of.documents["note"].to_pylist() == ["�"]
    assert set(made_of.links["query"].to_pylist()) == {"�x"}
    for table in dict(made_of.items()).values():
        table.validate(full=True)


@pytest.mark.parametrize("kind", TABLES, ids=lambda kind: kind.name)
def test_a_parquet_file_says_what_its_columns_are(kind: Any, tmp_path: Path) -> None:
    table = dict(build_tables([made.found(0)], LAYERS).items())[kind.name]
    path = tmp_path / "a.parquet"
    path.write_bytes(as_parquet(table))
    read = pq.read_schema(path)
    assert read.metadata[b"description"].decode() == f"one row is {kind.row}"
    for column in kind.columns:
        field = read.field(column.name)
        assert field.type == pa.type_for_alias(column.type)
        assert field.metadata[b"unit"].decode() == column.unit
        assert field.metadata[b"meaning"].decode() == column.meaning
    about = pq.ParquetFile(path).metadata.row_group(0)
    assert {about.column(i).compression for i in range(about.num_columns)} == {"ZSTD"}


def _nasty() -> pa.Table:
    odd = made.found(0, note=NASTY)
    return build_tables([odd, DocumentResult(Document(1, "b", 3, "", "is empty"))], LAYERS).documents


def test_csv_gives_back_what_it_was_given(tmp_path: Path) -> None:
    table = _nasty()
    path = tmp_path / "a.csv"
    path.write_bytes(as_csv(table))
    options = csv.ConvertOptions(column_types=table.schema, strings_can_be_null=True, quoted_strings_can_be_null=False)
    parse = csv.ParseOptions(newlines_in_values=True)
    assert csv.read_csv(path, parse_options=parse, convert_options=options).to_pylist() == table.to_pylist()
    notes = duckdb.sql(f"select note from read_csv('{path}') order by document").fetchall()
    assert notes == [(NASTY,), (None,)]


RUN_BY_SPREADSHEETS = (
    "=HYPERLINK(1)", "+1", "-1+cmd|'/C calc'!A0", "@SUM(1)", "\t=1", "\r=1", "\n=1", "＝1", "'=1", "''-1", "-",
)  # fmt: skip
HARMLESS = ("bank", "'s", "''", "'bank'", " =1", "a=b", "", "1-2", "–5")


def test_csv_has_nothing_that_a_spreadsheet_runs_and_the_texts_can_be_had_back() -> None:
    texts = [*RUN_BY_SPREADSHEETS, *HARMLESS, None]
    table = pa.table(
        {"=query": pa.array(texts), "kind": pa.array(texts).dictionary_encode(), "weight": [-0.5] * len(texts)}
    )
    written = bytes(as_csv(table)).decode()
    header, *rows = reader(io.StringIO(written, newline=""))
    assert header == ["'=query", "kind", "weight"]
    assert {row[2] for row in rows} == {"-0.5"}
    for text, (cell, same, _) in zip(texts, rows, strict=True):
        assert cell == same == (f"'{text}" if text in RUN_BY_SPREADSHEETS else text or "")
    undone = [re.sub(r"\A'('*[=+\-@\t\r\n＝＋－＠])", r"\1", row[0]) for row in rows]  # as the README says
    assert undone == [text or "" for text in texts]
    assert [json.loads(line)["=query"] for line in bytes(as_json_lines(table)).splitlines()] == texts


def test_json_lines_give_back_what_they_were_given() -> None:
    made_of = build_tables(
        [made.found(0, note=NASTY), made.found(1), DocumentResult(Document(2, "b", 3, "", "is empty"))], LAYERS
    )
    for table in dict(made_of.items()).values():
        lines = bytes(as_json_lines(table)).split(b"\n")
        assert lines.pop() == b""
        rows = [json.loads(line) for line in lines]
        assert [list(row) for row in rows] == [table.column_names] * len(rows)
        back = pa.Table.from_pylist(rows, schema=table.schema)
        assert back.equals(table)
    assert as_json_lines(made_of.heads.slice(0, 0)) == b""


def test_long_tables_are_turned_into_json_lines_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    table = build_tables([made.found(i) for i in range(4)], LAYERS).links
    whole = as_json_lines(table)
    monkeypatch.setattr("attnviz.batch.output.writers._ROWS", 3)
    assert as_json_lines(table) == whole
    assert whole.count(b"\n") == table.num_rows


def test_parquet_gives_back_what_it_was_given() -> None:
    for table in dict(build_tables([made.found(0), made.found(1)], LAYERS).items()).values():
        assert pq.read_table(io.BytesIO(as_parquet(table))).equals(table)
