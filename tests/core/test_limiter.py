"""The limiter: literal scripts, then any storm at all against a naive model."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from sidecar.core.limiter import Limiter
from sidecar.policy.model import LimiterPolicy


def limiter(max_concurrent: int = 1, queue: int = 2) -> Limiter:
    return Limiter(LimiterPolicy(max_concurrent=max_concurrent, queue=queue))


def test_so_many_pass_so_many_wait_and_the_rest_are_shed():
    limits = limiter(2, 1)
    tickets = [limits.enter(0.0) for _ in range(4)]
    assert [t and t.granted for t in tickets] == [True, True, False, None]
    assert (limits.in_flight, limits.queued) == (2, 1)


def test_without_a_queue_nobody_waits():
    limits = limiter(1, 0)
    assert limits.enter(0.0).granted
    assert limits.enter(0.0) is None


def test_a_free_slot_goes_to_whoever_waited_longest_who_is_woken_once():
    limits, woken = limiter(1, 3), []
    first, *waiting = [limits.enter(0.0) for _ in range(4)]
    for name, ticket in zip("abc", waiting, strict=True):
        ticket.wake = lambda name=name: woken.append(name)
    limits.leave(1.0, first)
    assert woken == ["a"]
    limits.leave(2.0, waiting[0])
    limits.leave(3.0, waiting[1])
    assert woken == ["a", "b", "c"]


def test_who_gives_up_waiting_is_never_woken_and_those_behind_move_up():
    limits, woken = limiter(1, 3), []
    first, a, b = [limits.enter(0.0) for _ in range(3)]
    a.wake, b.wake = (lambda: woken.append("a")), (lambda: woken.append("b"))
    limits.leave(0.5, a)
    limits.leave(1.0, first)
    assert woken == ["b"]
    assert (limits.in_flight, limits.queued) == (1, 0)


def test_a_slot_granted_to_somebody_who_then_leaves_goes_to_the_next():
    limits = limiter(1, 2)
    first, a, b = [limits.enter(0.0) for _ in range(3)]
    limits.leave(1.0, first)
    assert (a.granted, b.granted) == (True, False)
    limits.leave(1.0, a)
    assert b.granted


def test_a_ticket_nobody_waits_for_yet_is_granted_silently():
    limits = limiter(1, 1)
    first, second = limits.enter(0.0), limits.enter(0.0)
    limits.leave(0.0, first)
    assert second.granted


def test_a_place_in_the_queue_cannot_be_given_back_twice():
    limits = limiter(1, 1)
    limits.enter(0.0)
    waiting = limits.enter(0.0)
    limits.leave(0.0, waiting)
    with pytest.raises(ValueError, match="not in deque"):
        limits.leave(0.0, waiting)


def test_a_larger_limit_lets_the_waiting_in_at_once():
    limits, woken = limiter(1, 3), []
    tickets = [limits.enter(0.0) for _ in range(4)]
    for n, ticket in enumerate(tickets):
        ticket.wake = lambda n=n: woken.append(n)
    limits.adopt(LimiterPolicy(max_concurrent=3, queue=3))
    assert woken == [1, 2]
    assert (limits.in_flight, limits.queued) == (3, 1)


def test_a_smaller_limit_throws_nobody_out_and_is_reached_as_they_leave():
    limits = limiter(3, 2)
    tickets = [limits.enter(0.0) for _ in range(5)]
    limits.adopt(LimiterPolicy(max_concurrent=1, queue=0))
    assert (limits.in_flight, limits.queued) == (3, 2)
    for ticket in tickets[:2]:
        limits.leave(0.0, ticket)
    assert (limits.in_flight, limits.queued) == (1, 2)
    limits.leave(0.0, tickets[2])
    assert (limits.in_flight, limits.queued) == (1, 1)
    assert limits.enter(0.0) is None


class Storm(RuleBasedStateMachine):
    """Everybody comes, waits, leaves and gives up in any order, while the limits change."""

    def __init__(self) -> None:
        super().__init__()
        self.limits = limiter(2, 2)
        self.most, self.room = 2, 2
        self.inside: list = []
        self.waiting: list = []
        self.woken: list = []

    def admitted(self) -> None:
        """What the model does with free slots."""
        while self.waiting and len(self.inside) < self.most:
            self.inside.append(self.waiting.pop(0))

    @rule()
    def somebody_comes(self):
        ticket = self.limits.enter(0.0)
        if len(self.inside) < self.most:
            assert ticket.granted
            self.inside.append(ticket)
        elif len(self.waiting) < self.room:
            assert not ticket.granted
            ticket.wake = lambda: self.woken.append(ticket)
            self.waiting.append(ticket)
        else:
            assert ticket is None

    @precondition(lambda self: self.inside)
    @rule(data=st.data())
    def somebody_leaves(self, data):
        ticket = data.draw(st.sampled_from(self.inside))
        self.inside.remove(ticket)
        self.limits.leave(0.0, ticket)
        self.admitted()

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def somebody_gives_up(self, data):
        ticket = data.draw(st.sampled_from(self.waiting))
        self.waiting.remove(ticket)
        self.limits.leave(0.0, ticket)

    @rule(most=st.integers(1, 4), room=st.integers(0, 4))
    def the_limits_change(self, most, room):
        self.most, self.room = most, room
        self.limits.adopt(LimiterPolicy(max_concurrent=most, queue=room))
        self.admitted()

    @invariant()
    def it_agrees_with_the_model(self):
        assert (self.limits.in_flight, self.limits.queued) == (len(self.inside), len(self.waiting))
        assert all(t.granted for t in self.inside)
        assert not any(t.granted for t in self.waiting)

    @invariant()
    def nobody_is_woken_twice_or_while_waiting(self):
        assert len(self.woken) == len({id(t) for t in self.woken})
        assert not any(t in self.waiting for t in self.woken)
        assert all(t in self.woken for t in self.inside if t.wake is not None)

    def teardown(self):
        for ticket in [*self.waiting, *self.inside]:
            self.limits.leave(0.0, ticket)
        assert (self.limits.in_flight, self.limits.queued) == (0, 0)


Storm.TestCase.settings = settings(max_examples=100, stateful_step_count=50)
TestStorm = Storm.TestCase
