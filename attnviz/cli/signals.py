"""Ctrl-C, the signal to terminate and a terminal that goes end the program at once, wherever it is."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

CLEANUPS: set[Callable[[], None]] = set()
"""What must be done even so: temporary files that are there at the moment are taken away."""

_SAID = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated"}
if hasattr(signal, "SIGHUP"):  # not on Windows
    _SAID[signal.SIGHUP] = "hung up"


@contextlib.contextmanager
def end_on_signals() -> Iterator[None]:
    """Inside, these signals end the process with 128 + their number (130 for Ctrl-C) and one line.

    It is not left to an exception: one that is raised in the middle of an import or of another thread's work can be
    swallowed, or wait for threads to end. A signal that is ignored, as under nohup, stays so.
    """
    before: dict[signal.Signals, Any] = {}
    if threading.current_thread() is threading.main_thread():
        before = {one: signal.getsignal(one) for one in _SAID if signal.getsignal(one) is not signal.SIG_IGN}
    for one in before:
        signal.signal(one, _end)
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


def _end(number: int, _: FrameType | None) -> None:
    try:
        for clean in list(CLEANUPS):
            clean()
        # The line that a progress bar stands in is cleared, and the cursor that it hid is shown.
        line = f"{_SAID[signal.Signals(number)]}\n"
        if os.isatty(2):
            line = f"\r\x1b[2K\x1b[?25h{line}"
        os.write(2, line.encode())
    finally:
        os._exit(128 + number)


def main() -> None:
    """What the console script calls: from here on, also while everything else is imported, signals end it at once."""
    with end_on_signals():
        from attnviz.cli import streams

        streams.fill_closed_streams()
        from attnviz.cli import app

        app.run_app()
