"""What runs beside the screen, in threads that end with the program."""

from __future__ import annotations

import gc
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, Literal

from textual.app import App
from textual.events import Event, InputEvent

from attnviz.errors import AttnvizError, UsageError
from attnviz.render.labels import clean

Lane = Literal["text", "asked"]
Turn = tuple[Lane, int]
"""A lane, and how many works were begun in it."""
_TURN = 0.0005
"""The seconds after which a thread that computes lets the screen be drawn; Python's own are ten times that."""
_IDLE = 1.0
"""The seconds without a key after which rubbish is collected: a full collection takes longer than a key may."""


class Working(App[int]):
    """A program that works beside its screen, in two lanes: the text that is shown, and what is asked of it.

    In a lane, what was asked for last is wanted, and what came before is dropped; another text drops both.

    With ``own_colours`` of the terminal, none is put in their place.

    Attributes:
        busy: the threads that are at work.
        failed: the error that ended the program.
        worded: the words of an error.
    """

    def __init__(self, *, own_colours: bool, worded: Callable[[AttnvizError], str] = str) -> None:
        super().__init__(ansi_color=own_colours or None)
        self.busy: set[threading.Thread] = set()
        self.failed: AttnvizError | None = None
        self.worded = worded
        self.turns: dict[Lane, int] = {"text": 0, "asked": 0}
        self._said: dict[Lane, str] = {}
        self._touched = self._tidied = time.monotonic()
        self._usual_turn = sys.getswitchinterval()

    def on_mount(self) -> None:
        """Collect rubbish only while no key is pressed, and let the screen have its turn soon where others compute."""
        gc.disable()
        sys.setswitchinterval(_TURN)
        self.set_interval(_IDLE, self._tidy)

    def on_unmount(self) -> None:
        """Leave the process as it was."""
        gc.enable()
        sys.setswitchinterval(self._usual_turn)

    async def on_event(self, event: Event) -> None:
        """Remember when a key or the mouse was pressed last."""
        if isinstance(event, InputEvent):
            self._touched = time.monotonic()
        await super().on_event(event)

    def _tidy(self) -> None:
        if self._tidied < self._touched < time.monotonic() - _IDLE:
            self._tidied = time.monotonic()
            gc.collect()

    @property
    def begun(self) -> bool:
        """Whether there is something to show: an error is said then, and the program goes on."""
        raise NotImplementedError

    def changed(self) -> None:
        """Draw everything anew."""
        raise NotImplementedError

    @property
    def progress(self) -> str:
        """What is computed just now."""
        return " · ".join(self._said.values())

    def proceed(self, lane: Lane, said: str) -> None:
        """Say how far the work in a lane is; nothing where there is none."""
        self._said.pop(lane, None)
        if said:
            self._said[lane] = said

    def drop(self, lane: Lane) -> None:
        """Want nothing more of what is at work in a lane; another text drops both."""
        for each in self.turns if lane == "text" else (lane,):
            self.turns[each] += 1
            self.proceed(each, "")

    def in_thread(self, work: Callable[[], Any], done: Callable[[Any], None], what: str, lane: Lane = "asked") -> None:
        """Do ``work`` in a thread, and then ``done`` with what it gave, if nothing else was asked for since."""
        self.drop(lane)
        turn = lane, self.turns[lane]
        thread = threading.Thread(target=lambda: self._work(turn, work, done, what), daemon=True)
        self.busy.add(thread)
        self.proceed(lane, f"{what} …")
        self.changed()
        thread.start()

    def _work(self, turn: Turn, work: Callable[[], Any], done: Callable[[Any], None], what: str) -> None:
        try:
            found = work()
        except AttnvizError as error:
            self.tell(self._fail, turn, error)
        except MemoryError:
            self.tell(self._fail, turn, UsageError(f"there is no memory left for {what}"))
        except Exception as error:
            self.tell(self._handle_exception, error)
        else:
            self.tell(self._finish, turn, done, found)
        finally:
            self.busy.discard(threading.current_thread())

    def tell(self, function: Callable[..., None], *arguments: Any) -> None:
        """Call a function of the screen from a thread; the screen may be gone by then."""
        if self.is_running:
            try:
                self.call_from_thread(function, *arguments)
            except RuntimeError:
                return

    def wanted(self, turn: Turn) -> bool:
        """Whether nothing else was asked for since."""
        return self.turns[turn[0]] == turn[1]

    def _finish(self, turn: Turn, done: Callable[[Any], None], found: Any) -> None:
        if not self.wanted(turn):
            return
        self.proceed(turn[0], "")
        if not self.begun:
            gc.freeze()  # what was imported and loaded stays: it need not be looked through each time
        try:
            done(found)
        except AttnvizError as error:
            self.refuse(error)
        self.changed()

    def _fail(self, turn: Turn, error: AttnvizError) -> None:
        if not self.wanted(turn):
            return
        self.proceed(turn[0], "")
        if not self.begun:
            self.fail(error)
            return
        if turn[0] == "text":
            self.go_back()
        self.refuse(error)
        self.changed()

    def fail(self, error: AttnvizError) -> None:
        """End the program with an error."""
        self.failed = error
        self.exit(int(error.exit_code))

    def go_back(self) -> None:
        """Show what was shown before a text that can't be."""
        raise NotImplementedError

    def refuse(self, error: AttnvizError) -> None:
        """Say an error, and go on."""
        self.say(self.worded(error), "error")

    def say(self, text: str, severity: Literal["information", "warning", "error"] = "information") -> None:
        """Say something in a corner, in place of what was said before; text is data."""
        self.clear_notifications()
        lines = "\n".join(clean(line) for line in text.splitlines())
        self.notify(lines, severity=severity, markup=False, timeout=8)
