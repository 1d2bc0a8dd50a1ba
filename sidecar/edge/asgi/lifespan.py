"""The application's life with ours around it: we start before it does and end after it has.

A server asks by ``lifespan.startup`` and ``lifespan.shutdown``. The application hears and says all of that itself. If it does not know
lifespan at all, as a bare callable may not, we answer in its place, so that what is ours lives all the same.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from sidecar.edge.asgi.protocol import App, Message, Receive, Scope, Send

_STARTED, _NOT_STARTED = "lifespan.startup.complete", "lifespan.startup.failed"
_OVER = ("lifespan.shutdown.complete", "lifespan.shutdown.failed")


class Lifespan:
    """One life, from the server's first word to its last."""

    def __init__(self, begin: Callable[[], Awaitable[None]], end: Callable[[], Awaitable[None]]) -> None:
        """``begin`` may raise, with words for who starts the server; ``end`` may be called when there is nothing to end."""
        self._begin = begin
        self._end = end
        self._said = False

    async def __call__(self, app: App, scope: Scope, receive: Receive, send: Send) -> None:
        first: list[Message] = [await receive()]
        try:
            await self._begin()
        except Exception as error:  # noqa: BLE001 - the server says it and ends
            await send({"type": _NOT_STARTED, "message": f"the chat sidecar cannot start: {error}"})
            return

        async def again() -> Message:
            return first.pop() if first else await receive()

        async def say(message: Message) -> None:
            self._said = True
            if message["type"] == _NOT_STARTED or message["type"] in _OVER:
                await self._end()  # before the server is told, since that may end the loop
            await send(message)

        try:
            await app(scope, again, say)
        except Exception:
            if self._said:
                raise
        else:
            if self._said:
                return
        finally:
            if self._said:
                await self._end()
        await self._alone(receive, send)

    async def _alone(self, receive: Receive, send: Send) -> None:
        """The application does not know lifespan: it neither heard nor said anything."""
        await send({"type": _STARTED})
        await receive()
        await self._end()
        await send({"type": _OVER[0]})
