"""Run a program from a checkpoint, such as a chat template, in a process of its own with limited time and memory."""

from __future__ import annotations

import os
import select
import signal
import sys
import time
import warnings
from collections.abc import Callable
from contextlib import suppress

MAX_SECONDS = 10
"""The limit for processor time."""
MAX_MEMORY = 1 << 30
"""The limit for memory, in bytes beyond what this process used before."""
MAX_LENGTH = 10_000_000
"""The limit for the result, in characters."""
_PATIENCE = 12
"""The limit for wall-clock time, in multiples of ``MAX_SECONDS``: a busy machine takes longer."""


class SandboxLimitError(Exception):
    """The program exceeded a limit; the message names it."""


def run_sandboxed(program: Callable[[], str]) -> str:
    """Run ``program`` in a forked copy of this process, and return its result.

    Where a process can't be forked (Windows, macOS), it runs in this process, and only the length of its result is
    limited.

    Raises:
        SandboxLimitError: it takes more than ``MAX_SECONDS``, ``MAX_MEMORY`` or ``MAX_LENGTH``.
        RuntimeError: it fails; the message is its own.
    """
    if sys.platform != "linux":
        return _short(_run(program))
    read, write = os.pipe()
    with warnings.catch_warnings():
        # Locks that other threads hold stay locked in the copy; if it waits for one, it is stopped after a while.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if not child:
        _answer(program, write)
    os.close(write)
    try:
        kind, found = _await(read)
    finally:
        os.close(read)
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    if kind == b"=":
        return found.decode()
    if kind == b"!":
        raise RuntimeError(found.decode(errors="replace"))
    if kind == b">":
        raise SandboxLimitError(found.decode())
    raise SandboxLimitError(f"it takes more than {MAX_SECONDS} seconds")


def _answer(program: Callable[[], str], write: int) -> None:
    """Run ``program`` in the copy, write its result to the pipe ``write``, and end the copy."""
    kind, found = b"", b""
    try:
        _confine()
        kind, found = b"=", _short(_run(program)).encode()
    except SandboxLimitError as error:
        kind, found = b">", str(error).encode()
    except MemoryError:
        kind, found = b">", f"it takes more than {MAX_MEMORY >> 30} GiB".encode()
    except BaseException as error:
        kind, found = b"!", str(error)[:1000].encode(errors="replace")
    finally:
        with suppress(BaseException):
            data = memoryview(kind + found)
            while data:
                data = data[os.write(write, data) :]
        os._exit(0)


def _run(program: Callable[[], str]) -> str:
    try:
        return program()
    except MemoryError:
        raise
    except Exception as error:  # the program may fail in any way
        raise RuntimeError(str(error)) from error


def _short(found: str) -> str:
    if len(found) > MAX_LENGTH:
        raise SandboxLimitError(f"it writes {len(found):,} characters, of which {MAX_LENGTH:,} are taken at most")
    return found


def _confine() -> None:
    """Limit the processor time and memory of this process from now on."""
    import resource

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        with suppress(ValueError):  # not in this thread
            signal.signal(number, signal.SIG_DFL)
    with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123
        taken = int(file.read().split()[0]) * resource.getpagesize()
    used = resource.getrusage(resource.RUSAGE_SELF)
    for kind, most in (
        (resource.RLIMIT_AS, taken + MAX_MEMORY),
        (resource.RLIMIT_CPU, int(used.ru_utime + used.ru_stime) + MAX_SECONDS),
    ):
        _, hard = resource.getrlimit(kind)
        resource.setrlimit(kind, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))


def _await(read: int) -> tuple[bytes, bytes]:
    """Return the kind and content of what the copy wrote; both are empty if it was stopped or took too long."""
    data, end = bytearray(), time.monotonic() + _PATIENCE * MAX_SECONDS
    while (left := end - time.monotonic()) > 0:
        ready, _, _ = select.select([read], [], [], left)
        piece = os.read(read, 1 << 20) if ready else b""
        if ready and not piece:
            return bytes(data[:1]), bytes(data[1:])
        data += piece
    return b"", b""
