from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path

import pytest
from rich.console import Console
from typer.main import get_command

from attnviz import manual
from attnviz.cli.app import app
from attnviz.cli.help import page
from attnviz.record import schemas
from attnviz.render.terminal.manual import Manual
from tests.cli.conftest import Run
from tests.cli.test_app import SCRIPT, TELLING, script


def test_help_lists_all_chapters_and_commands(run: Run) -> None:
    result = run("help")
    assert (result.code, result.err) == (0, "")
    shown = " ".join(result.out.split())
    for name in manual.CHAPTERS:
        assert f"{name} {manual.chapter(name).summary}" in shown
    for command in ("show", "batch", "schema", "help"):
        assert re.search(rf"^  {command} +[A-Z]", result.out, re.MULTILINE)


def test_no_help_has_brackets_which_the_screen_would_take_for_markup() -> None:
    for command in vars(get_command(app))["commands"].values():
        said = [command.help, *(getattr(parameter, "help", None) for parameter in command.params)]
        assert not [text for text in said if text and "[" in text], command.name


@pytest.mark.parametrize("asked", [["corpora"], ["Corpora"], ["whole", "corpora"]])
def test_a_chapter_that_is_piped_is_its_markdown(asked: list[str], run: Run) -> None:
    result = run("help", *asked)
    assert (result.code, result.err) == (0, "")
    assert result.out == manual.chapter("corpora").text
    assert result.out.startswith("# Whole corpora\n")
    assert "[[[" not in result.out
    assert "[[[cog" in (manual.FOLDER / "corpora.md").read_text(encoding="utf-8")


def test_help_of_a_command_is_its_options(run: Run) -> None:
    assert run("help", "batch") == run("batch", "--help")
    assert run("help", "batch").code == 0


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("corpra", "there is no chapter 'corpra' Did you mean this? attnviz help corpora"),
        ("xyzzy", "there is no chapter 'xyzzy' attnviz help lists all."),
        ("../../README", "there is no chapter '../../README'"),
        ("\x1b[31mred", r"there is no chapter '\x1b[31mred'"),
        ("a" * 9999, "there is no chapter 'aaaa"),
    ],
)
def test_a_chapter_that_is_not_there_is_named_with_the_nearest(asked: str, said: str, run: Run) -> None:
    result = run("help", asked)
    assert (result.code, result.out) == (2, "")
    assert said in result.said
    assert len(result.err) < 300


def test_help_loads_nothing_heavy() -> None:
    for arguments in (["help"], ["help", "reading"], ["schema", "show"]):
        done = script(*arguments, code=TELLING)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.splitlines()[-1].strip() == "loaded:"


@pytest.mark.parametrize("width", [40, 80, 200])
@pytest.mark.parametrize("name", manual.CHAPTERS)
def test_a_chapter_can_be_read_at_any_width(name: str, width: int) -> None:
    console = Console(width=width, color_system=None)
    with console.capture() as captured:
        console.print(Manual(manual.chapter(name)))
    shown = captured.get()
    assert all(len(line.rstrip()) <= min(width, 100) for line in shown.splitlines())
    assert not re.search(r"\]\(|<!--|\*\*\w|%20|\|---|```|<details", shown)
    # No word is lost where tables become paragraphs; long ones may be cut in two.
    prose = re.sub(
        r"```.*?```|^    .*?$|\[.*?\]\(.*?\)|`.*?`|^.*\n\|---.*$", "", manual.chapter(name).text, flags=re.S | re.M
    )
    packed = re.sub(r"\s", "", shown)
    assert [word for word in re.findall(r"[a-z]{4,}", prose) if word not in packed] == []


@pytest.mark.skipif(os.name == "nt", reason="there are no pseudo-terminals")
def test_a_chapter_longer_than_the_screen_goes_through_the_pager(tmp_path: Path) -> None:
    paged = tmp_path / "paged"
    assert "Long texts" in on_terminal("help", "long", rows=200, pager=f"cat > {paged}")
    assert not paged.exists()
    assert "Long texts" not in on_terminal("help", "long", rows=20, pager=f"cat > {paged}")
    text = paged.read_text(encoding="utf-8")
    assert "\nWindows" in text
    assert "\x1b" not in text  # who knows what this pager makes of it


@pytest.mark.parametrize("pager", ["no-such-pager --option", "  "])
def test_a_pager_that_is_not_there_is_done_without(
    pager: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PAGER", pager)
    monkeypatch.setenv("LESS", "")
    page(Manual(manual.chapter("long")), Console(file=sys.stdout, force_terminal=True, width=80, height=9))
    assert "Windows" in capsys.readouterr().out


def on_terminal(*arguments: str, rows: int, pager: str) -> str:
    """Return what a command prints on a terminal of 80 columns and ``rows`` rows."""
    import pty

    shown = bytearray()

    def read(handle: int) -> bytes:
        data = os.read(handle, 4096)
        shown.extend(data)
        return data

    here = "import sys, pty, os; os.environ.update(json.loads(sys.argv.pop(1)));"
    given = {"COLUMNS": "80", "LINES": str(rows), "PAGER": pager, "TERM": "xterm"}
    pty.spawn([sys.executable, "-c", f"import json; {here} {SCRIPT}", json.dumps(given), *arguments], read)
    return shown.decode()


def test_schema_prints_a_schema_and_lists_all(run: Run) -> None:
    for name in schemas.VERSIONS:
        assert json.loads(run("schema", name).out)["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    listed = run("schema")
    assert listed.code == 0
    assert [line.split()[0] for line in listed.lines] == list(schemas.VERSIONS)


def test_a_schema_that_is_not_there_is_named_with_the_nearest(run: Run) -> None:
    result = run("schema", "rekord")
    assert (result.code, result.out) == (2, "")
    assert "there is no schema 'rekord' Did you mean this? attnviz schema record" in result.said
