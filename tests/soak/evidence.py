"""What facts say a decision was made by, held against the naive machines: who reads an explanation must not be misled.

Compared are the inputs that stand last in a fact. Each check is told the fact and how the models stood when it was made.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sidecar.core.fact import AttemptEnded, AttemptStarted, Counts, Refused, Retried, RetryDenied, Thresholds
from sidecar.core.value import replace

from .breaker import NaiveBreaker
from .chat import Chat
from .machines import Machines
from .violation import EPSILON, broken


def hold(fact: Any, expected: Mapping[str, Any], told: Any = None) -> None:
    """Compare the fields of ``told``, the fact itself by default, with what they must be. Figures may differ by a sum of floats."""
    told = fact if told is None else told
    for name, value in expected.items():
        said = getattr(told, name)
        if said != value and not (
            isinstance(value, float) and isinstance(said, int | float) and abs(said - value) <= EPSILON
        ):
            broken("explanations", f"{name} is {value}, told was {said}: {fact}", fact.call)


def counts(fact: Any, told: Counts, breaker: NaiveBreaker, now: float) -> None:
    """How the breaker stood; told before the move that this may have led to."""
    limits = Thresholds(*breaker.limits)
    expected = Counts(breaker.state, *breaker.tally(now), breaker.row, breaker.good_probes, limits)
    if told != expected:
        broken("explanations", f"the breaker stood at {expected}, told was {told}: {fact}", fact.call)


def started(fact: AttemptStarted, left: float, reserved: float, waited: float, breaker: NaiveBreaker) -> None:
    exact = (left, reserved, waited, breaker.state)
    if (fact.left, fact.reserved, fact.waited, fact.breaker) != exact:
        hold(fact, {"left": left, "reserved": reserved, "waited": waited, "breaker": breaker.state})


def ended(fact: AttemptEnded, machines: Machines, now: float, *, heeded: bool) -> None:
    if fact.heeded is not heeded:
        broken("explanations", f"heeded is {heeded}: {fact}", fact.call)
    if fact.counts is None or fact.rule is None:
        broken("explanations", f"nothing is said to have led to {fact}", fact.call)
    counts(fact, fact.counts, machines.breaker, now)


def retry(fact: Retried | RetryDenied, chat: Chat, machines: Machines, now: float) -> None:
    """Before the retry is paid for."""
    budget, most, left = machines.budget, chat.target.retry.max_attempts, chat.until - now
    expected: dict[str, Any] = {"asked": chat.retries, "most": most, "left": left, "balance": budget.balance}
    expected["refuses_for"] = machines.breaker.refuses(now)
    if isinstance(fact, Retried):
        expected["delay"] = fact.delay
    expected["burst"] = budget.policy.burst  # in force, also for a call that began under an older policy
    hold(fact, expected, fact.inputs)


def refused(fact: Refused, left: float, waited: float, machines: Machines) -> None:
    breaker, limiter, *_ = machines
    exact = (left, waited, breaker.state, limiter.in_flight, limiter.queued)
    if (fact.left, fact.waited, fact.breaker, fact.in_flight, fact.queued) != exact:
        hold(fact, dict(zip(("left", "waited", "breaker", "in_flight", "queued"), exact, strict=True)))
    hold(fact, {"limits": (limiter.policy.max_concurrent, limiter.policy.queue)})  # in force, as above
    last = breaker.last
    if fact.moved != last and (fact.moved is None or last is None or fact.moved != replace(last, call=None)):
        broken("explanations", f"the breaker last moved by {last}, told was {fact}", fact.call)
