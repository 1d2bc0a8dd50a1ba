"""Asking a target, live: one HTTP request over a pooled connection, and what came of it as a value.

Failures never leave here as exceptions; only cancellation does. aiohttp's client is used with everything off that it does on its own:
redirects, cookies, proxies from the environment, decompression, headers nobody asked for. Idle connections are dropped after 4 s,
because uvicorn closes them at 5 s and a POST that meets the closing is lost; names are resolved on each connect, because containers
come and go with the power windows. POST is never re-sent by aiohttp.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, NamedTuple, Self

import aiohttp
import orjson

from sidecar.core.classify import Classifier, digest
from sidecar.core.vocabulary import Attempt, ErrorKind, Outcome
from sidecar.edge.chat.contract import Answer, Question, answer, payload
from sidecar.edge.snapshot import Destination
from sidecar.policy.model import Target

KEEPALIVE = 4.0  # seconds; below uvicorn's 5
LARGEST_ANSWER = 1 << 20  # bytes; madre was seen to echo 100 kB
LONGEST_WAIT = 86_400.0  # seconds of Retry-After that are told apart: nobody waits that long


class Asked(NamedTuple):
    """What came of an attempt: for the core, and for the user."""

    outcome: Outcome
    answer: Answer | None = None


class Upstream:
    """The client side towards switch and madre: one session, one pool, for the life of the process."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    @classmethod
    def open(cls) -> Self:
        """Needs a running event loop."""
        connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEPALIVE, use_dns_cache=False)
        return cls(
            aiohttp.ClientSession(
                connector=connector,  # no limit of its own: the limiter in the core is the limit, and says so
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                trust_env=False,
                timeout=aiohttp.ClientTimeout(total=None),
                skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
            )
        )

    async def close(self) -> None:
        await self._session.close()

    async def ask(
        self, step: Attempt, target: Target, classify: Classifier, destination: Destination, question: Question
    ) -> Asked:
        """Send one chat within ``step.timeout`` seconds."""
        headers = {"Content-Type": "application/json", "X-Correlation-Id": question.correlation_id, **question.trace}
        if destination.token:
            headers["X-VX11-Token"] = destination.token
        body = orjson.dumps(payload(target, question))
        try:
            async with asyncio.timeout(step.timeout):
                status, fields, content = await self._post(
                    destination.origin + destination.path, headers, body, step.connect_timeout
                )
        except _FAILURES as error:
            return Asked(Outcome(error=_kind(error)))
        return _read(target, classify, status, fields, content)

    async def get(self, url: str, headers: Mapping[str, str], timeout: float) -> Any:  # noqa: ASYNC109 - no retry around it
        """The JSON at ``url``, or None for anything else than a 200 with JSON in time."""
        try:
            async with asyncio.timeout(timeout), self._session.get(url, headers=headers, allow_redirects=False) as got:
                content = await _bounded(got)
                return orjson.loads(content) if got.status == 200 and content else None
        except _FAILURES:
            return None

    async def _post(
        self, url: str, headers: Mapping[str, str], body: bytes, connect: float
    ) -> tuple[int, Mapping[str, str], bytes | None]:
        timeout = aiohttp.ClientTimeout(total=None, connect=connect)
        async with self._session.post(url, data=body, headers=headers, timeout=timeout, allow_redirects=False) as got:
            return got.status, got.headers, await _bounded(got)


async def _bounded(response: aiohttp.ClientResponse) -> bytes | None:
    """The whole body, or None if it is larger than an answer may be; a body not read to its end closes its connection."""
    content = bytearray()
    async for chunk in response.content.iter_any():
        content += chunk
        if len(content) > LARGEST_ANSWER:
            return None
    return bytes(content)


def _read(target: Target, classify: Classifier, status: int, fields: Mapping[str, str], content: bytes | None) -> Asked:
    if content is None:
        return Asked(Outcome(error=ErrorKind.TOO_LARGE))
    retry_after = _retry_after(fields.get("Retry-After"))
    try:
        body = orjson.loads(content)
    except orjson.JSONDecodeError:
        body = None
    if not isinstance(body, dict):
        if 200 <= status < 300:
            return Asked(Outcome(error=ErrorKind.NOT_JSON))
        return Asked(Outcome(status=status, retry_after=retry_after))  # madre's 500 is plain text
    said = answer(target, body)
    return Asked(Outcome(None, status, digest(body, classify.paths), said is not None, retry_after), said)


def _retry_after(value: str | None) -> float | None:
    """Seconds; the form with a date needs a wall clock, and VX11 sends neither."""
    if value is None or not value.isascii() or not value.isdigit():
        return None
    return min(float(value), LONGEST_WAIT)


def _kind(error: BaseException) -> ErrorKind:
    """The first that fits: aiohttp's errors inherit from each other and from the built-in ones."""
    return next(kind for kinds, kind in _KINDS if isinstance(error, kinds))


_FAILURES = (aiohttp.ClientError, OSError, ValueError)
"""All that aiohttp raises; ValueError is a name, a token or a body that cannot be what it should be."""

_KINDS: tuple[tuple[type[BaseException] | tuple[type[BaseException], ...], ErrorKind], ...] = (
    ((aiohttp.ClientConnectorDNSError, UnicodeError), ErrorKind.DNS),  # UnicodeError: no host can have such a name
    (aiohttp.ConnectionTimeoutError, ErrorKind.CONNECT_TIMEOUT),
    (aiohttp.ClientConnectorError, ErrorKind.CONNECT),
    (TimeoutError, ErrorKind.TIMEOUT),
    (aiohttp.ClientPayloadError, ErrorKind.TRUNCATED),
    ((aiohttp.ClientConnectionError, OSError), ErrorKind.RESET),
    (Exception, ErrorKind.PROTOCOL),
)
