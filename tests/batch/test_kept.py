"""The columns of the input that are kept, and where a document stands."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from attnviz.batch.engine.job import run_job
from attnviz.batch.input.keeping import kept_columns
from attnviz.batch.input.options import ReadOptions
from attnviz.batch.input.source import read_documents
from attnviz.batch.kept import KeptColumn
from attnviz.batch.output.columns import DOCUMENTS
from attnviz.batch.output.result import DocumentResult
from attnviz.batch.output.tables import build_tables
from attnviz.errors import UsageError
from tests.batch.jobs import Seen, facts, job, table, without_picture

ALL = ("all",)


def kept(documents: Any, reading: ReadOptions) -> tuple[KeptColumn, ...]:
    return kept_columns(documents, reading, [column.name for column in DOCUMENTS.columns])


def read(path: Path, *keep: str, **options: Any) -> Any:
    return list(read_documents([str(path)], ReadOptions(keep=keep, **options)))


def written(path: Path, text: str) -> Path:
    path.write_bytes(text.encode())
    return path


def test_a_row_has_the_line_that_an_editor_shows(tmp_path: Path) -> None:
    cells = 'text,n\r\nfirst,1\r\n"two\r\nlines",2\r\n\r\nlast,3\r\nbroken\r\n'
    expected = [(1, 2), (2, 3), (3, 6), (4, 7)]
    for name, data in (("a.csv", cells.encode()), ("a.csv.gz", gzip.compress(cells.encode()))):
        tmp_path.joinpath(name).write_bytes(data)
        assert [(each.row, each.line) for each in read(tmp_path / name)] == expected
    lines = written(tmp_path / "a.txt", "\r\none\n\n\rtwo\u2028still two\n")
    assert [(each.row, each.line, each.where) for each in read(lines, split="line")] == [
        (1, 2, f"{lines}:2"),
        (2, 5, f"{lines}:5"),
    ]
    assert [(each.row, each.line) for each in read(lines)] == [(None, None)]
    objects = written(tmp_path / "a.jsonl", '\n{"text": "a"}\n\n[]\n')
    assert [(each.row, each.line) for each in read(objects)] == [(1, 2), (2, 4)]
    bank = written(tmp_path / "a.conllu", "\n# sent_id = s1\n1\ta\n\n# sent_id = s2\n# text = b c\n1\tb\n2\tc\n")
    assert [(each.row, each.line) for each in read(bank)] == [(1, 2), (2, 5)]
    assert [dict(each.kept) for each in read(bank, "all")] == [{"sent_id": "s1"}, {"sent_id": "s2"}]
    pq.write_table(pa.table({"text": ["a", "b"]}), tmp_path / "a.parquet")
    found = read(tmp_path / "a.parquet")
    assert [(each.row, each.line) for each in found] == [(1, None), (2, None)]
    assert found[1].where.endswith("a.parquet, row 2")


JSON = [
    {"text": "a", "n": 1, "x": 1, "ok": True, "id": 7, "of": {"b": [1]}, "mixed": 1, "none": None},
    {"text": "b", "n": None, "x": 0.5, "ok": False, "id": 8, "of": [2], "mixed": "one"},
]


def test_types_are_those_of_the_first_documents(tmp_path: Path) -> None:
    path = written(tmp_path / "a.jsonl", "".join(f"{json.dumps(each)}\n" for each in JSON))
    found = read(path, "all")
    assert kept(found, ReadOptions(keep=ALL)) == (
        KeptColumn("n", "n", "int64"),
        KeptColumn("x", "x", "double"),
        KeptColumn("ok", "ok", "bool"),
        KeptColumn("id", "input_id", "int64"),
        KeptColumn("of", "of", "string"),
        KeptColumn("mixed", "mixed", "string"),
        KeptColumn("none", "none", "string"),
    )
    assert kept(read(path, "text", "id"), ReadOptions(keep=("text", "id"))) == (
        KeptColumn("text", "text", "string"),
        KeptColumn("id", "input_id", "int64"),
    )
    with pytest.raises(
        UsageError, match="`keep` names 'ticket': there is no such column in the first 2 documents"
    ) as error:
        kept(read(path, "ticket"), ReadOptions(keep=("ticket",)))
    assert error.value.hint == "There are: text, n, x, ok, id, of, mixed, none."


def test_a_table_keeps_its_types(tmp_path: Path) -> None:
    when = datetime(2024, 5, 1, 12, tzinfo=UTC)
    columns = {
        "text": ["a", "b"],
        "Line": pa.array([1, None], pa.int32()),
        "line": ["x", "y"],
        "when": pa.array([when, None], pa.timestamp("ns", "UTC")),
        "day": [date(2024, 5, 1), None],
        "price": [Decimal("1.50"), None],
        "kind": pa.array(["p", "q"]).dictionary_encode(),
    }
    pq.write_table(pa.table(columns), tmp_path / "a.parquet")
    found = read(tmp_path / "a.parquet", "all")
    types = {each.column: each.type for each in kept(found, ReadOptions(keep=ALL))}
    assert types == {
        "input_Line": "int64",
        "input_input_line": "string",
        "when": "timestamp[us, tz=UTC]",
        "day": "date32",
        "price": "string",
        "kind": "string",
    }


def test_odd_names_and_values_are_kept_as_they_can_be(tmp_path: Path) -> None:
    deep = "[" * 900 + "]" * 900
    text = f'{{"text": "a", "": 1, "\\ud800": "\\udfff", "deep": {deep}, "ID": 1, "big": {2**70}, "x": NaN}}\n'
    found = read(written(tmp_path / "a.jsonl", text), "all")
    columns = kept(found, ReadOptions(keep=ALL))
    assert [(each.column, each.type) for each in columns] == [
        ("input_", "int64"),
        ("\ufffd", "string"),
        ("deep", "string"),
        ("input_ID", "int64"),
        ("big", "string"),
        ("x", "double"),
    ]
    row = build_tables([DocumentResult(found[0], reason="not read")], (0,), columns).documents.to_pylist()[0]
    assert (row["\ufffd"], row["input_"], row["big"], row["x"]) == ("\ufffd", 1, str(2**70), None)
    days = pa.array([10**7, 1], pa.date32())
    pq.write_table(pa.table({"text": ["a", "b"], "day": days}), tmp_path / "a.parquet")
    assert [each.kept["day"] for each in read(tmp_path / "a.parquet", "day")][1] == "1970-01-02"
    cells = written(tmp_path / "a.csv", "text,a,a,\nx,1,2,3\n")
    assert dict(read(cells, "all")[0].kept) == {"a": "1", "a_3": "2", "": "3"}


def test_the_columns_are_in_the_table_of_documents(
    tiny_bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_picture(monkeypatch)
    rows = [{"text": "a bank", "ticket": f"T{i}", "priority": i} for i in range(5)]
    rows[3] = {"text": "", "ticket": "T3", "priority": "high", "late": 1}
    del rows[4]["ticket"]
    path = written(tmp_path / "a.jsonl", "".join(f"{json.dumps(each)}\n" for each in rows))
    out = tmp_path / "out"
    asked = job(path, out, tiny_bert, reading=ReadOptions(keep=ALL), chunk=2, formats=("csv", "jsonl"))
    run_job(asked, Seen())
    found = table(out, "documents")
    assert found["ticket"].to_pylist() == ["T0", "T1", "T2", "T3", None]
    assert found["priority"].to_pylist() == [0, 1, 2, None, 4]
    assert found["note"].to_pylist()[3] == (
        "priority is not kept: high is no int64; not kept, since the first documents have no such columns: late"
    )
    assert found.schema.field("ticket").metadata[b"meaning"] == b"the column ticket of the input"
    assert facts(out)["options"]["keep"] == ["all"]
    first = json.loads(out.joinpath("documents.jsonl/part-00000000.jsonl").read_text().splitlines()[0])
    assert (first["ticket"], first["priority"], first["row"], first["line"]) == ("T0", 0, 1, 1)
    parts = sorted(out.glob("*.parquet/*"))
    before = [part.read_bytes() for part in parts]
    run_job(asked, Seen())
    assert [part.read_bytes() for part in parts] == before
    with pytest.raises(UsageError, match="`keep` was all, is ticket"):
        run_job(replace(asked, reading=ReadOptions(keep=("ticket",))), Seen())
    written(path, path.read_text().replace("T1", "T9"))
    with pytest.raises(UsageError, match="the texts are not those"):
        run_job(asked, Seen())


def test_of_plain_text_nothing_can_be_kept(tiny_bert: Path, tmp_path: Path) -> None:
    path = written(tmp_path / "a.txt", "a bank\n")
    with pytest.raises(UsageError, match="`keep` names 'ticket'") as error:
        run_job(job(path, tmp_path / "out", tiny_bert, reading=ReadOptions(keep=("ticket",))), Seen())
    assert error.value.hint == "There are: none, as in plain text."
    assert not tmp_path.joinpath("out").exists()
