"""One HTTP question, straight to an address: no proxy, no redirect, no cookie, bounded in time and size. What came of it is a value.

Names are looked up in threads that end with the process: the system's own look-up cannot be broken off, and a name server that
does not answer would hold us up beyond the time we were given.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import socket
import threading
import time
from collections.abc import Mapping
from enum import StrEnum
from types import SimpleNamespace
from typing import Any, NamedTuple, Self

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

LARGEST = 4 << 20  # bytes of an answer; a state or a page of metrics has some hundred kilobytes
PATIENCE = 5.0  # seconds


class Trouble(StrEnum):
    """Why there is no answer."""

    DNS = "dns"
    REFUSED = "refused"
    CONNECT = "connect"
    NO_SOCKET = "no socket"
    TIMEOUT = "timeout"
    RESET = "reset"
    PROTOCOL = "protocol"
    TOO_LARGE = "too large"


UNREACHED = frozenset({Trouble.DNS, Trouble.REFUSED, Trouble.CONNECT, Trouble.NO_SOCKET})


class Heard(NamedTuple):
    """Either ``trouble`` or ``status``. ``json`` is None for what is none; times are seconds, ``at`` on the wall clock."""

    trouble: Trouble | None = None
    status: int = 0
    text: str = ""
    fields: Mapping[str, str] = {}
    resolved: float | None = None
    connected: float | None = None
    seconds: float = 0.0
    at: float = 0.0

    @property
    def json(self) -> Any:
        with contextlib.suppress(ValueError, RecursionError):
            return json.loads(self.text)
        return None

    @property
    def object(self) -> Mapping[str, Any]:
        """The JSON object in it, empty where there is none."""
        value = self.json
        return value if isinstance(value, dict) else {}


class Client:
    """Use as an async context. Every question has a connection of its own, so that its times are its own."""

    def __init__(self) -> None:
        trace = aiohttp.TraceConfig()
        trace.on_dns_resolvehost_start.append(_mark("looked_up"))
        trace.on_dns_resolvehost_end.append(_mark("resolved"))
        trace.on_connection_create_end.append(_mark("connected"))
        connector = aiohttp.TCPConnector(resolver=_Names(), use_dns_cache=False, force_close=True, limit=0)
        self.session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            trace_configs=[trace],
            timeout=aiohttp.ClientTimeout(total=None),
            skip_auto_headers=("User-Agent", "Accept-Encoding", "Content-Type"),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.session.close()

    async def ask(
        self,
        url: str,
        headers: Mapping[str, str] | None = None,
        *,
        method: str = "GET",
        body: Any = None,
        patience: float | None = None,
    ) -> Heard:
        """``body`` is sent as JSON; None sends none. ``patience`` in seconds, None: the usual."""
        marks = SimpleNamespace(began=time.perf_counter(), looked_up=None, resolved=None, connected=None)
        sent = {"Content-Type": "application/json"} if body is not None else {}
        data = json.dumps(body).encode() if body is not None else b"" if method == "POST" else None
        try:
            async with (
                asyncio.timeout(PATIENCE if patience is None else patience),
                self.session.request(
                    method,
                    url,
                    data=data,
                    headers={**sent, **(headers or {})},
                    allow_redirects=False,
                    trace_request_ctx=marks,
                ) as got,
            ):
                content = await _bounded(got)
                heard = (
                    Heard(None, got.status, content, got.headers) if content is not None else Heard(Trouble.TOO_LARGE)
                )
        except (aiohttp.ClientError, OSError, ValueError) as error:
            heard = Heard(_trouble(error, marks))
        seconds = time.perf_counter() - marks.began
        return heard._replace(resolved=marks.resolved, connected=marks.connected, seconds=seconds, at=time.time())


async def _bounded(response: aiohttp.ClientResponse) -> str | None:
    content = bytearray()
    async for chunk in response.content.iter_any():
        content += chunk
        if len(content) > LARGEST:
            return None
    return content.decode("utf-8", "replace")


def _mark(name: str) -> Any:
    async def mark(_: aiohttp.ClientSession, context: SimpleNamespace, __: object) -> None:
        marks = context.trace_request_ctx
        if marks is not None:
            setattr(marks, name, time.perf_counter() - marks.began)

    return mark


def _trouble(error: BaseException, marks: SimpleNamespace) -> Trouble:
    if isinstance(error, aiohttp.ClientConnectorDNSError | UnicodeError):
        return Trouble.DNS
    if isinstance(error, aiohttp.ClientConnectorError):
        return Trouble.REFUSED if error.os_error.errno == errno.ECONNREFUSED else Trouble.CONNECT
    if isinstance(error, TimeoutError):
        if marks.looked_up is not None and marks.resolved is None:
            return Trouble.DNS
        return Trouble.CONNECT if marks.connected is None else Trouble.TIMEOUT
    if isinstance(error, aiohttp.ClientPayloadError | aiohttp.ServerDisconnectedError | OSError):
        return Trouble.RESET
    return Trouble.PROTOCOL


class _Names(AbstractResolver):
    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        loop = asyncio.get_running_loop()
        answered: asyncio.Future[list[Any]] = loop.create_future()

        def tell(found: list[Any] | None, error: OSError | None) -> None:
            if answered.done():
                return
            if error is not None:
                answered.set_exception(error)
            else:
                answered.set_result(found or [])

        def look_up() -> None:
            found, failed = None, None
            try:
                found = socket.getaddrinfo(host, port, family, socket.SOCK_STREAM)
            except OSError as error:
                failed = error
            except UnicodeError:
                failed = OSError(f"{host!r} is no name of a host")
            with contextlib.suppress(RuntimeError):  # nobody waits any more
                loop.call_soon_threadsafe(tell, found, failed)

        threading.Thread(target=look_up, daemon=True).start()
        return [
            ResolveResult(
                hostname=host,
                host=str(place[0]),
                port=port,
                family=kind,
                proto=protocol,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for kind, _, protocol, _, place in await answered
        ]

    async def close(self) -> None:
        pass
