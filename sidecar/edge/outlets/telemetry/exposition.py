"""How metrics leave: a handler for the admin port that answers in the format the scraper asks for."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aiohttp import web
from prometheus_client.aiohttp import make_aiohttp_handler
from prometheus_client.registry import CollectorRegistry

from sidecar.edge.outlets.telemetry.negotiation import choosable


def exposition(registry: CollectorRegistry) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """``GET /metrics``: the text format, or OpenMetrics, which alone has exemplars. What cannot be chosen by gets the text format."""
    scrape = make_aiohttp_handler(registry)

    async def answer(request: web.Request) -> web.StreamResponse:
        return await scrape(request if _choosable(request) else request.clone(headers={"Accept": "text/plain"}))

    return answer


def _choosable(request: web.Request) -> bool:
    return choosable(",".join(request.headers.getall("Accept", ())))
