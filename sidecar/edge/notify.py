"""What the service manager is told: sd_notify(3), spoken directly.

    ready        READY=1          after both ports serve; MAINPID= as well where we took over from another process
    SIGHUP       RELOADING=1      with the moment (Type=notify-reload compares it), then READY=1
    told to end  STOPPING=1       not where another process has taken over: the service goes on
    always       WATCHDOG=1       at half of WATCHDOG_USEC, by the event loop: a loop that hangs is silent, and is restarted

Nothing here blocks or raises: a service manager that does not listen costs us what it would have been told, never a request.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import Self

AGAIN = 0.1  # seconds after which what did not fit into the queue of the service manager is sent again
MOST_UNSENT = 16  # messages: whoever has not read that many reads no more


class Notify:
    """The service manager at ``NOTIFY_SOCKET``, as a context; without one everything here does nothing.

    ``taken_over`` says that we follow a process of the same service, whose environment we have: what it says of its watchdog then
    holds for us. Everything but making it needs a running loop.
    """

    def __init__(self, environ: Mapping[str, str], pid: int, *, taken_over: bool = False) -> None:
        self._pid = pid
        self._taken_over = taken_over
        self._address = address(environ.get("NOTIFY_SOCKET", ""))
        self._every = watchdog_interval(environ, None if taken_over else pid)
        self._socket: socket.socket | None = None
        self._unsent: deque[bytes] = deque(maxlen=MOST_UNSENT)
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._ready = False

    def __enter__(self) -> Self:
        if self._address is not None:
            try:
                self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
                self._socket.settimeout(0)
            except OSError:
                self._close()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for timer in self._timers.values():
            timer.cancel()
        self._close()

    def main_process(self) -> None:
        """Say that the service is now this process, where it took over from another: before that one ends."""
        if self._taken_over:
            self._say(f"MAINPID={self._pid}")

    def ready(self, status: str) -> None:
        """We serve; from now on the watchdog is fed."""
        self._ready = True
        self._say("READY=1", f"STATUS={status}")
        self._feed()

    @contextmanager
    def reloading(self) -> Iterator[None]:
        """Around a reload. Before we are ready there is nothing to say of it."""
        if self._ready:
            self._say("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")
        try:
            yield
        finally:
            if self._ready:
                self._say("READY=1")

    def stopping(self, status: str) -> None:
        """We end, and nobody serves in our place."""
        self._ready = False
        self._say("STOPPING=1", f"STATUS={status}")

    def _feed(self) -> None:
        if self._every is not None and self._socket is not None:
            if not self._unsent:  # what comes first is worth more than one more sign of life
                self._say("WATCHDOG=1")
            self._later("watchdog", self._every)

    def _say(self, *assignments: str) -> None:
        if self._socket is not None:
            self._unsent.append("\n".join(assignments).encode())
            self._send()

    def _send(self) -> None:
        """All that waits, in order, as far as it goes."""
        while self._unsent and self._socket is not None and self._address is not None:
            try:
                self._socket.sendto(self._unsent[0], self._address)
            except (BlockingIOError, InterruptedError):
                self._later("again", AGAIN)
                return
            except OSError:
                pass  # nobody is there
            self._unsent.popleft()

    def _later(self, what: str, delay: float) -> None:
        work = self._feed if what == "watchdog" else self._send
        if what in self._timers:
            self._timers[what].cancel()
        self._timers[what] = asyncio.get_running_loop().call_later(delay, work)

    def _close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def address(stated: str) -> str | None:
    """``NOTIFY_SOCKET`` as an address to send to: a path, or an abstract name after an ``@``; None for what is neither."""
    if stated.startswith("@") and len(stated) > 1:
        return "\0" + stated[1:]
    return stated if stated.startswith("/") else None


def watchdog_interval(environ: Mapping[str, str], pid: int | None) -> float | None:
    """Seconds between two signs of life: half of ``WATCHDOG_USEC``, as sd_watchdog_enabled(3) asks. None: nobody waits for any.

    It is meant for ``WATCHDOG_PID``, where that is stated and ``pid`` is given.
    """
    stated, meant_for = environ.get("WATCHDOG_USEC", ""), environ.get("WATCHDOG_PID", "")
    if not (stated.isascii() and stated.isdigit()) or int(stated) == 0:
        return None
    if meant_for and pid is not None and meant_for != str(pid):
        return None
    return int(stated) / 2e6
