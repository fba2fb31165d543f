"""Guard standard output and standard error: if they are full, closed or lack characters, there is no traceback."""

from __future__ import annotations

import codecs
import contextlib
import errno
import io
import os
import sys
from collections.abc import Iterator
from typing import BinaryIO, TextIO, cast

from attnviz.errors import ExitCode, UsageError

READABLE = "attnviz.readable"
"""The name of the error handler that replaces characters missing in a terminal's encoding."""

_PLAIN = {
    **dict(zip("→·×…–−•“”‘’⋮", ">.x~--*\"\"'':", strict=True)),
    **dict(zip("█▌▀│─╭╮╰╯╷⏎⇥␣�", "#:#|-++++|^^_?", strict=True)),
    **dict.fromkeys(map(chr, range(0x2800, 0x2900)), "*"),  # the dots of spinners
    "✓": "[ok]",
    "✗": "[FAILED]",
    "Δ": "d",
    "Σ": "sum",
    "≥": ">=",
    "≤": "<=",
}
"""The ASCII replacements of attnviz's own characters; those in pictures and tables keep their width."""


def _readable(error: UnicodeError) -> tuple[str, int]:
    """Replace attnviz's characters by ASCII, and escape those of a text, so that they are not mistaken for others."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    missing = error.object[error.start : error.end]
    shown = "".join(_PLAIN.get(sign) or sign.encode("ascii", "backslashreplace").decode() for sign in missing)
    return shown, error.end


codecs.register_error(READABLE, _readable)


class _Guarded(io.TextIOWrapper):
    """A standard stream that handles its own failures."""

    def write(self, text: str, /) -> int:
        """Write text, as any file does."""
        with self._minding():
            super().write(text)
        return len(text)

    def flush(self) -> None:
        """Flush, as any file does."""
        with self._minding():
            super().flush()

    def put(self, data: bytes) -> None:
        """Write bytes, whatever the stream's encoding is."""
        self.flush()
        with self._minding():
            self.buffer.write(data)
            self.buffer.flush()

    @contextlib.contextmanager
    def _minding(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self._let_go()
            self.fail(error)

    def _let_go(self) -> None:
        """Redirect pending output to nowhere; otherwise the interpreter would fail to write it at exit."""
        with contextlib.suppress(OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.fileno())
            os.close(nowhere)

    def fail(self, error: OSError) -> None:
        """Ignore a failure of standard error, which can't be reported: the command continues, and keeps its
        exit code.
        """


class _Output(_Guarded):
    def fail(self, error: OSError) -> None:
        """Exit: quietly if the reader has closed the stream, as ``| head`` does, else with an error."""
        if isinstance(error, BrokenPipeError) or (os.name == "nt" and error.errno == errno.EINVAL):
            raise SystemExit(ExitCode.UNREAD)
        raise UsageError(
            f"standard output can't be written to ({error.strerror or error})",
            hint="Send it elsewhere, such as to a file on another disk.",
        ) from None


class _Closed(io.RawIOBase):
    """The standard output of a program that was started without one."""

    def writable(self) -> bool:
        return True

    def write(self, _: object, /) -> int:
        raise OSError(errno.EBADF, "it is closed")


def fill_closed_streams() -> None:
    """Occupy the file numbers of closed standard streams, so that no file that is opened gets one of them."""
    with contextlib.suppress(OSError):
        while (handle := os.open(os.devnull, os.O_RDWR)) < 3:
            pass
        os.close(handle)


@contextlib.contextmanager
def guard_streams() -> Iterator[None]:
    """Guard standard output and standard error inside the block."""
    before = sys.stdout, sys.stderr
    sys.stdout = _Output(cast("BinaryIO", _Closed()), encoding="utf-8", write_through=True)
    if before[0] is not None:
        sys.stdout = _wrapped(_Output, before[0])
    sys.stderr = _wrapped(_Guarded, before[1]) if before[1] is not None else io.StringIO()
    ours = sys.stdout, sys.stderr
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before
        for stream in ours:
            if isinstance(stream, _Guarded):
                with contextlib.suppress(UsageError, SystemExit):
                    stream.flush()
                stream.detach()


def _wrapped(kind: type[_Guarded], stream: TextIO) -> TextIO:
    """Return a guarded stream over the same bytes; a stream without bytes is returned unchanged."""
    if not isinstance(stream, io.TextIOWrapper):
        return stream
    stream.flush()
    return kind(stream.buffer, stream.encoding, READABLE, line_buffering=stream.line_buffering)


def put(data: bytes) -> None:
    """Write bytes to standard output unchanged."""
    if isinstance(sys.stdout, _Guarded):
        sys.stdout.put(data)
    else:
        sys.stdout.buffer.write(data)
