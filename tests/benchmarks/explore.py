"""How long the explorer takes from a key to the screen, and to start: ``python -m tests.benchmarks.explore``.

Keys are pressed by the pilot of textual in windows of 80 × 24 and 200 × 60, on random weights: 12 × 12 heads with 64
words, and 30 × 9 heads with 512. The time is from the key until the screen is drawn and nothing waits, less that of a
key that does nothing; that of keys that compute in a thread ends with the first thing that they show. Starts are whole
processes in a terminal of their own, beside ``attnviz show`` in the same run.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import pty
import select
import signal
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from textual.pilot import Pilot

from attnviz.analysis.text.replaying import replay
from attnviz.explore.app import Explorer
from attnviz.explore.session import Session
from attnviz.explore.source import OnLayers
from attnviz.record import AttentionRecord, Observation, Request
from tests.explore.driving import session, settled
from tests.records import random_weights, record

SHAPES = ((12, 12, 64), (30, 9, 512))
SIZES = ((80, 24), (200, 60))
KEYS = {
    "heads": ("down", "right", "up", "left", "end", "home"),
    "order": ("o",),
    "in a list": ("down", "pagedown", "up"),
    "map": ("tab", "down", "right", "up", "end", "left"),
    "zoom": ("enter", "escape"),
    "text": ("tab", "right", "down", "left", "up"),
    "pick": ("enter", "right", "enter"),
    "threshold": ("plus", "minus"),
    "words, special": ("w", "w", "s", "s"),
    "help": ("question_mark", "escape"),
    "questions": ("slash", "escape", "f", "escape", "c", "escape", "t", "escape", "S", "escape"),
    "copy": ("y",),
    "palette": ("ctrl+p", "escape"),
}
"""What is pressed, in this order, by what it is for."""


Times = tuple[float, float]


class Observed:
    """A record that was observed before, as the model's run leaves it."""

    text = None

    def __init__(self, found: AttentionRecord) -> None:
        self._found, self._known = found, dict[Request, Observation]()

    def observe(self, request: Request, _: OnLayers) -> Observation:
        """What is asked of it; the first time it is replayed."""
        if request not in self._known:
            self._known[request] = replay(self._found, request)
        return self._known[request]


def text_of(shape: tuple[int, int, int]) -> AttentionRecord:
    """A random record of a causal model."""
    words = [("river", "bank", "loan", "money", "water", "stone")[i % 6] + str(i) for i in range(shape[2])]
    return record(words, random_weights(shape, causal=True), causal=True)


def started(shape: tuple[int, int, int]) -> Session:
    """What the explorer is started with."""
    return session(source=Observed(text_of(shape)))


async def press(begun: Session, size: tuple[int, int], rounds: int) -> dict[str, list[Times]]:
    """The milliseconds of each key, by what it is for."""
    found: dict[str, list[Times]] = {name: [] for name in KEYS}
    program = Explorer(begun)
    async with program.run_test(size=size) as pilot:
        while not program.begun or program.busy:
            await asyncio.sleep(0.05)
        for _ in range(rounds):
            for name, keys in KEYS.items():
                for key in keys:
                    taken = await timed(pilot, key)
                    floor = await timed(pilot, "f12")  # which does nothing: what the pilot itself takes
                    found[name].append(tuple(a - b for a, b in zip(taken, floor, strict=True)))
                    await settled(program, pilot)
            while program.view.order != "layer":
                await pilot.press("o")
            await pilot.press("escape", "tab")
            await settled(program, pilot)
    return found


async def timed(pilot: Pilot[int], key: str) -> Times:
    """The milliseconds of a key: by the clock, and of this process on a core."""
    start = time.perf_counter(), time.process_time()
    await pilot.press(key)
    return 1000 * (time.perf_counter() - start[0]), 1000 * (time.process_time() - start[1])


def wait_for(command: Sequence[str], until: str | None) -> float:
    """The seconds until a command in a terminal of its own shows something, or until it ends."""
    start = time.perf_counter()
    process, out = pty.fork()
    if process == 0:
        os.environ |= {"TERM": "xterm-256color", "COLUMNS": "100", "LINES": "30"}
        os.execvp(command[0], list(command))
    seen = b""
    try:
        while until is None or until.encode() not in seen:
            select.select([out], [], [], 30)
            try:
                part = os.read(out, 1 << 16)
            except OSError:
                break
            if not part:
                break
            if b"\x1b[c" in part:  # what every terminal tells when it is asked what it is, and of what colour
                os.write(out, b"\x1b]11;rgb:0000/0000/0000\x1b\\\x1b[?62c")
            seen += part
    finally:
        taken = time.perf_counter() - start
        with contextlib.suppress(OSError):
            os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
        os.close(out)
    return taken


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--record", type=Path, help="a saved record, whose start is measured too")
    given = parser.parse_args()
    for shape in SHAPES:
        for size in SIZES:
            found = asyncio.run(press(started(shape), size, given.rounds))
            for i, what in enumerate(("by the clock", "on a core")):
                every = [taken[i] for each in found.values() for taken in each]
                print(f"{shape[0]} × {shape[1]} × {shape[2]} at {size[0]} × {size[1]}, {what}: median "
                      f"{statistics.median(every):.0f} ms, worst {max(every):.0f} ms")  # fmt: skip
                for name, each in found.items():
                    keys = [[taken[i] for taken in each[at :: len(KEYS[name])]] for at in range(len(KEYS[name]))]
                    print(f"   {name}: " + ", ".join(f"{key} {statistics.median(times):.0f}/{max(times):.0f}"
                                                     for key, times in zip(KEYS[name], keys, strict=True)))  # fmt: skip
    text = "The bank approved the loan because the customer had good credit."
    run = [sys.executable, "-m", "attnviz"]
    starts = {"show --no-check": ([*run, "show", "--no-check", text], None),
              "explore": ([*run, "explore", text], "looks at")}  # fmt: skip
    if given.record:
        starts |= {"explore --from": ([*run, "explore", "--from", str(given.record)], "looks at")}
    taken: dict[str, list[float]] = {name: [] for name in starts}
    for _ in range(given.rounds + 1):
        for name, (command, until) in starts.items():
            taken[name].append(wait_for(command, until))
    base = statistics.median(taken["show --no-check"][1:])
    for name, each in taken.items():
        print(f"{name}: {statistics.median(each[1:]):.2f} s, {statistics.median(each[1:]) / base:.2f} ×")


if __name__ == "__main__":
    main()
