"""Sockets that others opened."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from sidecar.edge.listening import NONE, UnusableSocketError, adopted, inherited, listen, opened

LOOPS = ("asyncio", "uvloop")


@pytest.fixture
def listening():
    """Makes sockets that listen on loopback."""
    made = []

    def make():
        sock = socket.create_server(("127.0.0.1", 0))
        made.append(sock)
        return sock

    yield make
    for sock in made:
        sock.close()


class Greeting(asyncio.Protocol):
    made = 0

    def connection_made(self, transport):
        Greeting.made += 1
        transport.write(b"hello")
        transport.close()


async def greeted(port):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    said = await reader.read()
    writer.close()
    return said


async def test_without_sockets_the_address_is_opened():
    listener = await listen(Greeting, (), "127.0.0.1", 0)
    port = listener.port
    assert await greeted(port) == b"hello"
    listener.close()
    await asyncio.sleep(0)
    with pytest.raises(ConnectionRefusedError):
        await greeted(port)


async def test_sockets_that_are_given_are_served_on_and_live_on_where_somebody_holds_them(listening):
    ours = listening()
    listener = await listen(Greeting, (adopted(os.dup(ours.fileno())),), "127.0.0.1", 1)
    assert listener.port == ours.getsockname()[1]
    assert await greeted(listener.port) == b"hello"
    (descriptor,) = listener.descriptors
    kept = os.dup(descriptor)
    listener.close()
    await asyncio.sleep(0)
    waiting = asyncio.ensure_future(greeted(ours.getsockname()[1]))  # nobody accepts, and nobody is refused
    await asyncio.sleep(0.05)
    assert not waiting.done()
    again = await listen(Greeting, (adopted(kept),), "127.0.0.1", 1)
    assert await asyncio.wait_for(waiting, 2) == b"hello"
    again.close()


@pytest.mark.parametrize("servers", [1, 3])
async def test_who_waits_in_the_queue_when_the_port_closes_is_still_accepted(servers):
    listener = await listen(Greeting, (), "127.0.0.1", 0, servers=servers)
    port = listener.port
    waiting = [
        socket.create_connection(("127.0.0.1", port)) for _ in range(20)
    ]  # blocks: the loop has seen none of them
    await listener.finish()
    for sock in waiting:
        sock.settimeout(2)
        assert await asyncio.to_thread(sock.recv, 10) == b"hello"
        sock.close()
    with pytest.raises(ConnectionRefusedError):
        await greeted(port)


async def accepted(listener, port, many):
    """Turns of the loop that it takes until so many connections that wait have been accepted."""
    connections = []
    made = Greeting.made
    for _ in range(many):
        sock = socket.socket()
        sock.settimeout(0)
        sock.connect_ex(("127.0.0.1", port))
        connections.append(sock)
    turns = 0
    async with asyncio.timeout(5):
        while Greeting.made < made + many:
            await asyncio.sleep(0)
            turns += 1
    for sock in connections:
        sock.close()
    return turns


async def test_when_it_is_crowded_all_that_wait_are_accepted_in_few_turns():
    listener = await listen(Greeting, (), "127.0.0.1", 0, servers=2)
    port = listener.port
    await accepted(listener, port, 50)
    listener.crowded(late=True)
    listener.crowded(late=True)
    assert await accepted(listener, port, 100) < 30
    listener.crowded(late=False)
    await accepted(listener, port, 50)
    listener.crowded(late=True)
    listener.close()
    await asyncio.sleep(0)
    with pytest.raises(ConnectionRefusedError):
        await greeted(port)


CHILD = """
import json, os, sys
sys.path.insert(0, {root!r})
from sidecar.edge.listening import inherited
environ = dict(os.environ, LISTEN_PID=str(os.getpid()))
found = inherited(environ, os.getpid())
ports = [[sock.getsockname()[1] for sock in each] for each in found]
print(json.dumps([ports, sorted(set(environ) & {{"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"}})]))
"""


def child(sockets, environ):
    """What a process finds that gets these sockets from descriptor 3 on."""
    script = CHILD.format(root=str(Path.cwd()))
    shift = "; ".join(f"exec {3 + n}<&{sock.fileno()}" for n, sock in enumerate(sockets))
    done = subprocess.run(
        ["/bin/bash", "-c", f'{shift}; exec "$0" -c "$1"', sys.executable, script],
        env={**os.environ, **environ}, pass_fds=[sock.fileno() for sock in sockets], capture_output=True, text=True, timeout=30, check=True,
    )  # fmt: skip
    return done.stdout.strip()


@pytest.mark.parametrize(
    ("names", "order"),
    [("data:admin", (0, 1)), ("admin:data", (1, 0)), ("", (0, 1))],
)
def test_a_service_managers_sockets_are_told_apart_by_their_names(listening, names, order):
    sockets = [listening(), listening()]
    ports = [sock.getsockname()[1] for sock in sockets]
    environ = {"LISTEN_FDS": "2"} | ({"LISTEN_FDNAMES": names} if names else {})
    assert child(sockets, environ) == f"[[[{ports[order[0]]}], [{ports[order[1]]}]], []]"


def test_what_is_meant_for_another_process_is_left_alone():
    assert inherited({"LISTEN_PID": "1", "LISTEN_FDS": "2"}, 7) == NONE
    assert inherited({}, 7) == NONE


@pytest.mark.parametrize(
    ("environ", "says"),
    [
        ({"LISTEN_FDS": "many"}, "no number of sockets"),
        ({"LISTEN_FDS": "1", "LISTEN_FDNAMES": "web"}, "FileDescriptorName=data"),
    ],
)
def test_what_cannot_be_listened_on_is_named(environ, says):
    with pytest.raises(UnusableSocketError, match=says):
        inherited({"LISTEN_PID": "7", **environ}, 7)


def test_only_a_stream_socket_that_listens_is_adopted(listening, tmp_path):
    with (
        socket.socket() as deaf,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams,
        socket.socket(socket.AF_UNIX) as unix,
    ):
        unix.bind(str(tmp_path / "unix"))
        unix.listen()
        for sock in (deaf, datagrams, unix):
            with pytest.raises(UnusableSocketError, match="no TCP socket that listens"):
                adopted(sock.fileno())
            assert sock.fileno() >= 0  # and is left as it was
    with (tmp_path / "file").open("w") as file, pytest.raises(UnusableSocketError, match="no socket"):
        adopted(file.fileno())
    ours = adopted(os.dup(listening().fileno()))
    assert not ours.get_inheritable()
    ours.close()


async def test_sockets_that_are_opened_for_others_listen_and_nobody_accepts_yet():
    (sock,) = await opened("127.0.0.1", 0)
    with sock, socket.create_connection(sock.getsockname()):
        assert adopted(os.dup(sock.fileno())).close() is None


async def test_copies_share_one_port_and_the_system_spreads_connections_over_them():
    copies = await opened("127.0.0.1", 0, 4)
    assert len({sock.getsockname() for sock in copies}) == 1
    clients = [socket.create_connection(copies[0].getsockname()) for _ in range(64)]
    found = []
    for sock in copies:
        sock.settimeout(0)
        found.append(0)
        with suppress(BlockingIOError):
            while True:
                sock.accept()[0].close()
                found[-1] += 1
    assert sum(found) == 64
    assert max(found) < 48, found  # all of them on one: once in 10^37
    for sock in (*copies, *clients):
        sock.close()


async def test_a_name_has_the_copies_of_each_of_its_addresses(monkeypatch):
    loop = asyncio.get_running_loop()
    place = (socket.AF_INET, socket.SOCK_STREAM, 6, "")

    async def two(*_, **__):
        return [(*place, ("127.0.0.1", 0)), (*place, ("127.0.0.2", 0)), (*place, ("127.0.0.1", 0))]

    monkeypatch.setattr(loop, "getaddrinfo", two)
    copies = await opened("somewhere", 0, 2)
    assert [sock.getsockname()[0] for sock in copies] == ["127.0.0.1", "127.0.0.1", "127.0.0.2", "127.0.0.2"]
    for sock in copies:
        sock.close()


@pytest.mark.parametrize("mine", [1, 2])
@pytest.mark.parametrize("theirs", [1, 2])
async def test_a_port_that_somebody_has_is_not_shared(mine, theirs):
    held = await opened("127.0.0.1", 0, theirs)
    with pytest.raises(OSError, match="in use"):
        await opened(*held[0].getsockname(), mine)
    for sock in held:
        sock.close()
