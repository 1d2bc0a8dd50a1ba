"""One process takes over from another: the listening sockets go by a Unix socket, and no connection is refused.

    running                                   new
    listens at PATH                           connects to PATH
    sends its listening sockets        ──▶    builds everything on them; both accept now
                                       ◀──    "serving"
    leaves PATH, says "leaving"        ──▶    listens at PATH itself
    drains, and ends

Until it says "serving" the new one may die, or turn out not to start at all, and the running one goes on as if nothing had been.
Whoever may connect could also take the port: the path is for its owner alone, and who asks must be the same user, or root. Whoever listens
there could give away sockets that it goes on accepting from: it must be the same user, or root, as well.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import struct
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self

from sidecar.edge.listening import PORTS, Listeners, UnusableSocketError, adopted

PATIENCE = 5.0  # seconds for one word of the other process
START = 60.0  # seconds that a new process may take to build itself
MOST_DESCRIPTORS = 250  # a socket for each worker and address; the system passes no more than 253 at once
SERVING, LEAVING = b"serving\n", b"leaving\n"
_CREDENTIALS = struct.Struct("3i")  # pid, uid, gid

Descriptors = Callable[[], dict[str, Sequence[int]]]


class Predecessor:
    """The process that serves now, as the one sees it that is to follow."""

    def __init__(self, connection: socket.socket, listeners: Listeners) -> None:
        self._connection = connection
        self.listeners = listeners

    async def relieve(self) -> None:
        """We serve: tell it to leave, and wait until it has left the path. Raises OSError if it does not."""
        loop = asyncio.get_running_loop()
        self._connection.settimeout(0)
        try:
            async with asyncio.timeout(PATIENCE):
                await loop.sock_sendall(self._connection, SERVING)
                if await loop.sock_recv(self._connection, len(LEAVING)) != LEAVING:
                    raise ConnectionError("the running process did not leave")
        except TimeoutError:
            raise ConnectionError("the running process did not answer") from None
        finally:
            self._connection.close()


def ask(path: Path) -> Predecessor | None:
    """Who serves at ``path``, with its sockets; None if nobody does. Blocks for a moment: for before we serve.

    Raises OSError, and UnusableSocketError (a ValueError) where somebody else answers.
    """
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(PATIENCE)
    try:
        connection.connect(os.fspath(path))
    except (FileNotFoundError, ConnectionRefusedError):
        connection.close()
        return None
    except BaseException:
        connection.close()
        raise
    try:
        _demand_same_user(connection, path)
        return Predecessor(connection, _received(connection))
    except BaseException:
        connection.close()
        raise


def _demand_same_user(connection: socket.socket, path: Path) -> None:
    """Anybody else would go on accepting from what we are given. Raises UnusableSocketError."""
    if not _same_user(connection):
        raise UnusableSocketError(f"{path} is another user's: put it where only the user of the sidecar may write")


def _received(connection: socket.socket) -> Listeners:
    said, descriptors, _, _ = socket.recv_fds(connection, 4096, MOST_DESCRIPTORS)
    left = list(descriptors)
    found: dict[str, list[socket.socket]] = {port: [] for port in PORTS}
    try:
        for name in _names(said, len(descriptors)):
            found[name].append(adopted(left[0]))
            del left[0]
    except BaseException:
        for sock in (sock for held in found.values() for sock in held):
            sock.close()
        for descriptor in left:
            os.close(descriptor)
        raise
    return Listeners(*(tuple(held) for held in found.values()))


def _names(said: bytes, count: int) -> list[str]:
    """Of each descriptor, the port it is for."""
    try:
        names = json.loads(said)["ports"]
    except (ValueError, KeyError, TypeError):
        names = None
    if not isinstance(names, list) or len(names) != count or not all(name in PORTS for name in names):
        raise UnusableSocketError("what answers there is no sidecar")
    return names


class Successors:
    """Waits at ``path`` for the process that will follow, gives it our sockets, and calls ``relieved`` when it serves."""

    def __init__(self, path: Path, descriptors: Descriptors, relieved: Callable[[], None]) -> None:
        self._path = path
        self._descriptors = descriptors
        self._relieved = relieved
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Raises OSError if the path cannot be had."""
        self._listener = _bound(self._path)
        self._task = asyncio.get_running_loop().create_task(self._wait())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self._leave()

    async def _wait(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            connection, _ = await loop.sock_accept(self._listener)
            with connection, suppress(OSError, TimeoutError):
                if _same_user(connection) and await self._hand_over(connection, loop.sock_recv):
                    self._leave()
                    with suppress(OSError):  # it serves, whether it hears this or not
                        await loop.sock_sendall(connection, LEAVING)
                    self._relieved()
                    return

    async def _hand_over(
        self, connection: socket.socket, receive: Callable[[socket.socket, int], Awaitable[bytes]]
    ) -> bool:
        """Returns whether the new process serves."""
        given = [(port, descriptor) for port, held in self._descriptors().items() for descriptor in held]
        said = json.dumps({"ports": [port for port, _ in given], "pid": os.getpid()}).encode()
        socket.send_fds(connection, [said], [descriptor for _, descriptor in given])
        async with asyncio.timeout(START):
            return await receive(connection, len(SERVING)) == SERVING

    def _leave(self) -> None:
        if self._listener.fileno() >= 0:
            self._listener.close()
            self._path.unlink(missing_ok=True)


def _bound(path: Path) -> socket.socket:
    """A Unix socket for its owner alone. What lies there from a process that is gone is replaced."""
    if path.is_socket():
        path.unlink()  # nobody listened there: they were asked just before
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        before = os.umask(0o177)
        try:
            listener.bind(os.fspath(path))
        finally:
            os.umask(before)
        listener.listen(1)
        listener.settimeout(0)
    except OSError as error:
        listener.close()
        raise OSError(error.errno, error.strerror, os.fspath(path)) from None
    return listener


def _same_user(connection: socket.socket) -> bool:
    told = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    return _CREDENTIALS.unpack(told)[1] in (0, os.geteuid())
