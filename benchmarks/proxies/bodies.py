"""Bodies of 10 MiB through a proxy, both ways, on two connections at once.

Told as MiB for a second of the proxy's processor time: client and upstream share a core and are the narrow place on a
small machine, so that the clock on the wall would say more of them than of the proxy.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from typing import NamedTuple

from benchmarks.proxies.latency import WrongAnswerError
from benchmarks.proxies.measure import cpu
from benchmarks.proxies.upstream import LARGE

MIB = 1 << 20
CONNECTIONS = 2
DOWN = b"GET /large HTTP/1.1\r\nHost: benchmark\r\nUser-Agent: benchmark\r\n\r\n"
UP = b"POST /sink HTTP/1.1\r\nHost: benchmark\r\nUser-Agent: benchmark\r\nContent-Length: %d\r\n\r\n" % LARGE
_BODY = bytes(LARGE)


class Moved(NamedTuple):
    bodies: int
    wall: float
    processor: float

    @property
    def rate(self) -> float:
        """MiB for a second of the proxy's processor time."""
        return self.bodies * LARGE / MIB / max(self.processor, 0.01)


def moved(pid: int, port: int, seconds: float, *, up: bool) -> Moved:
    """Bodies one after the other on each connection, for so long; the last ones are finished."""
    move = _up if up else _down
    counts: list[int] = []
    errors: list[Exception] = []
    _once(port, move)
    before, began = cpu(pid), time.perf_counter()

    def keep_moving() -> None:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
                while time.perf_counter() < began + seconds:
                    move(connection)
                    counts.append(1)
        except (OSError, WrongAnswerError) as error:
            errors.append(error)

    threads = [threading.Thread(target=keep_moving) for _ in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise WrongAnswerError(str(errors[0]))
    return Moved(len(counts), time.perf_counter() - began, cpu(pid) - before)


def _once(port: int, move: Callable[[socket.socket], None]) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        move(connection)


def _down(connection: socket.socket) -> None:
    connection.sendall(DOWN)
    head, more = _head(connection)
    if b"\r\ncontent-length: %d" % LARGE not in head.lower():
        raise WrongAnswerError(f"{head[:200]!r}")
    left = LARGE - len(more)
    buffer = bytearray(MIB)
    while left:
        count = connection.recv_into(buffer, min(left, MIB))
        if not count:
            raise WrongAnswerError(f"{left} bytes are missing")
        left -= count


def _up(connection: socket.socket) -> None:
    connection.sendall(UP)
    connection.sendall(_BODY)
    head, body = _head(connection)
    length = int(head.lower().partition(b"\r\ncontent-length:")[2].partition(b"\r\n")[0] or 0)
    while len(body) < length:
        body += connection.recv(65_536)


def _head(connection: socket.socket) -> tuple[bytes, bytes]:
    """The answer's head, and what came of its body along with it."""
    received = b""
    while b"\r\n\r\n" not in received:
        more = connection.recv(65_536)
        if not more:
            raise WrongAnswerError(f"closed after {received[:100]!r}")
        received += more
    head, _, body = received.partition(b"\r\n\r\n")
    if b" 200 " not in head[:20]:
        raise WrongAnswerError(f"{head[:100]!r}")
    return head, body
