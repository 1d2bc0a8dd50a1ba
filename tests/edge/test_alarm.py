"""One timer for all that wait."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.edge.chat.alarm import HELD_UP, READING, Alarm
from sidecar.edge.chat.eager import Promise


class Timer:
    def __init__(self, at, callback):
        self.at, self.callback, self.cancelled = at, callback, False

    def cancel(self):
        self.cancelled = True


class Loop:
    """A loop whose time is moved by hand; it counts the timers that were set."""

    def __init__(self):
        self.now, self.timers, self.made = 0.0, [], 0

    def time(self):
        return self.now

    def call_at(self, at, callback, *given):
        self.made += 1
        timer = Timer(at, lambda: callback(*given))
        self.timers.append(timer)
        return timer

    def call_later(self, after, callback, *given):
        return self.call_at(self.now + after, callback, *given)

    def waiting(self):
        return [timer for timer in self.timers if not timer.cancelled]

    def due(self) -> Iterator[Timer]:
        while waiting := [timer for timer in self.waiting() if timer.at <= self.now]:
            first = min(waiting, key=lambda timer: timer.at)
            self.timers.remove(first)
            yield first

    def advance(self, to):
        """Every timer at its own moment, and then ``to``."""
        end = to
        while left := [timer.at for timer in self.waiting() if timer.at <= end]:
            self.now = max(self.now, min(left))
            for timer in self.due():
                timer.callback()
        self.now = end


@pytest.fixture
def loop():
    return Loop()


@pytest.fixture
def alarm(loop):
    return Alarm(loop)


def test_who_is_not_answered_by_then_is_told_once_and_who_is_is_left_alone(loop, alarm):
    told, first, second = [], Promise(), Promise()
    alarm.watch(first, 1.0, lambda: told.append("first"))
    alarm.watch(second, 2.0, lambda: told.append("second"))
    second.settle(None)
    loop.advance(0.99)
    assert told == []
    loop.advance(5.0)
    assert told == ["first"]
    assert not loop.waiting()


def test_who_is_forgotten_is_not_told(loop, alarm):
    told, promise = [], Promise()
    alarm.watch(promise, 1.0, lambda: told.append("late"))
    alarm.forget(promise)
    alarm.forget(promise)
    loop.advance(2.0)
    assert told == []


def test_a_thousand_that_are_answered_take_one_timer(loop, alarm):
    for number in range(1000):
        promise = Promise()
        alarm.watch(promise, 1.0 + number / 1000, lambda: None)
        alarm.forget(promise)
    assert loop.made == 1
    loop.advance(3.0)
    assert not loop.waiting()


def test_one_that_is_due_earlier_moves_the_timer(loop, alarm):
    told = []
    alarm.watch(Promise(), 5.0, lambda: told.append(5))
    alarm.watch(Promise(), 1.0, lambda: told.append(1))
    loop.advance(1.0)
    assert told == [1]
    loop.advance(5.0)
    assert told == [1, 5]


def test_who_hears_of_it_may_wait_again_and_answer_others(loop, alarm):
    told, other = [], Promise()

    def again():
        told.append("again")
        alarm.watch(Promise(), 1.5, lambda: told.append("later"))
        other.settle(None)

    alarm.watch(Promise(), 1.0, again)
    alarm.watch(other, 1.0, lambda: told.append("other"))
    loop.advance(3.0)
    assert told == ["again", "later"]


def test_what_has_come_while_the_process_was_held_up_is_read_first(loop, alarm):
    told, promise = [], Promise()
    alarm.watch(promise, 1.0, lambda: told.append("late"))
    loop.now = 1.0 + HELD_UP * 2
    for timer in loop.due():
        timer.callback()
    assert told == []
    promise.settle("it was there")
    loop.advance(loop.now + READING * 2)
    assert told == []
    assert not loop.waiting()


@given(
    st.lists(st.tuples(st.floats(0, 10), st.floats(0.001, 10), st.one_of(st.none(), st.floats(0, 10))), max_size=30),
)
def test_everybody_who_still_waits_is_told_at_the_moment_it_is_due(cases):
    """``(begins, waits, forgotten after)``: against timers of one's own."""
    loop = Loop()
    alarm, told = Alarm(loop), {}
    happenings = []
    for number, (begins, waits, forgets) in enumerate(cases):
        promise = Promise()
        due = begins + waits

        def watch(promise=promise, due=due, number=number):
            alarm.watch(promise, due, lambda: told.setdefault(number, loop.now))

        happenings.append((begins, watch))
        if forgets is not None:
            happenings.append((begins + forgets, lambda promise=promise: alarm.forget(promise)))
    for at, happening in sorted(happenings, key=lambda each: each[0]):
        loop.advance(at)
        happening()
    loop.advance(50.0)
    expected = {
        number: pytest.approx(begins + waits)
        for number, (begins, waits, forgets) in enumerate(cases)
        if forgets is None or forgets > waits
    }
    ties = {number for number, (_, waits, forgets) in enumerate(cases) if forgets == waits}
    assert {number: at for number, at in told.items() if number not in ties} == expected
    assert not loop.waiting()


async def test_it_rings_on_a_real_loop():
    loop = asyncio.get_running_loop()
    rung = loop.create_future()
    Alarm(loop).watch(Promise(), loop.time() + 0.01, lambda: rung.set_result(None))
    await asyncio.wait_for(rung, 2)
