"""Lines on their way out of the process: a bounded queue off the hot path, emptied by one thread.

A log pipe that nobody reads, or a disk that is full, must not stop chats from being answered: what does not fit is dropped and
counted. Lines are written in the order they were put, many at a time: the thread waits a moment for more of them, because to
wake it costs whoever puts a line more than the line does.
"""

from __future__ import annotations

import errno
import threading
from collections import deque
from collections.abc import Callable
from typing import Any, Generic, TypeVar

LONGEST_QUEUE = 10_000  # lines; at 300 bytes each some 3 MB, or twice that as long as they are not put into words
GATHERING = 0.1  # seconds that the first line of a batch waits for others
PATIENCE = 2.0  # seconds that ``close`` waits for what is queued

Write = Callable[[bytes], None]
Line = TypeVar("Line")


class Outbox(Generic[Line]):
    """``put`` never blocks and never raises; ``dropped`` counts the lines that were lost, full queue and failed writes alike.

    ``trouble`` is why the last ones were, as the system calls it (ENOSPC) or ``slow``; None as soon as lines are written again.
    """

    def __init__(self, name: str, write: Write, join: Callable[[list[Line]], bytes] | None = None) -> None:
        """``write`` gets whole lines, in its own thread; it may block and may raise OSError.

        ``join`` makes bytes of many lines, there as well: what is put may still have to be put into words, but must not change. Without
        it a line is bytes without an end.
        """
        self.dropped = 0
        self.trouble: str | None = None
        self._write = write
        self._join = join or _lines
        self._lines: deque[Line] = deque()
        self._filled = threading.Event()
        self._asleep = True  # until a line wakes it
        self._ending = threading.Event()
        self._closing = False
        self._writer = threading.Thread(target=self._run, name=f"outbox-{name}", daemon=True)
        self._writer.start()

    def put(self, line: Line) -> None:
        """Queue one line."""
        if len(self._lines) >= LONGEST_QUEUE or self._closing:
            self.dropped += 1
            self.trouble = "slow"
            return
        self._lines.append(line)
        if self._asleep:
            self._asleep = False
            self._filled.set()

    def close(self) -> bool:
        """Write what is queued, for at most ``PATIENCE`` seconds; a reader that is gone must not keep us from ending.

        Returns whether that was enough: if not, ``write`` may still be at work.
        """
        self._closing = True
        self._ending.set()
        self._filled.set()
        self._writer.join(PATIENCE)
        return not self._writer.is_alive()

    def _run(self) -> None:
        while not self._closing or self._lines:
            self._filled.wait()
            self._filled.clear()
            self._ending.wait(GATHERING)
            self._asleep = (
                True  # before the queue is emptied: a line that is put from here on is seen, or wakes us again
            )
            while self._lines:
                batch = [self._lines.popleft() for _ in range(min(len(self._lines), 500))]
                self._flush(batch)

    def _flush(self, batch: list[Line]) -> None:
        try:
            self._write(self._join(batch))
        except (OSError, ValueError) as error:  # ValueError: the stream was closed under us
            self.dropped += len(batch)
            self.trouble = errno.errorcode.get(getattr(error, "errno", None) or 0, "closed")
        else:
            self.trouble = None


def _lines(lines: list[Any]) -> bytes:
    return b"\n".join(lines) + b"\n"
