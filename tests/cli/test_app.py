from __future__ import annotations

import os
import shlex
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from typer.testing import CliRunner

from attnviz.cli import app as cli
from attnviz.cli import completion
from attnviz.render.figure import Style, colormap
from tests import tiny
from tests.cli.conftest import Run

SCRIPT = "import sys; from attnviz.cli.app import run_app; sys.argv[0] = 'attnviz'; run_app()"
TELLING = (
    "import atexit, sys\n"
    "heavy = ('torch', 'transformers', 'matplotlib')\n"
    "atexit.register(lambda: print('loaded:', *[name for name in heavy if name in sys.modules]))\n"
) + SCRIPT
"""Code that prints at exit which heavy packages were loaded."""


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


def test_without_a_command_three_examples_are_shown_and_it_is_a_usage_error(run: Run) -> None:
    result = run()
    assert (result.code, result.err) == (2, "")
    examples = [shlex.split(line) for line in result.lines if line.startswith("    attnviz ")]
    assert [words[1] for words in examples] == ["show", "export", "batch"]
    assert "attnviz --help" in result.lines[-1]


@pytest.mark.parametrize("arguments", [["show", "a", "--no-such-option"], ["show", "a", "b"], ["export"]])
def test_a_command_line_that_is_wrong_is_a_usage_error(arguments: list[str], run: Run) -> None:
    result = run(*arguments)
    assert (result.code, result.out) == (2, "")
    assert "Usage: attnviz" in result.err


@pytest.mark.skipif(os.name == "nt", reason="Windows has other quotation marks")
@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        (["shwo", "the bank", "--json"], ["show", "the bank", "--json"]),
        ([tiny.SENTENCE], ["show", tiny.SENTENCE]),
        (['It cost $5: "`cheap`" isn\'t it'], ["show", 'It cost $5: "`cheap`" isn\'t it']),
        (["the", "bank", "-m", "gpt2"], ["show", "the bank", "-m", "gpt2"]),
        (["\x1b[31mred"], ["show", "The bank approved the loan."]),
        (["text.txt"], ["show", "--file", "text.txt"]),
        (["record.json", "--top", "2"], ["show", "--from", "record.json", "--top", "2"]),
        (["version"], ["--version"]),
        (["a" * 5000], ["show", "The bank approved the loan."]),
    ],
)
def test_what_is_no_command_is_answered_with_the_one_that_was_meant(
    typed: list[str], meant: list[str], run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("text.txt", "record.json"):
        (tmp_path / name).touch()
    result = run(*typed)
    assert (result.code, result.out) == (2, "")
    first, second = result.err.splitlines()
    assert first.startswith("error: there is no command ")
    assert len(first) < 300
    assert shlex.split(second.removeprefix("Did you mean this? ")) == ["attnviz", *meant]


@pytest.mark.parametrize(
    ("typed", "said", "meant"),
    [
        (
            "show x --unit sentense",
            "--unit is 'sentense', expected one of token, word, sentence, line, paragraph",
            "sentence",
        ),
        ("export x y.png --theme drak", "--theme is 'drak', expected one of light, dark", "dark"),
        ("show x --map cros", "--map is 'cros', expected one of encoder, decoder, cross", "cross"),
        ("batch x --check al", "--check is 'al', expected one of none, sample, all", "all"),
        ("show x --device cpuu", "--device is 'cpuu'; this machine has cpu", "cpu"),
        ("show x --unit it's", '--unit is "it\'s", expected one of token, word, sentence, line, paragraph', ""),
    ],
)
def test_what_is_no_value_of_an_option_is_answered_with_the_one_that_was_meant(
    typed: str, said: str, meant: str, run: Run
) -> None:
    result = run(*typed.split(" "))
    assert (result.code, result.out) == (2, "")
    assert result.err.splitlines() == [f"error: {said}", *([f"Did you mean {meant}?"] if meant else [])]


def test_the_package_runs_as_a_module() -> None:
    command = [sys.executable, "-m", "attnviz", "--nothing"]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=60, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert "Usage: attnviz [OPTIONS]" in done.stderr


@pytest.mark.parametrize(
    ("shell", "words", "offered"),
    [
        ("bash", "attnviz sh", ["show"]),
        ("fish", "attnviz show x --dtype fl", ["float32", "float64", "float16"]),
    ],
)
def test_a_shell_completes_commands_options_and_values_and_loads_nothing_heavy(
    shell: str, words: str, offered: list[str]
) -> None:
    typed = words.split()
    asked = {
        "_ATTNVIZ_COMPLETE": f"complete_{shell}",
        "_TYPER_COMPLETE_ARGS": words,
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
        "COMP_WORDS": words,
        "COMP_CWORD": str(len(typed) - 1),
    }
    done = script(code=TELLING, env=asked)
    assert (done.returncode, done.stderr) == (0, "")
    *lines, loaded = done.stdout.splitlines()
    assert loaded.strip() == "loaded:"
    assert all(any(value in line for line in lines) for value in offered)
    assert "export" not in done.stdout


# Ending


def test_an_error_is_two_lines_on_standard_error(run: Run) -> None:
    result = run("show", "")
    assert (result.code, result.out) == (3, "")
    assert result.err.splitlines() == [
        "error: the text is empty",
        "Give a sentence, such as 'The bank approved the loan.'",
    ]


def test_an_interrupt_ends_without_a_traceback(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("attnviz.cli.source.observe_source", interrupt)
    result = run("show", "The bank")
    assert result.code == 130
    assert "Traceback" not in result.err


def test_a_mistake_of_ours_is_not_hidden(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("attnviz.cli.source.observe_source", fail)
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
    assert code == 141


@pytest.mark.slow
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


def test_values_that_are_no_fixed_choice_are_offered_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    for name in ("models--google-bert--bert-base", "models--gpt2", "datasets--some--data", "tmp"):
        (tmp_path / name).mkdir()
    assert completion.complete_model("") == ["default", "google-bert/bert-base", "gpt2"]
    assert completion.complete_model("g") == ["google-bert/bert-base", "gpt2"]
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "nothing"))
    assert completion.complete_model("") == ["default"]
    assert completion.complete_format("j") == ["jsonl"]
    assert completion.complete_chapter("c") == ["commands", "corpora", "cluster", "check"]
    assert completion.complete_schema("r") == ["run", "record"]
    assert all(colormap(Style(cmap=name)) for name in completion.complete_colour_map(""))


def test_the_settings_of_matplotlib_that_lie_about_end_nothing(tmp_path: Path) -> None:
    (tmp_path / "matplotlibrc").write_bytes(b"text.usetex: True\nno such setting: 3\nbackend: \xff")
    code = (
        "from attnviz.cli.matplotlib_settings import isolate_matplotlib; isolate_matplotlib(); import matplotlib; "
        "print(matplotlib.rcParams == matplotlib.rcParamsDefault)"
    )
    done = script(code=code, cwd=tmp_path, env={"MPLBACKEND": "nonsense", "MATPLOTLIBRC": str(tmp_path)})
    assert (done.returncode, done.stdout, done.stderr) == (0, "True\n", "")


FAMILIES = (
    "import atexit, sys\n"
    "start = 'attnviz.model.families'\n"
    "def of_families(): return (name for name in sorted(sys.modules) if name.startswith(start))\n"
    "atexit.register(lambda: print('read:', *(name for name in of_families() if '.shared' not in name)))\n"
) + SCRIPT
"""Code that prints at exit which families' files were read."""


def test_of_seventy_families_the_one_of_the_model_is_read(tiny_bert: Path) -> None:
    done = script("show", "-m", tiny_bert, "--no-check", "the bank", code=FAMILIES)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "read: attnviz.model.families attnviz.model.families.bert"
    assert script("--help", code=FAMILIES).stdout.splitlines()[-1] == "read:"
