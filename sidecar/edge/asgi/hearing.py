"""What the client sends, message by message, and again from the start for whoever is to read it after us."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Literal

from sidecar.edge.asgi.protocol import Message, Receive

Ended = Literal["whole", "too_large", "late", "left"]


class Hearing:
    """Listens to one client. A message that is waited for is never lost: who gives up waiting leaves it to the next who listens."""

    __slots__ = ("_heard", "_receive", "_waiting")

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._waiting: asyncio.Future[Message] | None = None
        self._heard: deque[Message] = deque()

    def next(self) -> asyncio.Future[Message]:
        """The message that comes next. Asked for again before it is there, it is the same."""
        if self._waiting is None:
            self._waiting = asyncio.ensure_future(self._receive())
        return self._waiting

    def taken(self) -> Message:
        """The message that ``next`` had promised, now that it is there."""
        message = self.next().result()
        self._waiting = None
        return message

    async def body(self, longest: int, until: float, now: Callable[[], float]) -> tuple[Ended, bytes]:
        """The content, and whether that is all of it; ``longest`` in bytes, ``until`` in seconds of ``now``.

        What was heard is kept for ``again``, whatever came of it.
        """
        content = bytearray()
        while True:
            done, _ = await asyncio.wait((self.next(),), timeout=max(until - now(), 0.0))
            if not done:
                return "late", bytes(content)
            message = self.taken()
            self._heard.append(message)
            if message["type"] == "http.disconnect":
                return "left", bytes(content)
            content += message.get("body", b"")
            if len(content) > longest:
                return "too_large", bytes(content)
            if not message.get("more_body", False):
                return "whole", bytes(content)

    async def again(self) -> Message:
        """``receive`` for whoever goes on: every message from the first on, then whatever comes."""
        if self._heard:
            return self._heard.popleft()
        if self._waiting is None:
            return await self._receive()
        await asyncio.wait((self.next(),))  # not the future itself: to give up waiting must not lose the message
        return self.taken()

    def left(self) -> bool:
        """Whether the message that was promised is there and says that the client left. A server that fails to give one says nothing."""
        waiting = self._waiting
        if waiting is None or not waiting.done() or waiting.cancelled() or waiting.exception() is not None:
            return False
        return bool(waiting.result()["type"] == "http.disconnect")

    def stop(self) -> None:
        """Nobody listens any more."""
        if self._waiting is not None and not self._waiting.cancel() and not self._waiting.cancelled():
            self._waiting.exception()  # so that nobody complains that nobody has looked

    @property
    def began(self) -> bool:
        """Whether a message was asked for, so that the server will not give it again."""
        return self._waiting is not None or bool(self._heard)
