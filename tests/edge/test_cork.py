"""What is held until a turn of the loop is over: order, what goes before its time, and what must never go."""

from __future__ import annotations

import asyncio
import socket

import pytest
import uvloop

from sidecar.edge.cork import Cork, Corked
from sidecar.edge.data.line import Line


class Transport(asyncio.Transport):
    """Keeps what it is given, in one list with others."""

    def __init__(self, written, name="a"):
        super().__init__()
        self.written, self.name, self.closing = written, name, False

    def write(self, data):
        self.written.append((self.name, bytes(data)))

    def is_closing(self):
        return self.closing


@pytest.fixture
def written():
    return []


@pytest.fixture
def out(written):
    return Corked(Transport(written), Cork())


async def turn():
    await asyncio.sleep(0)
    await asyncio.sleep(0)


async def test_what_is_written_in_one_turn_goes_when_it_is_over_in_its_order(out, written):
    out.later(b"one ")
    out.later(b"two ")
    assert (out.held, written) == (8, [])
    await turn()
    assert (out.held, written) == (0, [("a", b"one two ")])
    out.later(b"three")
    await turn()
    assert written[1:] == [("a", b"three")]


async def test_many_are_sent_one_after_the_other_in_one_go(written):
    cork = Cork()
    outs = [Corked(Transport(written, name), cork) for name in "abcde"]
    for one in outs:
        one.later(b"x")
        asyncio.get_running_loop().call_soon(written.append, "something else")
    await turn()
    assert written[:5] == [(name, b"x") for name in "abcde"]
    assert written[5:] == ["something else"] * 5


async def test_flushed_it_goes_now_and_not_again(out, written):
    out.later(b"now")
    out.flush()
    assert written == [("a", b"now")]
    await turn()
    assert written == [("a", b"now")]


async def test_forgotten_it_never_goes(out, written):
    out.later(b"never")
    out.forget()
    await turn()
    assert written == []


async def test_to_a_connection_that_is_closing_nothing_is_sent(out, written):
    out.later(b"too late")
    out.transport.closing = True
    await turn()
    assert (out.held, written) == (0, [])


async def test_one_that_goes_before_its_time_leaves_the_others_where_they_are(written):
    cork = Cork()
    first, second = (Corked(Transport(written, name), cork) for name in "ab")
    first.later(b"1")
    second.later(b"2")
    second.flush()
    second.later(b"3")
    await turn()
    assert written == [("b", b"2"), ("a", b"1"), ("b", b"3")]


# -- a client's line, which also writes at once and ends ----------------------------------------------------------------


class Socket:
    def setsockopt(self, *_):
        pass


class Ending(Transport):
    def close(self):
        self.written.append("closed")
        self.closing = True

    def abort(self):
        self.written.append("aborted")
        self.closing = True

    def can_write_eof(self):
        return True

    def write_eof(self):
        self.written.append("finished")

    def get_write_buffer_size(self):
        return 0

    def get_extra_info(self, name, default=None):
        return Socket() if name == "socket" else default


@pytest.fixture
def line(written):
    return Line(Ending(written), Cork())


async def test_what_is_written_at_once_goes_behind_what_is_held(line, written):
    line.later(b"held")
    line.write(b"at once")
    line.write(b"and this")
    assert written == [("a", b"held"), ("a", b"at once"), ("a", b"and this")]
    await turn()
    assert len(written) == 3


async def test_what_is_held_is_unsent(line):
    line.later(b"four")
    assert line.unsent == 4
    await turn()
    assert line.unsent == 0


@pytest.mark.parametrize(("end", "word"), [("finish", "finished"), ("close", "closed")])
async def test_an_end_by_the_book_sends_what_is_held_first(line, written, end, word):
    line.later(b"held")
    getattr(line, end)()
    await turn()
    assert written == [("a", b"held"), word]


@pytest.mark.parametrize("end", ["drop", "reset"])
async def test_an_end_without_a_word_sends_nothing(line, written, end):
    line.later(b"never")
    getattr(line, end)()
    await turn()
    assert written == ["aborted"]


# -- and what lies below -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("loop_factory", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_a_transport_with_nothing_unsent_sends_at_once_what_is_flushed(loop_factory):
    async def sent():
        own, peer = socket.socketpair()
        peer.setblocking(False)
        transport, _ = await asyncio.get_running_loop().create_connection(asyncio.Protocol, sock=own)
        one = Corked(transport, Cork())
        one.later(b"now")
        one.flush()
        found = peer.recv(10)
        transport.close()
        peer.close()
        await asyncio.sleep(0.01)
        return found

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        assert runner.run(sent()) == b"now"
