"""``attnviz explore`` as a command: what it is started with, and what it says where it can't start."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from attnviz.cli import explore as command
from attnviz.errors import InputError
from attnviz.record import read
from tests.cli.conftest import Run

pytest.importorskip("textual")

from attnviz.explore import app
from attnviz.explore.session import Session
from tests.explore.driving import drive


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[Session]:
    """What the program is started with, which ends at once."""
    found: list[Session] = []

    class Program:
        said = ("attnviz export saved.svg",)
        busy: tuple[()] = ()
        failed = None

        def __init__(self, session: Session) -> None:
            found.append(session)

        def run(self) -> int:
            return 0

    monkeypatch.setattr(app, "Explorer", Program)
    monkeypatch.setattr(command, "_require_terminal", lambda: None)
    return found


def test_without_a_terminal_it_says_what_to_do(run: Run, saved: Path) -> None:
    result = run("explore", "--from", saved)
    assert result.code == 2
    assert "the explorer fills a terminal, and there is none here" in result.said
    assert "attnviz show TEXT" in result.said


def test_without_textual_it_names_the_extra(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [*sys.modules]:
        if name.startswith("attnviz.explore"):
            monkeypatch.delitem(sys.modules, name)
        elif name.partition(".")[0] == "textual":
            monkeypatch.setitem(sys.modules, name, None)
    result = run("explore", "The bank.")
    assert result.code == 2
    assert "pip install 'attnviz[explore]'" in result.said


@pytest.mark.parametrize(("given", "said"), [
    (["The bank.", "--rows", "0:2"], "in the explorer, Enter zooms into a map"),
    ([], "no text is given"),
    (["The bank.", "--from", "a.json"], "a text, or a record with --from"),
])  # fmt: skip
def test_what_does_not_go_together_is_refused(run: Run, started: list[Session], given: list[str], said: str) -> None:
    result = run("explore", *given)
    assert result.code == 2
    assert said in result.said
    assert not started


def test_a_record_is_explored_and_what_was_saved_is_said_at_the_end(
    run: Run, started: list[Session], saved: Path
) -> None:
    result = run("explore", "--from", saved, "--layer", 1, "--head", 2, "--token", "bank", "--tokens")
    assert (result.code, result.out) == (0, "attnviz export saved.svg\n")
    (session,) = started
    assert session.start == (1, 2, "bank")
    assert session.request.unit == "token"
    assert session.request.rank == "lift"
    assert session.words("export", None, ["a.svg", "--layer", "1"]) == (
        f"attnviz export a.svg --layer 1 --from {saved}"
    )
    assert session.words("show", "A new text.", []).startswith('attnviz show "A new text."')


def test_pictures_and_records_are_written_as_their_names_say(
    run: Run, started: list[Session], saved: Path, tmp_path: Path
) -> None:
    run("explore", "--from", saved)
    for name, begin in (("a.svg", b"<?xml"), ("a.png", b"\x89PNG"), ("a.json", b"{")):
        program = drive(started[0], "S", _typed(tmp_path / name))
        assert (tmp_path / name).read_bytes().lower().startswith(begin.lower()), name
        assert program.said[0].startswith(f"attnviz export {tmp_path / name}")
    assert json.loads((tmp_path / "a.json").read_text())["tokens"]
    assert read(tmp_path / "a.json").model == read(saved).model
    for name in ("a.svg", "a.html"):
        refused = drive(started[0], "S", _typed(tmp_path / name))
        assert not refused.said, name  # it is there already; pages are made by export alone


def _typed(path: Path) -> Any:
    async def type_name(program: Any, pilot: Any) -> None:
        program.screen.query_one("#field0").value = str(path)
        await pilot.press("enter")

    return type_name


def test_a_text_runs_in_the_model_and_other_texts_too(
    run: Run, started: list[Session], monkeypatch: pytest.MonkeyPatch
) -> None:
    run("explore", "The bank approved the loan.")
    (session,) = started
    program = drive(session, "t", "ctrl+u", *["space" if letter == "_" else letter for letter in "The_river"], "enter")
    assert program.scene.there.units.queries.labels == ("[CLS]", "The", "river", "[SEP]")
    assert program.text == "The river"
    program = drive(session, "a")
    assert program.view.head
    del monkeypatch


def test_the_command_of_another_text_has_no_pair(run: Run, started: list[Session]) -> None:
    run("explore", "The bank.", "--pair", "A loan.")
    assert "--pair" in started[0].words("show", None, [])
    assert "--pair" not in started[0].words("show", "The river", [])


def test_an_unreadable_model_ends_it_with_its_error(run: Run, started: list[Session]) -> None:
    run("explore", "The bank.", "--model", "/no/such/folder")
    program = drive(started[0])
    assert program.failed is not None
    assert program.return_value == 4
    assert not isinstance(program.failed, InputError)


def test_a_record_is_explored_without_torch(saved: Path) -> None:
    script = """
import sys, asyncio
from pathlib import Path
from tests.explore.driving import drive, session
from attnviz.record import read
drive(session(read(Path(sys.argv[1]))), "o", "tab", "w", "down")
from attnviz.cli import app
print([name for name in ("torch", "transformers", "numba", "matplotlib") if name in sys.modules])
"""
    ran = subprocess.run(
        [sys.executable, "-c", script, str(saved)], capture_output=True, text=True, check=False, env=dict(os.environ),
        cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines()[-1] == "[]"
