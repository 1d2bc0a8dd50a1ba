"""What is promised to users: the objectives that alert rules, dashboards and the error budget are made from.

A chat is *good* or *bad* for an objective, and an objective is the share that must be good over ``PERIOD_DAYS``. The rest is
the error budget. A burn rate of 1 spends it in exactly that time, one of 14.4 in two days.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from pydantic import Field

from sidecar.policy.section import Count, Section
from sidecar.policy.units import Duration, Objective, Rate

PERIOD_DAYS = 30
CHAT_EDGES = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 10.0, 30.0, 60.0)
"""Seconds at which the histogram of answer times has its buckets: only at these can be counted how many were faster."""


class Burn(NamedTuple):
    """An alert on the budget: spent ``rate`` times too fast over the last ``long`` seconds and still over the last ``short``."""

    severity: Literal["page", "ticket"]
    rate: float
    long: int
    short: int


_MINUTE, _HOUR, _DAY = 60, 3600, 86400
BURNS = (
    Burn("page", 14.4, _HOUR, 5 * _MINUTE),
    Burn("page", 6.0, 6 * _HOUR, 30 * _MINUTE),
    Burn("ticket", 3.0, _DAY, 2 * _HOUR),
    Burn("ticket", 1.0, 3 * _DAY, 6 * _HOUR),
)


class LatencyObjective(Section):
    quantile: Objective = Field(0.95, description="share of the chats that must be answered in time")
    threshold: Duration = Field(3.0, description="in time is at most this; best an edge of the histogram")


class Slo(Section):
    """Objectives over thirty days. Rejected chats, and those whose client left, count for none of them."""

    # fmt: off
    availability: Objective = Field(0.999, description="share of chats a target answers; the local answer and a 5xx are bad")
    undegraded: Objective = Field(0.95, description="share of chats the primary answers, those while it is dormant left out")
    latency: LatencyObjective = Field(LatencyObjective(), description="share of chats answered in time, whoever answers")
    min_calls: Count = Field(20, description="chats a window must have seen before a burn rate over it alerts")
    min_bad: Count = Field(3, description="bad ones among them before it does; 1: a single failure of a thin day may page")
    # fmt: on


class Budget(NamedTuple):
    """What an objective leaves over ``PERIOD_DAYS``: ``outage`` seconds with nothing but bad chats, or ``bad`` of ``chats``.

    The counts are None as long as it is not known how many chats come.
    """

    objective: str
    target: float
    outage: float
    bad: float | None = None
    chats: float | None = None


def budgets(slo: Slo, rate: Rate | None = None) -> tuple[Budget, ...]:
    """The error budget of each objective, in chats if they come at ``rate``."""
    seconds = PERIOD_DAYS * _DAY
    targets = {"availability": slo.availability, "undegraded": slo.undegraded, "latency": slo.latency.quantile}
    found = []
    for name, target in targets.items():
        share = 1 - target
        chats = None if rate is None else round(seconds * rate.calls / rate.per, 3)
        bad = None if chats is None else round(chats * share, 3)
        found.append(Budget(name, target, round(seconds * share, 3), bad, chats))
    return tuple(found)
