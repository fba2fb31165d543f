"""What can't be joined is said in a line, and soon."""

from __future__ import annotations

import socket
from importlib.util import find_spec

import pytest

from attnviz.batch.engine import connection
from attnviz.batch.engine.connection import connected
from attnviz.errors import UsageError

pytestmark = [
    pytest.mark.ray,
    pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed"),
]


@pytest.mark.parametrize(
    ("address", "message", "hint"),
    [
        ("127.0.0.1:1", r"no Ray cluster answers at 127\.0\.0\.1:1 \(Connection refused\)", "ray start --head"),
        ("ray://127.0.0.1:10001", r"the address is ray://127\.0\.0\.1:10001, but", "ray job submit"),
    ],
)
def test_an_address_where_none_is(address: str, message: str, hint: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        connected(address).__enter__()
    assert hint in caught.value.hint


def test_a_port_where_something_else_answers_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "JOINING", 2.0)
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(UsageError, match=rf"no Ray cluster at {address} can be joined \(no answer in 2 sec"):
            connected(address).__enter__()
