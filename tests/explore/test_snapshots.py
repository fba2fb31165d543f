"""Whole screens of the explorer, as pictures; ``--snapshot-update -m slow`` makes them anew."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

pytest.importorskip("textual")
pytest.importorskip("pytest_textual_snapshot")

import textual

from attnviz.explore.app import Explorer
from attnviz.explore.drawing import Look
from attnviz.explore.session import Session
from tests.explore.driving import long_record, session, settled
from tests.records import three_maps

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not textual.__version__.startswith("8.2."), reason="another textual draws in other ways"),
]


def _three() -> Session:
    return session(three_maps(["The", "bank", "loans", "[</s>]"], ["[<s>]", "Die", "Bank", "gab"]))


SCREENS: dict[str, tuple[Callable[[], Session], tuple[int, int], str]] = {
    "short": (session, (80, 24), ""),
    "light": (lambda: session(look=Look("ink", cursor="#e4572e"), dark=False), (80, 24), "tab tab enter"),
    "plain": (lambda: session(look=Look(plain=True)), (80, 24), "o"),
    "long": (lambda: session(long_record()), (80, 24), "tab end"),
    "cross": (_three, (80, 24), ""),
    "compared": (session, (80, 24), "c 0 full_stop 1 enter"),
    "arcs": (session, (80, 24), "v"),
    "found": (session, (80, 24), "tab enter"),
}


@pytest.mark.parametrize("name", SCREENS)
def test_a_screen_looks_as_it_did(name: str, snap_compare: Any) -> None:
    begin, size, keys = SCREENS[name]

    async def press(pilot: Any) -> None:
        await settled(pilot.app, pilot)
        for key in keys.split():
            await pilot.press(key)
            await settled(pilot.app, pilot)
        pilot.app.screen.set_focus(pilot.app.screen.focused, scroll_visible=False)

    assert snap_compare(Explorer(begin()), run_before=press, terminal_size=size)
