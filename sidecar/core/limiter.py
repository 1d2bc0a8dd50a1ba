"""A bulkhead: so many attempts under way at once on one target, a short queue before it, and no more.

Switch and madre answer one chat at a time, so a request more in flight does not get an answer sooner, it only makes a
later failure wider. Whoever finds the queue full is turned away at once and can still be answered by the next target.

A ``Ticket`` is a place: in the queue until ``granted``, then among those under way. It is given back exactly once with
``leave``, from wherever it is. Slots are granted in the order of arrival.
"""

from __future__ import annotations

from collections import deque

from sidecar.core.vocabulary import Ticket
from sidecar.policy.model import LimiterPolicy


class Limiter:
    def __init__(self, policy: LimiterPolicy) -> None:
        self._slots, self._places = policy.max_concurrent, policy.queue
        self._queue: deque[Ticket] = deque()
        self.in_flight = 0

    @property
    def queued(self) -> int:
        return len(self._queue)

    @property
    def limits(self) -> tuple[int, int]:
        """Slots and places in the queue, by the numbers in force: a call that began before a reload meets them as well."""
        return self._slots, self._places

    def enter(self, now: float) -> Ticket | None:  # noqa: ARG002
        """A granted ticket, a waiting one, or None: shed."""
        ticket = Ticket()
        if self.in_flight < self._slots:
            self._grant(ticket)
            return ticket
        if len(self._queue) >= self._places:
            return None
        self._queue.append(ticket)
        return ticket

    def leave(self, now: float, ticket: Ticket) -> None:  # noqa: ARG002
        """Give the place back; a slot that becomes free goes to whoever has waited longest."""
        if not ticket.granted:
            self._queue.remove(ticket)
            return
        self.in_flight -= 1
        self._grant_waiting()

    def adopt(self, policy: LimiterPolicy) -> None:
        """Take new numbers. Nobody who is under way or waiting is thrown out; a smaller limit is reached as they leave."""
        self._slots, self._places = policy.max_concurrent, policy.queue
        self._grant_waiting()

    def _grant_waiting(self) -> None:
        while self._queue and self.in_flight < self._slots:
            self._grant(self._queue.popleft())

    def _grant(self, ticket: Ticket) -> None:
        self.in_flight += 1
        ticket.granted = True
        if ticket.wake is not None:
            ticket.wake()
