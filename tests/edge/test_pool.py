"""Connections that are kept: for whom, for how long, and what ends them."""

from __future__ import annotations

import asyncio
import errno
import socket
import threading
import time

import pytest
import uvloop
from kitchen import Peer, answering, full, http, until

from sidecar.core.vocabulary import ErrorKind
from sidecar.edge.chat import pool as module
from sidecar.edge.chat.exchange import Heard
from sidecar.edge.chat.pool import Pool

ASK = (b"POST", b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n{}")
ANSWER = http(b"{}")


async def ask(pool, port, host="127.0.0.1", within=5.0, connect=1.0):
    return await pool.ask((host, port), *ASK, within, connect)


def test_idle_connections_are_kept_for_less_than_uvicorn_keeps_them():
    assert module.KEEPALIVE < 5.0


async def test_an_idle_connection_is_closed_before_the_target_would_and_then_nothing_is_left_behind(monkeypatch):
    monkeypatch.setattr(module, "KEEPALIVE", 0.05)
    pool = Pool()
    async with Peer(answering(ANSWER)) as peer, Peer(answering(ANSWER)) as other:
        await ask(pool, peer.port)
        await ask(pool, other.port)
        assert pool._sweeping is not None
        await until(lambda: peer.gone.is_set() and other.gone.is_set())
        await until(lambda: pool._sweeping is None)
        assert not pool._kept
        await ask(pool, peer.port)
        assert peer.connections == 2
    pool.close()


async def test_a_connection_is_too_old_even_if_nobody_has_swept_yet(monkeypatch):
    monkeypatch.setattr(module, "KEEPALIVE", 0.05)
    pool = Pool()
    async with Peer(answering(ANSWER)) as peer:
        await ask(pool, peer.port)
        pool._sweeping.cancel()
        await asyncio.sleep(0.06)  # only the clock makes it old
        await ask(pool, peer.port)
        assert peer.connections == 2
    pool.close()


async def test_the_connection_used_last_is_used_next_and_the_others_grow_old(monkeypatch):
    gate = asyncio.Event()

    async def together(peer, request, writer):
        await gate.wait()
        writer.write(ANSWER)

    pool = Pool()
    async with Peer(together) as peer:
        asked = [asyncio.ensure_future(ask(pool, peer.port)) for _ in range(3)]
        await until(lambda: len(peer.requests) == 3)
        gate.set()
        await asyncio.gather(*asked)
        kept = list(pool._kept["127.0.0.1", peer.port])
        for _ in range(5):
            await ask(pool, peer.port)
        assert pool._kept["127.0.0.1", peer.port] == kept
        assert peer.connections == 3
    pool.close()


async def test_a_kept_connection_that_the_target_closes_is_forgotten():
    async def once(peer, request, writer):
        writer.write(ANSWER)
        await writer.drain()
        writer.close()

    pool = Pool()
    async with Peer(once) as peer:
        await ask(pool, peer.port)
        await until(lambda: not any(pool._kept.values()))
        assert (await ask(pool, peer.port)).status == 200
    pool.close()


async def test_bytes_that_nobody_asked_for_end_a_kept_connection():
    async def twice(peer, request, writer):
        writer.write(ANSWER)
        await asyncio.sleep(0.02)  # until the answer has been read by itself
        writer.write(ANSWER)

    pool = Pool()
    async with Peer(twice) as peer:
        await ask(pool, peer.port)
        await until(lambda: not any(pool._kept.values()))
        await ask(pool, peer.port)
        assert peer.connections == 2
    pool.close()


async def test_who_comes_free_after_the_end_is_closed():
    pool, gate = Pool(), asyncio.Event()

    async def slow(peer, request, writer):
        await gate.wait()
        writer.write(ANSWER)

    async with Peer(slow) as peer:
        asked = asyncio.ensure_future(ask(pool, peer.port))
        await until(lambda: peer.requests)
        pool.close()
        gate.set()
        assert isinstance(await asked, Heard)
        await until(peer.gone.is_set)
        assert not any(pool._kept.values())


async def test_a_name_is_resolved_for_each_new_connection(monkeypatch):
    loop, asked_for = asyncio.get_running_loop(), []
    real = loop.getaddrinfo

    async def resolve(host, *args, **kwargs):
        asked_for.append(host)
        return await real("127.0.0.1", *args, **kwargs)

    monkeypatch.setattr(loop, "getaddrinfo", resolve)
    pool = Pool()
    async with Peer(answering(http(b"{}", "200 OK", "Connection: close"), then="close")) as peer:
        for _ in range(3):
            assert (await ask(pool, peer.port, "switch.test")).status == 200
    pool.close()
    assert asked_for == ["switch.test"] * 3


async def test_connecting_that_outlasts_the_whole_time_is_a_timeout_and_one_that_outlasts_its_own_a_connect_timeout():
    pool = Pool()
    with full() as port:
        assert await ask(pool, port, within=0.05, connect=1.0) is ErrorKind.TIMEOUT
        assert await ask(pool, port, within=1.0, connect=0.05) is ErrorKind.CONNECT_TIMEOUT
    pool.close()


async def hang(peer, request, writer):
    await peer.gone.wait()


@pytest.mark.parametrize("order", [(0.05, 0.15, 0.1), (0.15, 0.1, 0.05), (0.1, 0.1, 0.1)])
async def test_each_ask_ends_in_its_own_time_whichever_began_first(order):
    pool, loop, ended = Pool(), asyncio.get_running_loop(), []

    async def timed(port, within):
        began = loop.time()
        assert await ask(pool, port, within=within) is ErrorKind.TIMEOUT
        ended.append((within, loop.time() - began))

    async with Peer(hang) as peer:
        await asyncio.gather(*(timed(peer.port, within) for within in order))
        peer.gone.set()
    assert [within for within, _ in ended] == sorted(order)
    assert all(seconds > within - 0.005 for within, seconds in ended), (
        "no sooner than its time, but for the clock's grain"
    )
    assert pool._alarm._handle is None
    assert not pool._alarm._waiting
    pool.close()


async def test_an_ask_that_was_answered_leaves_a_timer_that_finds_nobody_and_is_the_last():
    pool = Pool()
    async with Peer(answering(ANSWER)) as peer:
        await ask(pool, peer.port, within=0.05)
        await ask(pool, peer.port, within=5.0)
        assert pool._alarm._handle is not None
        await until(lambda: pool._alarm._handle is None)
        assert (await ask(pool, peer.port)).status == 200
    pool.close()


async def test_who_is_cancelled_is_watched_no_longer():
    pool = Pool()
    async with Peer(hang) as peer:
        asked = asyncio.ensure_future(ask(pool, peer.port))
        await until(lambda: peer.requests)
        asked.cancel()
        await asyncio.gather(asked, return_exceptions=True)
        assert not pool._alarm._waiting
        peer.gone.set()
    pool.close()


def taken_over(pool, monkeypatch, begin):
    """Whoever asks next has the connection before the one who was answered has heard of it: both happen in one turn of the loop."""
    real, begun = pool.keep, []

    def keep(exchange):
        real(exchange)
        if not begun:
            begun.append(begin())

    monkeypatch.setattr(pool, "keep", keep)
    return begun


async def test_who_takes_over_a_connection_in_the_turn_in_which_it_comes_free_is_watched_all_the_same(monkeypatch):
    async def once(peer, request, writer):
        if len(peer.requests) == 1:
            writer.write(ANSWER)
        else:
            await peer.gone.wait()

    pool = Pool()
    async with Peer(once) as peer, asyncio.timeout(5):
        begun = taken_over(pool, monkeypatch, lambda: asyncio.ensure_future(ask(pool, peer.port, within=0.1)))
        assert (await ask(pool, peer.port)).status == 200
        assert await begun[0] is ErrorKind.TIMEOUT
        assert peer.connections == 1
    assert not pool._alarm._waiting
    pool.close()


async def test_who_leaves_in_the_turn_in_which_the_answer_comes_takes_nobody_elses_connection_along(monkeypatch):
    pool = Pool()

    def begin():
        second = asyncio.ensure_future(ask(pool, peer.port))
        first.cancel()
        return second

    async with Peer(answering(ANSWER)) as peer, asyncio.timeout(5):
        begun = taken_over(pool, monkeypatch, begin)
        first = asyncio.ensure_future(ask(pool, peer.port))
        await asyncio.gather(first, return_exceptions=True)
        assert first.cancelled()
        assert (await begun[0]).status == 200
        assert peer.connections == 1
    assert not pool._alarm._waiting
    pool.close()


async def test_a_connection_that_comes_about_when_nobody_wants_it_any_more_is_closed(monkeypatch):
    pool = Pool()
    real = pool._connect

    async def connect(*args):
        made = await real(*args)
        pool.loop.call_soon(asked.cancel)  # between its coming about and whoever waits for it hearing of that
        return made

    monkeypatch.setattr(pool, "_connect", connect)
    async with Peer(hang) as peer, asyncio.timeout(5):
        asked = asyncio.ensure_future(ask(pool, peer.port))
        await asyncio.gather(asked, return_exceptions=True)
        assert asked.cancelled()
        assert peer.connections == 1
        await peer.gone.wait()
        assert not peer.requests
    pool.close()


async def test_a_connection_that_ended_before_anything_was_sent_is_a_reset_at_once(monkeypatch):
    pool = Pool()
    real = pool._connect

    async def too_late(*args):
        exchange = await real(*args)
        exchange._transport.abort()
        await asyncio.sleep(0.01)  # its end has been told by then
        return exchange

    monkeypatch.setattr(pool, "_connect", too_late)
    async with Peer(hang) as peer, asyncio.timeout(2):
        assert await ask(pool, peer.port) is ErrorKind.RESET
    assert not pool._alarm._waiting
    pool.close()


def test_requests_without_any_time_left_end_by_themselves_on_the_loop_that_is_served_with():
    """A timer that is due at once is a handle there which does not know its moment."""

    async def asked():
        pool = Pool()
        async with Peer(answering(ANSWER)) as peer:
            await asyncio.gather(
                *(ask(pool, peer.port) for _ in range(2))
            )  # two connections, for two at the same moment
            ends = await asyncio.gather(ask(pool, peer.port, within=0.0), ask(pool, peer.port))
        pool.close()
        return ends

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        late, whole = runner.run(asked())
    assert late == ErrorKind.TIMEOUT
    assert whole.status == 200


def answers_at(moment):
    """A target in a thread of its own, as another process is: it takes one connection and one request, and answers when ``moment`` comes."""
    listening = socket.create_server(("127.0.0.1", 0))

    def serve():
        connection, _ = listening.accept()
        with connection:
            connection.recv(65536)
            moment.wait(5)
            connection.sendall(ANSWER)
            connection.settimeout(5)
            connection.recv(1)  # until it is closed

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    return listening, thread


@pytest.mark.parametrize("loop_factory", [asyncio.new_event_loop, uvloop.new_event_loop])
@pytest.mark.parametrize("answers", [True, False])
def test_an_answer_that_came_while_we_were_held_up_ourselves_is_no_silence(loop_factory, answers):
    """A process that was stopped finds timers and answers at once; that its own time is over says nothing of the target."""
    moment = threading.Event()
    listening, thread = answers_at(moment)

    def hold_up(ours):
        asyncio.get_running_loop().remove_reader(ours)
        if answers:
            moment.set()
        time.sleep(0.5)

    async def held_up():
        pool = Pool()
        asked = asyncio.ensure_future(ask(pool, listening.getsockname()[1], within=0.2))
        await until(lambda: pool._alarm._waiting)
        ours, theirs = socket.socketpair()
        asyncio.get_running_loop().add_reader(ours, hold_up, ours)  # as what a client sends might
        theirs.send(b"x")
        heard = await asked
        ours.close()
        theirs.close()
        kept = sum(len(kept) for kept in pool._kept.values())
        assert not pool._alarm._waiting
        pool.close()
        return heard, kept

    with listening, asyncio.Runner(loop_factory=loop_factory) as runner:
        heard, kept = runner.run(held_up())
    moment.set()
    thread.join(5)
    assert heard is ErrorKind.TIMEOUT if not answers else heard.status == 200
    assert kept == 0, "how long the target has had it idle nobody knows"


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (errno.EMFILE, ErrorKind.NO_SOCKET),
        (errno.ENFILE, ErrorKind.NO_SOCKET),
        (errno.ENOBUFS, ErrorKind.NO_SOCKET),
        (errno.ECONNREFUSED, ErrorKind.CONNECT),
        (errno.EHOSTUNREACH, ErrorKind.CONNECT),
        (errno.EADDRNOTAVAIL, ErrorKind.CONNECT),  # also of a target whose address this machine cannot have
    ],
    ids=errno.errorcode.get,
)
async def test_that_we_get_no_socket_is_not_laid_at_the_targets_door(monkeypatch, code, kind):
    pool = Pool()

    async def refuse(*_):
        raise OSError(code, "as the system says it")

    monkeypatch.setattr(
        pool,
        "loop",
        type("Loop", (), {"time": pool.loop.time, "create_task": pool.loop.create_task, "create_connection": refuse})(),
    )
    assert await ask(pool, 1) is kind
    pool.close()
