"""How we word what we answer ourselves, the chat path excepted: one closed word each, and as the bytes that the data port sends."""

from __future__ import annotations

from typing import NamedTuple

from sidecar.wire.answer import Fields, detail
from sidecar.wire.head import Refused
from sidecar.wire.request import Request

METHODS = {method.encode(): method for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")}
ALLOW = {"Allow": "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"}
FAILURES = {502: "bad_gateway", 504: "gateway_timeout"}


def method(asked: Request | None) -> str:
    """The method as a fact may hold it."""
    return "OTHER" if asked is None else METHODS.get(asked.method, "OTHER")


def _bodiless(asked: Request | None) -> bool:
    return asked is not None and asked.method == b"HEAD"


def _proxy_status(error: str) -> Fields:
    """RFC 9209. The name is that of the product: which of several instances it was is in Via."""
    return {"Proxy-Status": f"vx11-sidecar; error={error}"}


class Word(NamedTuple):
    """An answer of ours: a status, the closed word that is all of its body, and the fields that belong to it."""

    status: int
    word: str
    fields: Fields = {}  # noqa: RUF012 - a constant's, which nobody changes


DENIED = Word(403, "denied_by_policy")
"""The policy has this path stay inside."""
OVERLOADED = Word(503, "overloaded", {"Retry-After": "1", **_proxy_status("proxy_internal_response")})
"""There is too much to do right now."""


def refused_as(refused: Refused) -> Word:
    """The message was not HTTP as we accept it."""
    if refused.why == "loop":
        return Word(refused.status, "loop_detected", _proxy_status("proxy_loop_detected"))
    return Word(refused.status, refused.why, ALLOW if refused.status == 405 else {})


def refusal(refused: Refused, asked: Request | None, date: bytes) -> bytes:
    return _said(refused_as(refused), date, close=True, head_only=_bodiless(asked) and refused.why != "loop")


def denial(asked: Request, date: bytes) -> bytes:
    return _said(DENIED, date, close=True, head_only=_bodiless(asked))


def failure(status: int, error: str, asked: Request | None, date: bytes, *, close: bool) -> bytes:
    """The gateway gave no answer that could go on. ``error`` is one of RFC 9209's."""
    said = Word(status, FAILURES[status], _proxy_status(error))
    return _said(said, date, close=close, head_only=_bodiless(asked))


def overload(asked: Request, date: bytes, *, close: bool) -> bytes:
    return _said(OVERLOADED, date, close=close, head_only=_bodiless(asked))


def _said(said: Word, date: bytes, *, close: bool, head_only: bool) -> bytes:
    return detail(said.status, said.word, close=close, date=date, head_only=head_only, fields=said.fields)
