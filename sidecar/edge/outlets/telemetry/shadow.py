"""A candidate policy beside the one in force: what it would have made of the chats, where that could be decided."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product

from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from sidecar.core.breaker import State
from sidecar.core.comparison import ENDINGS, PARTLY, Compared, Result, Why
from sidecar.core.fact import ReloadEnded
from sidecar.core.shadow import Beside
from sidecar.edge.outlets.telemetry.family import TARGETS, Families
from sidecar.policy.objectives import CHAT_EDGES

ENDED = (*ENDINGS, PARTLY)


class ShadowMetrics(Collector):
    """``read`` gives the candidate as it stands at the scrape; None: there is none, or a fault has ended it."""

    def __init__(self, families: Families) -> None:
        self.read: Callable[[], Beside | None] = lambda: None
        self._calls = families.counters(
            "shadow_calls_total",
            "Chats that a candidate policy was held beside: it agrees (same target, same reason) or differs, or of it only that its "
            "primary would not have answered is decided (not_primary), or nothing (undecided)",
            result=Result,
        )
        self._differences = families.counters(
            "shadow_differences_total",
            "Chats that the candidate would have ended otherwise: how they ended, and how they would have. The same word twice is another "
            "target or another reason; not_primary: not by the primary, more is not decided",
            list(product(ENDINGS, ENDED)),
            active=ENDINGS,
            candidate=ENDED,
        )
        self._undecided = families.counters(
            "shadow_undecided_total",
            "Chats not decided to their end, by why: the candidate asks whom nobody asked (not_asked) or not then (other_moment), waits "
            "longer than the record (cut_off), sends something else (other_request), looks at words of an answer that were not kept "
            "(unread), gives up on a connection of which nobody knows when it stood (connecting), one of the two asks a late target "
            "a second time (hedged), or too many were under way (crowded)",
            why=Why,
        )
        self._seconds = families.histograms(
            "shadow_shift_seconds",
            "Seconds by which decided answers would have come earlier or later with the candidate; those at the same moment are not in it",
            CHAT_EDGES,
            direction=("earlier", "later"),
        )
        self._successful = families.gauge(
            "shadow_last_reload_successful",
            "0 while the candidate's files cannot be used and the candidate before goes on, else 1",
        )
        self._successful.set(1)
        self._running = families.declare("shadow_running", "gauge", _RUNNING)
        self._info = families.declare("shadow_policy_info", "gauge", _INFO, revision=_REVISION, source=_SOURCE)
        self._state = families.declare("shadow_breaker_state", "gauge", _STATE, target=TARGETS, state=State)
        families.registry.register(self)

    def compared(self, told: Compared) -> None:
        """One chat was held beside the candidate."""
        self._calls[told.result,].inc()
        if told.why is not None:
            self._undecided[told.why,].inc()
        if told.different:
            self._differences[str(told.active), str(told.candidate)].inc()
        if told.seconds:
            self._seconds["later" if told.seconds > 0 else "earlier",].observe(abs(told.seconds))

    def reloaded(self, fact: ReloadEnded) -> None:
        """The candidate's files were read again."""
        self._successful.set(fact.result != "failed")

    def collect(self) -> Iterator[Metric]:
        beside = self.read()
        yield GaugeMetricFamily(self._running, _RUNNING, value=beside is not None)
        info = GaugeMetricFamily(self._info, _INFO, labels=("revision", "source"))
        states = GaugeMetricFamily(self._state, _STATE, labels=("target", "state"))
        if beside is not None:
            info.add_metric((beside.revision, beside.source), 1)
            for target, now in beside.states.items():
                for state in State:
                    states.add_metric((target, state.value), now == state.value)
        yield info
        yield states


_RUNNING = "1 while a candidate policy runs beside the one in force; 0 without one, or after a fault of it"
_INFO = "1 for the candidate that runs beside the policy in force"
_STATE = "1 for the state the candidate's breaker of a target is in, 0 for the others"
_REVISION = "hash of its effective values"
_SOURCE = "the file it was read from"
