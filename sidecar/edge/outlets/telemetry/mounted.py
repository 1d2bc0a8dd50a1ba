"""How metrics leave where an application has its own server: an ASGI application, in the same formats as the admin port's."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from prometheus_client.asgi import make_asgi_app
from prometheus_client.registry import CollectorRegistry

from sidecar.edge.outlets.telemetry.negotiation import choosable

_Message = MutableMapping[str, Any]
Exposed = Callable[
    [_Message, Callable[[], Awaitable[_Message]], Callable[[_Message], Awaitable[None]]], Awaitable[None]
]


def mounted(registry: CollectorRegistry) -> Exposed:
    """``GET`` of any path: the text format, or OpenMetrics. What cannot be chosen by gets the text format."""
    scrape = make_asgi_app(registry)

    async def answer(scope: _Message, receive: Any, send: Any) -> None:
        # The library is shown what it chooses by and no more: of a field or a query that is no text it would make an exception.
        wanted: dict[bytes, list[bytes]] = {b"accept": [], b"accept-encoding": []}
        for name, value in scope["headers"]:
            if name in wanted and value.isascii():
                wanted[name].append(value)
        if not choosable(b",".join(wanted[b"accept"]).decode("ascii")):
            wanted[b"accept"] = [b"text/plain"]
        headers = [(name, b",".join(values)) for name, values in wanted.items() if values]
        query = scope.get("query_string", b"")
        shown = {"type": "http", "headers": headers, "query_string": query if query.isascii() else b""}

        async def lower(message: _Message) -> None:
            if "headers" in message:  # which ASGI wants in lower case
                message["headers"] = [(name.lower(), value) for name, value in message["headers"]]
            await send(message)

        await scrape(shown, receive, lower)

    return answer
