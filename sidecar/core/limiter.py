"""A bulkhead: so many attempts under way at once on one target, a short queue before it, and no more.

Switch and madre answer one chat at a time, so a request more in flight does not get an answer sooner, it only makes a
later failure wider. Whoever finds the queue full is turned away at once and can still be answered by the next target.

A ``Ticket`` is a place: in the queue until ``granted``, then among those under way. It is given back exactly once with
``leave``, from wherever it is. Slots are granted in the order of arrival.

How many slots there are is the policy's ``max_concurrent``, unless two things move it, which a policy turns on:

* *adaptive*: the limit that ``core/gradient`` finds, between ``min_concurrent`` and ``max_concurrent``.
* *slow start*: when the target has recovered, slots grow from 1 to the limit in a line over ``slow_start`` seconds:
  max(1, ceil(limit · elapsed / slow_start)), the ramp of Envoy's and HAProxy's slow start with a limit in place of a weight. Time alone
  adds slots, and nobody is called by it: they are there for whoever comes or leaves next. So somebody who waits may run out of time
  beside a slot that just became due. He cannot starve: while he waits somebody is under way, whose end lets him in, and
  ``queue_timeout`` ends his wait in any case.

``moving`` says that one of them is at work. Only then ``tick`` and ``observe`` need to be called.
"""

from __future__ import annotations

from collections import deque
from math import ceil

from sidecar.core.fact import LimitMoved
from sidecar.core.gradient import Gradient
from sidecar.core.vocabulary import ANSWERS, FAILURES, ErrorKind, Outcome, Ticket, Verdict
from sidecar.policy.model import LimiterPolicy

_ROUNDING = 1e-9  # 4 · 0.5 seconds of 2, on a clock that has run for a day, may be a little more than 1


class Limiter:
    def __init__(self, policy: LimiterPolicy, target: str) -> None:
        self._policy = policy
        self._target = target
        self._slots, self._places = policy.max_concurrent, policy.queue
        self._queue: deque[Ticket] = deque()
        self.in_flight = 0
        self.gradient = Gradient(policy) if policy.adaptive == "gradient" else None
        self._recovered: float | None = None  # when the slow start began that is under way
        self.moving = self.gradient is not None

    @property
    def queued(self) -> int:
        return len(self._queue)

    @property
    def limits(self) -> tuple[int, int]:
        """Slots and places in the queue, by the numbers in force: a call that began before a reload meets them as well."""
        return self._slots, self._places

    def enter(self, now: float) -> Ticket | None:
        """A granted ticket, a waiting one, or None: shed."""
        ticket = Ticket()
        if self.in_flight < self._slots:
            self._grant(now, ticket)
            return ticket
        if len(self._queue) >= self._places:
            return None
        self._queue.append(ticket)
        return ticket

    def leave(self, now: float, ticket: Ticket) -> None:
        """Give the place back; a slot that becomes free goes to whoever has waited longest."""
        if not ticket.granted:
            self._queue.remove(ticket)
            return
        if self.gradient is not None:
            self.gradient.see(now, self.in_flight)
        self.in_flight -= 1
        self._grant_waiting(now)

    # -- what moves the slots -------------------------------------------------------------------------------------

    def tick(self, now: float) -> LimitMoved | None:
        """What time alone does. Called before ``enter`` while ``moving``."""
        return self._turn(now, "slow_start")

    def observe(self, now: float, began: float, verdict: Verdict, outcome: Outcome | None) -> LimitMoved | None:
        """What came of an attempt that began then and has left. Called while ``moving``.

        Answers are samples, and a silence that counts as a failure is a drop. A failure that came quickly, a refusal, a client that
        left and our own mistakes say nothing about room.
        """
        gradient, why = self.gradient, None
        if gradient is not None:
            if verdict in ANSWERS:
                why = gradient.answered(now, began)
            elif verdict in FAILURES and outcome is not None and outcome.error is ErrorKind.TIMEOUT:
                why = gradient.timed_out(now, began)
        return self._turn(now, why or "slow_start")

    def recover(self, now: float) -> LimitMoved | None:
        """The target is back after it was away: begin with one slot, if the policy wants a slow start."""
        if not self._policy.slow_start:
            return None
        self._recovered, self.moving = now, True
        return self._turn(now, "slow_start")

    def adopt(self, now: float, policy: LimiterPolicy) -> LimitMoved | None:
        """Take new numbers. Nobody who is under way or waiting is thrown out; a smaller limit is reached as they leave.

        A limit that was learnt stays, within its new bounds; with ``adaptive`` off it is forgotten.
        """
        moved = self.moving
        self._policy, self._places = policy, policy.queue
        if policy.adaptive == "off":
            self.gradient = None
        elif self.gradient is None:
            self.gradient = Gradient(policy)
        else:
            self.gradient.adopt(policy)
        if not policy.slow_start:
            self._recovered = None
        self.moving = self.gradient is not None or self._recovered is not None
        told = self._turn(now, "policy")
        return told if moved or self.moving else None

    def view(self, now: float) -> dict[str, object]:
        """Slots and queue against what is in force, and what moves it, for people."""
        seen: dict[str, object] = {
            "in_flight": [self.in_flight, self._slots],
            "queued": [self.queued, self._places],
        }
        if self.gradient is not None:
            seen["adaptive"] = {
                "limit": round(self.gradient.limit, 3),
                "bounds": list(self.gradient.bounds),
                "baseline_seconds": self.gradient.baseline,
                "drops": self.gradient.drops,
            }
        if self._recovered is not None:
            seen["slow_start_seconds_left"] = round(max(self._recovered + self._policy.slow_start - now, 0.0), 3)
        return seen

    def _turn(self, now: float, why: str) -> LimitMoved | None:
        """Bring the slots to what they are now."""
        slots, before = self._policy.max_concurrent if self.gradient is None else self.gradient.slots, self._slots
        if self._recovered is not None:
            share = (now - self._recovered) / self._policy.slow_start
            if share < 1:
                slots = max(1, ceil(slots * share - _ROUNDING))
            else:
                self._recovered, self.moving = None, self.gradient is not None
        if slots == before:
            return None
        self._slots = slots
        self._grant_waiting(now)
        return LimitMoved(now, self._target, before, slots, why)

    def _grant_waiting(self, now: float) -> None:
        while self._queue and self.in_flight < self._slots:
            self._grant(now, self._queue.popleft())

    def _grant(self, now: float, ticket: Ticket) -> None:
        self.in_flight += 1
        ticket.granted = True
        if self.gradient is not None:
            self.gradient.see(now, self.in_flight)
        if ticket.wake is not None:
            ticket.wake()
