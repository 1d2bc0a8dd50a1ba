"""The admin port: metrics, health, state. Nothing of it ever shadows a path of the gateway, because it has a port of its own.

``/metrics``, ``/livez`` and ``/readyz`` answer anybody who reaches the port. ``/state`` answers only to the Host names the policy lists (a
page in a browser cannot reach it by DNS rebinding), and off loopback only with the admin token. Readiness is ours alone: a sidecar that
turned unready when the switch dies would take madre's answers away too.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Awaitable, Callable
from typing import NamedTuple

import orjson
from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.aiohttp import make_aiohttp_handler

from sidecar.edge.reply import NAME
from sidecar.edge.snapshot import InForce
from sidecar.edge.token import Tokens

logger = logging.getLogger(__name__)

_HOST = re.compile(r"(\[[^\]]*\]|[^:\[\]]*)(?::\d*)?")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Readiness(NamedTuple):
    """Why the sidecar is not ready (None: it is), and what else an operator should know."""

    blocked_by: str | None
    notes: tuple[str, ...] = ()


class Office(NamedTuple):
    """What the admin port shows; made by the composition root. ``token`` is None where the port is on loopback."""

    registry: CollectorRegistry
    in_force: InForce
    readiness: Callable[[], Readiness]
    state: Callable[[], dict[str, object]]
    token: Tokens | None


def admin_application(office: Office) -> web.Application:
    app = web.Application(middlewares=[_plain_errors])
    app.on_response_prepare.append(_sign)
    desk = _Desk(office)
    app.router.add_get("/metrics", make_aiohttp_handler(office.registry))
    app.router.add_get("/livez", desk.livez)
    app.router.add_get("/readyz", desk.readyz)
    app.router.add_get("/state", desk.guarded(desk.state))
    return app


class _Desk:
    def __init__(self, office: Office) -> None:
        self._office = office

    async def livez(self, _: web.Request) -> web.Response:
        """The process is up and its loop turns; says nothing about anybody else."""
        return _json({"status": "ok"})

    async def readyz(self, request: web.Request) -> web.Response:
        """Ready to take requests: listening, a policy in force, not draining. ``?verbose`` adds notes."""
        readiness = self._office.readiness()
        body: dict[str, object] = {"status": "ok" if readiness.blocked_by is None else readiness.blocked_by}
        if "verbose" in request.query:
            snapshot = self._office.in_force.current
            body |= {"notes": readiness.notes, "policy": {"revision": snapshot.revision, "source": snapshot.source}}
        return _json(body, 200 if readiness.blocked_by is None else 503)

    async def state(self, _: web.Request) -> web.Response:
        return _json(self._office.state())

    def guarded(self, handler: Handler) -> Handler:
        """Host and, off loopback, token before ``handler``."""

        async def guard(request: web.Request) -> web.StreamResponse:
            if _host(request) not in self._office.in_force.current.policy.admin.hosts:
                return _json({"detail": "this Host is not one of admin.hosts"}, 403)
            if self._office.token is not None:
                offered = request.headers.get("X-VX11-Admin-Token", "").encode("utf-8", "surrogateescape")
                judged = self._office.token.judge([offered])
                if judged is not None:
                    return _json(
                        {"detail": "auth_required" if judged == "missing" else "forbidden"},
                        401 if judged == "missing" else 403,
                    )
            return await handler(request)

        return guard


def _host(request: web.Request) -> str:
    """The name in the Host field, without port and brackets; no name where the field is none of a host."""
    match = _HOST.fullmatch(request.headers.get("Host", ""))
    return match[1].strip("[]").lower() if match else ""


def _json(body: object, status: int = 200, **fields: str) -> web.Response:
    return web.Response(status=status, body=orjson.dumps(body), content_type="application/json", headers=fields)


async def _sign(_: web.Request, response: web.StreamResponse) -> None:
    """Who answers, without the versions that aiohttp would name."""
    response.headers["Server"] = NAME


@web.middleware
async def _plain_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Errors as JSON, and never a traceback."""
    try:
        return await handler(request)
    except web.HTTPMethodNotAllowed as error:
        return _json({"detail": error.reason}, error.status, Allow=error.headers["Allow"])
    except web.HTTPException as error:
        return _json({"detail": error.reason}, error.status)
    except Exception:
        logger.exception("a request to the admin port failed")
        return _json({"detail": "Internal Server Error"}, 500)
