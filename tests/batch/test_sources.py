"""Which files inputs name, in which order, and what becomes of those that can't be read."""

from __future__ import annotations

import gzip
import io
import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from fsspec.registry import _registry

from attnviz.batch.input.options import ReadOptions
from attnviz.batch.input.source import read_documents, total_size
from attnviz.errors import InputError, UsageError

Tree = Callable[..., None]


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def grow(*names: str) -> None:
    """Write files that hold their names."""
    for name in names:
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)


def sources(*inputs: str, reading: ReadOptions = ReadOptions(), **options: Any) -> list[str]:  # noqa: B008
    found = list(read_documents(inputs, reading, **options))
    assert [document.number for document in found] == list(range(len(found)))
    return [document.source for document in found]


def failures(*inputs: str) -> dict[str, str]:
    return {document.source: document.reason for document in read_documents(inputs, ReadOptions()) if document.reason}


def test_a_folder_is_read_to_its_depths_sorted_by_path() -> None:
    grow("docs/b.txt", "docs/a/z.md", "docs/a/b/c.txt.gz", "docs/a.txt", "docs/c/x.jsonl", "docs/B.TXT")
    expected = ["docs/B.TXT", "docs/a.txt", "docs/a/b/c.txt.gz", "docs/a/z.md", "docs/b.txt", "docs/c/x.jsonl"]
    assert sources("docs") == expected
    assert sources("docs/") == expected
    assert sources("./docs") == [f"./{name}" for name in expected]
    assert sources(str(Path("docs").resolve())) == [str(Path(name).resolve()) for name in expected]


def test_hidden_files_and_unknown_endings_are_left_out_of_folders() -> None:
    grow("docs/a.txt", "docs/.b.txt", "docs/.git/c.txt", "docs/picture.png", "docs/README", "docs/old.tar.gz")
    assert sources("docs") == ["docs/a.txt"]
    assert sources("docs/.git", "docs/.b.txt") == ["docs/.git/c.txt", "docs/.b.txt"]


def test_a_file_that_is_named_is_read_whatever_its_ending() -> None:
    grow("README", "notes.log")
    assert sources("README", "notes.log", "*.log") == ["README", "notes.log"]


def test_a_format_is_of_all_files_without_a_known_ending() -> None:
    Path("part-0001").write_text('{"text": "a"}\n')
    Path("part-0002.gz").write_bytes(gzip.compress(b'{"text": "b"}\n'))
    grow("c.txt")
    found = read_documents(["."], ReadOptions(format="jsonl"))
    assert [(document.source, document.text) for document in found] == [
        *[("./c.txt", "c.txt"), ("./part-0001", "a"), ("./part-0002.gz", "b")]
    ]


def test_inputs_come_in_the_order_they_are_given_and_each_file_once() -> None:
    grow("docs/a.txt", "docs/sub/b.txt", "notes.txt")
    assert sources("notes.txt", "docs") == ["notes.txt", "docs/a.txt", "docs/sub/b.txt"]
    assert sources("docs/sub/b.txt", "docs", "./docs/a.txt", "notes.txt", "notes.txt", "**/*.txt", "docs/sub") == [
        *["docs/sub/b.txt", "docs/a.txt", "notes.txt"]
    ]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("reports/*.txt", ["reports/a.txt", "reports/b.txt"]),
        ("reports/?.txt", ["reports/a.txt", "reports/b.txt"]),
        ("reports/[b-z]*", ["reports/b.txt", "reports/sub/c.txt", "reports/sub/deep/d.txt"]),
        ("reports/*", ["reports/a.txt", "reports/b.txt", "reports/sub/c.txt", "reports/sub/deep/d.txt"]),
        ("**", [*["reports/a.txt", "reports/b.txt", "reports/sub/c.txt", "reports/sub/deep/d.txt"], "top.txt"]),
        ("**/*.txt", [*["reports/a.txt", "reports/b.txt", "reports/sub/c.txt", "reports/sub/deep/d.txt"], "top.txt"]),
        ("reports/**/d*", ["reports/sub/deep/d.txt"]),
        ("**/sub/**/*.txt", ["reports/sub/c.txt", "reports/sub/deep/d.txt"]),
        ("*/sub/*.log", ["reports/sub/e.log"]),
        ("./*/a.*", ["./reports/a.txt"]),
        ("*/.h*", ["reports/.hidden.txt"]),
    ],
)
def test_patterns(pattern: str, expected: list[str]) -> None:
    grow("top.txt", "reports/a.txt", "reports/b.txt", "reports/sub/c.txt", "reports/sub/deep/d.txt")
    grow("reports/.hidden.txt", "reports/.git/x.txt", "reports/sub/e.log")
    assert sources(pattern) == expected


def test_a_path_that_exists_is_no_pattern() -> None:
    grow("a[1].txt", "a1.txt", "b*/c.txt", "bc/d.txt")
    assert sources("a[1].txt") == ["a[1].txt"]
    assert sources("b*") == ["b*/c.txt"]


def test_the_output_folder_is_not_read() -> None:
    grow("docs/a.txt", "docs/results/run.jsonl", "docs/results2/b.txt")
    for inputs in (["docs"], ["docs/**"], ["docs/*"], ["docs/results", "docs/a.txt"][1:]):
        assert "docs/results/run.jsonl" not in sources(*inputs, leave_out="docs/results")
    assert sources("docs", leave_out=str(Path("docs/results").resolve())) == ["docs/a.txt", "docs/results2/b.txt"]
    with pytest.raises(UsageError, match="lies in the output folder"):
        read_documents(["docs/results/run.jsonl"], ReadOptions(), leave_out="docs/results")


@pytest.mark.parametrize(
    ("name", "kind", "said"),
    [
        ("nowhere.txt", UsageError, "there is no file or folder 'nowhere.txt'"),
        ("", UsageError, "there is no file or folder ''"),
        ("a\0b", UsageError, "there is no file or folder"),
        ("x" * 5000, UsageError, "there is no file or folder"),
        ("docs/*.csv", UsageError, "no file matches 'docs/.*csv'"),
        ("nowhere/*.txt", UsageError, "no file matches 'nowhere/"),
        ("empty", InputError, r"there are no texts in empty\n.*\.txt, \.md, \.jsonl, .*\.conllu \(each also \.gz"),
        ("foo://a/b.txt", UsageError, "foo://a/b.txt can't be opened"),
        ("memory://nowhere.txt", UsageError, "there is no file or folder 'memory:"),
        ("-", InputError, "standard input is closed"),
    ],
)
def test_an_input_that_is_nothing_is_refused_at_once(name: str, kind: type[Exception], said: str) -> None:
    grow("docs/a.txt", "empty/picture.png")
    with pytest.raises(kind, match=said):
        read_documents(["docs", name], ReadOptions())


def test_standard_input_is_read_once_among_others() -> None:
    grow("a.txt")
    found = list(read_documents(["a.txt", "-", "-"], ReadOptions(split="line"), stdin=io.BytesIO(b"one\n\ntwo\n")))
    assert [(document.source, document.line, document.text) for document in found] == [
        *[("a.txt", 1, "a.txt"), ("-", 1, "one"), ("-", 3, "two")]
    ]


def test_broken_links_and_files_that_vanish_fail_alone() -> None:
    grow("docs/a.txt", "docs/c.txt", "docs/gone.txt")
    Path("docs/b.txt").symlink_to("nowhere")
    Path("docs/loop.txt").symlink_to("loop.txt")
    Path("docs/other").symlink_to("nowhere")
    found = read_documents(["docs"], ReadOptions())
    first = next(found)
    Path("docs/gone.txt").unlink()
    assert first.text == "docs/a.txt"
    assert {document.source: document.reason for document in found} == {
        "docs/b.txt": "it can't be read (a broken link, to nowhere)",
        "docs/c.txt": "",
        "docs/gone.txt": "it can't be read (No such file or directory)",
        "docs/loop.txt": "it can't be read (a broken link, to loop.txt)",
    }
    assert failures("docs/b.txt") == {"docs/b.txt": "it can't be read (a broken link, to nowhere)"}


def test_links_to_folders_are_not_followed_but_when_named() -> None:
    grow("docs/a.txt", "far/b.txt")
    Path("docs/far").symlink_to("../far")
    Path("docs/round").symlink_to(".")
    Path("docs/c.txt").symlink_to("a.txt")
    assert sources("docs") == ["docs/a.txt", "docs/c.txt"]
    assert sources("docs/far") == ["docs/far/b.txt"]


@pytest.fixture
def forbidden(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is called ``secret`` can't be opened, also not by root."""
    scandir, opened = os.scandir, Path.open

    def refuse(path: Any, do: Callable[..., Any], *more: Any, **named: Any) -> Any:
        if "secret" in Path(path).name and "w" not in named.values():
            raise PermissionError(13, "Permission denied")
        return do(path, *more, **named)

    monkeypatch.setattr(os, "scandir", lambda path: refuse(path, scandir))
    monkeypatch.setattr(Path, "open", lambda path, *more, **named: refuse(path, opened, *more, **named))


@pytest.mark.usefixtures("forbidden")
def test_unreadable_files_and_folders_fail_alone() -> None:
    grow("docs/a.txt", "docs/secret/b.txt", "docs/secret.txt", "docs/z.txt", "secret/c.txt")
    denied = "it can't be read (Permission denied)"
    assert failures("docs", "secret") == {"docs/secret.txt": denied, "docs/secret/": denied, "secret/": denied}
    assert len(sources("docs")) == 4


def test_names_that_are_no_utf_8_are_read_and_escaped() -> None:
    name = b"docs/caf\xe9 \xff.txt"
    Path("docs").mkdir()
    try:
        Path(os.fsdecode(name)).write_text("text")
    except OSError:
        pytest.skip("this file system wants names in UTF-8")
    for given in ("docs", os.fsdecode(name), "docs/*.txt"):
        (document,) = read_documents([given], ReadOptions())
        assert (document.source, document.text) == ("docs/caf\\xe9 \\xff.txt", "text")


def test_pipes_are_left_out_of_folders() -> None:
    grow("docs/a.txt")
    os.mkfifo("docs/pipe.txt")
    assert sources("docs") == ["docs/a.txt"]


def test_folders_deeper_than_recursion_goes() -> None:
    grow("d/" * 500 + "a.txt")  # no deeper than what removes the folders of tests can go
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(400)
    try:
        found = list(read_documents(["d"], ReadOptions()))
    finally:
        sys.setrecursionlimit(limit)
    assert [document.source for document in found] == ["d/" * 500 + "a.txt"]


def test_what_is_metered_is_the_size_of_all_files() -> None:
    grow("docs/a.txt", "docs/sub/b.txt", "docs/picture.png")
    Path("docs/c.jsonl.gz").write_bytes(gzip.compress(json.dumps({"text": "word " * 9999}).encode()))
    Path("docs/junk.txt").write_bytes(os.urandom(300_000))
    Path("docs/broken.txt").symlink_to("nowhere")
    read: list[int] = []
    assert len(list(read_documents(["docs"], ReadOptions(), meter=read.append))) == 5
    total = sum(path.stat().st_size for path in Path("docs").rglob("*") if path.is_file() and path.suffix != ".png")
    assert sum(read) == total_size(["docs"], ReadOptions()) == total
    assert all(count > 0 for count in read)


def test_sizes_that_nobody_knows() -> None:
    grow("a.txt")
    os.mkfifo("pipe")
    assert total_size(["a.txt", "-"], ReadOptions(), stdin=io.BytesIO()) is None
    assert total_size(["a.txt", "pipe"], ReadOptions()) is None
    assert total_size(["memory://a"], ReadOptions()) is None


@pytest.fixture
def memory() -> Iterator[Any]:
    """An empty file system in memory."""
    files = fsspec.filesystem("memory")
    files.store.clear()
    yield files
    files.store.clear()


def test_addresses(memory: Any) -> None:
    for name in ("b.txt", "a/c.txt", "a/d.jsonl.gz", ".hidden.txt", "e.png", "results/x.txt"):
        data = f'{{"text": "{name}"}}'.encode()
        memory.pipe(f"/docs/{name}", gzip.compress(data) if name.endswith(".gz") else data)
    expected = ["memory://docs/a/c.txt", "memory://docs/a/d.jsonl.gz", "memory://docs/b.txt"]
    for given in ("memory://docs", "memory://docs/"):
        assert sources(given, leave_out="memory://docs/results") == expected
    assert sources("memory://docs/**/*.txt", leave_out="memory://docs/results") == expected[::2]
    assert sources("memory://docs/e.png", "memory://docs/b.txt", "memory://docs/*.txt") == [
        *["memory://docs/e.png", "memory://docs/b.txt"]
    ]
    found = list(read_documents(["memory://docs/a"], ReadOptions()))
    assert [document.text for document in found] == ['{"text": "a/c.txt"}', "a/d.jsonl.gz"]
    memory.mkdir("/docs/none")
    with pytest.raises(InputError, match="there are no texts in memory://docs/none"):
        read_documents(["memory://docs/none"], ReadOptions())


class Hub(MemoryFileSystem):
    """A Hub in memory, whose paths are those of Hugging Face's file system."""

    protocol = "hf"
    store: ClassVar[dict[str, Any]] = {}
    pseudo_dirs: ClassVar[list[str]] = [""]

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return "/" + path.removeprefix("hf://").strip("/")


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Hub:
    monkeypatch.setitem(_registry, "hf", Hub)
    return Hub()


def test_data_sets_of_the_hub_are_read_as_other_addresses(hub: Hub) -> None:
    rows = io.BytesIO()
    pq.write_table(pa.table({"text": ["a", "b"], "label": [0, 1]}), rows)
    hub.pipe("/datasets/of/reviews/data/train-00000.parquet", rows.getvalue())
    hub.pipe("/datasets/of/reviews/data/test.jsonl.gz", gzip.compress(b'{"text": "c"}'))
    hub.pipe("/datasets/of/reviews/.gitattributes", b"x")
    address = "hf://datasets/of/reviews"
    found = list(read_documents([address], ReadOptions(keep=("label",))))
    assert [(each.source, each.text, each.kept) for each in found] == [
        (f"{address}/data/test.jsonl.gz", "c", {}),
        (f"{address}/data/train-00000.parquet", "a", {"label": 0}),
        (f"{address}/data/train-00000.parquet", "b", {"label": 1}),
    ]
    assert sources(f"{address}/**/*.parquet", f"{address}/data/test.jsonl.gz") == [
        *[found[1].source, found[1].source, found[0].source]
    ]
    with pytest.raises(UsageError, match=r"there is no file or folder 'hf://datasets/of/none'\nIs the address right?"):
        read_documents(["hf://datasets/of/none"], ReadOptions())


def test_a_store_that_refuses_is_not_taken_for_one_without_the_file(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise PermissionError("Forbidden")

    monkeypatch.setattr(type(hub), "info", refuse)  # what isfile and isdir say is no, as those of most stores do
    with pytest.raises(InputError, match=r"hf://datasets/of/none can't be reached \(Forbidden\)"):
        read_documents(["hf://datasets/of/none"], ReadOptions())


def test_offline_the_hub_can_not_be_reached() -> None:
    for name in ("hf://datasets/of/reviews", "hf://datasets/of/reviews/**/*.parquet"):
        with pytest.raises(InputError, match=r"can't be reached \(.*offline mode is enabled(.|\n)*download the files"):
            read_documents([name], ReadOptions())


def test_a_parquet_file_at_an_address(memory: Any) -> None:
    with memory.open("/t.parquet", "wb") as file:
        pq.write_table(pa.table({"text": ["a", "b"]}), file)
    assert [document.text for document in read_documents(["memory://t.parquet"], ReadOptions())] == ["a", "b"]


def test_a_store_that_fails_on_the_way_fails_one_document(memory: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    memory.pipe("/docs/a.txt", b"a")
    memory.pipe("/docs/b.txt", b"b")
    opened = type(memory).open

    def refuse(files: Any, path: str, *more: Any) -> Any:
        if path.endswith("a.txt"):
            raise RuntimeError("no token")
        return opened(files, path, *more)

    monkeypatch.setattr(type(memory), "open", refuse)
    assert failures("memory://docs") == {"memory://docs/a.txt": "it can't be read (no token)"}


def test_a_file_by_its_address_is_the_same_file() -> None:
    grow("docs/a.txt")
    address = Path("docs").resolve().as_uri()
    assert sources(address) == [f"{address}/a.txt"]
    assert sources("docs", address) == ["docs/a.txt"]
    assert total_size([f"{address}/a.txt"], ReadOptions()) == len("docs/a.txt")
