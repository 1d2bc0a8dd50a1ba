"""How the data port words what it answers itself, the chat path excepted: one closed word each."""

from __future__ import annotations

from sidecar.wire.answer import detail
from sidecar.wire.head import Refused
from sidecar.wire.request import Request

METHODS = {method.encode(): method for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")}
ALLOW = (("Allow", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"),)
FAILURES = {502: "bad_gateway", 504: "gateway_timeout"}


def method(asked: Request | None) -> str:
    """The method as a fact may hold it."""
    return "OTHER" if asked is None else METHODS.get(asked.method, "OTHER")


def _bodiless(asked: Request | None) -> bool:
    return asked is not None and asked.method == b"HEAD"


def _proxy_status(error: str) -> tuple[tuple[str, str], ...]:
    """RFC 9209. The name is that of the product: which of several instances it was is in Via."""
    return (("Proxy-Status", f"vx11-sidecar; error={error}"),)


def refusal(refused: Refused, asked: Request | None, date: bytes) -> bytes:
    """The message was not HTTP as we accept it."""
    if refused.why == "loop":
        fields = _proxy_status("proxy_loop_detected")
        return detail(refused.status, "loop_detected", close=True, date=date, fields=fields)
    fields = ALLOW if refused.status == 405 else ()
    return detail(refused.status, refused.why, close=True, date=date, head_only=_bodiless(asked), fields=fields)


def denial(asked: Request, date: bytes) -> bytes:
    """The policy has this path stay inside."""
    return detail(403, "denied_by_policy", close=True, date=date, head_only=_bodiless(asked))


def failure(status: int, error: str, asked: Request | None, date: bytes, *, close: bool) -> bytes:
    """The gateway gave no answer that could go on. ``error`` is one of RFC 9209's."""
    fields = _proxy_status(error)
    return detail(status, FAILURES[status], close=close, date=date, head_only=_bodiless(asked), fields=fields)


def overload(asked: Request, date: bytes, *, close: bool) -> bytes:
    """There is too much to do right now."""
    fields = (("Retry-After", "1"), *_proxy_status("proxy_internal_response"))
    return detail(503, "overloaded", close=close, date=date, head_only=_bodiless(asked), fields=fields)
