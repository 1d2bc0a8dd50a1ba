"""What is held until a turn of the loop is over: order, what does not go at once, and what must never go."""

from __future__ import annotations

import asyncio
import os
import socket

import pytest

from sidecar.edge import cork as module
from sidecar.edge.cork import Cork, Corked


class Transport(asyncio.Transport):
    """Keeps what it is given; its socket is one end of a pair."""

    def __init__(self, own, **extra):
        super().__init__({"socket": own, **extra})
        self.written, self.unsent, self.closing = [], 0, False

    def write(self, data):
        self.written.append(bytes(data))

    def get_write_buffer_size(self):
        return self.unsent

    def is_closing(self):
        return self.closing


@pytest.fixture
def pair():
    own, peer = socket.socketpair()
    own.setblocking(False)
    peer.setblocking(False)
    yield own, peer
    own.close()
    peer.close()


def arrived(peer):
    try:
        return peer.recv(1 << 20)
    except BlockingIOError:
        return b""


async def turn():
    await asyncio.sleep(0)
    await asyncio.sleep(0)


async def test_what_is_written_in_one_turn_goes_when_it_is_over_in_its_order(pair):
    own, peer = pair
    transport, cork = Transport(own), Cork()
    out = Corked(transport, cork)
    out.later(b"one ")
    out.later(b"two ")
    assert (out.held, arrived(peer)) == (8, b"")
    await turn()
    assert (out.held, arrived(peer), transport.written) == (0, b"one two ", [])
    out.later(b"three")
    await turn()
    assert arrived(peer) == b"three"


async def test_many_are_sent_one_after_the_other_in_one_go(monkeypatch):
    pairs = [socket.socketpair() for _ in range(5)]
    sent, cork = [], Cork()
    monkeypatch.setattr(module.os, "write", lambda fd, data: sent.append(fd) or len(data))
    outs = [Corked(Transport(own), cork) for own, _ in pairs]
    for out in outs:
        out.later(b"x")
        await asyncio.sleep(0) if out is outs[2] else None
    await turn()
    assert sent == [own.fileno() for own, _ in pairs]
    for both in pairs:
        for one in both:
            one.close()


async def test_flushed_it_goes_now_and_not_again(pair):
    own, peer = pair
    out = Corked(Transport(own), Cork())
    out.later(b"now")
    out.flush()
    assert arrived(peer) == b"now"
    await turn()
    assert arrived(peer) == b""


async def test_forgotten_it_never_goes(pair):
    own, peer = pair
    transport = Transport(own)
    out = Corked(transport, Cork())
    out.later(b"never")
    out.forget()
    await turn()
    assert (arrived(peer), transport.written) == (b"", [])


async def test_what_the_transport_has_not_sent_yet_is_not_overtaken(pair):
    own, peer = pair
    transport = Transport(own)
    transport.unsent = 3
    out = Corked(transport, Cork())
    out.later(b"behind")
    await turn()
    assert (arrived(peer), transport.written) == (b"", [b"behind"])


async def test_what_the_system_does_not_take_at_once_is_the_transports(pair):
    own, peer = pair
    own.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    transport = Transport(own)
    out = Corked(transport, Cork())
    message = os.urandom(1 << 20)
    out.later(message)
    await turn()
    went = b""
    while piece := arrived(peer):
        went += piece
    assert 0 < len(went) < len(message)
    assert went + b"".join(transport.written) == message


async def test_a_socket_that_fails_is_left_to_the_transport(pair):
    own, peer = pair
    peer.close()
    transport = Transport(own)
    out = Corked(transport, Cork())
    out.later(b"nobody")
    await turn()
    assert transport.written == [b"nobody"]


async def test_after_the_close_nothing_goes_for_the_descriptor_may_be_another_connections(pair):
    own, peer = pair
    transport = Transport(own)
    out = Corked(transport, Cork())
    out.later(b"too late")
    transport.closing = True
    await turn()
    assert (arrived(peer), transport.written) == (b"", [])


@pytest.mark.parametrize("extra", [{"sslcontext": object()}, {"socket": None}, {"socket": object()}])
async def test_where_bytes_do_not_go_as_they_are_the_transport_writes(pair, extra):
    own, peer = pair
    transport = Transport(own)
    transport._extra.update(extra)
    out = Corked(transport, Cork())
    out.later(b"its own way")
    await turn()
    assert (arrived(peer), transport.written) == (b"", [b"its own way"])
