"""Drive the explorer without a terminal: press keys, and look at what the screen says."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("textual")

from textual.pilot import Pilot

from attnviz.explore.app import Explorer
from attnviz.explore.session import Session
from attnviz.explore.source import Saved
from attnviz.record import AttentionRecord, Observation, Record, Request
from tests.records import peaked, random_weights, record

WORDS = ["[CLS]", "The", "bank", "approved", "the", ("loans", ["loan", "##s"]), ".", "[SEP]"]
Step = str | Callable[[Explorer, Pilot[int]], Awaitable[None]]


def small_record() -> AttentionRecord:
    """Two layers of three heads; L1 H2 takes bank to loans, L0 H1 loans to bank."""
    return record(WORDS, peaked((2, 3, 9), {(1, 2, 2, 5): 0.9, (0, 1, 5, 2): 0.4, (0, 1, 6, 2): 0.4}))


def long_record(n: int = 140) -> AttentionRecord:
    """A text of many words, whose maps do not fit the screen."""
    words = [("river", "bank", "loan", "money", "water", "stone")[i % 6] + str(i) for i in range(n)]
    return record(words, random_weights((2, 2, n), causal=True), causal=True)


def session(found: Record | None = None, **more: Any) -> Session:
    """What the explorer is started with; what it saves is kept in ``SAVED``."""
    SAVED.clear()

    def words(name: str, text: str | None, options: Sequence[str]) -> str:
        return " ".join(["attnviz", name, *([] if text is None else [repr(text)]), *options])

    def save(found: Observation, request: Request, path: Path, other: Observation | None, *, arcs: bool) -> None:  # noqa: ARG001
        SAVED.append((found, request, path))

    given: dict[str, Any] = {"source": Saved(found or small_record()), "request": Request(rank="lift")} | more
    return Session(words=words, save=save, **given)


SAVED: list[tuple[Observation, Request, Path]] = []


def drive(started: Session, *steps: Step, size: tuple[int, int] = (100, 30)) -> Explorer:
    """Press keys, or call what looks at the program in between; return the program as it was at the end."""
    program = Explorer(started)

    async def run() -> None:
        async with program.run_test(size=size, notifications=True) as pilot:
            await settled(program, pilot)
            for step in steps:
                if isinstance(step, str):
                    await pilot.press(*step.split())
                else:
                    await step(program, pilot)
                await settled(program, pilot)

    asyncio.run(run())
    return program


async def settled(program: Explorer, pilot: Pilot[int]) -> None:
    """Wait until nothing is at work."""
    for _ in range(1000):
        await pilot.pause()
        if not program.busy and (program.begun or not program.is_running):
            break
        await asyncio.sleep(0.005)
    await pilot.pause()


def saw(into: list[str]) -> Step:
    """A step that adds what the screen says to a list."""

    async def look(program: Explorer, _: Pilot[int]) -> None:
        into.append(shown(program))

    return look


def shown(program: Explorer) -> str:
    """What the screen says, line by line."""
    screen = program.screen
    wide, high = program.size
    strips = screen._compositor.render_strips(program.size)
    return "\n".join(strip.crop(0, wide).text.rstrip() for strip in strips[:high])


def flat(text: str) -> str:
    """What a screen says, without frames and line breaks."""
    return " ".join(word for word in text.split() if word.strip("▌│─╭╮╰╯"))
