"""The limiter: literal scripts, then any storm at all against a naive model."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from script import BEGIN, LEFT, WOKE, World, policy, targets
from script import GOOD as ANSWER

from sidecar.core.fact import BreakerMoved, LimitMoved, Refused
from sidecar.core.limiter import Limiter
from sidecar.core.vocabulary import ErrorKind, Outcome, Override, Verdict
from sidecar.policy.model import LimiterPolicy

GOOD, SILENT = Outcome(status=200, text=True), Outcome(error=ErrorKind.TIMEOUT)


def limiter(max_concurrent: int = 1, queue: int = 2) -> Limiter:
    return Limiter(LimiterPolicy(max_concurrent=max_concurrent, queue=queue), "switch")


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
    limits.adopt(0.0, LimiterPolicy(max_concurrent=3, queue=3))
    assert woken == [1, 2]
    assert (limits.in_flight, limits.queued) == (3, 1)


def test_a_smaller_limit_throws_nobody_out_and_is_reached_as_they_leave():
    limits = limiter(3, 2)
    tickets = [limits.enter(0.0) for _ in range(5)]
    limits.adopt(0.0, LimiterPolicy(max_concurrent=1, queue=0))
    assert (limits.in_flight, limits.queued) == (3, 2)
    for ticket in tickets[:2]:
        limits.leave(0.0, ticket)
    assert (limits.in_flight, limits.queued) == (1, 2)
    limits.leave(0.0, tickets[2])
    assert (limits.in_flight, limits.queued) == (1, 1)
    assert limits.enter(0.0) is None


# -- a limit that moves


def moving(**fields) -> Limiter:
    return Limiter(LimiterPolicy(**{"max_concurrent": 8, "queue": 8, **fields}), "switch")


def full(limits: Limiter, at: float) -> list:
    """Everybody who fits."""
    return [limits.enter(at) for _ in range(limits.limits[0] - limits.in_flight)]


def ended(limits: Limiter, now: float, ticket, began: float, **judged) -> LimitMoved | None:
    limits.leave(now, ticket)
    return limits.observe(now, began, **{"verdict": Verdict.SUCCESS, "outcome": GOOD, **judged})


def rounds(limits: Limiter, seconds: float, times: int, **judged) -> list[LimitMoved]:
    """So many times everybody at once; what moved."""
    moved, at = [], 100.0
    for _ in range(times):
        told = [ended(limits, at + seconds, ticket, at, **judged) for ticket in full(limits, at)]
        moved += [one for one in told if one]
        at += seconds + 1.0
    return moved


def test_what_does_not_move_need_not_be_told_anything():
    limits = moving()
    assert (limits.moving, limits.gradient) == (False, None)
    assert limits.recover(1.0) is None
    assert not limits.moving
    assert limits.view(1.0) == {"in_flight": [0, 8], "queued": [0, 8]}


def test_the_limit_in_force_is_the_one_that_was_found():
    limits = moving(adaptive="gradient")
    moved = rounds(limits, 0.5, 2)
    assert moved == [LimitMoved(102.0, "switch", 8, 1, "unmeasured")]
    assert (limits.limits, limits.gradient.slots) == ((1, 8), 1)
    assert limits.enter(200.0).granted
    assert not limits.enter(200.0).granted


def test_a_limit_that_rises_lets_the_waiting_in_at_once():
    limits = moving(adaptive="gradient")
    rounds(limits, 0.1, 2)
    for n in range(30):
        at = 200.0 + n
        first, second, third = (limits.enter(at) for _ in range(3))
        moved = ended(limits, at + 0.1, first, at)
        if moved:
            assert (moved.before, moved.after, moved.why) == (1, 2, "room")
            assert (second.granted, third.granted) == (True, True)
            break
        assert (second.granted, third.granted) == (True, False)
        limits.leave(at + 0.1, third)
        limits.leave(at + 0.1, second)
    assert limits.limits[0] == 2


@pytest.mark.parametrize(
    ("verdict", "outcome"),
    [
        (Verdict.FATAL, Outcome(status=503)),
        (Verdict.RETRYABLE, Outcome(error=ErrorKind.CONNECT)),
        (Verdict.RETRYABLE, Outcome(error=ErrorKind.RESET)),
        (Verdict.MISCONFIGURED, Outcome(status=401)),
        (Verdict.MISCONFIGURED, SILENT),
        (Verdict.CALLER_ERROR, Outcome(status=413)),
        (Verdict.IGNORED, SILENT),
        (Verdict.IGNORED, None),
    ],
)
def test_what_says_nothing_about_room(verdict, outcome):
    limits = moving(adaptive="gradient")
    assert rounds(limits, 3.0, 20, verdict=verdict, outcome=outcome) == []
    assert (limits.gradient.limit, limits.gradient.drops, limits.gradient.baseline) == (8.0, 0, None)


def test_silence_that_counts_against_the_target_is_a_drop():
    limits = moving(adaptive="gradient")
    moved = rounds(limits, 3.0, 2, verdict=Verdict.FATAL, outcome=SILENT)
    assert {one.why for one in moved} == {"timeout"}
    assert limits.gradient.drops == 2
    assert limits.limits[0] < 5


def test_after_recovery_slots_grow_in_a_line():
    limits = moving(slow_start="8s")
    assert limits.recover(50.0) == LimitMoved(50.0, "switch", 8, 1, "slow_start")
    assert limits.moving
    seen = []
    for after in (0.0, 1.0, 1.1, 2.0, 3.99, 7.0, 7.01, 8.0):
        limits.tick(50.0 + after)
        seen.append((after, limits.limits[0]))
    assert seen == [(0.0, 1), (1.0, 1), (1.1, 2), (2.0, 2), (3.99, 4), (7.0, 7), (7.01, 8), (8.0, 8)]
    assert not limits.moving
    assert limits.tick(60.0) is None


def test_what_ends_in_a_slow_start_finds_as_many_slots_as_its_time_gives():
    limits = moving(slow_start="8s")
    limits.recover(50.0)
    assert limits.observe(54.0, 53.0, Verdict.SUCCESS, GOOD) == LimitMoved(54.0, "switch", 1, 4, "slow_start")


def test_a_slow_start_begins_anew_with_each_recovery():
    limits = moving(slow_start="8s")
    limits.recover(50.0)
    limits.tick(54.0)
    assert limits.recover(54.0) == LimitMoved(54.0, "switch", 4, 1, "slow_start")
    limits.tick(58.0)
    assert limits.limits[0] == 4


def test_a_slow_start_leads_to_the_limit_that_was_found():
    limits = moving(slow_start="4s", adaptive="gradient")
    limits.gradient.limit = 4.0
    limits.recover(50.0)
    limits.tick(52.0)
    assert limits.limits[0] == 2
    limits.tick(55.0)
    assert (limits.limits[0], limits.moving) == (4, True)


def test_time_lets_those_in_who_wait_when_the_next_one_comes():
    limits, woken = moving(slow_start="8s"), []
    limits.recover(50.0)
    first, waiting = limits.enter(50.0), limits.enter(50.0)
    waiting.wake = lambda: woken.append("waiting")
    assert (first.granted, waiting.granted) == (True, False)
    limits.tick(52.0)
    assert woken == ["waiting"]
    assert not limits.enter(52.0).granted


def test_time_lets_those_in_who_wait_when_somebody_leaves():
    limits = moving(slow_start="8s")
    limits.recover(50.0)
    first, *waiting = [limits.enter(50.0) for _ in range(4)]
    ended(limits, 52.5, first, 50.0)
    assert [ticket.granted for ticket in waiting] == [True, True, True]


def test_in_a_slow_start_a_limit_in_use_is_not_the_one_that_was_found():
    """The ramp holds it down, so nothing is learnt about the limit."""
    limits = moving(slow_start="1000s", adaptive="gradient")
    limits.recover(100.0)
    rounds(limits, 0.5, 30)
    assert limits.gradient.limit == 8.0


def test_a_reload_keeps_what_was_found_within_its_bounds_and_off_forgets_it():
    limits = moving(adaptive="gradient")
    rounds(limits, 0.1, 2)
    assert limits.adopt(
        300.0, LimiterPolicy(max_concurrent=9, queue=1, adaptive="gradient", min_concurrent=3)
    ) == LimitMoved(300.0, "switch", 1, 3, "policy")
    assert limits.adopt(301.0, LimiterPolicy(max_concurrent=9, queue=1)) == LimitMoved(301.0, "switch", 3, 9, "policy")
    assert limits.gradient is None
    assert limits.adopt(302.0, LimiterPolicy(max_concurrent=5, queue=1)) is None  # the policy's own number
    assert limits.limits == (5, 1)
    limits.adopt(303.0, LimiterPolicy(max_concurrent=5, queue=1, adaptive="gradient"))
    assert (limits.gradient.limit, limits.moving) == (5.0, True)


def test_a_reload_without_a_slow_start_ends_one():
    limits = moving(slow_start="8s")
    limits.recover(50.0)
    assert limits.adopt(51.0, LimiterPolicy(max_concurrent=8, queue=8)) == LimitMoved(51.0, "switch", 1, 8, "policy")
    assert not limits.moving


def test_what_moves_it_is_shown():
    limits = moving(adaptive="gradient", slow_start="4s")
    limits.recover(50.0)
    limits.gradient.limit = 7.98765
    assert limits.view(51.01254) == {
        "in_flight": [0, 1],
        "queued": [0, 8],
        "adaptive": {"limit": 7.988, "bounds": [1, 8], "baseline_seconds": None, "drops": 0},
        "slow_start_seconds_left": 2.987,
    }
    assert limits.view(55.0)["slow_start_seconds_left"] == 0.0


# -- in the course of calls

SWITCH, MADRE = "switch #1 within 3.25 (deadline)", "madre #1 within 4.75 (deadline)"


def probed(**limiter) -> World:
    """A world in which the switch is back since 10.5, after two probes."""
    breaker = {"open": {"base": "5s", "jitter": 0}}
    w = World(policy(targets=targets({"limiter": {"queue": 0, **limiter}, "breaker": breaker})))
    w.trip(0.0)
    for at in (10.0, 10.25):
        w.play((at, BEGIN, SWITCH), (at + 0.25, ANSWER, "finish switch #1"))
    return w


def test_a_breaker_that_closed_after_recovery_begins_a_slow_start():
    w = probed(slow_start="4s", max_concurrent=4)
    assert w.heard(LimitMoved) == [LimitMoved(10.5, "switch", 4, 1, "slow_start")]
    assert w.story(BreakerMoved, LimitMoved)[-2:] == ["BreakerMoved", "LimitMoved"]
    w.play((11.0, BEGIN, SWITCH))
    w.play((11.0, BEGIN, MADRE))
    assert w.heard(Refused)[-1].limits == (1, 0)
    w.play((12.75, BEGIN, SWITCH))
    assert w.heard(LimitMoved)[1:] == [LimitMoved(12.75, "switch", 1, 3, "slow_start")]
    assert w.engine.view(12.75)["switch"]["limiter"]["in_flight"] == [2, 3]
    assert w.engine.gauges(12.75)["switch"].slots == 3


def test_without_a_slow_start_a_recovery_moves_no_limit():
    w = probed(max_concurrent=4)
    for _ in range(4):
        w.play((10.5, BEGIN, SWITCH))
    assert w.heard(LimitMoved) == []


def test_an_operator_who_lets_a_breaker_go_begins_no_slow_start():
    w = World(policy(limiter={"slow_start": "4s"}))
    w.engine.override(1.0, "switch", Override.FORCED_CLOSED)
    w.engine.override(2.0, "switch", None)
    assert w.heard(BreakerMoved)[-1].after == "closed"
    assert w.heard(LimitMoved) == []


GIVEN_BACK = {
    "the client left just as it was let in": ({}, ANSWER, LEFT, "finish None abandoned"),
    "the breaker opened meanwhile": (
        {"breaker": {"consecutive": 1}}, Outcome(status=500), WOKE, "madre #1 within 4.65 (deadline)",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", GIVEN_BACK)
def test_a_slot_that_was_given_back_unused_says_nothing_about_room_and_the_next_answer_is_judged(case):
    own, outcome, what, step = GIVEN_BACK[case]
    w = World(policy(targets=targets({"limiter": {"adaptive": "gradient", "max_concurrent": 2, "queue": 1}, **own})))
    first, second, third = (w.play((10.0, BEGIN, SWITCH if n < 2 else "queue for switch within 0.2")) for n in range(3))
    first.tell(10.1, outcome)
    assert third.tell(10.1, what) == step
    second.play((10.2, ANSWER, "finish switch #1"))
    assert w.machines().limiter.gradient.baseline is None
    assert w.heard(LimitMoved) == []


def test_chats_move_an_adaptive_limit_and_a_reload_takes_it_over():
    rules = policy(limiter={"adaptive": "gradient", "max_concurrent": 4})
    w = World(rules)
    for at in (10.0, 20.0, 30.0):
        calls = [w.play((at, BEGIN, SWITCH)) for _ in range(4)]
        for call in calls:
            call.play((at + 0.5, ANSWER, "finish switch #1"))
    assert w.heard(LimitMoved) == [LimitMoved(30.5, "switch", 4, 1, "unmeasured")]
    assert w.engine.view(31.0)["switch"]["limiter"]["adaptive"]["limit"] == 1.0
    w.adopt(31.0, policy(limiter={"adaptive": "gradient", "max_concurrent": 8, "min_concurrent": 2}))
    w.adopt(32.0, policy(limiter={"max_concurrent": 8}))
    assert [(one.at, one.target, one.before, one.after, one.why) for one in w.heard(LimitMoved)[1:]] == [
        (31.0, "switch", 1, 2, "policy"), (31.0, "madre", 4, 8, "policy"), (32.0, "switch", 2, 8, "policy"),
    ]  # fmt: skip


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
        self.limits.adopt(0.0, LimiterPolicy(max_concurrent=most, queue=room))
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


class MovingStorm(RuleBasedStateMachine):
    """The same where limits move by themselves: calls end in any way, targets recover, time passes, policies change."""

    def __init__(self) -> None:
        super().__init__()
        self.limits = moving(adaptive="gradient", slow_start="5s")
        self.most, self.told = 8, 8
        self.now = 10.0
        self.inside: list = []  # (ticket, when it was let in)
        self.waiting: list = []

    def heard(self, moved):
        if moved:
            assert (moved.at, moved.target, moved.before) == (self.now, "switch", self.told)
            assert moved.after != moved.before
            self.told = moved.after
        self.look()

    def look(self):
        """Take over who was let in, in order."""
        while self.waiting and self.waiting[0].granted:
            self.inside.append((self.waiting.pop(0), self.now))
        assert not any(ticket.granted for ticket in self.waiting)

    @rule(seconds=st.floats(0, 3))
    def time_passes(self, seconds):
        self.now += seconds

    @rule()
    def somebody_comes(self):
        self.heard(self.limits.tick(self.now))
        ticket = self.limits.enter(self.now)
        if ticket is not None:
            self.waiting.append(ticket)
        self.look()

    @precondition(lambda self: self.inside)
    @rule(
        data=st.data(),
        what=st.sampled_from([(Verdict.SUCCESS, GOOD), (Verdict.FATAL, SILENT), (Verdict.IGNORED, None)]),
    )
    def somebody_leaves(self, data, what):
        ticket, began = self.inside.pop(data.draw(st.integers(0, len(self.inside) - 1)))
        self.limits.leave(self.now, ticket)
        self.look()
        self.heard(self.limits.observe(self.now, began, *what))

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def somebody_gives_up(self, data):
        ticket = self.waiting.pop(data.draw(st.integers(0, len(self.waiting) - 1)))
        self.limits.leave(self.now, ticket)

    @rule()
    def the_target_recovers(self):
        self.heard(self.limits.recover(self.now))

    @rule(most=st.integers(1, 8), adaptive=st.sampled_from(["off", "gradient"]), slow_start=st.sampled_from([0, "2s"]))
    def the_policy_changes(self, most, adaptive, slow_start):
        self.most = most
        moved = self.limits.adopt(
            self.now, LimiterPolicy(max_concurrent=most, queue=8, adaptive=adaptive, slow_start=slow_start)
        )
        self.heard(moved)
        self.told = self.limits.limits[0]  # where nothing moves it, the policy's own number is told by the policy

    @invariant()
    def slots_are_as_told_and_within_the_policy(self):
        assert self.limits.limits == (self.told, 8)
        assert 1 <= self.told <= self.most

    @invariant()
    def nobody_waits_beside_a_free_slot(self):
        assert self.limits.in_flight == len(self.inside)
        assert not self.waiting or self.limits.in_flight >= self.told


MovingStorm.TestCase.settings = settings(max_examples=100, stateful_step_count=60)
TestMovingStorm = MovingStorm.TestCase
