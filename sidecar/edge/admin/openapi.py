"""What the admin port offers, as an OpenAPI 3.1 document at ``/openapi.json``: for generated clients, and for whoever tries to break it.

What is told of the state of things is described by what a reader may rely on; further members may come. What is ordered is
described in full, from the very forms that orders are read by.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import cache
from typing import Any

import orjson
from aiohttp import web

from sidecar import __version__
from sidecar.core.vocabulary import Override
from sidecar.edge.admin import forward_auth, static
from sidecar.edge.admin.control import ChaosForm, Form, HoldForm, LevelForm, ReleaseForm

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Json = dict[str, Any]

JSON = "application/json"
TOKEN: Json = {"type": "apiKey", "in": "header", "name": "X-VX11-Admin-Token"}

_TEXT: Json = {"type": "string"}
_NUMBER: Json = {"type": "number"}
_COUNT: Json = {"type": "integer", "minimum": 0}
_OBJECT: Json = {"type": "object"}
_TEXTS: Json = {"type": "array", "items": _TEXT}
_OBJECTS: Json = {"type": "array", "items": _OBJECT}


def _object(**members: Json) -> Json:
    """An object with these members and perhaps others."""
    return {"type": "object", "required": list(members), "properties": members}


def _ref(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


_HELD = _object(target=_TEXT, kind={"enum": list(Override)}, author=_TEXT, reason=_TEXT, seconds_left=_NUMBER)
_HELDS: Json = {"type": "array", "items": _ref("Held")}

_CHAOS: Json = {"anyOf": [{"type": "null"}, _object(active={"type": "boolean"}, rules=_OBJECTS)]}

# Path, what it tells, and what of the answer may be relied on.
READ: tuple[tuple[str, str, Json], ...] = (
    (
        "/state",
        "Who answers, since when and why; breakers, overrides, connections",
        _object(status=_TEXT, targets=_OBJECT, policy=_OBJECT, overrides=_HELDS, connections=_COUNT, version=_TEXT),
    ),
    ("/trend", "The last half hour in steps", _OBJECT),
    ("/policy", "Every effective value, and the place that states it", _object(revision=_TEXT, source=_TEXT, values=_OBJECT)),
    ("/usage", "Which of the gateway's routes are used, and by whom", _OBJECT),
    ("/calls", "The last calls, and the last degraded or failed ones", _object(last=_OBJECTS, degraded=_OBJECTS)),
    ("/openapi.json", "This document", _object(openapi=_TEXT, info=_OBJECT, paths=_OBJECT)),
)  # fmt: skip

# Path, what is ordered, the form, and what is so after it was carried out or not.
ORDERS: tuple[tuple[str, str, type[Form], Json], ...] = (
    ("/overrides", "Put an override in force for a while", HoldForm, _object(overrides=_HELDS)),
    ("/overrides/release", "End an override", ReleaseForm, _object(overrides=_HELDS)),
    ("/chaos", "Let the policy's chaos rules break attempts for a while", ChaosForm, _object(chaos=_CHAOS)),
    ("/chaos/stop", "Break nothing on purpose any more", Form, _object(chaos=_CHAOS)),
    ("/log-level", "Log from this level on, until the next restart", LevelForm, _object(level=_TEXT)),
    ("/reload", "Read the policy and the token files again, now", Form, _object(revision=_TEXT, problems=_TEXTS)),
)  # fmt: skip


def document() -> Json:
    """The whole of it, as JSON."""
    forms = {form.__name__: _form(form) for _, _, form, _ in ORDERS}
    return {
        "openapi": "3.1.0",
        "info": {"title": "vx11-sidecar admin port", "version": __version__},
        "paths": {**_probes(), **_asked(), **_told(), **_page(), **_orders()},
        "components": {
            "securitySchemes": {"adminToken": TOKEN},
            "schemas": {"Error": _object(detail=_TEXT), "Held": _HELD, **forms},
        },
    }


def serving() -> Handler:
    """Answers with the document, which never changes while we run. It is made for the first who asks: most starts see none."""
    body = cache(lambda: orjson.dumps(document()))

    async def serve(_: web.Request) -> web.StreamResponse:
        return web.Response(body=body(), content_type=JSON)

    return serve


def _answer(said: str, schema: Json, kind: str = JSON) -> Json:
    return {"description": said, "content": {kind: {"schema": schema}}}


def _errors(**said: str) -> Json:
    """Errors by their status: ``_400="…"``."""
    return {number.removeprefix("_"): _answer(text, _ref("Error")) for number, text in said.items()}


def _probes() -> Json:
    metrics = {
        "description": "The metrics, in the format that Accept prefers",
        "content": {kind: {"schema": _TEXT} for kind in ("text/plain", "application/openmetrics-text")},
    }
    status = _object(status=_TEXT)
    verbose = {
        "name": "verbose",
        "in": "query",
        "required": False,
        "allowEmptyValue": True,
        "schema": _TEXT,
        "description": "adds notes and the policy in force",
    }
    ready = {"200": _answer("Ready", status), "503": _answer("Not ready: why is the status", status)}
    return {
        "/metrics": {"get": {"summary": "Metrics for Prometheus", "responses": {"200": metrics}}},
        "/livez": {"get": {"summary": "The process is up", "responses": {"200": _answer("It is", status)}}},
        "/readyz": {"get": {"summary": "Ready to take requests", "parameters": [verbose], "responses": ready}},
    }


def _asked() -> Json:
    """Forward auth: any method, and under it any path, which is that of the request in question."""
    question: Json = {
        "summary": "May this request pass? For other proxies; the token is where the policy's auth has it",
        "responses": {
            "200": {"description": "It may"},
            **_errors(_401="It has no token", _403="Its token is wrong"),
        },
    }
    methods = {method.lower(): question for method in forward_auth.METHODS if method != "HEAD"}
    which = {"name": "target", "in": "path", "required": True, "schema": _TEXT}
    return {forward_auth.PATH: methods, forward_auth.PATH + "/{target}": {**methods, "parameters": [which]}}


def _told() -> Json:
    refused = _errors(
        _401="Off loopback: no admin token",
        _403="Host or admin token does not pass",
        _503="Of several workers none answered",
    )
    found: Json = {
        path: {"get": _guarded(summary, {"200": _answer("It is told", schema), **refused})}
        for path, summary, schema in READ
    }
    which = {"name": "correlation_id", "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
    facts = _answer("Its facts, in order", _object(facts=_OBJECTS))
    missing = _errors(_404="No recent call has this correlation id")
    call = _guarded("What was decided about a recent call", {"200": facts, **refused, **missing})
    found["/calls/{correlation_id}"] = {"get": {**call, "parameters": [which]}}
    return found


def _guarded(summary: str, responses: Json) -> Json:
    return {"summary": summary, "security": [{}, {"adminToken": []}], "responses": responses}


def _page() -> Json:
    """The status page: anybody with a Host of the policy."""
    refused = _errors(_403="This Host is not one of admin.hosts")
    return {
        path: {"get": {"summary": f"The status page: {name}", "responses": {"200": _answer("It is served", _TEXT, kind), **refused}}}
        for path, (name, kind) in static.FILES.items()
    }  # fmt: skip


def _orders() -> Json:
    refused = _errors(
        _400="Not an order: what is wrong with it",
        _401="No admin token",
        _403="Host or admin token does not pass, or none is configured",
        _413="Larger than an order is",
        _502="Of several workers some did not answer: give the order again",
    )
    return {
        path: {
            "post": {
                "summary": summary,
                "security": [{"adminToken": []}],
                "requestBody": {"required": form is not Form, "content": {JSON: {"schema": _ref(form.__name__)}}},
                "responses": {
                    "200": _answer("Carried out", schema),
                    "409": _answer("Not carried out, and why", {"allOf": [_ref("Error"), schema]}),
                    **refused,
                },
            }
        }
        for path, summary, form, schema in ORDERS
    }


def _form(form: type[Form]) -> Json:
    schema = form.model_json_schema()
    if form is HoldForm:
        schema["properties"]["kind"]["enum"] = list(Override)
    return schema
