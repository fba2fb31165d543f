from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from typer.testing import CliRunner

from attnviz.cli import app as cli
from tests import tiny
from tests.cli.conftest import Run

SCRIPT = "import sys; from attnviz.cli.app import main; sys.argv[0] = 'attnviz'; main()"
TELLING = (
    "import atexit, sys\n"
    "heavy = ('torch', 'transformers', 'matplotlib')\n"
    "atexit.register(lambda: print('loaded:', *[name for name in heavy if name in sys.modules]))\n"
) + SCRIPT
"""Says at its end which of the heavy packages were loaded."""


def script(*arguments: object, code: str = SCRIPT, **options: object) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process of its own."""
    environment = os.environ | {"COLUMNS": "80", "PYTHONIOENCODING": "utf-8"}
    environment |= options.pop("env", {})  # type: ignore[arg-type]
    return subprocess.run(  # type: ignore[call-overload, no-any-return]
        [sys.executable, "-c", code, *map(str, arguments)],
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        env=environment,
        timeout=60,
        check=False,
        **options,
    )


# Starting


@pytest.mark.parametrize("argument", ["--help", "--version"])
def test_help_and_version_load_nothing_heavy(argument: str) -> None:
    done = script(argument, code=TELLING)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1].strip() == "loaded:"


def test_show_runs_without_transformers(tiny_bert: Path) -> None:
    done = script("show", tiny.SENTENCE, "--no-check", "--model", tiny_bert, code=TELLING)
    assert (done.returncode, done.stderr) == (0, "")
    first, *_, last = done.stdout.splitlines()
    assert first.startswith(tiny_bert.name)
    assert "3 layers × 4 heads" in first
    assert last == "loaded: torch"


def test_batch_runs_without_transformers(tiny_bert: Path, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(tiny.SENTENCE)
    given = ("batch", tmp_path / "a.txt", "--output", tmp_path / "results", "--check", "none", "--model", tiny_bert)
    done = script(*given, code=TELLING)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1] == "loaded: torch matplotlib"


def test_version_is_that_of_the_package() -> None:
    result = CliRunner().invoke(cli.app, ["--version"])
    assert (result.exit_code, result.output) == (0, f"attnviz {version('attnviz')}\n")


@pytest.mark.parametrize(
    "arguments", [["--help"], ["-h"], ["show", "--help"], ["export", "-h"], ["check", "--help"], ["models", "-h"]]
)
def test_help_ends_well(arguments: list[str], run: Run) -> None:
    result = run(*arguments)
    assert (result.code, result.err) == (0, "")
    assert "Usage: attnviz" in result.out


def test_help_lists_the_commands(run: Run) -> None:
    out = run("--help").out
    assert all(f" {command} " in out for command in ("show", "export", "check", "models"))


def test_without_a_command_the_help_is_shown_and_it_is_a_usage_error(run: Run) -> None:
    result = run()
    assert result.code == 2
    assert "Usage: attnviz" in result.out + result.err


@pytest.mark.parametrize("arguments", [["shwo"], ["show", "a", "--no-such-option"], ["show", "a", "b"], ["export"]])
def test_a_command_line_that_is_wrong_is_a_usage_error(arguments: list[str], run: Run) -> None:
    result = run(*arguments)
    assert (result.code, result.out) == (2, "")
    assert "Usage: attnviz" in result.err


# Ending


def test_an_error_is_two_lines_on_standard_error(run: Run) -> None:
    result = run("show", "")
    assert (result.code, result.out) == (3, "")
    assert result.err.splitlines() == [
        "error: the text is empty",
        'Give a sentence: attnviz show "The bank approved the loan."',
    ]


def test_an_interrupt_ends_without_a_traceback(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("attnviz.cli.source.observe", interrupt)
    result = run("show", "The bank")
    assert result.code == 130
    assert "Traceback" not in result.err


def test_a_mistake_of_ours_is_not_hidden(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("attnviz.cli.source.observe", fail)
    with pytest.raises(ZeroDivisionError):
        run("show", "The bank")


def test_a_reader_that_stops_early_ends_it_quietly(saved: Path, tmp_path: Path) -> None:
    # As `attnviz show … | head -1`, with more to print than a pipe holds.
    errors = tmp_path / "errors"
    heads = ["--head", "0-3", "--layer", "0-2"]
    words = [argument for _ in range(300) for argument in ("--token", "bank")]
    with errors.open("w") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-c", SCRIPT, "show", "--from", str(saved), "--top", "9", *heads, *words],
            stdout=subprocess.PIPE,
            stderr=stderr,
        )
        assert process.stdout
        first = process.stdout.readline()
        process.stdout.close()
        code = process.wait(60)
    assert first.startswith(b"bert")
    assert errors.read_text() == ""
    assert code in (0, 1, 141)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_terminal_that_lacks_characters_gets_question_marks(encoding: str, saved: Path) -> None:
    done = script("show", "--from", saved, env={"PYTHONIOENCODING": encoding})
    assert (done.returncode, done.stderr) == (0, "")
    assert "bank ? " in done.stdout or "? bank" in done.stdout


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
@pytest.mark.parametrize(
    ("environment", "blocks"),
    [
        ({"TERM": "xterm-256color", "COLORTERM": "truecolor"}, ";2;"),
        ({"TERM": "xterm-256color", "COLORTERM": ""}, ";5;"),
        ({"TERM": "xterm-256color", "COLORTERM": "truecolor", "NO_COLOR": "1"}, None),
        ({"TERM": "dumb", "COLORTERM": ""}, None),
    ],
    ids=["true colour", "256 colours", "NO_COLOR", "dumb"],
)
def test_a_real_terminal_gets_the_colours_that_it_has(
    environment: dict[str, str], blocks: str | None, saved: Path
) -> None:
    import pty

    ours, theirs = pty.openpty()
    cleared = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "FORCE_COLOR")}
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, "show", "--from", str(saved)],
        stdout=theirs,
        stderr=theirs,
        env=cleared | {"COLUMNS": "80", "LINES": "24"} | environment,
    )
    os.close(theirs)
    parts = []
    while True:
        try:
            part = os.read(ours, 1 << 16)
        except OSError:  # Linux says so at the end
            break
        if not part:
            break
        parts.append(part)
    os.close(ours)
    text = b"".join(parts).decode()
    assert process.wait(60) == 0
    assert "bank" in text
    assert [mark for mark in (";2;", ";5;") if mark in text] == ([blocks] if blocks else [])


def test_standard_output_of_json_is_json_whatever_the_locale(saved: Path) -> None:
    done = script("show", "--from", saved, "--json", env={"PYTHONIOENCODING": "utf-8", "LC_ALL": "C"})
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["layers"] == 3
