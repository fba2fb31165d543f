"""What the explorer does with what can't be, and with keys that come faster than answers."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

pytest.importorskip("textual")

from textual.pilot import Pilot
from textual.widgets import Input

from attnviz.errors import AttnvizError, InputError
from attnviz.explore.app import Explorer
from attnviz.explore.source import OnLayers, Saved, Source
from attnviz.record import Observation, Request
from tests.explore.driving import Step, drive, flat, saw, session, settled, small_record

pytestmark = pytest.mark.slow  # each opens the program


class _Slow(Saved):
    """A record that takes its time."""

    def observe(self, request: Request, on_layers: OnLayers) -> Observation:
        time.sleep(0.2)
        return super().observe(request, on_layers)


class _Refused(Saved):
    """A text that is too long for its model."""

    def observe(self, request: Request, on_layers: OnLayers) -> Observation:  # noqa: ARG002
        raise InputError("the text is too long", hint="cut it with `truncate`")


class _Replaced(Saved):
    """A record in whose place each other text is refused."""

    def of_text(self, text: str) -> Source:
        return _Refused(self.record, text)


def _at_once(*pressed: str) -> Step:
    async def press(_: Explorer, pilot: Pilot[int]) -> None:
        await pilot.press(*pressed)

    return press


@pytest.mark.parametrize("key", ["w", "s"])
def test_a_switch_that_is_taken_back_at_once_stays_taken_back(key: str) -> None:
    program = drive(session(source=_Slow(small_record())), _at_once(key, key))
    assert (program.view.unit, program.view.special) == ("word", False)
    assert program.scene.there.units.kind == "word"
    assert not program.scene.there.observation.request.special


def test_another_text_that_is_refused_leaves_what_was_shown() -> None:
    seen: list[str] = []
    worded = session(source=_Replaced(small_record()), worded=lambda error: str(error).replace("`truncate`", "--cut"))
    program = drive(worded, "home right", "t", "x enter", saw(seen), "y", "w")
    assert "cut it with --cut" in flat(seen[0])
    assert program.view.head == (0, 1)
    assert program.clipboard == "attnviz show --layer 0 --head 1"
    assert program.scene.there.units.kind == program.view.unit == "token"  # it goes on with the first text


@pytest.mark.parametrize(("start", "said"), [
    ((9, None, None), "no layer 9: this model has layers 0–1"),
    ((None, 9, None), "no head 9: each layer of this model has heads 0–2"),
    ((None, None, "zebra"), "the text has no word 'zebra'"),
])  # fmt: skip
def test_what_the_command_line_names_must_be_there(start: tuple[int | None, int | None, str | None], said: str) -> None:
    program = drive(session(start=start))
    assert isinstance(program.failed, AttnvizError)
    assert said in str(program.failed)
    assert program.return_value == program.failed.exit_code


def test_a_number_is_a_text_and_no_head() -> None:
    seen: list[str] = []
    program = drive(session(), "c", "0 1 enter", saw(seen))
    assert program.view.other is None
    assert "another text needs one" in flat(seen[0])  # the record has no model
    for named in ("0 full_stop 1", "0 space 1", "L 0 H 1", "L 0 space H 1"):
        assert drive(session(), "c", f"{named} enter").view.other == (0, 1)


def test_what_lies_over_the_panes_fits_another_window() -> None:
    seen: list[str] = []

    async def smaller(program: Explorer, pilot: Pilot[int]) -> None:
        await pilot.resize_terminal(60, 16)
        await settled(program, pilot)

    drive(session(), "question_mark", smaller, saw(seen), "escape", size=(120, 50))
    drive(session(), "tab enter", smaller, saw(seen), size=(120, 50))
    for text in seen:
        assert "Esc: back" in text  # the frame's lower edge is on the screen
    assert "text; Shift-Tab goes back" in flat(seen[0])


def test_typing_in_a_question_is_text() -> None:
    found: list[str] = []

    async def look(program: Explorer, _: object) -> None:
        found.append(program.main.query_one("#field0", Input).value)

    program = drive(session(), "slash", "c a v S q question_mark", look)
    assert found == ["cavSq?"]
    assert program.view == drive(session()).view


def test_a_long_command_is_said_in_short_and_copied_whole() -> None:
    seen: list[str] = []
    long = "bank " * 400
    given = replace(session(), words=lambda name, _, more: " ".join([name, long, *more]))
    program = drive(given, "y", saw(seen))
    assert program.clipboard.count("bank") == 400
    assert "copied: show bank" in flat(seen[0])
    assert "--layer 1 --head 2" in flat(seen[0])
