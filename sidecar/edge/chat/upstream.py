"""Asking a target, live: one HTTP request over a pooled connection, and what came of it as a value.

Failures never leave here as exceptions; only cancellation does. No redirect is followed, no cookie kept, no proxy of the environment used,
and no header sent that nobody asked for.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Protocol
from urllib.parse import urlsplit

import orjson

from sidecar.core.classify import Classifier, digest
from sidecar.core.value import Value
from sidecar.core.vocabulary import Attempt, ErrorKind, Outcome
from sidecar.edge.chat.contract import Answer, Question, answer, payload
from sidecar.edge.chat.exchange import Heard
from sidecar.edge.chat.pool import Address, Pool
from sidecar.edge.snapshot import Destination
from sidecar.policy.model import Target

LONGEST_WAIT = 86_400.0  # seconds of Retry-After that are told apart: nobody waits that long

_VALUE = re.compile(r"[^\x00-\x08\x0a-\x1f\x7f]+")
_RETRY_AFTER = b"\r\nretry-after:"


class Asked(Value):
    """What came of an attempt: for the core, and for the user."""

    outcome: Outcome
    answer: Answer | None = None


class Asks(Protocol):
    """Who asks targets: ``Upstream`` by sockets, a test by what it has written down."""

    async def ask(
        self, step: Attempt, target: Target, classify: Classifier, destination: Destination, question: Question
    ) -> Asked: ...
    async def get(self, url: str, fields: Mapping[str, str], timeout: float) -> Any: ...  # noqa: ASYNC109
    async def probe(self, url: str, timeout: float) -> Outcome: ...  # noqa: ASYNC109


class _Way(Value):
    """Where a target is, and the part of a request's head that is always the same."""

    destination: Destination
    address: Address
    start: bytes


class Upstream:
    """The client side towards switch and madre: one pool, for the life of the process."""

    def __init__(self, pool: Pool | None = None) -> None:
        """Needs a running loop."""
        self._pool = pool or Pool()
        self._ways: dict[str, _Way] = {}  # by target

    def close(self) -> None:
        self._pool.close()

    async def ask(
        self, step: Attempt, target: Target, classify: Classifier, destination: Destination, question: Question
    ) -> Asked:
        """Send one chat within ``step.timeout`` seconds."""
        try:
            way = self._ways.get(target.name)
            if way is None or way.destination is not destination:  # after a reload it is another one
                way = self._ways[target.name] = _way(destination)
        except ValueError:  # an address or a token that cannot be what it should be
            return Asked(Outcome(error=ErrorKind.PROTOCOL))
        message = _message(way, question, orjson.dumps(payload(target, question)))
        heard = await self._pool.ask(way.address, b"POST", message, step.timeout, step.connect_timeout)
        if isinstance(heard, ErrorKind):
            return Asked(Outcome(error=heard))
        return _read(target, classify, heard)

    async def get(self, url: str, fields: Mapping[str, str], timeout: float) -> Any:  # noqa: ASYNC109 - no retry around it
        """The JSON at ``url``, or None for anything else than a 200 with JSON in time."""
        parts = urlsplit(url)
        try:
            start = _start("GET", parts.path or "/", parts.netloc, fields)
            address = _address(parts.hostname, parts.port)
        except ValueError:
            return None
        heard = await self._pool.ask(address, b"GET", start + b"\r\n", timeout, timeout)
        return _json(heard.content) if isinstance(heard, Heard) and heard.status == 200 else None

    async def probe(self, url: str, timeout: float) -> Outcome:  # noqa: ASYNC109 - no retry around it
        """What ``GET url`` comes to within ``timeout`` seconds: its status or the kind of error, and nothing of its body.

        On a connection of its own, to be closed then: a kept one says nothing about taking new ones, and belongs to chats.
        """
        parts = urlsplit(url)
        try:
            start = _start("GET", parts.path, parts.netloc, {"Connection": "close"})
            address = _address(parts.hostname, parts.port)
        except ValueError:
            return Outcome(error=ErrorKind.PROTOCOL)
        heard = await self._pool.ask(address, b"GET", start + b"\r\n", timeout, timeout, fresh=True)
        return Outcome(status=heard.status) if isinstance(heard, Heard) else Outcome(error=heard)


def _way(destination: Destination) -> _Way:
    """Raises ValueError."""
    parts = urlsplit(destination.origin)
    fields = {"Content-Type": "application/json"}
    if destination.token:
        fields["X-VX11-Token"] = destination.token
    start = _start("POST", destination.path, parts.netloc, fields)
    return _Way(destination, _address(parts.hostname, parts.port), start)


def _address(host: str | None, port: int | None) -> Address:
    if not host:
        raise ValueError("no host")
    return host, port or 80


def _start(method: str, path: str, authority: str, fields: Mapping[str, str]) -> bytes:
    """The lines of a head. Raises ValueError for a value that no field can have."""
    if not all(map(_VALUE.fullmatch, fields.values())):
        raise ValueError("no value of a field")
    lines = [f"{method} {path} HTTP/1.1", f"Host: {authority}", *(f"{name}: {value}" for name, value in fields.items())]
    return ("\r\n".join(lines) + "\r\n").encode()


def _message(way: _Way, question: Question, body: bytes) -> bytes:
    """The ids were checked before they got here, and the key is a digest: each is what a field may hold."""
    trace = "".join([f"{name}: {value}\r\n" for name, value in question.trace.items()]) if question.trace else ""
    if question.key:
        trace += f"Idempotency-Key: {question.key}\r\n"
    own = f"X-Correlation-Id: {question.correlation_id}\r\n{trace}Content-Length: {len(body)}\r\n\r\n"
    return way.start + own.encode() + body


def _read(target: Target, classify: Classifier, heard: Heard) -> Asked:
    status, retry_after = heard.status, _retry_after(heard.head)
    body = _json(heard.content)
    if type(body) is not dict:
        if 200 <= status < 300:
            return Asked(Outcome(error=ErrorKind.NOT_JSON))
        return Asked(Outcome(status=status, retry_after=retry_after))  # madre's 500 is plain text
    said = answer(target, body)
    return Asked(Outcome(None, status, digest(body, classify.paths), said is not None, retry_after), said)


def _json(content: bytes) -> Any:
    """None for what is no JSON, and for nothing at all."""
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError:
        return None


@lru_cache(64)  # heads that come again
def _retry_after(head: bytes) -> float | None:
    """Seconds; the form with a date needs a wall clock, and VX11 sends neither."""
    at = head.lower().find(_RETRY_AFTER)
    if at < 0:
        return None
    value = head[at + len(_RETRY_AFTER) :].partition(b"\r")[0].strip(b" \t")
    if not value.isdigit():
        return None
    return LONGEST_WAIT if len(value) > 9 else min(float(value), LONGEST_WAIT)
