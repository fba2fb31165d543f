"""What can't be joined, or can't work, is said in a line, and soon."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from attnviz.batch import connection
from attnviz.batch.connection import connected
from attnviz.errors import UsageError

pytest.importorskip("ray")

UNREADABLE = """
import importlib
from attnviz.batch import cluster

class Elsewhere:
    def __reduce__(self):
        return importlib.import_module, ("not_installed_there",)

try:
    list(cluster.run(list, Elsewhere(), cluster.Cluster(cpus=1), lambda *_: None, device="cpu"))
except cluster.ModelError as error:
    print(error.message, error.hint, sep="|")
"""


def test_a_port_where_something_else_answers_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "JOINING", 4.0)
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(UsageError, match=rf"no Ray cluster at {address} can be joined \(no answer in 4 sec"):
            connected(address).__enter__()


def test_what_the_workers_have_not_is_named() -> None:
    command = [sys.executable, "-c", UNREADABLE]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=Path(__file__).parents[2])
    assert done.stderr == ""
    assert done.stdout == (
        "a worker of the cluster can't load what it is to do (No module named 'not_installed_there')"
        "|Every machine of it needs attnviz, Python and the packages, in the versions that are here.\n"
    )
