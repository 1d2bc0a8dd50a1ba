"""The gateway's CORS answers: twelve origins, credentials allowed, and a stranger's POST is served all the same."""

from __future__ import annotations

from aiohttp import web

from sidecar.lab.answers import text
from sidecar.lab.routes import Ask

ORIGINS = frozenset(
    f"http://{host}:{port}" for host in ("localhost", "127.0.0.1") for port in (3000, 5173, 5174, 8000, 8011, 8020)
)
METHODS = "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"


def preflight(ask: Ask) -> web.Response | None:
    """The answer to a preflight; None if this is not one."""
    origin, method = ask.header("origin"), ask.header("access-control-request-method")
    if ask.method != "OPTIONS" or origin is None or method is None:
        return None
    headers = {
        "vary": "Origin",
        "access-control-allow-methods": METHODS,
        "access-control-max-age": "600",
        "access-control-allow-credentials": "true",
    }
    wanted = ask.header("access-control-request-headers")
    if wanted is not None:
        headers["access-control-allow-headers"] = wanted
    if origin not in ORIGINS:
        return text("Disallowed CORS origin", 400, headers)
    return text("OK", 200, headers | {"access-control-allow-origin": origin})


def mark(ask: Ask, headers: dict[str, str]) -> None:
    """Adds what a browser needs to an answer that is not a preflight."""
    origin = ask.header("origin")
    if origin is None:
        return
    headers["access-control-allow-credentials"] = "true"
    if origin in ORIGINS:
        headers["access-control-allow-origin"] = origin
        headers["vary"] = "Origin"
