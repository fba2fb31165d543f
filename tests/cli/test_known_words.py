"""``--words``: a list of words, or their positions, on the screen, in records, in a check and in a corpus."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from attnviz.interface import Attention, load
from tests.batch.jobs import facts, table, without_picture
from tests.cli.conftest import Run

TEXT = "the river bank of it"


@pytest.fixture
def known(tmp_path: Path) -> Path:
    file = tmp_path / "words.txt"
    file.write_text("river bank\r\n\nof it\n", encoding="utf-8-sig")
    return file


def test_words_of_a_list_are_shown_saved_and_checked(run: Run, tiny_bert: Path, known: Path, tmp_path: Path) -> None:
    found = json.loads(run("show", TEXT, "--words", known, "--json", "--no-check").out)
    assert found["words"] == ["[CLS]", "the", "river bank", "of it", "[SEP]"]
    assert run("export", TEXT, tmp_path / "a.json", "--words", known).code == 0
    assert Attention.open(tmp_path / "a.json").words == tuple(found["words"])
    assert run("check", TEXT, "--words", known).code == 0
    model = load(tiny_bert)
    assert model.attend(TEXT, words=["river bank"]).words[2] == "river bank"
    observation = model.observe(TEXT, lexicon=[(4, 14)])
    assert observation.words[2] == "river bank"


def test_their_places_may_be_given(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "words.json"
    file.write_text("[[4, 14]]")
    assert json.loads(run("show", TEXT, "--words", file, "--json", "--no-check").out)["words"][2] == "river bank"
    assert run("batch", tmp_path, "-o", tmp_path / "out", "--words", file).code == 2
    file.write_text("[[4, 140]]")
    assert (run("show", TEXT, "--words", file).code, run("show", TEXT, "--words", tmp_path / "no").code) == (3, 3)
    file.write_bytes(b"\x89PNG")
    assert "is a PNG picture" in run("check", TEXT, "--words", file).said


def test_a_corpus_is_cut_by_the_list(run: Run, known: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without_picture(monkeypatch)
    tmp_path.joinpath("a.csv").write_text(f"text\n{TEXT}\n")
    out = tmp_path / "out"
    command = ("batch", tmp_path / "a.csv", "-o", out, "--check", "none", "--top", "100")
    assert run(*command, "--words", known).code == 0
    assert table(out, "documents").column("words").to_pylist() == [3]
    assert "river bank" in table(out, "links").column("key").to_pylist()
    assert facts(out)["options"]["words"].startswith("2 forms (")
    assert "--words was 2 forms" in run(*command).said
