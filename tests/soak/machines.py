"""Naive models of what else a target remembers, fed with what facts tell: who holds a slot, what retries may cost, how long it takes.

Each is the plainest thing that could be right, written from the documents and not from the code. They answer what must be true now, and
the watch compares. Times are seconds of virtual time.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from sidecar.policy.model import LimiterPolicy, RetryBudgetPolicy, Target

from .breaker import NaiveBreaker
from .violation import EPSILON, broken


class NaiveLimiter:
    """Who holds a slot and who waits for one, by number of the call. ``turn_over`` is called when the engine has come to rest."""

    def __init__(self, policy: LimiterPolicy, target: str) -> None:
        self.policy = policy
        self.target = target
        self.holding: set[int] = set()
        self.waiting: list[int] = []
        self.granted: list[int] = []  # since the engine came to rest, in order
        self.touched = False

    @property
    def room(self) -> bool:
        return len(self.holding) < self.policy.max_concurrent

    @property
    def in_flight(self) -> int:
        return len(self.holding) + len(self.granted)

    @property
    def queued(self) -> int:
        return len(self.waiting) - len(self.granted)

    def adopt(self, policy: LimiterPolicy) -> None:
        self.policy = policy
        self.touched = True

    def pass_at_once(self, call: int) -> None:
        if not self.room:
            broken("concurrency", f"{self.target} asked {len(self.holding) + 1} times at once", call)
        if self.waiting:
            broken("first come, first served", f"{call} passed {self.waiting} on {self.target}", call)
        self.holding.add(call)

    def wait(self, call: int) -> None:
        if self.room:
            broken("idle slots", f"{call} waits for {self.target}, where only {sorted(self.holding)} are", call)
        if len(self.waiting) >= self.policy.queue:
            broken("queue length", f"{call} waits for {self.target} behind {self.waiting}", call)
        self.waiting.append(call)

    def shed(self, call: int) -> None:
        if self.room or len(self.waiting) < self.policy.queue:
            broken(
                "shed without need",
                f"{call} by {self.target}: {sorted(self.holding)} there, {self.waiting} waiting",
                call,
            )

    def leave(self, call: int) -> None:
        """Give back a slot or a place in the queue, whichever it is."""
        self.touched = True
        if call in self.holding:
            self.holding.remove(call)
        elif call in self.waiting:
            self.waiting.remove(call)
        elif call in self.granted:
            broken("slots", f"{call} left {self.target} in the moment in which it was let in", call)

    def grant(self, call: int) -> None:
        self.touched = True
        self.granted.append(call)

    def turn_over(self) -> None:
        self.touched = False
        if self.granted:
            if self.granted != self.waiting[: len(self.granted)]:
                broken(
                    "first come, first served",
                    f"{self.target} let in {self.granted} of {self.waiting}",
                    self.granted[0],
                )
            self.holding.update(self.granted)
            del self.waiting[: len(self.granted)]
            if len(self.holding) > self.policy.max_concurrent:
                broken("concurrency", f"{len(self.holding)} let in to {self.target}", self.granted[-1])
            self.granted = []
        if self.waiting and self.room:
            broken(
                "idle slots",
                f"{self.waiting} wait for {self.target}, where only {sorted(self.holding)} are",
                self.waiting[0],
            )


class NaiveBudget:
    """An account: what came in, what went out. Beside the balance it keeps the promise that needs no balance."""

    def __init__(self, policy: RetryBudgetPolicy, target: str) -> None:
        self.policy = policy
        self.target = target
        self.balance = policy.burst
        self.allowed = policy.burst  # attempts, since start: burst + one and its deposit for each call
        self.attempts = 0

    def adopt(self, policy: RetryBudgetPolicy) -> None:
        self.policy = policy
        self.balance = min(self.balance, policy.burst)

    def first_attempt(self) -> None:
        self.allowed += 1 + self.policy.ratio
        self.balance = min(self.balance + self.policy.ratio, self.policy.burst)

    def attempt(self, call: int) -> None:
        self.attempts += 1
        if self.attempts > self.allowed + EPSILON:
            broken("amplification", f"{self.attempts} attempts on {self.target}, {self.allowed} allowed", call)

    @property
    def pays(self) -> bool:
        return self.balance >= 1 - EPSILON

    def pay(self, call: int, told: float) -> None:
        if not self.pays:
            broken("retry budget", f"a retry on {self.target} of {self.balance}", call)
        self.balance = max(self.balance - 1, 0.0)
        self.compare(told, call)

    def refund(self) -> None:
        self.balance = min(self.balance + 1, self.policy.burst)

    def compare(self, told: float, call: int | None = None) -> None:
        if abs(told - self.balance) > EPSILON or not -EPSILON <= told <= self.policy.burst + EPSILON:
            broken(
                "retry budget",
                f"{self.target} has {told}, its account says {self.balance} of {self.policy.burst}",
                call,
            )


class NaiveLatency:
    """The last answers of a target, and what the rungs above keep back for it."""

    def __init__(self) -> None:
        self._last: deque[float] = deque(maxlen=128)
        self._kept_back: float | None = None

    def took(self, seconds: float) -> None:
        self._last.append(seconds)
        self._kept_back = None

    def kept_back(self, target: Target) -> float:
        if target.reserve is not None:
            return target.reserve
        if self._kept_back is None:
            ordered = sorted(self._last)
            needed = -(-95 * len(ordered) // 100)  # so many of them must not be longer
            self._kept_back = min(max(ordered[needed - 1], 0.3), 1.5) if len(ordered) >= 20 else 1.5
        return self._kept_back


class Machines(NamedTuple):
    breaker: NaiveBreaker
    limiter: NaiveLimiter
    budget: NaiveBudget
    latency: NaiveLatency


def machines_for(target: Target, lease: float) -> Machines:
    return Machines(
        NaiveBreaker(target.breaker, target.name, lease),
        NaiveLimiter(target.limiter, target.name),
        NaiveBudget(target.retry_budget, target.name),
        NaiveLatency(),
    )
