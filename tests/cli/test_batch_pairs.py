from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq

from tests.batch.test_crossing import PAIRS
from tests.cli.conftest import Run


def test_a_run_over_pairs_writes_their_tables(run: Run, tiny_t5: Path, tmp_path: Path) -> None:
    rows = [{"id": i, "text": text, "de": target} for i, (text, target) in enumerate(PAIRS)]
    rows.append({"id": 3, "text": "no target", "de": ""})
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    given = (
        "batch",
        tmp_path / "a.jsonl",
        "--target-field",
        "de",
        "-o",
        tmp_path / "out",
        "-m",
        tiny_t5,
        "--keep",
        "all",
    )
    result = run(*given, "--quiet")
    assert result.code == 6, result.err
    tables = {name: pq.read_table(tmp_path / "out" / f"{name}.parquet") for name in ("documents", "heads", "links")}
    documents = tables["documents"].to_pylist()
    assert [row["reason"] for row in documents] == [None, None, None, "the target is empty"]
    assert "input_id" in documents[0]
    assert "de" not in documents[0]
    assert tables["heads"].num_rows == 3 * 2 * 4
    links = tables["links"].to_pylist()
    assert {row["query"] for row in links if row["document"] == 1} <= {"the", "loan"}
    assert {row["key"] for row in links if row["document"] == 1} <= {"river", "bank"}
    assert {row["distance"] for row in links} == {None}
    about = json.loads((tmp_path / "out" / "run.json").read_text())
    assert about["facts"]["check"]["documents"] == 3
    assert about["facts"]["check"]["failed"] == []
    other = run("batch", tmp_path / "a.jsonl", "-o", tmp_path / "out", "-m", tiny_t5, "--keep", "all", "--quiet")
    assert other.code == 2
    assert "target_field" in other.err or "--target-field" in other.err
