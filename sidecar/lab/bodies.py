"""How FastAPI reads a body: what is JSON, in which order it complains, and in which words.

JSON is parsed before any dependency runs, so bad JSON is 422 even without a token; the fields are checked after them.
That is why reading and checking are two functions, with the token check of the caller in between.
"""

from __future__ import annotations

import json
from email.message import Message as MailMessage
from typing import Any, Final, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError

from sidecar.lab.answers import RefusedError, detail

Model = TypeVar("Model", bound=BaseModel)

MISSING: Final = {"type": "missing", "loc": ["body"], "msg": "Field required", "input": None}


class ChatRequest(BaseModel):
    """A chat as gateway and madre take it; unknown fields are ignored."""

    message: str
    session_id: str | None = None
    metadata: dict[str, Any] | None = None
    context: dict[str, Any] | None = None


class Said(BaseModel):
    role: str
    content: str


class SwitchRequest(BaseModel):
    messages: list[Said]
    provider: str | None = None
    provider_hint: str | None = None
    metadata: dict[str, Any] = {}


def read(body: bytes, content_type: str | None) -> Any:
    """The parsed body: None if there is none, the bare text if it is not said to be JSON."""
    if not body:
        return None
    if content_type is not None and not _is_json(content_type):
        return body.decode("utf-8", "replace")
    try:
        return json.loads(body)
    except json.JSONDecodeError as error:
        complaint = {
            "type": "json_invalid",
            "loc": ["body", error.pos],
            "msg": "JSON decode error",
            "input": {},
            "ctx": {"error": error.msg},
        }
        raise RefusedError(detail(422, [complaint])) from error
    except (ValueError, RecursionError) as error:  # not UTF-8, or nested without end
        raise RefusedError(detail(400, "There was an error parsing the body")) from error


def check(value: Any, model: type[Model]) -> Model:
    if value is None:
        raise RefusedError(detail(422, [MISSING]))
    try:
        return TypeAdapter(model).validate_python(value, from_attributes=True)
    except ValidationError as error:
        items = error.errors(include_context=False)
        complaints = [{**item, "loc": ["body", *item["loc"]]} for item in items]
        raise RefusedError(detail(422, complaints)) from error


def _is_json(content_type: str) -> bool:
    message = MailMessage()
    message["content-type"] = content_type
    subtype = message.get_content_subtype()
    return message.get_content_maintype() == "application" and (subtype == "json" or subtype.endswith("+json"))
