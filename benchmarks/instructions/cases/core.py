"""Decisions, driven by hand: no clock, no socket, and nobody who takes facts."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from contextlib import ExitStack

from benchmarks.instructions.case import Case, Turn
from benchmarks.instructions.facts import DOWN, SILENT, WELL, ask, engine
from sidecar.core.breaker import Breaker, Permit
from sidecar.core.budget import RetryBudget
from sidecar.core.engine import Engine
from sidecar.core.fact import BreakerMoved
from sidecar.core.vocabulary import Finish, Outcome, Verdict
from sidecar.policy.model import Policy

NEVER_OPEN = {"breaker": {"window": {"size": 10_000}, "min_calls": 10_000, "consecutive": 0}}
SOON = 1e-6  # seconds: all turns are over before an open breaker's time is


def calls(asked: Engine, outcomes: Mapping[str, Outcome], *, apart: float, took: float) -> Turn:
    numbers, times = itertools.count(100).__next__, itertools.count(100.0, apart).__next__

    def turn() -> Finish:
        return ask(asked, numbers(), times(), outcomes, took)

    return turn


def primary(_: ExitStack) -> Turn:
    return calls(engine(), {"switch": WELL}, apart=1.0, took=0.312)


def fallback(_: ExitStack) -> Turn:
    return calls(engine(policy=NEVER_OPEN), {"switch": SILENT, "madre": WELL}, apart=10.0, took=1.5)


def refused(_: ExitStack) -> Turn:
    asked = engine()
    for number in range(3):  # failures in a row, as many as the breaker bears
        ask(asked, number, 99.9, {"switch": DOWN, "madre": WELL}, 0.025)
    return calls(asked, {"madre": WELL}, apart=SOON, took=SOON / 10)


def settle(_: ExitStack) -> Turn:
    breaker = Breaker(Policy().ladder[0].breaker, "switch", lease=6.0, seed=1)
    times = itertools.count(100.0, 1.0).__next__

    def turn() -> BreakerMoved | None:
        now = times()
        permit = breaker.admit(now)
        assert isinstance(permit, Permit)
        return breaker.settle(now + 0.312, permit, Verdict.SUCCESS)

    return turn


def withdraw(_: ExitStack) -> Turn:
    budget = RetryBudget(Policy().ladder[0].retry_budget)

    def turn() -> bool:
        paid = budget.withdraw(100.0)
        budget.refund(100.0)
        return paid

    return turn


CASES = (
    Case("core.primary", "a call that the switch answers", primary),
    Case("core.fallback", "a call that the switch leaves without an answer, and madre answers", fallback),
    Case("core.open", "a call that the switch's open breaker refuses, and madre answers", refused),
    Case("core.settle", "a breaker's permit is taken and settled", settle),
    Case("core.withdraw", "a retry is paid for, and given back", withdraw),
)
