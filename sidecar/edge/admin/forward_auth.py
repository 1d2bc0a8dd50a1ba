"""May this request pass? The question that another proxy asks before it sends a request on: nginx ``auth_request``, forward auth of
Traefik and Caddy, ``ext_authz`` of Envoy over HTTP.

The token is judged as at the data port: looked for where the policy in force says, compared in constant time, and with none configured
nobody passes. Only yes and no are told, 200 (nothing else is a yes to Envoy) against 401 and 403 in the words of the chat path, so
whoever reaches the admin port may ask: the same can be learned from the data port, one try a request, as here. Asking takes any method
and no body is read: what stands under ``/auth`` is the path of the request in question, which Envoy puts there.

A request with two of a field that could hold the token is 400 at the data port; here it is 403, because a proxy makes an error of its own
of whatever it does not know.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import get_args

from aiohttp import web

from sidecar.core.fact import TokenJudgement
from sidecar.edge.chat import reply
from sidecar.edge.chat.request import correlation_id, new_id
from sidecar.edge.snapshot import InForce, Snapshot
from sidecar.wire.credential import offered

PATH = "/auth"
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")
ASKED_FOR = ("X-Original-URI", "X-Forwarded-Uri")
"""Where the target of the request in question stands: with nginx and HAProxy as our files set them up; Traefik and Caddy by themselves."""

_WORDS: dict[TokenJudgement, reply.Rejection] = {"missing": "auth_required", "wrong": "forbidden"}
assert {"passed", *_WORDS} == set(get_args(TokenJudgement))  # noqa: S101 - a closed set, at import

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def asking(in_force: InForce, judged: Callable[[TokenJudgement], None]) -> Handler:
    """Answers whether a request may pass, and says so to ``judged``."""

    async def answer(request: web.Request) -> web.Response:
        snapshot = in_force.current
        result = judge(request, snapshot)
        judged(result)
        if result == "passed":
            return web.Response()
        return _refusal(request, snapshot, result)

    return answer


def judge(request: web.Request, snapshot: Snapshot) -> TokenJudgement:
    auth = snapshot.policy.auth
    header, authorization = _values(request, auth.header), _values(request, "Authorization")
    if len(header) > 1 or len(authorization) > 1:
        return "wrong"
    target = _asked_for(request) if "query" in auth.sources else b""
    return snapshot.tokens.judge(offered(auth.sources, header, authorization, target)) or "passed"


def _asked_for(request: web.Request) -> bytes:
    """The target of the request in question. Whoever makes one up must still know a token."""
    for name in ASKED_FOR:
        found = request.headers.get(name)
        if found is not None:
            return _bytes(found)
    return _bytes(request.raw_path.partition(PATH)[2])


def _values(request: web.Request, name: str) -> list[bytes]:
    return [_bytes(value) for value in request.headers.getall(name, ())]


def _bytes(value: str) -> bytes:
    return value.encode("utf-8", "surrogateescape")


def _refusal(request: web.Request, snapshot: Snapshot, result: TokenJudgement) -> web.Response:
    sent = correlation_id(request.headers.get("X-Correlation-Id"), None)
    caller = reply.Caller(sent or new_id(), request.headers.get("Origin"))
    said = reply.rejection(_WORDS[result], caller, snapshot.policy)
    fields = reply.common_fields(caller, snapshot.policy.cors) | dict(said.fields)
    return web.Response(status=said.status, body=said.body, headers=fields)
