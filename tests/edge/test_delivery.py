"""What the system says of the bytes that were written."""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress

import pytest

from sidecar.edge.data.delivery import acknowledged


@pytest.fixture
def pair():
    """Two ends of a TCP connection."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        near = socket.create_connection(listener.getsockname())
        far, _ = listener.accept()
    with near, far:
        yield near, far


async def told(sock, value):
    async with asyncio.timeout(2):
        while acknowledged(sock) != value:  # noqa: ASYNC110 - the system tells nobody
            await asyncio.sleep(0.005)


async def test_what_reached_the_other_side_is_counted_read_or_not(pair):
    near, _ = pair
    await told(near, 1)  # the connection's own beginning
    near.sendall(b"x" * 100)
    await told(near, 101)


async def test_what_met_a_closed_socket_is_not(pair):
    near, far = pair
    near.sendall(b"x" * 100)
    await told(near, 101)
    assert len(far.recv(100)) == 100  # unread bytes would make it close with a reset
    far.close()
    near.sendall(b"y" * 50)
    with suppress(ConnectionResetError):  # whichever of its end and the reset is seen first
        assert near.recv(1) == b""
    assert acknowledged(near) == 101


def test_of_what_is_no_tcp_connection_nothing_is_known(pair):
    near, _ = pair
    near.close()
    assert acknowledged(near) is None
    left, right = socket.socketpair()
    with left, right:
        assert acknowledged(left) is None
