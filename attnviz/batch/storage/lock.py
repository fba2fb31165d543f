"""Locks, so that one run at a time writes to a folder: a lock of the operating system, or an object in a store."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from attnviz.batch.storage.errors import as_usage_error, reason
from attnviz.errors import UsageError

FILE = ".attnviz.lock"
REFRESHED = 30.0
"""The seconds after which a run refreshes its lock object."""
DEAD = 300.0
"""The seconds after which a run that has not refreshed its lock object counts as dead."""
PATIENCE = 5.0
"""The seconds for which the end of a run waits for a refresh that is under way."""
_HINT = "Wait for its end, or give another folder."


@contextlib.contextmanager
def lock_file(folder: str, shown: str) -> Iterator[Callable[[], None]]:
    """Keep other runs out of a folder of this machine. The lock ends with the process, however that ends.

    Raises:
        UsageError: another run writes there, or the folder can't be written to.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(Path(folder, FILE))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise UsageError(f"another run is writing to {shown}", hint=_HINT) from None
    except (OSError, NotImplementedError) as error:  # the second where the file system has no locks
        raise UsageError(
            f"{shown} can't be written to: no lock can be had ({reason(error)})",
            hint="Give a folder that you may write to, on a file system with locks.",
        ) from None
    try:
        yield lambda: None
    finally:
        lock.release()


@contextlib.contextmanager
def lock_object(files: Any, path: str, name: str) -> Iterator[Callable[[], None]]:
    """Keep other runs out of a folder of an fsspec file system by the object ``path``, which is shown as ``name``.

    It is refreshed every half minute. If two runs begin at the same moment, or one stood still for minutes, the run
    whose object was replaced notices it at the next refresh, and the function that is yielded raises. Until then both
    write the same, since a part is written whole and has the same rows in both.

    Raises:
        UsageError: another run writes there.
    """
    lock = _Object(files, path, name)
    with as_usage_error(name, "written"):
        lock.take()
    ended = threading.Event()
    thread = threading.Thread(target=lock.refresh, args=(ended,), name="attnviz-lock", daemon=True)
    thread.start()
    try:
        yield lock.require
    finally:
        ended.set()
        thread.join(PATIENCE)
        lock.release()


class _Object:
    """The object at ``path`` that names the run that writes."""

    def __init__(self, files: Any, path: str, name: str) -> None:
        self._files, self._path, self._name = files, path, name
        self._token = secrets.token_hex(8)
        self._lost = False

    def take(self) -> None:
        self._require_free()
        self._put()
        if not self._is_mine():
            self._require_free()

    def refresh(self, ended: threading.Event) -> None:
        while not ended.wait(REFRESHED):
            with contextlib.suppress(Exception):  # the network is away for a while; the next turn tells more
                if not self._is_mine():
                    self._lost = True
                    return
                self._put()

    def require(self) -> None:
        if self._lost:
            raise UsageError(f"another run has taken over {self._name} and goes on", hint="Let it, or stop it first.")

    def release(self) -> None:
        with contextlib.suppress(Exception):  # where it stays, it is taken for dead in a while
            if self._is_mine():
                self._files.rm_file(self._path)

    def _put(self) -> None:
        said = {"host": socket.gethostname(), "pid": os.getpid(), "token": self._token, "time": time.time()}
        self._files.pipe_file(self._path, json.dumps(said).encode())

    def _read(self) -> dict[str, Any] | None:
        try:
            found = json.loads(self._files.cat_file(self._path))
        except FileNotFoundError:
            return None
        except ValueError:
            found = None
        return found if isinstance(found, dict) else {}

    def _is_mine(self) -> bool:
        return (self._read() or {}).get("token") == self._token

    def _require_free(self) -> None:
        found = self._read()
        if found is None:
            return
        said = found.get("time")
        age = max(0.0, time.time() - said) if isinstance(said, int | float) else 0.0
        if age < DEAD:
            raise UsageError(
                f"another run is writing there: process {found.get('pid')} on {found.get('host')}, {age:.0f} s ago",
                hint=f"If that run is dead, delete {self._name}, or wait: when it has said nothing for "
                f"{DEAD / 60:.0f} minutes, the folder is free.",
            )
