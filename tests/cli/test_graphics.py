"""``show --graphics``: pictures in terminals that can show them, played by a program that answers as they do."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest

from tests.cli.conftest import Run

pytest.importorskip("textual_image")

WIDTH, HEIGHT, CELL = 80, 40, (10, 20)
ATTRIBUTES, KITTY = b"\x1b[c", re.compile(rb"\x1b_Gi=\d+,s=1,v=1,a=q[^\x1b]*\x1b\\")
TERMINALS = {
    "kitty": (b"\x1b[?62;c", b"\x1b_Gi=1;OK\x1b\\"),
    "sixel": (b"\x1b[?62;4;22c", b""),
    "iTerm2": (b"\x1b[?64;1;2;4;6;17;18;21;22;52c", b"\x1b_Gi=1;OK\x1b\\"),
    "plain": (b"\x1b[?6c", b""),
    "silent": (b"", b""),
}
"""What terminals say of themselves, and of kitty's graphics."""


def on_terminal(kind: str, *arguments: str) -> tuple[int, bytes]:
    """The exit code of a command on a terminal of a ``kind``, and all that it wrote."""
    attributes, graphics = TERMINALS[kind]
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", HEIGHT, WIDTH, WIDTH * CELL[0], HEIGHT * CELL[1]))
    plain = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES", "NO_COLOR")}
    running = subprocess.Popen(
        [sys.executable, "-m", "attnviz", *arguments], stdin=theirs, stdout=theirs, stderr=theirs,
        env=plain | {"TERM": "xterm-256color", "COLORTERM": "truecolor"}, start_new_session=True,
    )  # fmt: skip
    os.close(theirs)
    found, asked, end = b"", 0, time.monotonic() + 60
    while time.monotonic() < end:
        if select.select([ours], [], [], 0.05)[0]:
            try:
                found += os.read(ours, 1 << 16)
            except OSError:  # the command has ended
                break
        at = found.find(ATTRIBUTES, asked)
        query = KITTY.search(found, asked)
        if at >= 0:
            asked = at + len(ATTRIBUTES)
            os.write(ours, attributes)
        elif query:
            asked = query.end()
            os.write(ours, graphics)
    os.close(ours)
    return running.wait(10), found


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "protocol"), [("kitty", "kitty"), ("sixel", "sixel"), ("iTerm2", "sixel")])
@pytest.mark.parametrize("wanted", ["auto", "pixels"])
def test_a_terminal_that_can_shows_the_map_as_a_picture(kind: str, protocol: str, wanted: str, saved: Path) -> None:
    code, found = on_terminal(kind, "show", "--from", str(saved), "--graphics", wanted)
    assert code == 0
    placed = re.search(rb"\x1b_Ga=p,i=\d+,c=(\d+),r=(\d+)", found)
    sixels = re.search(rb'\x1bP[0-9;]*q"1;1;(\d+);(\d+)', found)
    if protocol == "kitty":
        assert placed
        assert not sixels
        columns, rows = map(int, placed.groups())
    else:
        assert sixels
        assert not placed
        columns, rows = (int(size) // cell for size, cell in zip(sixels.groups(), CELL, strict=True))
    assert 40 < columns <= WIDTH
    assert 10 < rows < HEIGHT
    assert b"Unusual links" in found
    assert b"each row looks at the columns" not in found  # the picture has a title of its own


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["plain", "silent"])
def test_blocks_are_drawn_where_the_terminal_shows_no_pictures(kind: str, saved: Path) -> None:
    code, found = on_terminal(kind, "show", "--from", str(saved), "--graphics", "auto")
    assert code == 0
    assert b"\x1bP" not in found
    assert b"each row looks at the columns" in found
    assert on_terminal(kind, "show", "--from", str(saved))[1].count(b"\x1b[c") == 0  # nobody asks unasked
    code, found = on_terminal(kind, "show", "--from", str(saved), "--graphics", "pixels")
    assert code == 2
    assert "does not say that it can show" in " ".join(found.decode().split())


def test_a_file_is_no_terminal(run: Run, saved: Path) -> None:
    result = run("show", "--from", saved, "--graphics", "pixels")
    assert result.code == 2
    assert "--graphics pixels: the standard output is no terminal" in result.said
    assert run("show", "--from", saved, "--graphics", "auto").out == run("show", "--from", saved).out


def test_the_missing_package_is_named(run: Run, saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from attnviz.render.terminal import pixels

    for stream in ("stdout", "stdin", "__stdout__", "__stdin__"):
        monkeypatch.setattr(pixels.sys, stream, Terminal())
    monkeypatch.setitem(sys.modules, "textual_image", None)
    assert pixels.missing() == "textual-image is not installed"
    monkeypatch.undo()
    monkeypatch.setattr(pixels, "missing", lambda: "textual-image is not installed")
    result = run("show", "--from", saved, "--graphics", "pixels")
    assert result.code == 2
    assert "pip install 'attnviz[explore]'" in result.said
    assert run("show", "--from", saved, "--graphics", "auto").code == 0


class Terminal:
    def isatty(self) -> bool:
        return True
