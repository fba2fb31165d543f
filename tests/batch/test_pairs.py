"""Pairs of texts: of one input, or of two parallel ones."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from attnviz.batch.input.formats.rows import PAIRS_AS_ONE
from attnviz.batch.input.options import ReadOptions
from attnviz.batch.input.pairs import read_pairs
from attnviz.batch.input.source import read_documents
from attnviz.errors import InputError, UsageError

READING = ReadOptions(field="en", target="de")
PAIRS = [("a dog", "ein Hund"), ("the  house", "das Haus")]


def read(*files: Path, reading: ReadOptions = READING) -> list[tuple[str, str | None, str]]:
    found = list(read_pairs([str(file) for file in files], reading))
    assert [each.number for each in found] == list(range(len(found)))
    return [(each.text, each.target, each.reason) for each in found]


def test_each_format_gives_the_same_pairs(tmp_path: Path) -> None:
    expected = [(*pair, "") for pair in PAIRS]
    (tmp_path / "a.txt").write_text("".join(f"{a} ||| {b}\n" for a, b in PAIRS))
    (tmp_path / "a.csv").write_text("id;de;en\n" + "".join(f"1;{b};{a}\n" for a, b in PAIRS))
    (tmp_path / "a.jsonl").write_text("".join(json.dumps({"en": a, "de": b}) + "\n" for a, b in PAIRS))
    pq.write_table(
        pa.table({"de": [b for _, b in PAIRS], "x": [1, 2], "en": [a for a, _ in PAIRS]}), tmp_path / "a.parquet"
    )
    for name in ("a.txt", "a.csv", "a.jsonl", "a.parquet"):
        assert read(tmp_path / name) == expected, name
    for place, name in enumerate(("corpus.en", "corpus.de")):
        (tmp_path / name).write_text("".join(pair[place] + "\n" for pair in PAIRS))
    assert read(tmp_path / "corpus.en", tmp_path / "corpus.de") == expected


def test_what_can_not_be_read_keeps_its_place(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a ||| b\n\nno bars\na ||| b ||| c\n ||| b\na |||\nx ||| y\n")
    assert [reason for *_, reason in read(tmp_path / "a.txt")] == [
        "", "the line is empty", "the line has ||| 0 times, expected one pair: source ||| target",
        "the line has ||| 2 times, expected one pair: source ||| target", "the source is empty", "the target is empty",
        "",
    ]  # fmt: skip
    (tmp_path / "a.jsonl").write_text(
        '{"en": "a"}\n{"en": "a", "de": 3}\n{"en": "a", "de": ""}\n{"en": "a", "de": "b"}\n'
    )
    assert [reason for *_, reason in read(tmp_path / "a.jsonl")] == [
        "no field 'de': there is en", "the field 'de' has no text", "the target is empty", "",
    ]  # fmt: skip
    (tmp_path / "x").write_text("a\n\nc\n")
    (tmp_path / "y").write_text("1\n2\n\n")
    assert [reason for *_, reason in read(tmp_path / "x", tmp_path / "y")] == [
        "",
        "the line is empty",
        "the line is empty",
    ]


def test_a_table_without_the_column_says_which_there_are(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("en,fr\na,b\n")
    assert "no column 'de': there are en, fr" in read(tmp_path / "a.csv")[0][2]
    pq.write_table(pa.table({"en": ["a"], "de": [1]}), tmp_path / "a.parquet")
    assert "the column 'de' is int64" in read(tmp_path / "a.parquet")[0][2]


def test_parallel_files_have_the_same_lines(tmp_path: Path) -> None:
    for name, lines in (("x", 3), ("y", 5)):
        (tmp_path / name).write_text("word\n" * lines)
    with pytest.raises(InputError, match=r"x has 3 lines and .*y has 5: line 4 has no counterpart"):
        read(tmp_path / "x", tmp_path / "y")
    for files in (["x"] * 2, ["x", "y", "x"], []):
        with pytest.raises(UsageError, match="inputs of pairs are given"):
            read(*(tmp_path / name for name in files))


def test_other_columns_are_kept_and_not_the_texts(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,de,en\n7,b,a\n")
    (found,) = read_pairs([str(tmp_path / "a.csv")], ReadOptions(field="en", target="de", keep=("all",)))
    assert found.kept == {"id": "7"}


def test_pairs_that_are_read_as_texts_are_noted(tmp_path: Path) -> None:
    file = tmp_path / "x.txt"
    file.write_text("The bank ||| the loan\n\nThe loan . ||| . the\n")
    (whole,) = read_documents([str(file)], ReadOptions())
    lines = list(read_documents([str(file)], ReadOptions(split="line")))
    assert [each.note for each in (whole, *lines)] == [PAIRS_AS_ONE] * 3
    assert [each.note for each in read_documents([str(file)], ReadOptions(target="target"))] == ["", ""]
    file.write_text("The bank ||| the loan\nThe loan .\n")
    assert [each.note for each in read_documents([str(file)], ReadOptions())] == [""]
