"""The policy in force as figures, and how reading it went."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sidecar.core import fact as facts
from sidecar.edge.outlets.telemetry.family import TARGETS, Families
from sidecar.policy.model import Policy, Target

RELOADS = ("changed", "unchanged", "failed")
LIMITS: Mapping[str, Callable[[Target], float]] = {
    "failure_rate": lambda target: target.breaker.failure_rate,
    "slow_rate": lambda target: target.breaker.slow_call.rate,
    "consecutive": lambda target: target.breaker.consecutive,
    "min_calls": lambda target: target.breaker.min_calls,
    "window_calls": lambda target: target.breaker.window.size,
    "max_concurrent": lambda target: target.limiter.max_concurrent,
    "min_concurrent": lambda target: target.limiter.min_concurrent,
    "queue": lambda target: target.limiter.queue,
    "budget_burst": lambda target: target.retry_budget.burst,
    "budget_ratio": lambda target: target.retry_budget.ratio,
}
OBJECTIVES: Mapping[str, Callable[[Policy], float]] = {
    "availability": lambda policy: policy.slo.availability,
    "undegraded": lambda policy: policy.slo.undegraded,
    "latency_quantile": lambda policy: policy.slo.latency.quantile,
    "latency_seconds": lambda policy: policy.slo.latency.threshold,
}


class PolicyMetrics:
    def __init__(self, families: Families) -> None:
        self._info = families.told(
            "policy_info",
            "1 for the policy in force; a change of policy ends one series and begins another",
            revision="hash of its effective values",
            version="of the schema",
            source="the file it was read from, or built-in",
        )
        self._reloads = families.counters(
            "policy_reloads_total", "Times the policy was read again, by what came of it", result=RELOADS
        )
        self._successful = families.gauge(
            "policy_last_reload_successful",
            "0 while the files cannot be used and the policy before stays in force, else 1",
        )
        self._success = families.gauge(
            "policy_last_reload_success_timestamp_seconds",
            "Unix time at which the policy was last read without a problem, whether it had changed or not",
        )
        self._limit = families.told(
            "policy_limit",
            "The thresholds in force for a target of the ladder: failure_rate and slow_rate (shares) and consecutive trip the "
            "breaker, min_calls and window_calls (of a window that counts calls) are calls, max_concurrent and queue are the limiter's "
            "places, min_concurrent is the lower bound of an adaptive limit, budget_burst is in retries, budget_ratio in retries per call",
            target=TARGETS,
            limit=LIMITS,
        )
        self._deadline = families.gauge(
            "policy_deadline_seconds", "Seconds within which a chat is answered: deadline.client less deadline.margin"
        )
        objectives = families.gauges(
            "policy_slo",
            "The objectives in force: availability and undegraded are shares of chats, latency_quantile is the share that "
            "must be answered within latency_seconds",
            objective=OBJECTIVES,
        )
        self._objectives = {name: objectives[name,] for name in OBJECTIVES}
        self._successful.set(1)
        self._success.set_to_current_time()  # the one in force at start was read, too
        self.takes: Mapping[type, Callable[[Any], None]] = {
            facts.PolicyAdopted: self._adopted,
            facts.ReloadEnded: self._reload_ended,
        }

    def _adopted(self, fact: facts.PolicyAdopted) -> None:
        policy = fact.policy
        self._info.clear()
        self._info.labels(fact.revision, str(policy.version), _encodable(fact.source)).set(1)
        self._limit.clear()
        for target in policy.ladder:
            for limit, value in LIMITS.items():
                self._limit.labels(target.name, limit).set(value(target))
        self._deadline.set(policy.deadline.client - policy.deadline.margin)
        for objective, promised in OBJECTIVES.items():
            self._objectives[objective].set(promised(policy))

    def _reload_ended(self, fact: facts.ReloadEnded) -> None:
        self._reloads[fact.result,].inc()
        failed = fact.result == "failed"
        self._successful.set(not failed)
        if not failed:
            self._success.set_to_current_time()


def _encodable(text: str) -> str:
    """A file name need not be text; what cannot be encoded would end every scrape."""
    return text.encode("utf-8", "backslashreplace").decode()
