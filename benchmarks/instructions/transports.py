"""Connections to nobody: a protocol gets one instead of a socket, and whoever drives it plays the other end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

TCP_INFO = bytes(232)  # what Linux tells of a connection, all zeros


class Socket:
    """As much of a socket as protocols ask of theirs."""

    def setsockopt(self, *_: object) -> None:
        pass

    def getsockopt(self, *_: object) -> bytes:
        return TCP_INFO


class Transport(asyncio.Transport):
    """Keeps what is written in ``written`` (to be cleared by whoever reads it), and shows it to ``heard`` at once, if there is one."""

    def __init__(
        self, heard: Callable[[bytes], object] | None = None, peer: tuple[str, int] = ("127.0.0.1", 50_000)
    ) -> None:
        super().__init__({"peername": peer, "socket": Socket()})
        self.written: list[bytes] = []
        self.closed = False
        self._heard = heard

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written.append(bytes(data))
        if self._heard is not None:
            self._heard(bytes(data))

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = True

    def can_write_eof(self) -> bool:
        return False

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass

    def get_write_buffer_size(self) -> int:
        return 0
