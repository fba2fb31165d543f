"""Standard streams that are full, closed, or lack characters."""

from __future__ import annotations

import errno
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from attnviz.cli import console
from attnviz.cli.app import run_app
from attnviz.cli.streams import guard_streams
from attnviz.errors import UsageError

SCRIPT = "from attnviz.cli.signals import main; main()"


class Failing(io.RawIOBase):
    """A file that can't be written to."""

    def __init__(self, error: OSError) -> None:
        self.error = error

    def writable(self) -> bool:
        return True

    def write(self, _: object) -> int:
        raise self.error


def failing(number: int) -> io.TextIOWrapper:
    return io.TextIOWrapper(Failing(OSError(number, os.strerror(number))), encoding="utf-8", write_through=True)  # type: ignore[type-var]


def ended(monkeypatch: pytest.MonkeyPatch, *arguments: object, out: object, err: object) -> int:
    monkeypatch.setattr(sys, "argv", ["attnviz", *map(str, arguments)])
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", out)
        patch.setattr(sys, "stderr", err)
        with pytest.raises(SystemExit) as caught:
            run_app()
    return int(caught.value.code or 0)


def text() -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BytesIO(), encoding="utf-8", newline="", write_through=True)


def written(stream: io.TextIOWrapper) -> str:
    return stream.buffer.getvalue().decode()  # type: ignore[attr-defined, no-any-return]


FULL, GONE = errno.ENOSPC, errno.EPIPE
COMMANDS = {
    "a screen": ("show", "--from", "{record}"),
    "a document": ("show", "--from", "{record}", "--json"),
    "help": ("--help",),
    "examples": (),
    "the version": ("--version",),
    "a file": ("export", "--from", "{record}", "{folder}/again.safetensors"),
}


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_standard_output_that_can_not_be_written_is_code_2(
    command: tuple[str, ...], saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = [part.format(record=saved, folder=tmp_path) for part in command]
    for out, why in ((failing(FULL), "No space left on device"), (None, "it is closed")):
        err = text()
        assert ended(monkeypatch, *given, *(["--force"] if "export" in given else []), out=out, err=err) == 2
        assert f"error: standard output can't be written to ({why})" in written(err)


@pytest.mark.parametrize("command", [COMMANDS["a screen"], COMMANDS["a document"]], ids=["screen", "document"])
def test_a_reader_that_is_gone_is_quiet_and_has_a_code_of_its_own(
    command: tuple[str, ...], saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    err = text()
    given = [part.format(record=saved) for part in command]
    assert ended(monkeypatch, *given, out=failing(GONE), err=err) == 141
    assert written(err) == ""


@pytest.mark.parametrize("number", [FULL, GONE, None], ids=["full", "gone", "closed"])
@pytest.mark.parametrize(("arguments", "code"), [(["show", ""], 3), (["show", "--nope"], 2), (["shwo"], 2)])
def test_an_error_keeps_its_code_where_it_can_not_be_said(
    arguments: list[str], code: int, number: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    err = None if number is None else failing(number)
    assert ended(monkeypatch, *arguments, out=text(), err=err) == code


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there are no devices")
def test_the_interpreter_itself_ends_with_the_code() -> None:
    """At exit it flushes pending output, and would report a failure with a code of its own."""
    command = f"{sys.executable} -c '{SCRIPT}'"
    lines = (f"{command} --version >/dev/full", f"{command} show '' <&- >&- 2>&-")
    script = (
        "\n".join(f'({line}) & pids="$pids $!"' for line in lines) + '\nfor p in $pids; do wait $p; echo "$?"; done'
    )
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.split() == ["2", "3"]
    assert done.stderr.count("error: standard output can't be written to") == 1
    assert "Exception ignored" not in done.stderr


# Characters


def shown(encoding: str, line: str) -> str:
    raw = io.BytesIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding=encoding, errors="strict"))
        with guard_streams():
            console.output().print(line, soft_wrap=True)
        return raw.getvalue().decode(encoding)


def test_what_an_encoding_lacks_is_shown_readably() -> None:
    assert shown("ascii", "bank → loan  █▌ … ✓") == "bank > loan  #: ~ [ok]\n"
    assert shown("cp1252", "bank → loan · … é ✗") == "bank > loan · … é [FAILED]\n"
    assert shown("ascii", "né 你😀") == "n\\xe9 \\u4f60\\U0001f600\n"
    assert shown("utf-8", "bank → 你") == "bank → 你\n"


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "utf-16"])
def test_a_document_is_utf_8_whatever_the_encoding_of_the_terminal(encoding: str) -> None:
    raw = io.BytesIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding=encoding))
        with guard_streams():
            console.print_json({"text": "你好 “é”", "name": "\udcff"})
        assert raw.getvalue().startswith('{"text": "你好 “é”"'.encode())
        assert json.loads(raw.getvalue()) == {"text": "你好 “é”", "name": "\udcff"}


def test_streams_are_given_back_as_they_were() -> None:
    before = sys.stdout, sys.stderr
    with pytest.raises(UsageError), guard_streams():
        raise UsageError("x")
    assert (sys.stdout, sys.stderr) == before
    print("still here")
