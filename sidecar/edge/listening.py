"""Where listening sockets come from: opened here, given by a service manager, or taken over from a process that leaves.

Two processes that each open the port themselves (SO_REUSEPORT) have a queue each, and what waits in the queue of the one that
stops is lost. One socket shared by both has one queue: what the leaving process does not accept, the next one does.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable, MutableMapping, Sequence
from contextlib import suppress
from typing import NamedTuple

BACKLOG = 4096  # the system's own bound (somaxconn) comes first
MOST_AT_ONCE = 128  # connections accepted by hand in one turn
MOST_UNSENT = 131_072  # bytes that the system holds for a client beyond what is on its way
FIRST_DESCRIPTOR = 3  # sd_listen_fds(3): SD_LISTEN_FDS_START
PORTS = ("data", "admin")

Factory = Callable[[], asyncio.Protocol]


class UnusableSocketError(ValueError):
    """What was given is nothing to listen on; the text says what would be."""


class Listeners(NamedTuple):
    """Sockets that listen already, by port; where there are none, they are opened."""

    data: tuple[socket.socket, ...] = ()
    admin: tuple[socket.socket, ...] = ()


NONE = Listeners()


class Listener:
    """One port that listens.

    uvloop accepts one connection in each turn of its loop: under load, when a turn takes milliseconds, new connections would
    wait in the queue until it overflows. So a few servers share each socket, and when ``crowded`` says that turns are long,
    everything that waits is accepted by hand. That costs a connection 20 µs more; asyncio's own loop takes all by itself.
    """

    def __init__(self, factory: Factory, servers: Sequence[asyncio.Server]) -> None:
        self._factory = factory
        self._servers = list(servers)
        self._ours = len(servers)
        self._shared: list[socket.socket] = []
        self._one_by_one = False
        self._helping = False
        self._accepted: set[asyncio.Task[object]] = set()

    @property
    def descriptors(self) -> tuple[int, ...]:
        return tuple(sock.fileno() for server in self._servers[: self._ours] for sock in server.sockets)

    @property
    def port(self) -> int:
        return int(self._servers[0].sockets[0].getsockname()[1])

    async def share(self, servers: int) -> None:
        """Let so many servers accept from each socket, where the loop takes one connection at a time."""
        loop = asyncio.get_running_loop()
        self._one_by_one = type(loop).__module__.partition(".")[0] == "uvloop"
        for descriptor in self.descriptors:
            shared = socket.socket(fileno=os.dup(descriptor))
            _bound_unsent(shared)
            self._shared.append(shared)
            for _ in range(servers - 1 if self._one_by_one else 0):
                double = socket.socket(fileno=os.dup(descriptor))
                self._servers.append(await loop.create_server(self._factory, sock=double, backlog=BACKLOG))

    def crowded(self, *, late: bool) -> None:
        """Told again and again whether the turns of the loop are long."""
        if late == self._helping or not self._one_by_one:
            return
        self._helping = late
        loop = asyncio.get_running_loop()
        for shared in self._shared:
            if late:
                loop.add_reader(shared.fileno(), self._accept, shared)
            else:
                loop.remove_reader(shared.fileno())

    async def finish(self) -> None:
        """Accept no more, but whoever waits in the queue already."""
        self._close_servers()
        for shared in self._shared:
            self._accept(shared)
        await asyncio.gather(*self._accepted, return_exceptions=True)
        self.close()

    def _accept(self, shared: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        for _ in range(MOST_AT_ONCE):
            try:
                connection, _ = shared.accept()
            except OSError:  # nobody waits; or no descriptor is left, and they go on waiting
                return
            connection.settimeout(0)
            task = loop.create_task(loop.connect_accepted_socket(self._factory, connection))
            self._accepted.add(task)
            task.add_done_callback(self._accepted.discard)

    def close(self) -> None:
        """Accept no more. The sockets themselves live on if another process holds them."""
        self._close_servers()
        for shared in self._shared:
            shared.close()
        self._shared.clear()

    def _close_servers(self) -> None:
        self.crowded(late=False)
        for server in self._servers:
            server.close()


async def listen(
    factory: Factory, given: Sequence[socket.socket], host: str, port: int, *, servers: int = 1
) -> Listener:
    """Serve on the sockets that were given, or on ``host:port``. Raises OSError."""
    loop = asyncio.get_running_loop()
    if given:
        listener = Listener(factory, [await loop.create_server(factory, sock=sock, backlog=BACKLOG) for sock in given])
    else:
        listener = Listener(factory, [await loop.create_server(factory, host, port, backlog=BACKLOG)])
    await listener.share(servers)
    return listener


async def opened(host: str, port: int, copies: int = 1) -> tuple[socket.socket, ...]:
    """Sockets that listen on ``host:port``, for each address that the name has; nobody accepts from them yet. Raises OSError.

    Of ``copies`` the system gives each its share of the connections (SO_REUSEPORT); they come one after the other, address by address.
    """
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    sockets: list[socket.socket] = []
    try:
        for family, place in dict.fromkeys((family, address[:2]) for family, _, _, _, address in found):
            sockets += _copies(family, (str(place[0]), int(place[1])), copies)
    except BaseException:
        for sock in sockets:
            sock.close()
        raise
    return tuple(sockets)


def _copies(family: int, place: tuple[str, int], copies: int) -> list[socket.socket]:
    # Alone first: whoever has the port already might otherwise share it with us, and neither would know.
    sole = socket.create_server(place, family=family, backlog=BACKLOG)
    if copies == 1:
        return [sole]
    with sole:
        place = sole.getsockname()[:2]
    return [socket.create_server(place, family=family, backlog=BACKLOG, reuse_port=True) for _ in range(copies)]


def _bound_unsent(sock: socket.socket) -> None:
    """What waits for a slow reader waits in the gateway, and not as megabytes in our system. Accepted sockets inherit it."""
    if hasattr(socket, "TCP_NOTSENT_LOWAT"):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, MOST_UNSENT)


def inherited(environ: MutableMapping[str, str], pid: int) -> Listeners:
    """The sockets of ``LISTEN_FDS`` (sd_listen_fds(3)), told apart by ``LISTEN_FDNAMES``; without names the first is the data port.

    The variables are removed, for they are not meant for our children. Raises UnusableSocketError.
    """
    meant_for = environ.pop("LISTEN_PID", "")
    count = environ.pop("LISTEN_FDS", "")
    names = environ.pop("LISTEN_FDNAMES", "")
    if not count or meant_for != str(pid):
        return NONE
    if not count.isdigit():
        raise UnusableSocketError(f"LISTEN_FDS={count!r} is no number of sockets")
    descriptors = range(FIRST_DESCRIPTOR, FIRST_DESCRIPTOR + int(count))
    named = names.split(":") if names else [PORTS[min(index, 1)] for index in range(len(descriptors))]
    found: dict[str, list[socket.socket]] = {port: [] for port in PORTS}
    for descriptor, name in zip(descriptors, named, strict=False):
        if name not in found:
            raise UnusableSocketError(
                f"LISTEN_FDNAMES names a socket {name!r}: say FileDescriptorName=data or =admin where it is declared"
            )
        found[name].append(adopted(descriptor))
    return Listeners(tuple(found["data"]), tuple(found["admin"]))


def adopted(descriptor: int) -> socket.socket:
    """A descriptor as the listening socket it must be. Raises UnusableSocketError."""
    try:
        sock = socket.socket(fileno=descriptor)
    except OSError as error:
        raise UnusableSocketError(f"descriptor {descriptor} is no socket: {error.strerror}") from None
    with suppress(OSError):  # what has no such option does not listen
        if _is_tcp(sock) and sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            sock.settimeout(0)
            sock.set_inheritable(False)
            return sock
    sock.detach()
    raise UnusableSocketError(
        f"descriptor {descriptor} is no TCP socket that listens (ListenStream= with a port, Accept=no)"
    )


def _is_tcp(sock: socket.socket) -> bool:
    return sock.type == socket.SOCK_STREAM and sock.family in (socket.AF_INET, socket.AF_INET6)
