"""End the program at once on Ctrl-C, a termination signal, or the end of its terminal."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

CLEANUPS: set[Callable[[], None]] = set()
"""Functions to call even then: they remove temporary files."""

_SAID = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated"}
if hasattr(signal, "SIGHUP"):  # not on Windows
    _SAID[signal.SIGHUP] = "hung up"


@contextlib.contextmanager
def end_on_signals() -> Iterator[None]:
    """Make these signals end the process inside the block, with 128 + their number (130 for Ctrl-C) and one line.

    They do not raise an exception: one raised during an import or another thread's work can be swallowed, or wait for
    threads to end. A signal that is ignored, as under nohup, stays ignored.
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
        # Clear the line of a progress bar, and show the cursor that it hid.
        line = f"{_SAID[signal.Signals(number)]}\n"
        if os.isatty(2):
            line = f"\r\x1b[2K\x1b[?25h{line}"
        os.write(2, line.encode())
    finally:
        os._exit(128 + number)


def main() -> None:
    """Run the console script: signals end it at once, even while everything else is imported."""
    # Imports make millions of objects that are never freed: each collection costs more than it gains.
    gc.set_threshold(1_000_000)
    with end_on_signals():
        from attnviz.cli import streams

        streams.fill_closed_streams()
        from attnviz.cli import app

        try:
            app.run_app()
        finally:
            gc.freeze()  # or Python looks through them all once more before it ends, which takes 0.3 s
