"""Starlette's routing, because which spelling of a path reaches which handler is part of the contract.

The path is percent-decoded once, ``%2f`` included, before anything is matched; the first route whose path and method
both fit wins; a fitting path with the wrong method is 405; a path that would fit with its last slash added or
removed is redirected. aiohttp's own router decides each of these differently.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from aiohttp import web

from sidecar.lab.answers import detail, redirect


@dataclass(slots=True)
class Ask:
    """One request as a handler sees it: the path decoded, the body read."""

    request: web.BaseRequest
    path: str
    query_string: str
    body: bytes = b""
    params: Mapping[str, str] = field(default_factory=dict)

    @property
    def method(self) -> str:
        return self.request.method

    def header(self, name: str) -> str | None:
        """The first field of that name, as Starlette gives it."""
        return self.request.headers.get(name)

    def query(self, name: str) -> str:
        return dict(parse_qsl(self.query_string, keep_blank_values=True)).get(name, "")

    def wants_websocket(self) -> bool:
        return (self.header("upgrade") or "").lower() == "websocket"


Handler = Callable[[Ask], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class _Route:
    pattern: re.Pattern[str]
    methods: tuple[str, ...]
    handler: Handler


class Table:
    def __init__(self) -> None:
        self._routes: list[_Route] = []

    def add(self, path: str, handler: Handler, *methods: str) -> None:
        """``{name}`` is one segment, ``{name:path}`` any number of them."""
        expression = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", path)
        expression = re.sub(r"\{(\w+):path\}", r"(?P<\1>.*)", expression)
        # "$" and not "\Z": Starlette's own pattern also takes a final line feed.
        self._routes.append(_Route(re.compile(f"^{expression}$"), methods, handler))

    async def answer(self, ask: Ask) -> web.StreamResponse:
        partial: _Route | None = None
        for route in self._routes:
            found = route.pattern.match(ask.path)
            if found is None:
                continue
            if ask.method in route.methods:
                ask.params = found.groupdict()
                return await route.handler(ask)
            partial = partial or route
        if partial is not None:
            return detail(405, "Method Not Allowed", {"allow": ", ".join(partial.methods)})
        return self._redirect(ask) or detail(404, "Not Found")

    def _redirect(self, ask: Ask) -> web.Response | None:
        toggled = ask.path.rstrip("/") if ask.path.endswith("/") else ask.path + "/"
        if ask.path == "/" or not any(route.pattern.match(toggled) for route in self._routes):
            return None
        return redirect(307, _absolute(ask, toggled))


def _absolute(ask: Ask, path: str) -> str:
    # uvicorn trusts X-Forwarded-Proto from loopback peers.
    scheme = (ask.header("x-forwarded-proto") or "http").strip()
    url = f"{scheme}://{ask.header('host') or '127.0.0.1'}{path}"
    url += f"?{ask.query_string}" if ask.query_string else ""
    return quote(url, safe=":/%#?=@[]!$&'()*+,;")


def path_and_query(target: str) -> tuple[str, str]:
    """A raw request target, origin or absolute form, as the path that is routed and the query string."""
    if not target.startswith("/"):
        parts = urlsplit(target)
        return unquote(parts.path) or "/", parts.query
    path, _, query = target.partition("#")[0].partition("?")
    return unquote(path), query
