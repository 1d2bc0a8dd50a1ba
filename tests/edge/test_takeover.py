"""One process gives its listening sockets to the next: the words, and what happens when one of them is missing."""

from __future__ import annotations

import asyncio
import os
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from sidecar.edge import takeover
from sidecar.edge.listening import UnusableSocketError
from sidecar.edge.takeover import Successors, ask

LOOPS = ("asyncio", "uvloop")


class Running:
    """A process that serves on two sockets."""

    def __init__(self):
        self.sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
        self.relieved = asyncio.Event()

    @property
    def ports(self):
        return [sock.getsockname()[1] for sock in self.sockets]

    def descriptors(self):
        return {"data": (self.sockets[0].fileno(),), "admin": (self.sockets[1].fileno(),)}

    def successors(self, path):
        return Successors(path, self.descriptors, self.relieved.set)


@pytest.fixture
async def running():
    made = Running()
    yield made
    for sock in made.sockets:
        sock.close()


def asked(path):
    """``ask`` blocks, as it may before anything is served: so in a thread here."""
    return asyncio.wait_for(asyncio.to_thread(ask, path), 5)


def let_go(listeners):
    for sock in (*listeners.data, *listeners.admin):
        sock.close()


async def test_sockets_go_over_and_the_one_before_is_relieved_when_the_new_one_serves(running, tmp_path):
    path = tmp_path / "takeover"
    async with running.successors(path):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        predecessor = await asked(path)
        assert [
            sock.getsockname()[1] for sock in (*predecessor.listeners.data, *predecessor.listeners.admin)
        ] == running.ports
        assert not running.relieved.is_set()
        await predecessor.relieve()
        assert running.relieved.is_set()
        assert not path.exists()  # the new one may listen there now
        let_go(predecessor.listeners)


async def test_nobody_there_is_nobody_to_take_over_from(tmp_path):
    assert await asked(tmp_path / "nothing") is None
    with socket.socket(socket.AF_UNIX) as gone:
        gone.bind(str(tmp_path / "left"))
    assert await asked(tmp_path / "left") is None


async def test_what_a_dead_process_left_is_replaced(running, tmp_path):
    with socket.socket(socket.AF_UNIX) as gone:
        gone.bind(str(tmp_path / "left"))
    async with running.successors(tmp_path / "left"):
        predecessor = await asked(tmp_path / "left")
        let_go(predecessor.listeners)
        predecessor._connection.close()


async def test_a_new_process_that_dies_before_it_serves_changes_nothing(running, tmp_path):
    path = tmp_path / "takeover"
    async with running.successors(path):
        for _ in range(3):
            predecessor = await asked(path)
            let_go(predecessor.listeners)
            predecessor._connection.close()
        predecessor = await asked(path)
        let_go(predecessor.listeners)
        assert not running.relieved.is_set()
        await predecessor.relieve()
        assert running.relieved.is_set()


async def test_a_new_process_that_never_serves_does_not_block_the_next_one(running, tmp_path, monkeypatch):
    monkeypatch.setattr(takeover, "START", 0.1)
    path = tmp_path / "takeover"
    async with running.successors(path):
        hung = await asked(path)
        predecessor = await asked(path)
        await predecessor.relieve()
        for each in (hung, predecessor):
            let_go(each.listeners)
        hung._connection.close()


async def test_another_user_gets_nothing(running, tmp_path, monkeypatch):
    monkeypatch.setattr(
        takeover, "_same_user", lambda end: not end.getsockname()
    )  # who asks has no name, and looks, too
    async with running.successors(tmp_path / "takeover"):
        with pytest.raises(UnusableSocketError, match="no sidecar"):
            await asked(tmp_path / "takeover")
        assert not running.relieved.is_set()


LISTENING = """
import contextlib, os, socket, sys
os.setuid(int(sys.argv[2]))
listener = socket.socket(fileno=int(sys.argv[1]))
listener.listen()
print("listens", flush=True)
connection, _ = listener.accept()
with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", 0)) as given:
    socket.send_fds(connection, [b'{"ports": ["data"]}'], [given.fileno()])
    connection.recv(1)
"""
NOBODY = 65_534


@pytest.mark.skipif(os.geteuid() != 0, reason="another user can be played by root alone")
async def test_sockets_that_another_user_offers_are_not_taken(tmp_path):
    """Whoever was at the path before us would go on accepting from them, and read the tokens of our clients."""
    path = tmp_path / "takeover"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        command = (sys.executable, "-I", "-S", "-c", LISTENING, str(listener.fileno()), str(NOBODY))
        process = subprocess.Popen(command, pass_fds=[listener.fileno()], stdout=subprocess.PIPE)  # noqa: ASYNC220
        with process:
            assert process.stdout.readline() == b"listens\n"
            with pytest.raises(UnusableSocketError, match="another user"):
                await asked(path)
            assert process.wait(5) == 0


def test_the_user_is_known_by_the_system():
    left, right = socket.socketpair()
    with left, right:
        assert takeover._same_user(left)


@pytest.mark.parametrize("said", [b"hello", b'{"ports":["data"]}', b'{"ports":["web"]}', b"[]", b'{"ports":7}'])
async def test_somebody_else_at_the_path_is_refused(tmp_path, said):
    async def serve(reader, writer):
        writer.write(said)
        await reader.read()
        writer.close()

    server = await asyncio.start_unix_server(serve, tmp_path / "other")
    with pytest.raises(UnusableSocketError, match="no sidecar"):
        await asked(tmp_path / "other")
    server.close()
    await server.wait_closed()


async def test_no_descriptor_stays_open_where_it_fails(running, tmp_path):
    def opened():
        return sum(1 for _ in Path("/proc/self/fd").iterdir())

    with (tmp_path / "file").open("w") as file:
        given = {"data": (running.sockets[0].fileno(), file.fileno()), "admin": (running.sockets[1].fileno(),)}
        async with Successors(tmp_path / "takeover", lambda: given, running.relieved.set):
            before = opened()
            for _ in range(5):
                with pytest.raises(UnusableSocketError, match="no socket"):
                    await asked(tmp_path / "takeover")
            async with asyncio.timeout(2):
                while opened() > before + 1:  # noqa: ASYNC110 - a thread's own may still be there
                    await asyncio.sleep(0.01)


async def test_a_process_that_does_not_leave_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr(takeover, "PATIENCE", 0.1)
    left, right = socket.socketpair()
    with right, pytest.raises(ConnectionError, match="did not answer"):
        await takeover.Predecessor(left, takeover.Listeners()).relieve()
    left, right = socket.socketpair()
    right.close()
    with pytest.raises(ConnectionError):
        await takeover.Predecessor(left, takeover.Listeners()).relieve()


async def test_a_path_that_cannot_be_had_is_named(running, tmp_path):
    with pytest.raises(OSError, match="nowhere"):
        async with running.successors(tmp_path / "nowhere" / "takeover"):
            pass
