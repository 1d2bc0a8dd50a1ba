"""What replicas share: whether the store is there, and whether chats got an answer from it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, get_args

from sidecar.core import fact as facts
from sidecar.edge.outlets.telemetry.family import Families

STATES = ("off", "away", "up")


class SharedMetrics:
    def __init__(self, families: Families) -> None:
        self._asked = families.counters(
            "shared_asked_total",
            "Questions that chats had about what replicas share, limits and keys: answered by the store; not in time (late); or not asked "
            "because it is away. Without an answer a chat is judged by this replica alone",
            told=get_args(facts.Told),
        )
        self._state = families.gauges(
            "shared_store",
            "1 for the state of the store in which replicas keep limits and keys together: up, away, or off where none is configured",
            state=STATES,
        )
        self._state["off",].set(1)
        self._lost = families.counters(
            "shared_lost_total",
            "How often the store was lost, or not found, by why: no connection, no answer in time, credentials, or an error for an answer",
            why=get_args(facts.Trouble),
        )
        self.takes: Mapping[type, Callable[[Any], None]] = {
            facts.StoreAsked: lambda fact: self._asked[fact.told,].inc(),
            facts.StoreMoved: self._moved,
        }

    def _moved(self, fact: facts.StoreMoved) -> None:
        now = "up" if fact.up else "away"
        for state in STATES:
            self._state[state,].set(state == now)
        if fact.why is not None:
            self._lost[fact.why,].inc()
