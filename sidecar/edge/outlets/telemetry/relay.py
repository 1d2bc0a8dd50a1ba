"""The data port: what is relayed, what is refused, what is under way, and which of the gateway's routes are used."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import product
from typing import Any

from sidecar.core import fact as facts
from sidecar.edge.outlets.telemetry.family import OTHER, Families
from sidecar.edge.outlets.telemetry.tally import Count
from sidecar.policy.objectives import CHAT_EDGES
from sidecar.wire.inventory import ROUTES

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "OTHER")
CLASSES = ("1xx", "2xx", "3xx", "4xx", "5xx", "none")
SEEN = (  # a tunnel is a 101, a stream an answer, and only what is neither may be without one
    *product(("http",), METHODS, CLASSES[1:]),
    *product(("sse",), METHODS, CLASSES[1:5]),
    *product(("websocket",), METHODS, CLASSES[:1]),
)
ERRORS = (
    "connect", "timeout", "reset", "protocol", "truncated", "client-gone", "client-timeout", "loop", "denied", "unauthorised", "overload",
    "drained", OTHER,
)  # fmt: skip
REFUSALS = (
    "request_line", "line_end", "head_too_long", "target_too_long", "head_timeout", "field", "fields", "method", "version", "connect",
    "fragment", "target", "authority", "host", "no_host", "framing", "content_length", "transfer_coding", "upgrade_with_body",
    "max_forwards", "repeated_token", "repeated_host", "repeated_content_length", "repeated_transfer_encoding",
    "repeated_authorization", "repeated_max_forwards", "chunk_line", "chunk_end", "chunk_overhead", "trailer", "trailers",
    "incomplete", "body_timeout", "connections", OTHER,
)  # fmt: skip
SHED = ("chats", "lag", "relays")
KINDS = ("chat", "relay", "tunnel")


class RelayMetrics:
    def __init__(self, families: Families) -> None:
        self._requests = families.counters(
            "relay_requests_total",
            "Requests relayed to the gateway that are over, by what their answer was (an ordinary one, a stream of events, a "
            "WebSocket), method, and class of status; none: no answer at all",
            SEEN,
            kind=("http", "sse", "websocket"),
            method=METHODS,
            status_class=CLASSES,
        )
        self._seconds = families.histogram(
            "relay_duration_seconds",
            "Seconds from a relayed request to the end of its answer, ordinary ones alone (kind http): streams of events and "
            "WebSockets last as long as their clients stay",
            CHAT_EDGES,
        )
        self._errors = families.counters(
            "relay_errors_total",
            "Relayed requests that went wrong: no connection to the gateway (connect), too slow (timeout), its connection "
            "broke (reset), an answer that is not HTTP (protocol) or stops short (truncated); the client left (client-gone) or "
            "stopped moving (client-timeout); a loop through ourselves (loop), a path the policy keeps inside (denied), a "
            "spelling of chat without a valid token (unauthorised), too much to do (overload), cut at our end (drained)",
            error=ERRORS,
        )
        bytes_ = families.counters(
            "relay_bytes_total",
            "Bytes relayed in each direction, heads, bodies and tunnels; of a long stream they are added when it ends",
            direction=("to_gateway", "to_client"),
        )
        self._ended: dict[tuple[str, str, int], Count] = {}  # those of ``_requests``, by what a fact says
        self._to_gateway, self._to_client = bytes_["to_gateway",], bytes_["to_client",]
        self._refused = families.counters(
            "messages_refused_total",
            "Messages on the data port that were not HTTP as we accept it, and so went nowhere; why names the rule. "
            "connections is the limit on client connections, or on what waits in all of them; head_timeout a client too slow with its head",
            why=REFUSALS,
        )
        self._shed = families.counters(
            "shed_requests_total",
            "Requests answered 503 at once because there was too much to do: too many chats under way (chats), too many "
            "relayed requests (relays), or an event loop that runs late (lag)",
            why=SHED,
        )
        self._used = families.counters(
            "usage_requests_total",
            "Requests by the known route of the gateway that their path matches, chats and refused ones included; "
            "other: a path nobody documents",
            route=ROUTES,
        )
        self.inflight = families.gauges(
            "inflight_requests", "Requests under way now: chats, relayed requests, open tunnels", kind=KINDS
        )
        self.websockets = families.gauge(
            "websocket_connections", "WebSocket tunnels open now; each is a client connection and one to the gateway"
        )
        self.connections = families.gauge("client_connections", "Client connections open now, idle ones included")
        self.takes: Mapping[type, Callable[[Any], None]] = {
            facts.RelayEnded: self._relay_ended,
            facts.MessageRefused: lambda fact: self._refused[fact.why,].inc(),
            facts.RequestShed: lambda fact: self._shed[fact.why,].inc(),
            facts.ChatServed: self._chat_ended,
            facts.ChatReplayed: self._chat_ended,
            facts.ChatRejected: self._chat_ended,
        }

    def _relay_ended(self, fact: facts.RelayEnded) -> None:
        key = (fact.kind, fact.method, fact.status // 100 if fact.status else 0)
        ended = self._ended.get(key)
        if ended is None:
            ended = self._child(*key)
        ended.value += 1
        if fact.kind == "http":
            self._seconds.observe(fact.seconds)
        self._to_gateway.value += fact.sent
        self._to_client.value += fact.received
        if fact.error is not None:
            self._errors[fact.error,].inc()
        self._used[fact.template,].inc()

    def _child(self, kind: str, method: str, hundreds: int) -> Count:
        known = method if method in METHODS else "OTHER"
        child = self._requests[kind, known, f"{hundreds}xx" if hundreds else "none"]
        if known == method:  # a word that nobody knows costs a name, never memory
            self._ended[kind, method, hundreds] = child
        return child

    def _chat_ended(self, fact: facts.ChatServed | facts.ChatReplayed | facts.ChatRejected) -> None:
        self._used[fact.template,].inc()
