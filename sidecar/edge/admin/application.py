"""The admin port: metrics, health, state. Nothing of it ever shadows a path of the gateway, because it has a port of its own.

``/metrics``, ``/livez`` and ``/readyz`` answer anybody who reaches the port. What else can be read answers only to the Host names the
policy lists (a page in a browser cannot reach it by DNS rebinding), and off loopback only with the admin token; but for the
status page at ``/``, which holds no data of its own and asks for the Host alone. ``/auth`` and what stands under it
tell anybody who reaches the port whether a chat token is valid, and nothing else (``forward_auth``). What changes
anything is a POST of JSON with the admin token, wherever it comes from. Readiness is ours alone: a sidecar that turned
unready when the switch dies would take madre's answers away too.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import AsyncExitStack
from functools import partial
from http import HTTPStatus
from typing import Any

from aiohttp import web
from aiohttp.http import HttpRequestParser, HttpVersion11

from sidecar.edge.admin import forward_auth, openapi, static
from sidecar.edge.admin.desk import LARGEST_ORDER, Desk, Handler, as_json
from sidecar.edge.admin.room import SILENCE, Room
from sidecar.edge.chat.reply import NAME
from sidecar.edge.settings import UnusableSettingsError
from sidecar.wire.answer import CONTINUE

logger = logging.getLogger(__name__)

GRACE = 1.0  # seconds an order may still take when we end
LINGERING = 1.0  # seconds that we still listen to a body nobody wants; aiohttp's ten would hold up our end


async def admin_port(desk: Desk, stack: AsyncExitStack, room: Room) -> Callable[[], asyncio.Protocol]:
    """What a listening socket makes of each connection; ``stack`` takes it down. Raises UnusableSettingsError."""
    _demand_strict_parser()
    runner = web.AppRunner(admin_application(desk), access_log=None, shutdown_timeout=GRACE)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    return admin_protocol(runner, room)


def _demand_strict_parser() -> None:
    """Most of aiohttp's request-smuggling faults were in its pure-Python parser alone; nobody should serve with that one."""
    if HttpRequestParser.__module__ == "aiohttp.http_parser":
        raise UnusableSettingsError(
            "aiohttp runs without its C parser (AIOHTTP_NO_EXTENSIONS is set, or the package was built without it): "
            "install a wheel of aiohttp, or unset the variable"
        )


def admin_application(desk: Desk) -> web.Application:
    office = desk.office
    app = web.Application(middlewares=[_plain_errors], client_max_size=LARGEST_ORDER)
    app.on_response_prepare.append(_sign)
    get = partial(app.router.add_get, expect_handler=_expected)
    post = partial(app.router.add_post, expect_handler=_expected)
    get("/metrics", desk.metrics)
    get("/livez", desk.livez)
    get("/readyz", desk.readyz)
    get("/state", desk.guarded(desk.state))
    get("/trend", desk.guarded(desk.trend))
    get("/policy", desk.guarded(desk.policy))
    get("/usage", desk.guarded(desk.usage))
    get("/calls", desk.guarded(desk.calls))
    get("/calls/{correlation_id}", desk.guarded(desk.call))
    get("/openapi.json", desk.guarded(openapi.serving()))
    asking = forward_auth.asking(office.in_force, office.judged)
    for path in (forward_auth.PATH, forward_auth.PATH + r"/{target:[\s\S]*}"):
        for method in forward_auth.METHODS:
            app.router.add_route(method, path, asking, expect_handler=_expected)
    for path, page in static.files():
        get(path, desk.hosted(page))
    control = office.control
    for path, order in (
        ("/overrides", control.hold),
        ("/overrides/release", control.release),
        ("/chaos", control.begin_chaos),
        ("/chaos/stop", control.stop_chaos),
        ("/log-level", control.log_level),
        ("/reload", control.reload),
    ):
        post(path, desk.hosted(desk.ordered(order)))
    return app


def admin_protocol(runner: web.AppRunner, room: Room, silence: float = SILENCE) -> Callable[[], asyncio.Protocol]:
    """What a listening socket makes of each connection. The runner must have been set up.

    ``silence`` is the seconds that a connection may be without a request, or with a part of its head.
    """
    server = runner.server
    assert server is not None  # noqa: S101 - set up by the caller
    loop = asyncio.get_running_loop()
    settings: dict[str, Any] = {
        "access_log": None,
        "lingering_time": LINGERING,
        "auto_decompress": False,
        "keepalive_timeout": silence,
    }
    return lambda: _Protocol(room, server, loop=loop, **settings)


class _Protocol(web.RequestHandler):
    """aiohttp's own, but for how many there may be, and for what is no HTTP: that is neither quoted to the sender nor put in the log."""

    __slots__ = ("_room",)

    def __init__(self, room: Room, server: web.Server, **settings: Any) -> None:
        super().__init__(server, **settings)
        self._room = room

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._room.enter(self)

    def data_received(self, data: bytes) -> None:
        self._room.heard(self)
        super().data_received(data)

    def connection_lost(self, exc: BaseException | None) -> None:
        self._room.leave(self)
        super().connection_lost(exc)

    def drop(self) -> None:
        """End now: whoever reads nothing would otherwise keep us until it does."""
        if self.transport is not None:
            self.transport.abort()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        del request, exc, message
        answer = as_json({"detail": HTTPStatus(status).phrase}, status, Server=NAME)
        answer.force_close()
        return answer


async def _expected(request: web.Request) -> web.StreamResponse | None:
    """Ask for the body that a client holds back. aiohttp's own refusal of other expectations quotes them."""
    if request.version >= HttpVersion11:
        if request.headers["Expect"].lower() != "100-continue":
            return as_json({"detail": HTTPStatus.EXPECTATION_FAILED.phrase}, 417)
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
        return as_json({"detail": error.reason}, error.status, Allow=error.headers["Allow"])
    except web.HTTPException as error:
        return as_json({"detail": error.reason}, error.status)
    except Exception:
        logger.exception("a request to the admin port failed")
        return as_json({"detail": "Internal Server Error"}, 500)
