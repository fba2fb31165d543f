from __future__ import annotations

import io

import pytest
from rich.console import Console

from attnviz.cli.corpus_progress import CorpusProgress, corpus_progress


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def plain() -> tuple[Console, io.StringIO]:
    file = io.StringIO()
    return Console(file=file, width=200), file


def test_a_file_gets_a_plain_line_every_ten_seconds() -> None:
    (console, file), clock = plain(), Clock()
    on_progress = CorpusProgress(console, 1000, clock)
    on_progress.read(500)
    on_progress.found(20)
    on_progress.worked(10, 400)
    assert file.getvalue() == ""
    clock.now = 10
    on_progress.failed(2)
    assert file.getvalue() == "10 documents · 40 tokens/s · 30 s left · 2 failed\n"
    clock.now = 19
    on_progress.worked(1, 1)
    assert file.getvalue().count("\n") == 1
    clock.now = 20
    on_progress.worked(1, 1)
    assert file.getvalue().count("\n") == 2


def test_nothing_is_said_of_time_where_nobody_knows_how_much_there_is() -> None:
    (console, file), clock = plain(), Clock()
    on_progress = CorpusProgress(console, None, clock)
    on_progress.read(250)
    clock.now = 10
    on_progress.worked(1000, 20_000)
    assert file.getvalue() == "1,000 documents · 2,000 tokens/s\n"


def test_a_terminal_gets_a_bar_that_vanishes_whatever_happens() -> None:
    file, clock = io.StringIO(), Clock()
    console = Console(file=file, width=100, force_terminal=True)

    def fail() -> None:
        with corpus_progress(console, 1000, clock) as on_progress:
            on_progress.read(500)
            on_progress.found(7)
            clock.now = 1
            on_progress.worked(7, 70)
            assert "7 documents · 70 tokens/s · 1.0 s left" in file.getvalue()
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert file.getvalue().endswith("\x1b[?25h\r\x1b[1A\x1b[2K")


def test_nothing_is_said_where_nothing_is_to_be_said() -> None:
    clock = Clock()
    on_progress = CorpusProgress(None, None, clock)
    clock.now = 100
    on_progress.worked(1, 1)
    on_progress.close()


def test_a_check_that_fails_is_said_at_once_and_once() -> None:
    (console, file), clock = plain(), Clock()
    on_progress = CorpusProgress(console, None, clock)
    on_progress.differs("3 documents \x1b[2J apart")
    on_progress.differs("4 documents apart")
    assert file.getvalue() == "✗ 3 documents ␛[2J apart\n"
