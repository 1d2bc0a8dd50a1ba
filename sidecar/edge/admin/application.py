"""The admin port: metrics, health, state. Nothing of it ever shadows a path of the gateway, because it has a port of its own.

``/metrics``, ``/livez`` and ``/readyz`` answer anybody who reaches the port. What else can be read answers only to the Host names the
policy lists (a page in a browser cannot reach it by DNS rebinding), and off loopback only with the admin token; but for the
status page at ``/``, which holds no data of its own and asks for the Host alone. What changes anything is a POST of JSON with the
admin token, wherever it comes from. Readiness is ours alone: a sidecar that turned unready when the switch dies would take
madre's answers away too.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from functools import partial
from http import HTTPStatus
from typing import Any, NamedTuple

import orjson
from aiohttp import web
from aiohttp.http import HttpRequestParser, HttpVersion11

from sidecar.edge.admin import openapi, static
from sidecar.edge.admin.control import Control, Done, Order
from sidecar.edge.admin.effective import effective
from sidecar.edge.admin.status import Readiness
from sidecar.edge.chat.reply import NAME
from sidecar.edge.outlets.telemetry import Registry
from sidecar.edge.outlets.telemetry.exposition import exposition
from sidecar.edge.settings import UnusableSettingsError
from sidecar.edge.snapshot import InForce
from sidecar.edge.token import Tokens
from sidecar.wire.answer import CONTINUE

logger = logging.getLogger(__name__)

GRACE = 1.0  # seconds an order may still take when we end
LINGERING = 1.0  # seconds that we still listen to a body nobody wants; aiohttp's ten would hold up our end
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
    trend: Callable[[], dict[str, object]]
    control: Control
    mutators: Callable[[], Tokens]
    exposed: bool
    usage: Callable[[], dict[str, object]] = dict


async def admin_port(office: Office, stack: AsyncExitStack) -> Callable[[], asyncio.Protocol]:
    """What a listening socket makes of each connection; ``stack`` takes it down. Raises UnusableSettingsError."""
    _demand_strict_parser()
    runner = web.AppRunner(admin_application(office), access_log=None, shutdown_timeout=GRACE)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    return admin_protocol(runner)


def _demand_strict_parser() -> None:
    """Most of aiohttp's request-smuggling faults were in its pure-Python parser alone; nobody should serve with that one."""
    if HttpRequestParser.__module__ == "aiohttp.http_parser":
        raise UnusableSettingsError(
            "aiohttp runs without its C parser (AIOHTTP_NO_EXTENSIONS is set, or the package was built without it): "
            "install a wheel of aiohttp, or unset the variable"
        )


def admin_application(office: Office) -> web.Application:
    app = web.Application(middlewares=[_plain_errors], client_max_size=LARGEST_ORDER)
    app.on_response_prepare.append(_sign)
    desk = _Desk(office)
    get = partial(app.router.add_get, expect_handler=_expected)
    post = partial(app.router.add_post, expect_handler=_expected)
    get("/metrics", exposition(office.registry))
    get("/livez", desk.livez)
    get("/readyz", desk.readyz)
    get("/state", desk.guarded(desk.state))
    get("/trend", desk.guarded(desk.trend))
    get("/policy", desk.guarded(desk.policy))
    get("/usage", desk.guarded(desk.usage))
    get("/calls", desk.guarded(desk.calls))
    get("/calls/{correlation_id}", desk.guarded(desk.call))
    get("/openapi.json", desk.guarded(openapi.serving()))
    for path, page in static.files():
        get(path, desk.hosted(page))
    control = office.control
    for path, order in (
        ("/overrides", control.hold),
        ("/overrides/release", control.release),
        ("/log-level", control.log_level),
        ("/reload", control.reload),
    ):
        post(path, desk.hosted(desk.ordered(order)))
    return app


def admin_protocol(runner: web.AppRunner) -> Callable[[], asyncio.Protocol]:
    """What a listening socket makes of each connection. The runner must have been set up."""
    server = runner.server
    assert server is not None  # noqa: S101 - set up by the caller
    loop = asyncio.get_running_loop()
    settings: dict[str, Any] = {"access_log": None, "lingering_time": LINGERING, "auto_decompress": False}
    return lambda: _Protocol(server, loop=loop, **settings)


class _Protocol(web.RequestHandler):
    """aiohttp's own, but for what is no HTTP: that is neither quoted to the sender nor put in the log."""

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        del request, exc, message
        answer = _json({"detail": HTTPStatus(status).phrase}, status, Server=NAME)
        answer.force_close()
        return answer


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

    async def usage(self, _: web.Request) -> web.Response:
        """Which of the gateway's routes are used, by which kinds of clients, since when and until when."""
        return _json(self._office.usage())

    async def policy(self, _: web.Request) -> web.Response:
        """Every effective value, the file:line:column that states it (null for what is built in), and whether it is another."""
        snapshot = self._office.in_force.current
        told = effective(snapshot.policy, snapshot.origin)
        return _json({"revision": snapshot.revision, "source": snapshot.source, "values": told})

    async def trend(self, _: web.Request) -> web.Response:
        """The last half hour in steps: chats, degraded ones, latency."""
        return _json(self._office.trend())

    async def calls(self, _: web.Request) -> web.Response:
        """The last calls, and the last degraded or failed ones, with their attempts."""
        return _json(self._office.calls())

    async def call(self, request: web.Request) -> web.Response:
        """What was decided about a recent call, fact by fact."""
        facts = self._office.explain(request.match_info["correlation_id"])
        if facts is None:
            return _json({"detail": "no recent call has this correlation id"}, 404)
        return _json({"facts": facts})

    def ordered(self, order: Callable[[Order], Done]) -> Handler:
        """An order to ``control``: token, JSON, and what came of it."""

        async def carry_out(request: web.Request) -> web.Response:
            mutators = self._office.mutators()
            if not len(mutators):
                return _json(
                    {"detail": "no admin token is configured (VX11_SIDECAR_ADMIN_TOKEN): nothing can be changed"}, 403
                )
            refused = _refused(request, mutators)
            if refused is not None:
                return refused
            try:
                done = order(_object(await request.read()))
            except web.HTTPRequestEntityTooLarge:
                return _json({"detail": f"an order is at most {LARGEST_ORDER} bytes of JSON"}, 413)
            except ValueError as error:
                return _json({"detail": str(error)}, 400)
            return _json(done.body, 200 if done.carried_out else 409)

        return carry_out

    def hosted(self, handler: Handler) -> Handler:
        """Host before ``handler``."""

        async def host(request: web.Request) -> web.StreamResponse:
            if _host(request) not in self._office.in_force.current.policy.admin.hosts:
                return _json({"detail": "this Host is not one of admin.hosts"}, 403)
            return await handler(request)

        return host

    def guarded(self, handler: Handler) -> Handler:
        """Host and, off loopback, token before ``handler``."""

        async def guard(request: web.Request) -> web.StreamResponse:
            refused = _refused(request, self._office.mutators()) if self._office.exposed else None
            return await handler(request) if refused is None else refused

        return self.hosted(guard)


def _refused(request: web.Request, tokens: Tokens) -> web.Response | None:
    """401 or 403 for a request without a token that passes."""
    offered = request.headers.get("X-VX11-Admin-Token", "").encode("utf-8", "surrogateescape")
    judged = tokens.judge([offered])
    if judged is None:
        return None
    return _json({"detail": "auth_required"}, 401) if judged == "missing" else _json({"detail": "forbidden"}, 403)


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


def _json(body: object, status: int = 200, **fields: str) -> web.Response:
    return web.Response(status=status, body=orjson.dumps(body), content_type="application/json", headers=fields)


async def _expected(request: web.Request) -> web.StreamResponse | None:
    """Ask for the body that a client holds back. aiohttp's own refusal of other expectations quotes them."""
    if request.version >= HttpVersion11:
        if request.headers["Expect"].lower() != "100-continue":
            return _json({"detail": HTTPStatus.EXPECTATION_FAILED.phrase}, 417)
        await request.writer.write(CONTINUE)
        request.writer.output_size = 0  # the answer itself has not begun
    return None


async def _sign(_: web.Request, response: web.StreamResponse) -> None:
    """Who answers, without the versions that aiohttp would name; nothing is kept or taken for what it is not."""
    response.headers["Server"] = NAME
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers.setdefault("Cache-Control", "no-store")


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
