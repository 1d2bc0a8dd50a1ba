"""The adaptive limit: literal scripts of calls that begin and end together, then any storm at all against what must always hold."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from sidecar.core.gradient import FIRST, OUTLIER, WINDOW, Gradient
from sidecar.policy.model import LimiterPolicy


def policy(most: int = 16, least: int = 1, tolerance: float = 1.5) -> LimiterPolicy:
    return LimiterPolicy(max_concurrent=most, min_concurrent=least, tolerance=tolerance, adaptive="gradient")


class Script:
    """Calls in rounds: so many begin together and end together, and the next round begins a second later."""

    def __init__(self, **bounds: float) -> None:
        self.limit = Gradient(policy(**bounds))
        self.now = 100.0
        self.moves: list[tuple[str, int]] = []

    def round(self, together: int, seconds: float, *, silent: int = 0) -> None:
        """``silent`` of them time out, the first ones."""
        began = self.now
        for n in range(together):
            self.limit.see(began, n + 1)
        self.now += seconds
        for n in range(together):
            self.limit.see(self.now, together - n)
            tell = self.limit.timed_out if n < silent else self.limit.answered
            why = tell(self.now, began)
            if why:
                self.moves.append((why, self.limit.slots))
        self.now += 1.0

    def alone(self, seconds: float, calls: int = FIRST) -> None:
        for _ in range(calls):
            self.round(1, seconds)


def measured(seconds: float = 0.1, **bounds: float) -> Script:
    script = Script(**bounds)
    script.alone(seconds)
    assert script.limit.baseline == pytest.approx(seconds)
    return script


# -- where it starts, and the baseline


def test_it_starts_where_the_policy_is_without_it():
    limit = Script(most=7, least=2).limit
    assert (limit.slots, limit.bounds, limit.baseline, limit.drops) == (7, (2, 7), None, 0)


def test_the_baseline_is_the_mean_of_the_first_ten_alone_without_the_longest():
    script = Script()
    script.alone(0.1, 4)
    script.alone(4.0, 1)  # a model that was loaded
    script.alone(0.1, 4)
    assert script.limit.baseline is None
    script.alone(0.1, 1)
    assert script.limit.baseline == pytest.approx(0.1)


def test_company_never_teaches_the_baseline():
    script = measured()
    for _ in range(200):
        script.round(2, 3.0)
    assert script.limit.baseline == pytest.approx(0.1)


def test_company_that_waits_a_little_teaches_the_baseline_no_more_than_company_that_waits_long():
    script = measured()
    for _ in range(200):
        script.round(16, 0.14)
    assert (script.moves, script.limit.baseline) == ([], pytest.approx(0.1))


def test_one_who_had_company_for_a_moment_was_not_alone():
    limit = measured().limit
    limit.see(200.0, 1)
    limit.see(200.5, 2)  # somebody comes
    limit.see(200.6, 2)  # and leaves
    limit.answered(200.6, 200.5)
    limit.see(205.0, 1)
    limit.answered(205.0, 200.0)
    assert limit.baseline == pytest.approx(0.1)


def test_who_begins_in_the_moment_in_which_it_is_no_longer_crowded_is_not_taken_for_alone():
    limit = measured().limit
    limit.see(200.0, 2)
    limit.see(201.0, 2)
    limit.see(201.0, 1)
    limit.answered(203.0, 201.0)
    assert limit.baseline == pytest.approx(0.1)


def test_up_to_the_least_nobody_counts_as_company():
    script = Script(least=3)
    for _ in range(4):
        script.round(3, 0.2)
    assert script.limit.baseline == pytest.approx(0.2)


def test_one_long_answer_moves_the_baseline_by_fifteen_percent_and_it_comes_back():
    script = measured()
    script.alone(60.0, 1)
    assert script.limit.baseline == pytest.approx(0.1 * (1 + (OUTLIER - 1) / 20))
    script.alone(0.1, 40)
    assert script.limit.baseline == pytest.approx(0.1, rel=0.03)


def test_the_baseline_follows_a_target_that_became_ten_times_slower_within_thirty_answers():
    script = measured()
    script.alone(1.0, 30)
    assert script.limit.baseline == pytest.approx(1.0, rel=0.5)
    script.alone(1.0, 60)
    assert script.limit.baseline == pytest.approx(1.0, rel=0.05)


def test_company_that_is_faster_than_alone_shows_that_the_baseline_is_old():
    script = measured(2.0)
    for _ in range(20):
        script.round(16, 0.1)
    assert 0.1 < script.limit.baseline < 0.15  # no further than the tolerance, from where it is no longer shown
    assert script.moves == []


# -- windows


def test_latency_lowers_the_limit_by_the_gradient():
    script = measured(most=16)
    for _ in range(2):
        script.round(16, 0.2)  # 0.1 · 1.5 / 0.2
    assert script.moves == [("latency", 12)]
    assert script.limit.limit == pytest.approx(12.0)


def test_no_window_lowers_it_by_more_than_half():
    script = measured()
    for _ in range(2):
        script.round(16, 5.0)
    assert script.moves == [("latency", 8)]


def test_within_the_tolerance_nothing_happens():
    script = measured()
    for _ in range(50):
        script.round(16, 0.149)
    assert script.moves == []


def test_a_window_has_ten_answers_and_two_for_each_slot():
    script = measured(most=4)
    for answers in (4, 8):
        script.round(4, 1.0)
        assert (script.moves, answers < WINDOW) == ([], True)
    script.round(4, 1.0)
    assert script.moves == [("latency", 2)]
    script = measured(most=16)
    script.round(16, 1.0)
    assert script.moves == []


def test_a_window_lasts_a_second_and_two_baselines():
    for baseline, least in ((0.1, 1.0), (0.8, 1.6)):
        script = measured(baseline, most=4)
        for _ in range(3):
            script.round(4, baseline)
        began = script.now - 1.0  # a window, with the last answer
        limit = script.limit
        for after, judged in ((0.9 * least, False), (0.99 * least, False), (1.01 * least, True)):
            for _ in range(10):
                limit.see(began + after, 4)
                limit.answered(began + after, began)
            assert (baseline, after, limit.slots < 4) == (baseline, after, judged)


def test_a_further_window_has_ten_answers_as_well():
    script = measured(most=4)
    for _ in range(3):
        script.round(4, 1.0)
    began, told = script.now, []
    for _ in range(WINDOW):
        script.limit.see(began + 2.0, script.limit.slots)
        told.append(script.limit.answered(began + 2.0, began))
    assert (script.moves, told) == ([("latency", 2)], [None] * (WINDOW - 1) + ["latency"])


@pytest.mark.parametrize(("after", "moved"), [(0.99, None), (1.01, "unmeasured")])
def test_where_nobody_was_ever_alone_a_window_lasts_a_second(after, moved):
    limit = Script(most=4).limit
    limit.see(100.0, 4)
    assert limit.timed_out(100.0, 100.0) == "timeout"  # from here on
    for _ in range(WINDOW):
        limit.see(100.0 + after, 4)
        told = limit.answered(100.0 + after, 100.0)
    assert told == moved


def test_who_is_at_the_least_and_was_never_measured_does_not_move():
    limit = Script(most=4).limit
    for at in (102.0, 105.0):
        for _ in range(WINDOW):
            limit.see(at, 4)
            told = limit.answered(at, at - 1.5)
        assert (limit.slots, told) == (1, "unmeasured" if at == 102.0 else None)


def test_those_who_began_under_another_limit_say_nothing_about_this_one():
    script = measured(most=16)
    began = script.now
    for _ in range(200):
        script.limit.see(began + 2.0, 16)
        script.limit.answered(began + 2.0, began)
    assert script.limit.slots == 8


def test_below_half_of_the_limit_nothing_is_judged():
    script = measured()
    for _ in range(100):
        script.round(7, 3.0)
        script.round(7, 3.0, silent=7)
    assert (script.moves, script.limit.drops) == ([], 0)


def test_alone_nothing_is_judged_however_small_the_limit():
    script = measured(most=2)
    for _ in range(100):
        script.round(1, 3.0)
        script.round(1, 3.0, silent=1)
    assert script.moves == []


def test_the_limit_rises_by_one_once_a_decrease_showed_where_too_many_begin():
    script = measured()
    script.round(16, 0.2)
    script.round(16, 0.2)
    for _ in range(10):
        script.round(script.limit.slots, 0.1)
    assert script.moves[:3] == [("latency", 12), ("room", 13), ("room", 14)]


def test_a_limit_that_is_not_reached_does_not_rise():
    script = measured()
    script.round(16, 0.2)
    script.round(16, 0.2)
    for _ in range(50):
        script.round(11, 0.1)
    assert script.moves == [("latency", 12)]


@pytest.mark.parametrize(("alone", "moves"), [(4, [("unmeasured", 1)]), (5, [])])
def test_where_a_window_is_over_five_answers_alone_are_baseline_enough(alone, moves):
    script = Script(most=8)
    script.alone(0.1, alone)
    script.round(8, 0.1)
    script.round(8, 0.1)
    script.round(8, 0.1)
    assert script.moves[:1] == moves


def test_no_baseline_under_load_leads_down_to_where_it_is_measured_and_back():
    script = Script(most=8)
    for _ in range(40):
        script.round(script.limit.slots, 0.1)
    assert script.moves == [("unmeasured", 1), ("room", 2), ("room", 4), ("room", 8)]


def test_a_target_that_became_slower_for_good_gets_all_its_slots_back():
    script = measured(0.05, most=8)
    for _ in range(120):
        script.round(script.limit.slots, 0.8)
    assert script.limit.slots == 8
    assert script.limit.baseline == pytest.approx(0.8, rel=0.4)
    assert min(slots for _, slots in script.moves) == 1


def test_idling_changes_nothing():
    script = measured()
    script.round(16, 0.2)
    script.round(16, 0.2)
    before = (script.limit.limit, script.limit.baseline)
    script.now += 1_000_000.0
    script.alone(0.1, 3)
    assert (script.limit.limit, script.limit.baseline) == pytest.approx(before)


# -- drops


def test_a_burst_of_timeouts_is_one_drop_and_halves_the_limit_at_most():
    script = measured()
    script.round(16, 3.0, silent=16)
    assert script.limit.drops == 1
    assert 8 < script.limit.limit < 16
    script.round(16, 3.0, silent=16)
    assert script.limit.drops == 2
    before = script.limit.limit
    script.round(16, 3.0, silent=16)
    assert script.limit.limit == pytest.approx(before / 2, rel=0.05)


def test_one_that_hangs_among_many_that_answer_is_a_small_drop():
    script = measured()
    script.round(16, 0.1)
    script.round(16, 0.1, silent=1)
    assert script.limit.drops == 1
    assert script.limit.limit == pytest.approx(16 * (1 - 0.1 / 2))


def test_answers_forget_a_timeout_each_a_tenth_of_it():
    script = measured()
    script.round(16, 0.1, silent=1)  # fifteen answers after it
    before = script.limit.limit
    script.round(15, 0.1, silent=1)
    lost = 0.1 + 0.9 * (0.1 * 0.9**15)
    assert script.limit.limit == pytest.approx(before * (1 - lost / 2), rel=1e-9)


def test_one_that_hangs_among_four_leaves_all_four_slots():
    script = measured(most=4)
    script.round(4, 0.1, silent=1)
    assert (script.moves, script.limit.slots) == ([("timeout", 4)], 4)


def test_timeouts_at_the_least_are_no_drops():
    script = Script(most=1)
    for _ in range(20):
        script.round(1, 3.0, silent=1)
    assert (script.limit.slots, script.limit.drops) == (1, 0)


# -- a reload


def test_new_bounds_keep_what_was_learnt_within_them():
    script = measured()
    for _ in range(2):
        script.round(16, 0.2)
    limit = script.limit
    limit.adopt(policy(most=32))
    assert (limit.limit, limit.bounds, limit.baseline) == (pytest.approx(12), (1, 32), pytest.approx(0.1))
    limit.adopt(policy(most=5))
    assert limit.limit == 5
    limit.adopt(policy(most=16, least=8))
    assert (limit.limit, limit.slots) == (8, 8)


def test_a_bound_that_was_never_too_much_moves_with_the_policy():
    limit = measured(most=4).limit
    limit.adopt(policy(most=8))
    assert limit.limit == 8
    limit.adopt(policy(most=2))
    assert limit.limit == 2


# -- any storm


class Storm(RuleBasedStateMachine):
    """Calls begin, end, fail and time out in any order, time leaps, bounds change."""

    def __init__(self) -> None:
        super().__init__()
        self.limit = Gradient(policy(8))
        self.now = 50.0
        self.under_way: list[float] = []
        self.longest = 0.0
        self.shortest = float("inf")

    @rule(seconds=st.floats(0, 10))
    def time_passes(self, seconds):
        self.now += seconds

    @rule()
    def one_begins(self):
        self.under_way.append(self.now)
        self.limit.see(self.now, len(self.under_way))

    def ended(self, data):
        self.limit.see(self.now, len(self.under_way))
        return self.under_way.pop(data.draw(st.integers(0, len(self.under_way) - 1)))

    @precondition(lambda self: self.under_way)
    @rule(data=st.data())
    def one_is_answered(self, data):
        began = self.ended(data)
        before = self.limit.limit
        self.longest = max(self.longest, self.now - began)
        self.shortest = min(self.shortest, self.now - began)
        why = self.limit.answered(self.now, began)
        after = self.limit.limit
        assert why in (None, "room", "latency", "unmeasured")
        assert (why is None) == (after == before) or why == "latency"
        if why == "room":
            assert before < after <= max(before * 2, before + 1)
        if why == "latency":
            assert before / 2 <= after <= before

    @precondition(lambda self: self.under_way)
    @rule(data=st.data())
    def one_times_out(self, data):
        began = self.ended(data)
        before, drops = self.limit.limit, self.limit.drops
        why = self.limit.timed_out(self.now, began)
        assert before / 2 <= self.limit.limit <= before
        assert self.limit.drops - drops in (0, 1)
        assert why == "timeout" or self.limit.limit == before

    @precondition(lambda self: self.under_way)
    @rule(data=st.data())
    def one_says_nothing(self, data):
        self.ended(data)

    @rule(least=st.integers(1, 4), more=st.integers(0, 12), tolerance=st.floats(1, 10))
    def bounds_change(self, least, more, tolerance):
        self.limit.adopt(policy(least + more, least, tolerance))

    @invariant()
    def it_stays_within_its_bounds(self):
        least, most = self.limit.bounds
        assert least <= self.limit.limit <= most
        assert least <= self.limit.slots <= most

    @invariant()
    def the_baseline_is_no_time_that_nobody_took(self):
        if self.limit.baseline is not None:
            assert self.shortest - 1e-9 <= self.limit.baseline <= self.longest + 1e-9


Storm.TestCase.settings = settings(max_examples=100, stateful_step_count=80)
TestStorm = Storm.TestCase
