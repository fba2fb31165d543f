"""The documents of one file, in every format."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
import random
import re
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attnviz.batch.document import Document
from attnviz.batch.input.formats import FORMATS
from attnviz.batch.input.formats.lines import lines, paragraphs
from attnviz.batch.input.options import ReadOptions
from attnviz.batch.input.source import read_documents
from attnviz.errors import UsageError

Write = Callable[..., Path]
TABLE = re.compile(r"\.(csv|tsv|parquet|conllu)")
SENTENCES = ["The bank approved the loan.", "It was raining — again.", "Ω 𝔸 日本"]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a file, and gives its path."""

    def write(name: str, data: bytes | str) -> Path:
        path = tmp_path / name
        path.write_bytes(data.encode() if isinstance(data, str) else data)
        return path

    return write


def read(path: Path, reading: ReadOptions = ReadOptions(), **options: object) -> list[Document]:  # noqa: B008
    return list(read_documents([str(path)], reading, **options))  # type: ignore[arg-type]


def short(found: list[Document]) -> list[tuple[int | None, str, str]]:
    """Of each document its row in a table or treebank, its line elsewhere; its text and reason."""
    return [(each.row if TABLE.search(each.source) else each.line, each.text, each.reason) for each in found]


def zstd(data: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(data)
    return sink.getvalue().to_pybytes()


PACK = {".gz": gzip.compress, ".bz2": bz2.compress, ".zst": zstd, "": bytes}


def table(**columns: object) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink, row_group_size=2)
    return sink.getvalue()


def delimited(rows: list[list[str]], delimiter: str = ",") -> bytes:
    sink = io.StringIO()
    csv.writer(sink, delimiter=delimiter).writerows(rows)
    return sink.getvalue().encode()


SAME = {
    "txt": "\n\n".join(SENTENCES).encode(),
    "md": "\r\n\r\n".join(SENTENCES).encode(),
    "jsonl": "\n".join(json.dumps({"n": 1, "text": text}) for text in SENTENCES).encode(),
    "ndjson": "\n".join(json.dumps({"text": text}, ensure_ascii=False) for text in SENTENCES).encode(),
    "csv": delimited([["n", "text"], *(["1", text] for text in SENTENCES)]),
    "tsv": delimited([["text", "n"], *([text, "1"] for text in SENTENCES)], "\t"),
    "parquet": table(n=[1, 2, 3], text=SENTENCES),
    "conllu": "\n\n".join(f"# text = {text}\n1\t{text}\t_" for text in SENTENCES).encode(),
}


@pytest.mark.parametrize("packing", PACK)
@pytest.mark.parametrize("ending", FORMATS)
def test_every_format_gives_the_same_texts_packed_or_not(write: Write, ending: str, packing: str) -> None:
    path = write(f"corpus.{ending}{packing}", PACK[packing](SAME[ending]))
    found = read(path, ReadOptions(split="paragraph"))
    assert [document.text for document in found] == SENTENCES
    header, between, none = [2, 3, 4], [1, 3, 5], [None] * 3
    lines = {"txt": between, "md": between, "csv": header, "tsv": header, "parquet": none, "conllu": [1, 4, 7]}.get(
        ending, [1, 2, 3]
    )
    assert [document.row for document in found] == [1, 2, 3]
    assert [document.line for document in found] == lines
    assert [document.number for document in found] == [0, 1, 2]
    assert {document.source for document in found} == {str(path)}


def test_a_text_is_a_document_or_its_lines_or_its_paragraphs(write: Write) -> None:
    path = write("a.txt", "\n one\r\ntwo\r\n  \n\nthree")
    assert short(read(path)) == [(None, "\n one\r\ntwo\r\n  \n\nthree", "")]
    assert short(read(path, ReadOptions(split="line"))) == [(2, " one", ""), (3, "two", ""), (6, "three", "")]
    assert short(read(path, ReadOptions(split="paragraph"))) == [(2, " one\ntwo", ""), (6, "three", "")]


@settings(max_examples=100, deadline=None)
@given(st.text(st.sampled_from("ab \n\r\t"), max_size=60), st.lists(st.integers(0, 60)))
def test_how_a_text_arrives_decides_nothing(text: str, cuts: list[int]) -> None:
    cuts = sorted({cut for cut in cuts if cut < len(text)})
    parts = [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    expected = io.StringIO(text, newline=None).read().split("\n")
    if not expected[-1]:
        expected.pop()
    assert list(lines(parts, 100)) == list(enumerate(expected, 1))
    found = [part for _, part in paragraphs(parts, 100)]
    joined = "\n".join(line if line.strip() else "" for line in expected).strip("\n")
    assert found == [part.strip("\n") for part in joined.split("\n\n") if part.strip("\n")]


def test_lines_and_paragraphs_that_are_too_long_are_left_out_and_the_next_are_read() -> None:
    parts = ["ab", "cdef", "gh\n", "abcde\nabc", "d\n\nabcd\nef\n\na\nb"]
    assert list(lines(parts, 5)) == [
        *[(1, None), (2, "abcde"), (3, "abcd"), (4, "")],
        *[(5, "abcd"), (6, "ef"), (7, ""), (8, "a"), (9, "b")],
    ]
    assert list(paragraphs(parts, 5)) == [(1, None), (5, None), (8, "a\nb")]
    assert list(paragraphs(["abcd\ne"], 6)) == [(1, "abcd\ne")]


LONG = "x" * 300


@pytest.mark.parametrize(
    ("name", "data", "split"),
    [
        ("a.txt", LONG, None),
        ("a.txt", f"{LONG}\nshort", "line"),
        ("a.txt", f"{LONG}\n\nshort", "paragraph"),
        ("a.jsonl", f'{{"text": "{LONG}"}}\n{{"text": "short"}}', None),
        ("a.csv", f'text\n"{LONG}"\nshort', None),
        ("a.csv", f"text\n{LONG}\nshort", None),
        ("a.csv", 'n,text\n"' + "xxxxxxxxx\n" * 30 + '"\n1,short', None),
        ("a.parquet", table(text=[LONG, "short"]), None),
        ("a.conllu", f"# text = {LONG}\n1\ta\n\n1\tshort\n", None),
    ],
)
def test_a_document_that_is_too_long_fails_alone(write: Write, name: str, data: bytes, split: None) -> None:
    found = read(write(name, data), ReadOptions(split=split, most=200))
    assert found[0].reason == "it has more than 200 characters"
    assert [document.text for document in found[1:]] == ([] if data == LONG else ["short"])


def test_the_rest_of_an_endless_text_is_not_read() -> None:
    class Endless(io.RawIOBase):
        def read(self, size: int = -1) -> bytes:
            return b"y\n" * (size // 2)

    (document,) = read_documents(["-"], ReadOptions(most=1_000_000), stdin=Endless())  # type: ignore[arg-type]
    assert document.reason == "it has more than 1,000,000 characters"


NO_TEXT = "the text is empty"
DEEP = '{"text": "a", "b": ' + "[" * 200_000 + "]" * 200_000 + "}"


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"text": "a"', "broken JSON: Expecting ',' delimiter (column 13)"),
        ("not json", "broken JSON: Expecting value (column 1)"),
        ('["a"]', "the line is a list, expected an object"),
        ("12", "the line is a number, expected an object"),
        ('{"body": "a", "title": "b"}', "no field 'text': there are body, title"),
        ("{}", "no field 'text': there is none"),
        ('{"\\ud800": 1}', "no field 'text': there is \ufffd"),
        ('{"text": 12}', "the field 'text' is a number, expected a string"),
        ('{"text": true}', "the field 'text' is a truth value, expected a string"),
        ('{"text": {"a": 1}}', "the field 'text' is an object, expected a string"),
        ('{"text": null}', "the field 'text' is null, expected a string"),
        ('{"text": " "}', NO_TEXT),
        ('{"text": "a", "n": ' + "1" * 5000 + "}", "broken JSON: a number in it is too long"),
        (DEEP, "broken JSON: it is nested too deeply"),
    ],
)
def test_a_bad_line_of_json_fails_alone(write: Write, line: str, reason: str) -> None:
    path = write("a.jsonl", f'{{"text": "before"}}\n\n{line}\n{{"text": "after"}}\n')
    assert short(read(path)) == [(1, "before", ""), (3, "", reason), (4, "after", "")]


def test_many_fields_are_not_all_listed(write: Write) -> None:
    (document,) = read(write("a.jsonl", json.dumps({f"field{n}": 1 for n in range(1000)} | {"x" * 500: 1})))
    assert document.reason.endswith("field10, field11 and 989 more")


def test_lone_surrogates_and_nuls_of_json_are_text(write: Write) -> None:
    (document,) = read(write("a.jsonl", r'{"text": "a \ud800 b \u0000 \ud835\udd38"}'))
    assert document.text == "a \ufffd b \0 𝔸"
    assert document.note == "1 character that can't be read is replaced by U+FFFD"


def test_what_is_noted_is_noted_where_it_is(write: Write) -> None:
    path = write("a.txt", "Ärger über Öl\n".encode() + b"bad \xff\xfe here\nplain\n")
    found = read(path, ReadOptions(split="line"))
    lost = "2 characters that can't be read are replaced by U+FFFD"
    assert [document.note for document in found] == ["", lost, ""]
    assert found[1].text == "bad \ufffd\ufffd here"


def test_an_encoding_that_was_detected_is_noted(write: Write) -> None:
    (document,) = read(write("a.txt", "Le café est fermé.".encode("cp1252")))
    assert (document.text, document.note) == ("Le café est fermé.", "read as cp1252")


def test_broken_rows_of_a_table_fail_alone(write: Write) -> None:
    rows = 'id,text\n1,"a, b"\n2\n3,"c"d\n\n4,e,f\n5,"g\ng"\n6,\n7,h\n'
    assert short(read(write("a.csv", rows))) == [
        (1, "a, b", ""),
        (2, "", "broken row: 1 field, but 2 fields in the header"),
        (3, "", "broken row: ',' expected after '\"'"),
        (4, "", "broken row: 3 fields, but 2 fields in the header"),
        (5, "g\ng", ""),
        (6, "", NO_TEXT),
        (7, "h", ""),
    ]


def test_a_quotation_mark_that_is_never_closed_is_said(write: Write) -> None:
    found = read(write("a.csv", 'id,text\n1,a\n2,"b\n3,c\n'))
    assert short(found)[0] == (1, "a", "")
    assert [document.reason for document in found[1:]] == [
        "broken row: a quotation mark is never closed, the rows after it are in it"
    ]


def test_a_long_field_of_a_table_is_read(write: Write) -> None:
    text = "word " * 100_000  # the csv module's own limit is 131,072
    (document,) = read(write("a.csv", f"text,n\n{text},1\n"))
    assert document.text == text


@pytest.mark.parametrize("delimiter", ",;\t|")
def test_the_header_says_what_is_between_fields(write: Write, delimiter: str) -> None:
    data = delimited([["id", "body"], ["1", "a; b, c"]], delimiter)
    assert short(read(write("a.csv", data), ReadOptions(field="body"))) == [(1, "a; b, c", "")]


@pytest.mark.parametrize(
    ("first", "delimiter"), [("sep=;", ";"), ("SEP=,", ","), ('"sep=|"', "|"), ("sep=\t", "\t"), ("\ufeffsep=^", "^")]
)
def test_a_first_line_may_say_what_is_between_fields(write: Write, first: str, delimiter: str) -> None:
    data = delimited([["id", "body"], ["1", "a, b; c"], ["2"]], delimiter)
    found = short(read(write("a.csv", f"{first}\r\n".encode() + data), ReadOptions(field="body")))
    assert found == [(1, "a, b; c", ""), (2, "", "broken row: 1 field, but 2 fields in the header")]


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("a.csv", "id,body\n1,a\n", "no column 'text': there are id, body"),
        ("a.csv", "id;body\n1;a\n", "no column 'text': there are id, body"),
        ("a.tsv", "text,body\n1,a\n", "no column 'text': there is text,body"),
        ("a.csv", "", "it is empty: there is no row with the columns' names"),
        ("a.parquet", table(id=[1], body=["a"]), "no column 'text': there are id, body"),
        ("a.parquet", table(text=[1]), "the column 'text' is int64, expected strings"),
        ("a.parquet", table(text=[{"a": "b"}]), "the column 'text' is struct<a: string>, expected strings"),
        ("a.txt", "", NO_TEXT),
        ("a.txt", " \n\n", NO_TEXT),
        ("a.txt", bytes(random.Random(0).randbytes(999)), "it is no text (binary)"),
        ("a.jsonl", random.Random(0).randbytes(999), "it is no text (binary)"),
        ("a.txt.gz", "plain", "the gzip data is broken (Error -3 while decompressing data: incorrect header check)"),
        ("a.txt.bz2", "plain", "the bz2 data is broken (Invalid data stream)"),
        ("a.txt.gz", b"", NO_TEXT),
    ],
)
def test_a_file_that_can_not_be_read_is_one_failed_document(write: Write, name: str, data: str, reason: str) -> None:
    assert short(read(write(name, data))) == [(None, "", reason)]


@pytest.mark.parametrize("data", [b"", b"no parquet at all", SAME["parquet"][:-9], SAME["parquet"][40:]])
def test_a_broken_parquet_file_is_one_failed_document(write: Write, data: bytes) -> None:
    (document,) = read(write("a.parquet", data))
    assert document.reason.startswith("the Parquet file is broken (")


def test_rows_before_the_break_of_a_parquet_file_are_kept(write: Write) -> None:
    sink = io.BytesIO()
    texts = [random.Random(n).randbytes(400).hex() for n in range(40)]
    pq.write_table(pa.table({"text": texts}), sink, row_group_size=10, compression="gzip", use_dictionary=False)
    data = bytearray(sink.getvalue())
    column = pq.ParquetFile(io.BytesIO(data)).metadata.row_group(2).column(0)
    data[column.data_page_offset : column.data_page_offset + 300] = bytes(300)
    found = read(write("a.parquet", bytes(data)))
    assert [document.text for document in found[:-1]] == texts[:20]
    assert found[-1].reason.endswith(", after 20 documents")


def test_columns_of_strings_in_any_coat_are_read(write: Write) -> None:
    columns = {
        "dictionary": pa.array(SENTENCES).dictionary_encode(),
        "large": pa.array(SENTENCES, pa.large_string()),
        "bytes": pa.array([text.encode() for text in SENTENCES]),
    }
    path = write("a.parquet", table(**columns))
    for name in columns:
        assert [document.text for document in read(path, ReadOptions(field=name))] == SENTENCES


def test_nulls_and_bytes_in_a_parquet_file(write: Write) -> None:
    texts = ["a", None, "", "Le café est fermé.".encode("cp1252"), random.Random(3).randbytes(500)]
    found = read(write("a.parquet", table(text=pa.array(texts, pa.binary()))))
    assert short(found) == [
        (1, "a", ""),
        (2, "", "the column 'text' is null"),
        (3, "", NO_TEXT),
        (4, "Le café est fermé.", ""),
        (5, "", "it is no text (binary)"),
    ]
    assert found[3].note == "read as cp1252"


@pytest.mark.parametrize("packing", [".gz", ".bz2", ".zst"])
def test_documents_before_the_break_of_packed_data_are_kept(write: Write, packing: str) -> None:
    texts = [random.Random(n).randbytes(40).hex() for n in range(20_000)]
    data = PACK[packing]("\n".join(texts).encode())
    found = read(write(f"a.txt{packing}", data[: len(data) * 3 // 4]), ReadOptions(split="line"))
    *kept, broken = found
    assert len(kept) > 5_000
    assert [document.text for document in kept] == texts[: len(kept)]
    assert "data ends too early" in broken.reason or "Truncated" in broken.reason
    assert broken.reason.endswith(f", after {len(kept):,} documents")


def test_a_flipped_byte_of_gzip_costs_no_more_than_what_follows(write: Write) -> None:
    texts = [random.Random(n).randbytes(40).hex() for n in range(200)]
    data = bytearray(gzip.compress("\n".join(texts).encode()))
    data[len(data) // 2 : len(data) // 2 + 20] = b"\xff" * 20
    *kept, broken = read(write("a.txt.gz", bytes(data)), ReadOptions(split="line"))
    assert len(kept) > 80
    assert [document.text for document in kept[:80]] == texts[:80]
    assert broken.reason.startswith("the gzip data is broken (")


def test_packed_files_one_after_the_other_are_one(write: Write) -> None:
    for packing, pack in PACK.items():
        path = write(f"a.txt{packing}", pack(b"one\n") + pack(b"two\n"))
        assert [document.text for document in read(path, ReadOptions(split="line"))] == ["one", "two"]
    padded = write("padded.txt.gz", gzip.compress(b"one") + bytes(100))
    assert short(read(padded)) == [(None, "one", "")]


TREEBANK = """# newdoc

# sent_id = 1
# text = From the AP.
1\tFrom\tfrom
2\tthe\tthe

1-2\tdon't\t_\t_\t_\t_\t_\t_\t_\t_
1\tdo\tdo\t_\t_\t_\t_\t_\t_\t_
2\tn't\tnot\t_\t_\t_\t_\t_\t_\t_
2.1\tghost\t_\t_\t_\t_\t_\t_\t_\t_
3\tgo\tgo\t_\t_\t_\t_\t_\t_\tSpaceAfter=No
4\t!\t!\t_\t_\t_\t_\t_\t_\t_

# text = broken
1 broken

x\tbroken
"""


def test_sentences_of_a_treebank(write: Write) -> None:
    assert short(read(write("a.conllu", TREEBANK))) == [
        (1, "From the AP.", ""),
        (2, "don't go!", ""),
        (3, "", "broken sentence: Invalid line format, line must contain either tabs or two spaces."),
        (4, "", "broken sentence: Failed parsing field 'id': 'x' is not a valid ID."),
    ]


@pytest.mark.parametrize("packing", PACK)
def test_standard_input_may_be_packed_and_of_any_format(packing: str) -> None:
    def of(data: bytes, **options: str) -> list[tuple[int | None, str, str]]:
        return short(list(read_documents(["-"], ReadOptions(**options), stdin=io.BytesIO(PACK[packing](data)))))  # type: ignore[arg-type]

    assert of(b"one\ntwo\n") == [(None, "one\ntwo\n", "")]
    assert of(b"one\ntwo\n", split="line") == [(1, "one", ""), (2, "two", "")]
    for name in FORMATS:
        assert [text for _, text, _ in of(SAME[name], format=name, split="paragraph")] == SENTENCES


def test_an_unknown_format_or_split_is_refused() -> None:
    with pytest.raises(UsageError, match=r"no format 'xml'\n.*jsonl"):
        read_documents(["-"], ReadOptions(format="xml"), stdin=io.BytesIO())
    with pytest.raises(UsageError, match="no split by 'word'"):
        ReadOptions(split="word")  # type: ignore[arg-type]


def peak(found: Iterator[object]) -> int:
    """The most memory that going through ``found`` takes."""
    tracemalloc.start()
    for _ in found:
        pass
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return most


def test_a_large_file_is_not_held(write: Write) -> None:
    line = "The bank approved the loan, and it was raining again. " * 20 + "\n"
    path = write("a.txt.gz", gzip.compress(line.encode() * 10_000))  # 11 MB of text
    assert peak(read_documents([str(path)], ReadOptions(split="line"))) < 6_000_000
    assert peak(read_documents([str(path)], ReadOptions(split="paragraph", most=100_000))) < 6_000_000


def test_a_line_without_an_end_is_not_held() -> None:
    def parts() -> Iterator[str]:
        for n in range(300):
            yield f"{n} " * 10_000

    assert list(lines(parts(), 100_000)) == [(1, None)]
    assert peak(lines(parts(), 100_000)) < 1_000_000
