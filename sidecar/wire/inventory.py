"""What is asked for and who asks, in closed words: the gateway's known routes, and the kinds of programs that call it.

The routes are those VX11 documents, its interfaces call or its audits name, whether today's gateway still has them or not: a route
that nobody calls any more is worth knowing, too. A path is matched as the gateway matches it: percent-decoded once, whole,
``{id}`` for one segment and ``{path}`` for any number of them; the method does not matter. What matches none is ``other``.
"""

from __future__ import annotations

import re

from sidecar.wire.request import Request, Usage
from sidecar.wire.target import decoded

OTHER = "other"

TEMPLATES = (
    # chat, in each of its spellings
    "/operator/api/chat", "/operator/api/v1/chat", "/operator/api/chat/commands", "/operator/chat", "/operator/chat/ask",
    "/chat", "/v1/chat", "/v1/command", "/operator/session/{id}",
    # state and power
    "/health", "/metrics", "/operator/power/state", "/operator/api/chat/window/status", "/operator/api/v1/chat/window/status",
    "/operator/api/window/{id}", "/api/window/status", "/operator/api/status", "/operator/api/modules", "/operator/observe",
    "/vx11/circuit-breaker/status", "/vx11/window/open", "/vx11/window/close", "/vx11/window/status/{id}", "/vx11/intent",
    # streams
    "/operator/api/events", "/operator/api/v1/events", "/operator/api/events/sse-token", "/operator/api/events/stream", "/api/events",
    "/ws", "/ws/{id}",
    # the operator's tools
    "/operator/vx11/overview", "/operator/shub/dashboard", "/operator/resources", "/operator/browser/task", "/operator/tool/call",
    "/operator/switch/adjustment", "/operator/switch/feedback",
    # pages, and what developers look at
    "/operator", "/operator/ui", "/operator/ui/{path}", "/docs", "/openapi.json", "/debug/{path}",
    # last, because the first that matches wins: the gateway's own catch-all
    "/operator/api/{path}",
)  # fmt: skip
ROUTES = (*TEMPLATES, OTHER)

CLIENTS = ("browser", "curl", "python", "node", "go", "java", "prometheus", "probe", "none", OTHER)

LONGEST = 1024  # bytes of a path or a User-Agent that are looked at and remembered
MOST_REMEMBERED = 512  # of each

_SEGMENT, _SEGMENTS = re.escape("{id}"), re.escape("{path}")


def usage(asked: Request | None) -> Usage:
    """What a request counts as, a route of ``ROUTES`` and a kind of client of ``CLIENTS``; None is one that could not be read."""
    if asked is None:
        return _UNREAD
    if asked.used is None:
        asked.used = Usage(template(asked.target.partition(b"?")[0]), client(_user_agent(asked.raw)))
    return asked.used


def template(path: bytes) -> str:
    """The route of a path as it stands in a target, without its query."""
    known = _templates.get(path)
    if known is None:
        known = _matched(decoded(path)) if len(path) <= LONGEST else OTHER
        _remember(_templates, path, known)
    return known


def client(user_agent: bytes | None) -> str:
    """The kind of program that calls itself ``user_agent``; ``none`` is one that says nothing."""
    if not user_agent:
        return "none"
    known = _clients.get(user_agent)
    if known is None:
        said = user_agent[:LONGEST].lower()
        known = next((kind for kind, words in _SIGNS if any(word in said for word in words)), OTHER)
        _remember(_clients, user_agent, known)
    return known


def _user_agent(head: bytes) -> bytes | None:
    """The first field of that name. The usual spellings cost a search each; only a strange one costs a copy of the head."""
    at = head.find(b"\r\nUser-Agent:")
    if at < 0:
        at = head.lower().find(b"\r\nuser-agent:")
    return None if at < 0 else head[at + 13 : head.index(b"\r\n", at + 13)].strip(b" \t")


def _matched(path: bytes) -> str:
    match = _PATTERN.match(path)
    return OTHER if match is None or match.lastindex is None else TEMPLATES[match.lastindex - 1]


def _remember(known: dict[bytes, str], key: bytes, word: str) -> None:
    """Bounded, so that nobody fills our memory with names; the known paths come back at their next use."""
    if len(key) <= LONGEST:
        if len(known) >= MOST_REMEMBERED:
            known.clear()
        known[key] = word


def _expression(route: str) -> str:
    return re.escape(route).replace(_SEGMENTS, ".*").replace(_SEGMENT, "[^/]+")


_SIGNS = (  # asked in this order: browsers and their test drivers name each other
    ("probe", (b"kube-probe", b"elb-healthchecker", b"googlehc", b"consul health", b"uptime", b"healthcheck")),
    ("prometheus", (b"prometheus", b"vmagent", b"grafana")),
    ("curl", (b"curl/", b"wget/", b"httpie/")),
    ("python", (b"python", b"aiohttp", b"httpx", b"urllib")),
    ("node", (b"node", b"axios", b"undici", b"got (")),
    ("go", (b"go-http-client",)),
    ("java", (b"java/", b"java-http-client", b"okhttp", b"apache-httpclient")),
    ("browser", (b"mozilla/",)),
)
# "$" and not the very end: Starlette's own patterns also take a final line feed.
_PATTERN = re.compile("|".join(f"({_expression(route)})$" for route in TEMPLATES).encode())
_UNREAD = Usage(OTHER, OTHER)
_templates: dict[bytes, str] = {}
_clients: dict[bytes, str] = {}
