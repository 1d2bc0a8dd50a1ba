"""One client, one connection, one request at a time: what a proxy adds to the time until the answer.

Blocking sockets, so that the client costs the same few microseconds whoever answers. Back to back nothing has time to
fall asleep; at a fixed low rate everything has, as with one person who chats.
"""

from __future__ import annotations

import socket
import statistics
import time

RATE = 200.0  # requests a second


class WrongAnswerError(Exception):
    """Shows the beginning of it."""


class Client:
    """``expected`` must be in every answer, or a fast refusal would flatter."""

    def __init__(self, port: int, message: str, expected: bytes = b"x" * 1024) -> None:
        self._connection = socket.create_connection(("127.0.0.1", port), timeout=10)
        self._connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._message = message
        self._expected = expected
        self._count = 0

    def close(self) -> None:
        self._connection.close()

    def seconds(self) -> float:
        self._count += 1
        message = self._message.replace("{ID}", f"{self._count:012x}").encode()
        began = time.perf_counter()
        self._connection.sendall(message)
        answer = self._connection.recv(65_536)
        while not whole(answer):
            more = self._connection.recv(65_536)
            if not more:
                break
            answer += more
        took = time.perf_counter() - began
        if b" 200 " not in answer[:20] or self._expected not in answer:
            raise WrongAnswerError(f"{answer[:100]!r}")
        return took

    def median(self, seconds: float, rate: float = 0.0) -> float:
        """Microseconds until the answer, for so long; ``rate`` 0 is back to back."""
        samples: list[float] = []
        began = time.perf_counter()
        while (now := time.perf_counter()) < began + seconds:
            if rate:
                time.sleep(max(0.0, began + len(samples) / rate - now))
            samples.append(self.seconds())
        return statistics.median(samples) * 1e6


def whole(answer: bytes) -> bool:
    """Framed by length or in chunks; proxies may choose."""
    head, end, body = answer.partition(b"\r\n\r\n")
    if not end:
        return False
    lower = head.lower()
    if b"\r\ntransfer-encoding: chunked" in lower:
        return body.endswith(b"0\r\n\r\n")
    length = lower.partition(b"\r\ncontent-length:")[2].partition(b"\r\n")[0]
    return len(body) >= int(length or 0)


def median(port: int, message: str, seconds: float, rate: float = 0.0) -> float:
    client = Client(port, message)
    try:
        client.median(0.05)  # warm
        return client.median(seconds, rate)
    finally:
        client.close()
