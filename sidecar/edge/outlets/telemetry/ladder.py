"""The way down the ladder: what was asked of targets, what came of it, and what was not asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sidecar.core import fact as facts
from sidecar.core.attempt import LOST_RACE
from sidecar.core.breaker import State
from sidecar.core.vocabulary import UNSENT, Binding, ErrorKind, Override, Reason, Verdict
from sidecar.edge.outlets.telemetry.family import OTHER, TARGETS, Families
from sidecar.policy.objectives import CHAT_EDGES

CLIENT_GONE, LOST = "client_gone", "lost_race"
RESULTS = (*(verdict.value for verdict in Verdict), *(kind.value for kind in ErrorKind), CLIENT_GONE, LOST)
RETRIED = (*(kind.value for kind in ErrorKind), "429", "500", "502", "503", "504", OTHER)
DENIED = ("attempts", "effects", "open", "deadline", "budget")
HEDGES_DENIED = ("open", "deadline", "load", "limited", "budget")
WON = ("first", "hedge", "none", "left")
REFUSED = (Reason.OPEN, Reason.TIMEOUT, Reason.LIMITED, Reason.DORMANT, Reason.UNHEALTHY, Reason.OFF, Reason.AFFINITY)
MISCONFIGURED = (
    *(kind.value for kind in ErrorKind if kind not in UNSENT),
    "401",
    "403",
    "404",
    "405",
    "415",
    "422",
    OTHER,
)
TRANSITIONS = (
    ("open", "consecutive"),
    ("open", "failure_rate"),
    ("open", "slow_rate"),
    ("open", "probe_failed"),
    ("half_open", "timer"),
    ("half_open", "window_opened"),
    ("half_open", "health"),
    ("closed", "recovered"),
    ("forced_open", "override"),
    ("forced_closed", "override"),
    ("half_open", "override_ended"),
    ("closed", "override_ended"),
)
LIMITED = ("room", "latency", "timeout", "unmeasured", "slow_start", "policy")


class LadderMetrics:
    def __init__(self, families: Families) -> None:
        self._attempts = families.counters(
            "upstream_attempts_total",
            "Requests sent to a target that have ended: by what the answer means (success, degraded, retryable, fatal, "
            "caller_error, misconfigured, ignored), by the kind of error where there was no answer, client_gone, or lost_race (of two "
            "side by side the other answered first)",
            target=TARGETS,
            result=RESULTS,
        )
        self._seconds = families.histograms(
            "upstream_attempt_duration_seconds",
            "Seconds that one request to a target took, whatever came of it; backoffs and queues are not in it",
            CHAT_EDGES,
            target=TARGETS,
        )
        self._retries = families.counters(
            "retries_total",
            "Retries scheduled and paid for, by what had failed: the kind of error or the status (other: any further status)",
            target=TARGETS,
            reason=RETRIED,
        )
        self._denied = families.counters(
            "retries_denied_total",
            "Failures worth a retry that got none: attempts used up, effects (it may have acted on what was sent), open "
            "(the breaker would refuse), deadline (too little time left), budget (the retry budget is empty)",
            target=TARGETS,
            reason=DENIED,
        )
        self._hedges = families.counters(
            "hedges_total",
            "Second requests beside a late first one, by who answered: the first, the hedge, none (both failed), left (the client did)",
            target=TARGETS,
            won=WON,
        )
        self._hedges_denied = families.counters(
            "hedges_denied_total",
            "Late requests that got no hedge: open (the breaker is not closed), deadline (too little time left), load "
            "(hedge.max_extra_load is used up), limited (no slot is free), budget (the retry budget is empty)",
            target=TARGETS,
            reason=HEDGES_DENIED,
        )
        self._refusals = families.counters(
            "target_refusals_total",
            "Chats for which a target was not asked at all: breaker open, no time left (timeout), no slot (limited), dormant "
            "by power policy, down by its health probes (unhealthy), off by an operator's override, or passed over because the session "
            "stays where it fell back (affinity)",
            target=TARGETS,
            reason=REFUSED,
        )
        self._deadlines = families.counters(
            "deadline_exceeded_total",
            "Requests to a target that ran out of time, by what set the time: the target's own limit (attempt) or what the "
            "client's patience left for it (deadline)",
            binding=Binding,
        )
        self._misconfigured = families.counters(
            "misconfigured_total",
            "Answers saying that our own set-up is wrong, by status or kind of error (other: a status a policy's rule names): 401 is a "
            "wrong token, 404 and 422 another service than expected",
            target=TARGETS,
            kind=MISCONFIGURED,
        )
        self._state = families.gauges(
            "breaker_state", "1 for the state a target's breaker is in, 0 for the others", target=TARGETS, state=State
        )
        self._transitions = families.counters(
            "breaker_transitions_total",
            "Moves of a target's breaker, by the state moved to and what caused the move",
            [(target, *move) for target in TARGETS for move in TRANSITIONS],
            target=TARGETS,
            to=State,
            reason=dict.fromkeys(why for _, why in TRANSITIONS),
        )
        self._limits = families.counters(
            "limiter_moves_total",
            "Moves of a target's limit, adaptive or in a slow start, by what caused them: room (answers take in company what they take "
            "alone), latency (they take longer), timeout, unmeasured (nobody was ever alone, so it is measured at min_concurrent), "
            "slow_start, or policy (a reload)",
            target=TARGETS,
            reason=LIMITED,
        )
        self._dormant = families.gauge(
            "dormant",
            "1 while madre's power state says that the switch is off on purpose; 0 if it is on or could not be read",
        )
        self._overrides = families.gauges(
            "override_active", "Targets that an operator's override holds in this way now", kind=Override
        )
        self._held: dict[str, Override] = {}  # by target
        for target in TARGETS:
            self._state[target, State.CLOSED].set(1)
        self.takes: Mapping[type, Callable[[Any], None]] = {
            facts.AttemptEnded: self._attempt_ended,
            facts.Retried: lambda fact: self._retries[fact.target, fact.cause].inc(),
            facts.RetryDenied: lambda fact: self._denied[fact.target, fact.why].inc(),
            facts.HedgeEnded: lambda fact: self._hedges[fact.target, fact.won].inc(),
            facts.HedgeDenied: lambda fact: self._hedges_denied[fact.target, fact.why].inc(),
            facts.Refused: lambda fact: self._refusals[fact.target, fact.reason].inc(),
            facts.BreakerMoved: self._breaker_moved,
            facts.LimitMoved: lambda fact: self._limits[fact.target, fact.why].inc(),
            facts.DormancyHeard: self._dormancy_heard,
            facts.Overridden: self._overridden,
        }

    def _attempt_ended(self, fact: facts.AttemptEnded) -> None:
        outcome = fact.outcome
        self._attempts[fact.target, _result(fact)].inc()
        self._seconds[fact.target,].observe(fact.seconds)
        if outcome is None:
            return
        if outcome.error is ErrorKind.TIMEOUT:
            self._deadlines[fact.binding,].inc()
        if fact.verdict is Verdict.MISCONFIGURED:
            self._misconfigured[fact.target, outcome.error or str(outcome.status)].inc()

    def _breaker_moved(self, fact: facts.BreakerMoved) -> None:
        self._transitions[fact.target, fact.after, fact.why].inc()
        for state in State:
            self._state[fact.target, state].set(state.value == fact.after)

    def _dormancy_heard(self, fact: facts.DormancyHeard) -> None:
        self._dormant.set(fact.active is not None and "switch" not in fact.active)

    def _overridden(self, fact: facts.Overridden) -> None:
        self._held.pop(fact.target, None)
        if fact.override is not None:
            self._held[fact.target] = fact.override
        for kind in Override:
            self._overrides[kind,].set(list(self._held.values()).count(kind))


def _result(fact: facts.AttemptEnded) -> str:
    if fact.outcome is None:
        return LOST if fact.rule == LOST_RACE else CLIENT_GONE
    return str(fact.outcome.error or fact.verdict)
