"""Answers as uvicorn, Starlette and FastAPI word them: lower-case header names, compact JSON, ``{"detail": ...}``.

A handler that refuses raises ``RefusedError`` with the finished answer, as FastAPI's dependencies do.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from email.utils import formatdate
from typing import Any

from aiohttp import web


class RefusedError(Exception):
    """Carries the answer that ends a request."""

    def __init__(self, answer: web.Response) -> None:
        super().__init__(answer.status)
        self.answer = answer


def uvicorn_headers() -> dict[str, str]:
    return {"date": formatdate(usegmt=True), "server": "uvicorn"}


def raw(status: int, body: bytes, content_type: str, headers: Mapping[str, str] | None = None) -> web.Response:
    """No charset is added and nothing is tidied: the gateway's metrics have two charsets, and so be it."""
    fields = uvicorn_headers() | {"content-length": str(len(body))}
    if content_type:
        fields["content-type"] = content_type
    fields |= dict(headers or {})
    return web.Response(status=status, body=body, headers=fields)


def as_json(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    body = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    return raw(status, body, "application/json", headers)


def text(value: str, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    return raw(status, value.encode(), "text/plain; charset=utf-8", headers)


def detail(status: int, what: Any, headers: Mapping[str, str] | None = None) -> web.Response:
    """FastAPI's own shape of an error."""
    return as_json({"detail": what}, status, headers)


def redirect(status: int, location: str) -> web.Response:
    return raw(status, b"", "", {"location": location})


def server_error() -> web.Response:
    """What an exception nobody caught looks like: not JSON."""
    return text("Internal Server Error", 500)


def bad_request() -> web.Response:
    """What uvicorn says to something that is not HTTP."""
    answer = text("Invalid HTTP request received.", 400)
    answer.force_close()
    return answer
