"""A model that attends by itself, through the command line: what it hands in is labelled everywhere."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from matplotlib.text import Text

from tests import tiny
from tests.cli.conftest import Run
from tests.model.test_layouts import Case
from tests.schemas import validate

S = tiny.SENTENCE
NOTE = "in windows of 4 tokens: 0 beyond"
UNCHECKED = "not checked against transformers (observed: the model's own weights, nothing to compare with)"


@pytest.fixture(scope="module")
def longformer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    model = Case("LongformerForMaskedLM", {"attention_window": 4}, "", "").model()
    return tiny.save(tmp_path_factory.mktemp("longformer") / "longformer", model)


def words(printed: str) -> str:
    return " ".join(printed.split())


def test_the_terminal_says_whose_weights_they_are(run: Run, longformer: Path) -> None:
    result = run("show", S, "-m", longformer)
    assert result.code == 0
    assert words(result.out).startswith("longformer · observed: the model's own weights · 2 layers × 4 heads")
    assert NOTE in words(result.out).partition("Overview")[0]
    assert UNCHECKED in words(result.out)
    assert "✓" not in result.out


def test_json_records_and_pages_say_it(run: Run, longformer: Path, tmp_path: Path) -> None:
    found = json.loads(run("show", S, "-m", longformer, "--json").out)
    validate(found)
    assert (found["backend"], found["note"], found["check"]) == ("observed", NOTE, None)
    assert run("export", S, tmp_path / "a.json", "-m", longformer).code == 0
    again = run("show", "--from", tmp_path / "a.json")
    assert "observed: the model's own weights" in words(again.out)
    assert NOTE in words(again.out)
    assert run("export", S, tmp_path / "a.html", "-m", longformer).code == 0
    page = (tmp_path / "a.html").read_text(encoding="utf-8")
    assert NOTE in page
    assert "the model’s own weights" in page


@pytest.mark.parametrize("heads", [[], ["--layer", "1", "--head", "2"]])
def test_a_picture_says_it(
    heads: list[str], run: Run, longformer: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = []
    written = Text.set_text
    monkeypatch.setattr(Text, "set_text", lambda text, words: (said.append(str(words)), written(text, words))[1])
    assert run("export", S, tmp_path / "a.png", "-m", longformer, *heads).code == 0
    assert any("observed" in words for words in said)
    assert NOTE in " ".join(said).replace("\n", " ")


@pytest.mark.parametrize(
    "command",
    [["heads"], ["heads", "TEXTS"], ["find", S, "--from", "bank"], ["compare", S, S.replace("bank", "company")]],
    ids=lambda command: " ".join(command)[:12],
)
def test_answers_say_it_once(run: Run, longformer: Path, command: list[str], tmp_path: Path) -> None:
    tmp_path.joinpath("a.txt").write_text(S)
    result = run(*(tmp_path if each == "TEXTS" else each for each in command), "-m", longformer)
    assert result.code == 0, result.said
    assert result.said.count("observed: the model attends by itself, these are its own weights") == 1


def test_a_corpus_says_it(run: Run, longformer: Path, tmp_path: Path) -> None:
    tmp_path.joinpath("a.txt").write_text(S)
    result = run("batch", tmp_path / "a.txt", "-o", tmp_path / "out", "-m", longformer)
    assert result.code == 0, result.said
    assert "observed: the model attends by itself, these are its own weights" in words(result.out)


def test_models_and_check_say_it(run: Run, longformer: Path) -> None:
    planned = run("models", longformer)
    assert planned.lines[0] == "longformer · longformer · observed"
    assert NOTE in planned.out
    checked = run("check", S, "-m", longformer)
    assert (checked.code, words(checked.out)) == (0, UNCHECKED)


@pytest.mark.parametrize(
    ("command", "why"),
    [
        (["ablate", S], "attends by itself: attnviz sees its weights and can't change them"),
        (["ablate", S, "--head", "0.1"], "attends by itself: attnviz sees its weights and can't change them"),
        (["patch", S, S.replace("loan", "bank")], "attends by itself: attnviz sees its weights and can't change them"),
        (["show", S, "--generate", "2"], "it can't generate"),
        (["show", S, "--weights", "gradient"], "gradient needs attnviz's own forward pass"),
        (["contributions", S], "contributions are of models that attnviz runs natively, and longformer is observed"),
        (["show", S, "--weights", "norm"], "attends by itself (observed): it hands in its weights, and no values"),
        (["generate", S, "--without", "0.1"], "attends by itself"),
    ],
)
def test_what_needs_more_than_weights_says_so(run: Run, longformer: Path, command: list[str], why: str) -> None:
    result = run(*command, "-m", longformer)
    assert result.code in (2, 4)
    assert result.out == ""
    assert why in result.said
    assert "instead: attnviz ablate" not in result.said, "it can't be had either"
    assert "or attnviz ablate" not in result.said
    assert "Traceback" not in result.err
