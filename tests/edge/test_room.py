"""How many may be connected to the admin port, and for how long without a word; and how descriptors are shared out between the ports."""

from __future__ import annotations

import asyncio
import socket
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from sidecar.edge.admin.application import admin_protocol
from sidecar.edge.admin.room import Room
from sidecar.edge.descriptors import ADMIN_MOST, SPARE, admin_connections, client_connections, least_limit

LOOPS = ("asyncio", "uvloop")
HEAD = b"GET /small HTTP/1.1\r\nHost: localhost\r\n"
LARGE = 32 << 20  # bytes: more than systems keep for a reader who does not read


class Guest:
    def __init__(self):
        self.dropped = False

    def drop(self):
        self.dropped = True


def test_whoever_was_heard_longest_ago_has_to_go():
    room, guests = Room(2), [Guest() for _ in range(4)]
    room.enter(guests[0])
    room.enter(guests[1])
    room.heard(guests[0])
    room.enter(guests[2])
    assert [guest.dropped for guest in guests] == [False, True, False, False]
    room.heard(guests[1])  # its last bytes come late, and make no room of theirs
    room.leave(guests[1])
    room.enter(guests[3])
    assert [guest.dropped for guest in guests] == [True, True, False, False]
    assert len(room) == 2


@asynccontextmanager
async def opened(room, silence=60.0):
    """The number of a port of which each connection is in ``room``."""

    async def small(_):
        return web.Response(text="here")

    async def large(_):
        return web.Response(body=bytes(LARGE))

    app = web.Application()
    app.router.add_get("/small", small)
    app.router.add_get("/large", large)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    server = await asyncio.get_running_loop().create_server(admin_protocol(runner, room, silence), "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await runner.cleanup()


async def until_gone(reader):
    async with asyncio.timeout(5.0):
        try:
            return await reader.read()
        except ConnectionError:
            return b""


async def test_beyond_so_many_a_newcomer_is_answered_and_the_oldest_is_gone():
    room = Room(3)
    async with opened(room) as port:
        others = [await asyncio.open_connection("127.0.0.1", port) for _ in range(3)]
        for _, writer in others:
            writer.write(HEAD)  # and no more of it
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(HEAD + b"\r\n")
        assert (await asyncio.wait_for(reader.readuntil(b"here"), 5)).startswith(b"HTTP/1.1 200 ")
        assert await until_gone(others[0][0]) == b""
        assert len(room) == 3
        for _, each in [*others, (reader, writer)]:
            each.close()


async def test_who_reads_nothing_of_an_answer_has_to_go_as_well():
    room = Room(1)
    async with opened(room) as port:
        with socket.socket() as slow:
            slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            slow.connect(("127.0.0.1", port))
            slow.sendall(HEAD.replace(b"small", b"large") + b"\r\n")
            await asyncio.sleep(0.1)
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(HEAD + b"\r\n")
            assert (await asyncio.wait_for(reader.readuntil(b"here"), 5)).startswith(b"HTTP/1.1 200 ")
            assert len(room) == 1
            writer.close()


@pytest.mark.parametrize("sent", [b"", HEAD, HEAD + b"\r\n"])
async def test_who_says_nothing_or_never_ends_a_head_is_cut(sent):
    room = Room(3)
    async with opened(room, 0.2) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(sent)
        got = await until_gone(reader)
        assert got.endswith(b"here") == sent.endswith(b"\r\n\r\n")
        writer.close()
    assert not len(room)


async def test_a_head_that_comes_byte_by_byte_gets_no_more_time():
    async with opened(Room(3), 0.2) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(HEAD + b"X: ")
        gone = asyncio.ensure_future(until_gone(reader))
        async with asyncio.timeout(5.0):
            while not gone.done():
                writer.write(b"a")
                await asyncio.sleep(0.02)
        assert await gone == b""
        writer.close()


@pytest.mark.parametrize("limit", [64, 256, 400, 1024, 4096, 16_384, 1 << 20])
def test_both_ports_together_take_no_more_descriptors_than_there_are(limit):
    assert admin_connections(limit) <= ADMIN_MOST
    clients = client_connections(limit)
    assert clients == 1 or 2 * clients + SPARE + admin_connections(limit) <= limit


@pytest.mark.parametrize("clients", [1, 30, 400, 1000, 5000, 10_000])
def test_the_least_limit_is_the_least(clients):
    limit = least_limit(clients)
    assert client_connections(limit) >= clients
    assert clients == 1 or client_connections(limit - 1) < clients
