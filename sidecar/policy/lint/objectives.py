"""Objectives: what cannot be measured, what cannot be missed, and budgets too large to be spent fast."""

from __future__ import annotations

from collections.abc import Iterator

from sidecar.policy.lint.finding import Found
from sidecar.policy.model import Policy
from sidecar.policy.objectives import BURNS, CHAT_EDGES
from sidecar.policy.units import duration_text as t
from sidecar.policy.units import share_text

FASTEST = {severity: max(burn.rate for burn in BURNS if burn.severity == severity) for severity in ("page", "ticket")}


def of_the_policy(policy: Policy) -> Iterator[Found]:
    yield from _threshold(policy)
    slo = policy.slo
    yield from _spent(slo.availability, "availability", "page")
    yield from _spent(slo.latency.quantile, "latency.quantile", "page")
    yield from _spent(slo.undegraded, "undegraded", "ticket")
    if slo.min_bad > slo.min_calls:
        yield Found(
            "slo-guard-hidden",
            f"{slo.min_bad} bad chats are more than {slo.min_calls} chats, so min_calls says nothing: write a smaller min_bad, "
            "or a larger min_calls",
            ("slo.min_bad", "slo.min_calls"),
        )


def _threshold(policy: Policy) -> Iterator[Found]:
    threshold, patience = policy.slo.latency.threshold, policy.deadline.client - policy.deadline.margin
    if threshold >= patience:
        yield Found(
            "slo-latency-over-deadline",
            f"every chat is answered after {t(patience)} at the latest, by local if by nobody else, so none ever misses "
            f"{t(threshold)}: write less than that",
            ("slo.latency.threshold", "deadline.client"),
        )
    elif threshold not in CHAT_EDGES:
        below = [edge for edge in CHAT_EDGES if edge < threshold]
        above = [edge for edge in CHAT_EDGES if edge > threshold]
        near = " or ".join(t(edge) for edge in (*below[-1:], *above[:1]))
        yield Found(
            "slo-latency-without-bucket",
            f"the histogram of answer times has no bucket that ends at {t(threshold)}, so how many were faster is not known: "
            f"write {near}",
            ("slo.latency.threshold",),
        )


def _spent(objective: float, field: str, severity: str) -> Iterator[Found]:
    """A burn rate is a share of bad chats, and no share is above 1."""
    rate = FASTEST[severity]
    least = 1 - 1 / rate
    if objective <= least:
        yield Found(
            "slo-never-alerts",
            f"with a budget of {share_text(1 - objective)} of the chats it cannot be spent {rate:g} times too fast, so the "
            f"fastest {severity} never comes: write more than {share_text(least)}",
            (f"slo.{field}",),
        )
