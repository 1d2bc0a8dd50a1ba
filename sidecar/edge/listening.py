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

BACKLOG = 1024
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


class Listener(NamedTuple):
    """One port that listens. ``doubles`` accept from the same sockets."""

    servers: tuple[asyncio.Server, ...]
    doubles: tuple[asyncio.Server, ...] = ()

    @property
    def descriptors(self) -> tuple[int, ...]:
        return tuple(sock.fileno() for server in self.servers for sock in server.sockets)

    @property
    def port(self) -> int:
        return int(self.servers[0].sockets[0].getsockname()[1])

    def close(self) -> None:
        """Accept no more. The sockets themselves live on if another process holds them."""
        for server in (*self.servers, *self.doubles):
            server.close()


async def listen(
    factory: Factory, given: Sequence[socket.socket], host: str, port: int, *, at_once: int = 1
) -> Listener:
    """Serve on the sockets that were given, or on ``host:port``. Raises OSError.

    uvloop accepts one connection in each turn of its loop, so that under load new connections would wait in the queue until it
    overflows. ``at_once`` servers share each socket there, and as many are accepted in a turn. asyncio's loop takes all that wait.
    """
    loop = asyncio.get_running_loop()
    if given:
        servers = [await loop.create_server(factory, sock=sock, backlog=BACKLOG) for sock in given]
    else:
        servers = [await loop.create_server(factory, host, port, backlog=BACKLOG)]
    listener = Listener(tuple(servers))
    doubles = []
    for descriptor in listener.descriptors:
        shared = socket.socket(fileno=os.dup(descriptor))
        _bound_unsent(shared)
        if type(loop).__module__.partition(".")[0] != "uvloop":
            shared.close()
            continue
        for _ in range(at_once - 1):
            double = socket.socket(fileno=os.dup(descriptor))
            doubles.append(await loop.create_server(factory, sock=double, backlog=BACKLOG))
        shared.close()
    return listener._replace(doubles=tuple(doubles))


def _bound_unsent(sock: socket.socket) -> None:
    """What waits for a slow reader waits in the gateway, and not as megabytes in our system. Accepted sockets inherit it."""
    if hasattr(socket, "TCP_NOTSENT_LOWAT") and sock.family in (socket.AF_INET, socket.AF_INET6):
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
        if sock.type == socket.SOCK_STREAM and sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            sock.settimeout(0)
            sock.set_inheritable(False)
            return sock
    sock.detach()
    raise UnusableSocketError(f"descriptor {descriptor} is no socket that listens (a stream socket, Accept=no)")
