"""The connection to a Ray cluster, or to one that is started on this machine for the time of a run."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator
from types import ModuleType
from typing import Any

from attnviz.batch.storage.errors import reason
from attnviz.errors import UsageError

WAIT = 10.0
"""The seconds within which a cluster must answer."""

JOINING = 20.0
"""The seconds within which joining it must succeed."""

_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # what a worker without a GPU sees of them, as Ray will have it
    "RAY_BACKEND_LOG_LEVEL": "fatal",
}
"""Environment variables that Ray reads when it is imported; they keep its messages out of ours."""


@contextlib.contextmanager
def connected(address: str | None) -> Iterator[ModuleType]:
    """Connect Ray to the cluster at ``address``, or to one that is started here and ended afterwards.

    Raises:
        UsageError: Ray is not installed, or no cluster answers.
    """
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    ray = _imported()
    _require_reachable(address)
    if address is not None:
        _require_joinable(address)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # for the whole of the run: its warnings are for those who program it
        try:
            with _own_signals(), _hushed():
                _connect(ray, address)
            # What its machines report, such as lost workers, is printed whatever its logs are set to but for this.
            ray._private.worker._worker_logs_enabled = False
            yield ray
        finally:
            ray.shutdown()
            ray._private.worker._worker_logs_enabled = True


def _imported() -> ModuleType:
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise UsageError(
            f"a cluster needs Ray, which can't be imported ({reason(error)})",
            hint="Install it: pip install 'attnviz[ray]'",
        ) from None
    for name in ("ray", "ray.data"):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    found: ModuleType = ray
    return found


def _connect(ray: ModuleType, address: str | None) -> None:
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.CRITICAL + 1}
    if address is None:
        options["include_dashboard"] = False
    try:
        ray.init("local" if address is None else address, **options)
    except Exception as error:  # of many kinds, also of grpc
        if address is None:
            raise UsageError(f"Ray can't be started on this machine ({reason(error)})") from error
        where = "on this machine" if address == "auto" else f"at {address}"
        raise UsageError(
            f"no Ray cluster {where} can be joined ({_cause(error)})",
            hint="Give the command on one of its machines, where 'ray start' has been run; or leave out `address`.",
        ) from error


def _cause(error: Exception) -> str:
    """The reason of an error: the last line of the trace in its message, or in that of its cause."""
    return (str(error.__cause__ or error).splitlines() or [type(error).__name__])[-1]


def _require_reachable(address: str | None) -> None:
    """Raise if nothing answers at the address; Ray itself would wait longer and say less."""
    if (address or "").startswith("ray://"):
        raise UsageError(
            f"the address is {address}, but a run is of the cluster itself: its folder is locked, and texts are read, "
            "on one of the machines",
            hint="Give the command on one of them, with `address` auto; 'ray job submit' does that from elsewhere.",
        )
    host, colon, port = (address or "").rpartition(":")
    if not colon or not port.isdecimal():
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=WAIT).close()
    except (OSError, OverflowError) as error:
        raise UsageError(
            f"no Ray cluster answers at {address} ({reason(error)})",
            hint="Is the address that of 'ray start --head'? Leave out `address` for a cluster of this machine alone.",
        ) from error


def _require_joinable(address: str) -> None:
    """Join the cluster in a process that can be ended: if what answers is not Ray, joining takes minutes.

    Raises:
        UsageError: it can't be joined.
    """
    command = [sys.executable, "-c", "import sys, ray; ray.init(sys.argv[1], log_to_driver=False)", address]
    logged = os.environ | {"RAY_BACKEND_LOG_LEVEL": "warning"}
    try:
        tried = subprocess.run(  # noqa: S603  (our own line)
            command, env=logged, stdin=subprocess.DEVNULL, capture_output=True, timeout=JOINING, check=False
        )
    except subprocess.TimeoutExpired as error:
        failed, said, why = True, error.stderr or b"", f"no answer in {JOINING:.0f} seconds"
    else:
        failed, said = tried.returncode != 0, tried.stderr
        why = (said.decode(errors="replace").strip().splitlines() or ["it ended without a word"])[-1]
    where = "on this machine" if address == "auto" else f"at {address}"
    if failed and b"Unauthenticated" in said:
        raise UsageError(
            f"the Ray cluster {where} asks for a token",
            hint="Set RAY_AUTH_MODE=token: Ray then gives the one in ~/.ray/auth_token.",
        )
    if failed:
        raise UsageError(
            f"no Ray cluster {where} can be joined ({why})",
            hint="Give the address that 'ray start --head' says, on one of its machines; or leave out `address`.",
        )


@contextlib.contextmanager
def _own_signals() -> Iterator[None]:
    """Restore the handler for SIGTERM, which Ray replaces."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextlib.contextmanager
def _hushed() -> Iterator[None]:
    """Discard what is written to standard error, where the native parts of Ray log."""
    kept, nothing = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nothing, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nothing)
