"""A stranger's program, such as a chat template, runs in a process of its own, which may take so much and no more."""

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
"""The most processor time."""
MAX_MEMORY = 1 << 30
"""The most bytes beside those that were taken before."""
MAX_LENGTH = 10_000_000
"""The most characters of a result."""
_PATIENCE = 12
"""How many times ``MAX_SECONDS`` may pass on a clock: on a busy machine it takes longer."""


class SandboxLimitError(Exception):
    """The program takes too much; the message says of what, and how much there is."""


def run_sandboxed(program: Callable[[], str]) -> str:
    """What ``program`` returns; it runs in a copy of this process, which ends with it.

    Where a process can't be copied (Windows, macOS), it runs here, and only the length of its result is bounded.

    Raises:
        ExceededError: it takes more than ``MAX_SECONDS``, ``MAX_MEMORY`` or ``MAX_LENGTH``.
        RuntimeError: it fails; the message is its own.
    """
    if sys.platform != "linux":
        return _short(_run(program))
    read, write = os.pipe()
    with warnings.catch_warnings():
        # Other threads may hold locks, which the copy never gets; it is stopped then as one that takes too long.
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
    """Run ``program`` in the copy, and write what it returns; the copy ends here."""
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
    except Exception as error:  # whatever the program runs into
        raise RuntimeError(str(error)) from error


def _short(found: str) -> str:
    if len(found) > MAX_LENGTH:
        raise SandboxLimitError(f"it writes {len(found):,} characters, of which {MAX_LENGTH:,} are taken at most")
    return found


def _confine() -> None:
    """Bound what this process may take from now on."""
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
    """What the copy has written when it ends; empty where it was stopped or took too long."""
    data, end = bytearray(), time.monotonic() + _PATIENCE * MAX_SECONDS
    while (left := end - time.monotonic()) > 0:
        ready, _, _ = select.select([read], [], [], left)
        piece = os.read(read, 1 << 20) if ready else b""
        if ready and not piece:
            return bytes(data[:1]), bytes(data[1:])
        data += piece
    return b"", b""
