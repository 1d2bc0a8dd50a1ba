"""Chat under ``mode: shadow``: what we would have said, what the gateway gave, and how long that took."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import product
from typing import Any, get_args

from sidecar.core import fact as facts
from sidecar.edge.outlets.telemetry.family import Families
from sidecar.policy.objectives import CHAT_EDGES

GAVE = get_args(facts.Gave)
WOULD = tuple(word for word in get_args(facts.Would) if word != "target")
LOOKALIKES = (*product(("alias", "commands"), ("pass", "auth_required", "forbidden")), ("reject", "target"))


class ObservedMetrics:
    def __init__(self, families: Families) -> None:
        self._chats = families.counters(
            "observed_chats_total",
            "Chats relayed under mode: shadow, by what we would have said (pass: the ladder would have been tried; undecided: the request "
            "did not come whole, or too many came at once to copy them) and what the client got from the gateway: answered, degraded, "
            "rejected (4xx), error (5xx, or no whole answer), unreadable (not the JSON of a chat), client_gone (left before the end)",
            would=WOULD,
            gateway=GAVE,
        )
        self._late = families.counters(
            "observed_chats_late_total",
            "Observed chats that were not over when an answer of ours would have left: after deadline.client less the margin, or sooner "
            "where the client says so",
            gateway=GAVE,
        )
        self._seconds = families.histogram(
            "observed_chat_seconds",
            "Seconds from the head of an observed chat to the end of the gateway's answer, without clients that left first",
            CHAT_EDGES,
        )
        self._lookalikes = families.counters(
            "observed_lookalikes_total",
            "Requests relayed under mode: shadow that look like chat: to alias and commands a valid token would be needed, reject would "
            "be refused as a 400",
            LOOKALIKES,
            route=dict.fromkeys(route for route, _ in LOOKALIKES),
            would=dict.fromkeys(would for _, would in LOOKALIKES),
        )
        self.takes: Mapping[type, Callable[[Any], None]] = {facts.ChatObserved: self._observed}

    def _observed(self, fact: facts.ChatObserved) -> None:
        if fact.route != "chat":
            self._lookalikes[fact.route, fact.would].inc()
            return
        self._chats[fact.would, fact.gateway].inc()
        if fact.gateway != "client_gone":
            self._seconds.observe(fact.seconds)
        if fact.late:
            self._late[fact.gateway,].inc()
