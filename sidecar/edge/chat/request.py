"""What a client asks: the body of a chat request, read as FastAPI would, and the words FastAPI has for what is wrong.

Deliberate differences, because the originals crash or pass trouble on: a missing Content-Type is read as JSON, a lone
surrogate is a 422, NaN is no JSON, UTF-16 is no JSON, and nesting too deep to be written again is a 422.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from os import urandom
from typing import Any, Final

import orjson
from pydantic import ValidationError

from sidecar.core.value import Value
from sidecar.edge.chat.model import Model

_CORRELATION = re.compile(r"[A-Za-z0-9._-]{1,128}")
_JSON_TYPE = re.compile(r"application/(?:[^\s;/]*\+)?json\s*(?:;|$)", re.IGNORECASE)
_BOM = b"\xef\xbb\xbf"
_AT_ONCE = 128  # ids made of the bytes of one system call
_DEEPEST = 200  # levels; orjson writes 254, and what is built around a value takes some


class Chat(Value, gc=True):
    """A chat request. ``correlation_id`` is whatever stands there: another type is no error, as the gateway has it."""

    message: str
    session_id: str | None = None
    metadata: dict[str, Any] | None = None
    correlation_id: Any = None


class Invalid(Value, gc=True):
    """Why a body is no chat request: ``status`` 400 or 422 and FastAPI's ``detail``."""

    status: int
    detail: Any


def read_chat(body: bytes, content_type: str | None) -> Chat | Invalid:
    """The request in ``body``, or what FastAPI would say about it."""
    if not body:
        return Invalid(422, [_problem("missing", ["body"], "Field required", None)])
    if content_type and content_type != "application/json" and not _JSON_TYPE.match(content_type):
        return _shaped(body.decode("utf-8", "replace"))
    body = body.removeprefix(_BOM)
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        return _why_no_json(body)
    if body.count(b"[") + body.count(b"{") > _DEEPEST and _too_deep(value):
        return _invalid_json(0, "Too deeply nested")
    return _plain(value) or _shaped(value)


def is_message(body: bytes, content_type: str | None) -> bool:
    """Whether a command is a chat, as the gateway tells them apart: ``command`` is ``message``, and the rest is a chat request.

    What we could not answer is none, whatever it says: the gateway has words for that, too.
    """
    if content_type and not _JSON_TYPE.match(content_type):
        return False
    try:
        value = orjson.loads(body.removeprefix(_BOM))
    except orjson.JSONDecodeError:
        return False
    told = isinstance(value, dict) and value.get("command") == "message"
    return told and isinstance(read_chat(body, content_type), Chat)


def correlation_id(header: str | None, body: Any) -> str | None:
    """The id a client sent, header first; None where neither is one that may enter headers and logs."""
    if header is not None and _CORRELATION.fullmatch(header):
        return header
    return body if isinstance(body, str) and _CORRELATION.fullmatch(body) else None


def new_id() -> str:
    """A random UUID of version 4, without the cost of the uuid module's constructor and of a system call for each."""
    return _ids.draw()


class _Ids:
    """Made of random digits, for which the system is asked once for many ids."""

    __slots__ = ("_at", "_digits", "_variants")

    def __init__(self) -> None:
        self._digits = ""
        self._variants = b""
        self._at = _AT_ONCE

    def draw(self) -> str:
        if self._at >= _AT_ONCE:
            self._digits, self._variants, self._at = urandom(_AT_ONCE * 15).hex(), urandom(_AT_ONCE), 0
        digits, variant, at = self._digits, "89ab"[self._variants[self._at] & 3], self._at * 30
        self._at += 1
        return (
            f"{digits[at : at + 8]}-{digits[at + 8 : at + 12]}-4{digits[at + 12 : at + 15]}"
            f"-{variant}{digits[at + 15 : at + 18]}-{digits[at + 18 : at + 30]}"
        )


_ids: Final = _Ids()


def patience(header: str | None, client: float, margin: float) -> float:
    """Seconds until the answer must leave: the shorter of the policy's and the client's patience, less the margin.

    The header is in milliseconds; what is no positive number is as if it were not there. Of a patience that is shorter than twice
    the margin, half is kept.
    """
    total = client
    if header is not None and header.isascii() and header.isdigit() and 0 < len(header) <= 9 and int(header):
        total = min(client, int(header) / 1000)
    return max(total - margin, total / 2)


def _shaped(value: Any) -> Chat | Invalid:
    if not isinstance(value, dict):
        message = "Input should be a valid dictionary or object to extract fields from"
        return Invalid(422, [_problem("model_attributes_type", ["body"], message, value)])
    try:
        known = Model.model_validate(value)
    except ValidationError as error:
        problems = error.errors(include_url=False, include_context=False)
        return Invalid(422, [_problem(p["type"], ["body", *p["loc"]], p["msg"], p["input"]) for p in problems])
    return Chat(known.message, known.session_id, known.metadata, known.correlation_id)


def _plain(value: Any) -> Chat | None:
    """What pydantic would say of nearly every chat, without asking it; None where it has to be asked."""
    if type(value) is not dict:
        return None
    message, session, metadata = value.get("message"), value.get("session_id"), value.get("metadata")
    if type(message) is not str or not (session is None or type(session) is str):
        return None
    if metadata is not None and type(metadata) is not dict:
        return None
    return Chat(message, session, metadata, value.get("correlation_id"))


def _why_no_json(body: bytes) -> Invalid:
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        return Invalid(400, "There was an error parsing the body")
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        return _invalid_json(error.pos, error.msg)
    except (RecursionError, ValueError):
        return _invalid_json(0, "Too deeply nested, or a number that is too long")
    if _too_deep(value):
        return _invalid_json(0, "Too deeply nested")
    shaped = _shaped(value)
    return shaped if isinstance(shaped, Invalid) else _invalid_json(0, "NaN, Infinity and lone surrogates are not JSON")


def _too_deep(value: Any) -> bool:
    """Whether lists and objects stand in each other more than ``_DEEPEST`` levels deep."""
    level = [value]
    for _ in range(_DEEPEST):
        level = [below for one in level for below in _within(one)]
        if not level:
            return False
    return any(isinstance(one, list | dict) for one in level)


def _within(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _invalid_json(position: int, why: str) -> Invalid:
    problem = _problem("json_invalid", ["body", position], "JSON decode error", {})
    return Invalid(422, [{**problem, "ctx": {"error": why}}])


def _problem(kind: str, location: list[Any], message: str, value: Any) -> dict[str, Any]:
    return {"type": kind, "loc": location, "msg": message, "input": _echoed(value)}


def _echoed(value: Any) -> Any:
    """``value`` as it may go back to whoever sent it: text that cannot be encoded is replaced."""
    try:
        orjson.dumps(value)
    except TypeError:
        return repr(value)[:200].encode("ascii", "backslashreplace").decode()
    return value
