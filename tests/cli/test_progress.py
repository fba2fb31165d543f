"""The progress bar: nothing for two seconds, then layer, tile and remaining time; nothing without a terminal."""

from __future__ import annotations

import io
import re
import threading
from pathlib import Path

import pytest
import torch
from rich.console import Console

from attnviz.attention.kernel import Tile
from attnviz.attention.tile import find_loops
from attnviz.attention.window import CAUSAL
from attnviz.cli import console, progress
from attnviz.cli.progress import RunProgress
from attnviz.interface import load
from tests.cli.conftest import Run


class Clock:
    """A clock that advances on demand."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


class Screen:
    """A terminal, or a file, and what is drawn on it."""

    def __init__(self, *, terminal: bool = True) -> None:
        self._out = io.StringIO()
        self.console = Console(file=self._out, force_terminal=terminal, width=100, color_system=None)

    @property
    def raw(self) -> str:
        return self._out.getvalue()

    @property
    def pictures(self) -> list[str]:
        plain = re.sub(r"\x1b\[[?\d;]*[A-Za-z]", "", self.raw)
        return [
            " ".join(part.replace("━", "").replace("╸", "").replace("╺", "").split())
            for part in re.split(r"[\r\n]+", plain)
            if part.strip()
        ]


def see(bar: RunProgress, clock: Clock, layer: int, query: int, seconds: float) -> None:
    """A causal layer of two heads and 100 tokens in tiles of 10 queries, each of which takes some ``seconds``."""
    clock.now += seconds
    bar.tile(Tile(layer, query, 0, torch.zeros(2, 10, query + 10), (2, 100, 100), window=CAUSAL))


def test_nothing_is_shown_in_the_first_two_seconds() -> None:
    clock, screen = Clock(), Screen()
    bar = RunProgress(4, screen.console, clock)
    for query in range(0, 100, 10):
        see(bar, clock, 0, query, 0.19)
    bar.close()
    assert screen.raw == ""


def test_layer_tile_and_time_left_are_shown_then() -> None:
    clock, screen = Clock(), Screen()
    bar = RunProgress(4, screen.console, clock)
    for query in range(0, 100, 10):
        see(bar, clock, 0, query, 0.1)
    see(bar, clock, 1, 0, 5)
    # A layer and 2·10·10 of 2·5050 scores in 6 seconds: 4 layers take 6 · 4 / 1.0198 = 23.5
    assert screen.pictures[-1] == "layer 2 of 4, tile 1 18 s left"
    for query in range(10, 70, 10):
        see(bar, clock, 1, query, 1)
    # 2800 of 5050: little more than half, though seven of ten rows are done. 12 · (4 − 1.5545) / 1.5545 = 18.9
    assert screen.pictures[-1] == "layer 2 of 4, tile 7 19 s left"
    bar.close()
    assert screen.raw.endswith("\x1b[2K")  # the line is empty again


def test_it_is_drawn_a_few_times_a_second_and_by_no_thread() -> None:
    clock, screen = Clock(), Screen()
    bar = RunProgress(1, screen.console, clock)
    threads = threading.active_count()
    for _ in range(1000):
        see(bar, clock, 0, 0, 0.004)  # 4 seconds, of which 2 are shown
    assert threading.active_count() == threads
    bar.close()
    assert len({line for line in screen.pictures if line.startswith("layer")}) <= 10


def test_layers_that_nobody_counted_go_without_a_time() -> None:
    clock, screen = Clock(), Screen()
    bar = RunProgress(None, screen.console, clock)
    see(bar, clock, 0, 0, 3)
    assert screen.pictures[-1] == "layer 1, tile 1"
    bar.close()


def test_more_layers_than_were_known_are_no_harm() -> None:
    clock, screen = Clock(), Screen()
    bar = RunProgress(1, screen.console, clock)
    for layer in range(3):
        see(bar, clock, layer, 0, 3)
    assert screen.pictures[-1].startswith("layer 3 of 3")
    bar.close()


def test_where_nobody_looks_nothing_is_drawn() -> None:
    clock, screen = Clock(), Screen(terminal=False)
    bar = RunProgress(1, screen.console, clock)
    see(bar, clock, 0, 0, 60)
    bar.close()
    assert screen.raw == ""


@pytest.mark.parametrize("name", ["tiny_bert", "tiny_llama", "tiny_hosted", "tiny_t5"])
@pytest.mark.parametrize("command", ["show", "export"])
def test_commands_show_how_far_they_are(
    name: str, command: str, run: Run, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All layers of all kinds are counted, so that the bar ends at the last."""
    screen = Screen()
    monkeypatch.setattr(console, "errors", lambda: screen.console)
    monkeypatch.setattr(progress, "PATIENCE", 0)
    monkeypatch.setattr(progress, "_EVERY", 0)
    folder = request.getfixturevalue(name)
    out = [tmp_path / "a.json"] if command == "export" else ["--no-check"]
    assert run(command, "the bank", *out, "-m", folder).code == 0
    layers = {"tiny_t5": 3 + 2 + 2}.get(name, 3)
    drawn = [line for line in screen.pictures if line.startswith("layer")]
    assert drawn[0].startswith(f"layer 1 of {layers}, tile 1")
    assert drawn[-1].startswith(f"layer {layers} of {layers}, tile 1")


def test_the_bar_is_taken_away_where_the_run_fails(tiny_llama: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Screen()
    monkeypatch.setattr(console, "errors", lambda: screen.console)

    def fail() -> None:
        with progress.run_progress(load(tiny_llama)) as bar:
            bar._next = 0
            bar.tile(Tile(0, 0, 0, torch.zeros(1, 1, 1), (1, 1, 1)))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert "layer 1 of 3" in screen.raw
    assert screen.raw.endswith("\x1b[2K")


def test_compilation_is_noted_once_and_what_is_compiled_not() -> None:
    screen = Screen(terminal=False)
    numba = pytest.importorskip("numba")
    assert find_loops("attnviz.attention.compiled.passes")
    one, other = numba.njit(lambda x: x + 1), numba.njit(lambda x: x + 2)
    with console.compilation_noted(screen.console):
        assert one(1.0) == 2
        assert one(2.0) == 3
        assert other(1.0) == 3
    assert screen.raw.count("compiling") == 1
    numba.njit(lambda x: x + 3)(1.0)
    with console.compilation_noted(None):
        numba.njit(lambda x: x + 4)(1.0)
    assert screen.raw.count("compiling") == 1
