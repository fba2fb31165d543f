"""Whether the terminal's background is dark: the terminal is asked, while the program is loaded."""

from __future__ import annotations

import contextlib
import os
import re
import select
import time

from attnviz.cli import signals

VARIABLE = "ATTNVIZ_BACKGROUND"
"""The environment variable that says it: ``dark`` or ``light``."""
_QUERY = b"\x1b]11;?\x1b\\\x1b[c"
"""Asks for the background, and then for what every terminal tells: its kind. After that, no answer is to come."""
_COLOUR = re.compile(rb"\x1b\]11;rgba?:([0-9a-fA-F]{1,4})/([0-9a-fA-F]{1,4})/([0-9a-fA-F]{1,4})")
_KIND = re.compile(rb"\x1b\[\?[0-9;]*c")
_PATIENCE = 0.4
"""The seconds from the question on in which an answer is taken; over a slow line none comes in time."""
_LIGHT = 0.5


class Background:
    """Asks the terminal for its background; ``dark`` waits for the answer.

    A terminal that does not tell is taken for what ``COLORFGBG`` says, and for dark without that.
    """

    def __init__(self, terminal: int | None = None) -> None:
        self._terminal, self._restore = terminal, _nothing
        if os.environ.get(VARIABLE) in ("dark", "light"):
            return
        try:
            import termios
            import tty

            self._terminal = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY) if terminal is None else terminal
            fd, before = self._terminal, termios.tcgetattr(self._terminal)
            self._restore = lambda: termios.tcsetattr(fd, termios.TCSAFLUSH, before)
            signals.CLEANUPS.add(self._restore)
            tty.setcbreak(fd)
            self._asked = time.monotonic()
            os.write(fd, _QUERY)
        except (ImportError, OSError, ValueError):
            self._end()
        except Exception as error:
            if type(error).__name__ != "error":  # termios.error: it is no terminal
                raise
            self._end()

    def dark(self) -> bool:
        """Whether the background is dark. The terminal is as it was then, and no answer is left in its input."""
        said = os.environ.get(VARIABLE)
        if said in ("dark", "light"):
            return said == "dark"
        found = _COLOUR.search(self._answer())
        self._end()
        if found is None:
            return os.environ.get("COLORFGBG", "").rpartition(";")[2] not in ("7", "15")
        red, green, blue = (int(part, 16) / (16 ** len(part) - 1) for part in found.groups())
        return bool(0.2126 * red + 0.7152 * green + 0.0722 * blue < _LIGHT)

    def _answer(self) -> bytes:
        answer = b""
        while self._terminal is not None and not _KIND.search(answer):
            left = self._asked + _PATIENCE - time.monotonic()
            if left <= 0 or not select.select([self._terminal], [], [], left)[0]:
                break
            part = os.read(self._terminal, 1024)
            if not part:
                break
            answer += part
        return answer

    def _end(self) -> None:
        """Give the terminal back; what came too late is thrown away."""
        signals.CLEANUPS.discard(self._restore)
        with contextlib.suppress(Exception):
            self._restore()
        if self._terminal is not None:
            with contextlib.suppress(OSError):
                os.close(self._terminal)
        self._terminal = None


def _nothing() -> None:
    """There is nothing to give back."""
