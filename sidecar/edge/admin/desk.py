"""What is told and done at the admin port, and to whom: each handler of its routes, behind the guards that the route asks for."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import orjson
from aiohttp import web

from sidecar.core.fact import TokenJudgement
from sidecar.edge.admin.control import Control, Done, Order
from sidecar.edge.admin.effective import effective
from sidecar.edge.admin.status import Readiness
from sidecar.edge.admin.trend import Trend
from sidecar.edge.outlets.telemetry import Registry
from sidecar.edge.outlets.telemetry.exposition import exposition
from sidecar.edge.snapshot import InForce
from sidecar.edge.token import Tokens

LARGEST_ORDER = 64 * 1024  # bytes: an order has a handful of short fields

_HOST = re.compile(r"(\[[^\]]*\]|[^:\[\]]*)(?::\d*)?")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Office(NamedTuple):
    """What the admin port shows; made by the composition root.

    ``mutators`` may change things; where the port is ``exposed`` to other machines, only they may look, too.
    """

    registry: Registry
    in_force: InForce
    readiness: Callable[[], Readiness]
    state: Callable[[], dict[str, object]]
    explain: Callable[[str], list[dict[str, Any]] | None]
    calls: Callable[[], dict[str, list[dict[str, Any]]]]
    trend: Trend
    control: Control
    mutators: Callable[[], Tokens]
    exposed: bool
    judged: Callable[[TokenJudgement], None]
    usage: Callable[[], dict[str, object]] = dict


class Desk:
    """One for each application. What is said of the whole sidecar is said by this process alone."""

    def __init__(self, office: Office) -> None:
        self.office = office
        self.metrics: Handler = exposition(office.registry)

    async def livez(self, _: web.Request) -> web.Response:
        """The process is up and its loop turns; says nothing about anybody else."""
        return as_json({"status": "ok"})

    async def readyz(self, request: web.Request) -> web.Response:
        """Ready to take requests: listening, a policy in force, not draining. ``?verbose`` adds notes."""
        readiness = self.office.readiness()
        body: dict[str, object] = {"status": "ok" if readiness.blocked_by is None else readiness.blocked_by}
        if "verbose" in request.query:
            snapshot = self.office.in_force.current
            body |= {"notes": readiness.notes, "policy": {"revision": snapshot.revision, "source": snapshot.source}}
        return as_json(body, 200 if readiness.blocked_by is None else 503)

    async def state(self, _: web.Request) -> web.Response:
        return as_json(self.office.state())

    async def usage(self, _: web.Request) -> web.Response:
        """Which of the gateway's routes are used, by which kinds of clients, since when and until when."""
        return as_json(self.office.usage())

    async def policy(self, _: web.Request) -> web.Response:
        """Every effective value, the file:line:column that states it (null for what is built in), and whether it is another."""
        snapshot = self.office.in_force.current
        told = effective(snapshot.policy, snapshot.origin)
        return as_json({"revision": snapshot.revision, "source": snapshot.source, "values": told})

    async def trend(self, request: web.Request) -> web.Response:
        """The last half hour in steps: chats, degraded ones, latency. ``?steps`` is for a colleague who adds them up."""
        trend = self.office.trend
        return as_json({"steps": trend.steps()} if "steps" in request.query else trend.view())

    async def calls(self, _: web.Request) -> web.Response:
        """The last calls, and the last degraded or failed ones, with their attempts."""
        return as_json(self.office.calls())

    async def call(self, request: web.Request) -> web.Response:
        """What was decided about a recent call, fact by fact."""
        facts = self.office.explain(request.match_info["correlation_id"])
        if facts is None:
            return as_json({"detail": "no recent call has this correlation id"}, 404)
        return as_json({"facts": facts})

    def ordered(self, order: Callable[[Order], Done]) -> Handler:
        """An order to ``control``: token, body, and what came of it."""

        async def take(request: web.Request) -> web.Response:
            mutators = self.office.mutators()
            if not len(mutators):
                return as_json(
                    {"detail": "no admin token is configured (VX11_SIDECAR_ADMIN_TOKEN): nothing can be changed"}, 403
                )
            refusal = _refusal(request, mutators)
            if refusal is not None:
                return refusal
            try:
                body = await request.read()
            except web.HTTPRequestEntityTooLarge:
                return as_json({"detail": f"an order is at most {LARGEST_ORDER} bytes of JSON"}, 413)
            return await self.carry_out(order, request, body)

        return take

    async def carry_out(self, order: Callable[[Order], Done], request: web.Request, body: bytes) -> web.Response:  # noqa: ARG002
        """``body`` is the order, and who gives it may."""
        try:
            done = order(_object(body))
        except ValueError as error:
            return as_json({"detail": str(error)}, 400)
        return as_json(done.body, 200 if done.carried_out else 409)

    def hosted(self, handler: Handler) -> Handler:
        """Host before ``handler``."""

        async def host(request: web.Request) -> web.StreamResponse:
            if _host(request) not in self.office.in_force.current.policy.admin.hosts:
                return as_json({"detail": "this Host is not one of admin.hosts"}, 403)
            return await handler(request)

        return host

    def guarded(self, handler: Handler) -> Handler:
        """Host and, off loopback, token before ``handler``."""

        async def guard(request: web.Request) -> web.StreamResponse:
            refusal = _refusal(request, self.office.mutators()) if self.office.exposed else None
            return await handler(request) if refusal is None else refusal

        return self.hosted(guard)


def _refusal(request: web.Request, tokens: Tokens) -> web.Response | None:
    """401 or 403 for a request without a token that passes; two are none, as at the data port."""
    offered = [token.encode("utf-8", "surrogateescape") for token in request.headers.getall("X-VX11-Admin-Token", ())]
    judged = "wrong" if len(offered) > 1 else tokens.judge(offered)
    if judged is None:
        return None
    return as_json({"detail": "auth_required"}, 401) if judged == "missing" else as_json({"detail": "forbidden"}, 403)


def _object(body: bytes) -> dict[str, Any]:
    """The JSON object in a request; no body is an empty one. Raises ValueError."""
    if not body.strip():
        return {}
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise ValueError("the body must be a JSON object") from None
    if not isinstance(value, dict):
        raise ValueError("the body must be a JSON object")  # noqa: TRY004 - one kind of error: 400
    return value


def _host(request: web.Request) -> str:
    """The name in the Host field, without port and brackets; no name where the field is none of a host."""
    match = _HOST.fullmatch(request.headers.get("Host", ""))
    return match[1].strip("[]").lower() if match else ""


def as_json(body: object, status: int = 200, **fields: str) -> web.Response:
    return web.Response(status=status, body=orjson.dumps(body), content_type="application/json", headers=fields)
