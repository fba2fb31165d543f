from __future__ import annotations

import json
from dataclasses import replace
from importlib.metadata import version

import pytest

from attnviz.batch.output.manifest import Identity, Manifest, differences, from_json, to_json, versions
from attnviz.errors import UsageError
from tests.batch import made
from tests.schemas import validate


def test_what_is_written_reads_back() -> None:
    identity = made.identity(field="caf\udce9", split=None, special=True, windows=[64, 32])
    wrote = ("heads.png",), ("links.csv", "links.parquet"), 64
    about = Manifest(identity, {"inputs": ["a", "caf\udce9"], "documents": 3}, True, *wrote)
    validate(json.loads(to_json(about)), "run")
    read = from_json(to_json(about), "run.json")
    assert read == about
    assert read.noting(documents=4, failed=1).facts == {"inputs": ["a", "caf\udce9"], "documents": 4, "failed": 1}
    assert read.noting(complete=False).facts == about.facts
    assert not read.noting(complete=False).complete
    assert read.noting(documents=4).complete


def test_the_format_is_said_and_another_one_is_refused() -> None:
    content = json.loads(to_json(Manifest(made.identity())))
    assert content["format"] == "attnviz.run/2"
    content["format"] = "attnviz.run/3"
    with pytest.raises(UsageError, match=r"run.json has the format 'attnviz.run/3', this version") as error:
        from_json(json.dumps(content).encode(), "r/run.json")
    assert "nothing in this one was changed" in error.value.hint


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"3", b"\xff", b"{}", b'{"format": "attnviz.run/2"}', b"[" * 100_000]
)
def test_what_is_no_manifest_is_refused(content: bytes) -> None:
    with pytest.raises(UsageError, match=r"r/run.json is not what a run of attnviz wrote"):
        from_json(content, "r/run.json")


@pytest.mark.parametrize(
    "wrote",
    [{"files": ["../notes.txt"]}, {"files": ["notes.txt"]}, {"folders": ["/etc"]}, {"parts": -1}, {"parts": "all"},
     {"parts": True}, {"files": 3}],
)  # fmt: skip
def test_what_no_run_writes_is_in_no_list_of_what_it_wrote(wrote: dict[str, object]) -> None:
    content = json.loads(to_json(Manifest(made.identity())))
    content["wrote"] |= wrote
    with pytest.raises(UsageError, match=r"r/run.json is not what a run of attnviz wrote"):
        from_json(json.dumps(content).encode(), "r/run.json")


def test_no_difference_is_nothing_said() -> None:
    identity = made.identity(windows=(64, 32))
    assert differences(identity, identity) == []
    assert differences(from_json(to_json(Manifest(identity)), "").identity, identity) == []
    # The model is its files: where they lie, and under which name and commit, changes no row.
    assert differences(identity, replace(identity, model="copy", revision="0" * 40)) == []
    # What is not given is None, or not there.
    assert differences(identity, made.identity(windows=(64, 32), split=None)) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"options": {"top": 4}}, "`top` was 2, is 4"),
        ({"options": {"top": 2, "special": True}}, "`special` was not given, is on"),
        ({"options": {"top": 2, "text_field": "body"}}, "`text_field` was not given, is body"),
        ({"options": {"top": 2, "format": ("csv", "jsonl")}}, "`format` was not given, is csv and jsonl"),
        ({"options": {}}, "`top` was 2, is not given"),
        ({"dtype": "bfloat16"}, "`dtype` was float32, is bfloat16"),
        ({"device": "cuda"}, "`device` was cpu, is cuda"),
        ({"versions": {"torch": "2.7"}}, "the version of torch was 2.6, is 2.7"),
        ({"digest": "d2", "model": "other"}, "the model was tiny, is other"),
        ({"digest": "d2"}, "the files of the model tiny are others"),
        ({"digest": "d2", "revision": "b" * 40}, f"the files of the model tiny are others: None then, {'b' * 40} now"),
    ],
)
def test_a_difference_is_said_in_words(change: dict[str, object], said: str) -> None:
    assert differences(made.identity(), replace(made.identity(), **change)) == [said]


def test_all_differences_are_said() -> None:
    other = Identity("m", None, "d2", "float64", "cuda", {}, {})
    assert len(differences(made.identity(), other)) == 5


def test_the_versions_are_those_of_what_computes() -> None:
    assert versions()["torch"] == version("torch")
    assert {"attnviz", "numpy", "tokenizers", "transformers"} <= versions().keys()
