"""The background of a terminal: what it says, and what is left in its input."""

from __future__ import annotations

import os
import select
import threading
import time

import pytest

from attnviz.cli import background
from attnviz.cli.background import Background

pty = pytest.importorskip("pty")
termios = pytest.importorskip("termios")


def asked(answer: bytes, monkeypatch: pytest.MonkeyPatch, **environment: str) -> tuple[bool, bytes, bool]:
    """Whether the background is dark where a terminal answers, what is left of that, and whether it is as it was."""
    for name in (background.VARIABLE, "COLORFGBG"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(background, "_PATIENCE", 0.2)
    screen, terminal = pty.openpty()
    before, kept = termios.tcgetattr(terminal), os.dup(terminal)

    def reply() -> None:
        if select.select([screen], [], [], 1)[0]:
            os.read(screen, 100)
            os.write(screen, answer)

    other = threading.Thread(target=reply)
    other.start()
    try:
        dark = Background(terminal).dark()
        left = os.read(kept, 100) if select.select([kept], [], [], 0.05)[0] else b""
        return dark, left, termios.tcgetattr(kept) == before
    finally:
        other.join()
        os.close(screen)
        os.close(kept)


@pytest.mark.parametrize(("answer", "dark"), [
    (b"\x1b]11;rgb:ffff/ffff/f0f0\x1b\\\x1b[?62;22c", False),
    (b"\x1b]11;rgb:1e/1e/2e\x07\x1b[?1;2c", True),
    (b"\x1b[?1;2c", True),
    (b"", True),
])  # fmt: skip
def test_what_the_terminal_says(answer: bytes, dark: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    assert asked(answer, monkeypatch) == (dark, b"", True)


def test_without_an_answer_the_environment_says_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert asked(b"\x1b[?1;2c", monkeypatch, COLORFGBG="0;15")[0] is False


def test_the_variable_asks_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(background.VARIABLE, "light")
    screen, terminal = pty.openpty()
    assert Background(terminal).dark() is False
    assert not select.select([screen], [], [], 0.05)[0]
    os.close(screen)
    os.close(terminal)


def test_it_does_not_wait_for_a_terminal_that_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    start = time.monotonic()
    asked(b"", monkeypatch)
    assert time.monotonic() - start < 3
