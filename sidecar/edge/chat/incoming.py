"""A chat as it came, whole and unread, and what its head says to us."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import cast

from sidecar.core.value import Value
from sidecar.wire import fields, trace
from sidecar.wire.request import Request

_CONTENT_TYPE, _ORIGIN, _LANGUAGE, _CORRELATION = b"content-type", b"origin", b"accept-language", b"x-correlation-id"
_PARENT, _STATE = trace.TRACEPARENT.encode(), trace.TRACESTATE.encode()
_READ = (_CONTENT_TYPE, _ORIGIN, _LANGUAGE, _CORRELATION, _PARENT, _STATE)


class Said(Value):
    """The fields that chat reads; None is one that was not sent. Of one that came twice the first counts, but of the trace's all."""

    content_type: str | None
    origin: str | None
    language: str | None
    correlation_id: str | None
    patience: str | None
    parents: list[str]
    states: list[str]


class Incoming(Value):
    """``request`` is its head as the door has judged it, ``peer`` the client's address, ``came`` when the head had come."""

    request: Request
    body: bytes
    peer: str
    came: float

    def said(self, patience: str) -> Said:
        """``patience`` is the name of the field that holds the client's. Read once for a head that comes again."""
        known = self.request.said
        if known is None:
            known = self.request.said = self._read(patience)
        return cast("Said", known)

    def keys(self, header: str) -> list[bytes]:
        """The values of the field that holds an Idempotency-Key, which only few ask for."""
        found = fields.special((re.escape(header.encode()),)).finditer(self.request.raw)
        return [match[2].strip(b" \t") for match in found]

    def _read(self, patience: str) -> Said:
        found: dict[bytes, list[str]] = {}
        for match in _wanted(patience).finditer(self.request.raw):
            found.setdefault(match[1].lower(), []).append(match[2].strip(b" \t").decode("utf-8", "surrogateescape"))
        first = {name: values[0] for name, values in found.items()}.get
        own = (first(_CONTENT_TYPE), first(_ORIGIN), first(_LANGUAGE), first(_CORRELATION))
        return Said(*own, first(patience.encode()), found.get(_PARENT, []), found.get(_STATE, []))


@lru_cache(8)  # one name per policy; the last few stay for those who began under an older one
def _wanted(patience: str) -> re.Pattern[bytes]:
    return fields.special((*_READ, re.escape(patience.encode())))
