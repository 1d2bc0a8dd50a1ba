"""The breaker: every transition as a literal script, then any sequence at all against a naive model."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, precondition, rule

from sidecar.core.breaker import Breaker, Permit, Refusal, State
from sidecar.core.fact import Thresholds
from sidecar.core.value import astuple, replace
from sidecar.core.vocabulary import Verdict
from sidecar.policy.model import BreakerPolicy

GOOD, FAILED, IGNORED = Verdict.SUCCESS, Verdict.FATAL, Verdict.IGNORED
LEASE = 6.0


def breaker(seed: int = 1, lease: float = LEASE, **policy) -> Breaker:
    return Breaker(BreakerPolicy.model_validate(policy), "switch", lease=lease, seed=seed)


def steady(**policy) -> Breaker:
    """Without jitter: open times are exact."""
    return breaker(open={"jitter": 0.0, **policy.pop("open", {})}, **policy)


def call(b: Breaker, now: float, verdict: Verdict, seconds: float = 0.0):
    """One call from admission to its verdict; the move it led to, in short."""
    b.tick(now)
    permit = b.admit(now)
    assert isinstance(permit, Permit), permit
    return short(b.settle(now + seconds, permit, verdict))


def short(moved) -> str | None:
    return moved and f"{moved.before} -> {moved.after} ({moved.why})"


def opened(b: Breaker, now: float = 0.0) -> Breaker:
    for _ in range(3):
        call(b, now, FAILED)
    assert b.state is State.OPEN
    return b


def half_opened(b: Breaker, now: float = 0.0) -> Breaker:
    opened(b, now)
    assert short(b.tick(b.until)) == "open -> half_open (timer)"
    return b


# -- closed -----------------------------------------------------------------------------------------------------


def test_it_begins_closed_and_lets_everybody_pass():
    b = breaker()
    permits = [b.admit(0.0) for _ in range(100)]
    assert b.state is State.CLOSED
    assert b.outstanding(0.0) == 100
    assert len({permit.number for permit in permits}) == 100


def test_failures_in_a_row_open_it():
    b = breaker(min_calls=20)
    assert [call(b, 0.0, v) for v in (FAILED, FAILED, GOOD, FAILED, Verdict.RETRYABLE, FAILED)] == [
        *[None] * 5,
        "closed -> open (consecutive)",
    ]


def test_a_degraded_answer_interrupts_a_row_of_failures():
    b = breaker(min_calls=20)
    for _ in range(5):
        assert [call(b, 0.0, v) for v in (FAILED, FAILED, Verdict.DEGRADED)] == [None] * 3


@pytest.mark.parametrize("verdict", [IGNORED, Verdict.CALLER_ERROR, Verdict.MISCONFIGURED])
def test_what_says_nothing_about_health_neither_fails_nor_interrupts_a_row(verdict):
    b = breaker()
    assert [call(b, 0.0, v) for v in (FAILED, FAILED, *[verdict] * 50)] == [None] * 52
    assert b.view(0.0)["calls"] == 2
    assert call(b, 0.0, FAILED) == "closed -> open (consecutive)"


def test_the_failure_rate_opens_it_from_min_calls_on():
    b = breaker(consecutive=0, min_calls=4)
    assert [call(b, 0.0, v) for v in (FAILED, FAILED, FAILED, GOOD)] == [
        None,
        None,
        None,
        "closed -> open (failure_rate)",
    ]


def test_a_rate_just_missed_does_not_open_it():
    b = breaker(consecutive=0, min_calls=4, failure_rate="51%")
    assert [call(b, 0.0, v) for v in (FAILED, GOOD, FAILED, GOOD)] == [None] * 4
    b = breaker(min_calls=4, slow_call={"duration": "3s", "rate": "51%"})
    assert [call(b, 0.0, GOOD, seconds) for seconds in (3.0, 0.0, 3.0, 0.0)] == [None] * 4


@pytest.mark.parametrize(
    ("percent", "failures", "calls"), [(7, 7, 100), (56, 14, 25), (28, 7, 25), (55, 11, 20), (29, 29, 100)]
)
def test_a_rate_that_is_met_exactly_opens_it_whatever_its_binary_form(percent, failures, calls):
    b = breaker(consecutive=0, min_calls=calls, window={"size": calls}, failure_rate=f"{percent}%")
    verdicts = [FAILED] * failures + [GOOD] * (calls - failures)
    assert [call(b, 0.0, v) for v in verdicts] == [None] * (calls - 1) + ["closed -> open (failure_rate)"]


def test_every_whole_percentage_is_met_by_exactly_its_share_of_a_hundred_slow_calls():
    for percent in range(1, 101):
        b = breaker(
            consecutive=0, min_calls=100, window={"size": 100}, slow_call={"duration": "1s", "rate": f"{percent}%"}
        )
        moves = [call(b, 0.0, GOOD, 1.0) for _ in range(percent - 1)] + [
            call(b, 0.0, GOOD) for _ in range(100 - percent)
        ]
        assert moves == [None] * 99
        assert call(b, 0.0, GOOD, 1.0) == "closed -> open (slow_rate)", percent


def test_a_rate_of_nothing_needs_at_least_one_failure():
    b = breaker(consecutive=0, min_calls=1, failure_rate="0%", slow_call={"rate": "0%"})
    assert call(b, 0.0, GOOD) is None
    assert call(b, 0.0, FAILED) == "closed -> open (failure_rate)"


def test_slow_calls_open_it_although_they_succeed():
    b = breaker(slow_call={"duration": "3s", "rate": "80%"})
    assert [call(b, 0.0, GOOD, s) for s in (3.0, 3.0, 2.999, 3.0, 3.0)] == [*[None] * 4, "closed -> open (slow_rate)"]


def test_a_client_that_leaves_early_does_not_count_and_one_that_waited_long_counts_as_slow():
    b = breaker(min_calls=2, slow_call={"duration": "3s", "rate": "100%"})
    assert [call(b, 0.0, IGNORED, 2.9) for _ in range(50)] == [None] * 50
    assert [call(b, 0.0, IGNORED, 3.0) for _ in range(2)] == [None, "closed -> open (slow_rate)"]


def test_without_a_threshold_in_a_row_failures_only_count_as_a_rate():
    b = breaker(consecutive=0, min_calls=20)
    assert [call(b, 0.0, FAILED) for _ in range(19)] == [None] * 19


def test_a_thin_day_of_failures_still_opens_it():
    b = breaker()
    assert [call(b, hour * 3600.0, FAILED) for hour in range(3)][-1] == "closed -> open (consecutive)"


def test_calls_that_a_time_window_forgot_do_not_open_it():
    b = breaker(consecutive=0, min_calls=2, window={"type": "time", "duration": "10s"})
    assert [call(b, now, FAILED) for now in (0.0, 11.0, 22.0)] == [None] * 3
    assert call(b, 23.0, FAILED) == "closed -> open (failure_rate)"


# -- open -------------------------------------------------------------------------------------------------------


def test_open_it_refuses_and_says_for_how_long():
    b = opened(steady())
    assert b.admit(1.0) == Refusal(4.0)
    assert b.refusal(4.5) == Refusal(0.5)
    assert b.outstanding(1.0) == 0


def test_its_time_over_it_becomes_half_open_and_not_before():
    b = opened(steady())
    assert b.tick(4.999) is None
    assert short(b.tick(5.0)) == "open -> half_open (timer)"


def test_who_forgets_to_tick_is_refused_and_nothing_breaks():
    b = opened(steady())
    assert b.admit(60.0) == Refusal(0.0)


def test_the_move_says_when_who_why_and_for_how_long():
    b = steady()
    call(b, 1.0, FAILED)
    call(b, 2.0, FAILED)
    b.tick(3.0)
    moved = b.settle(3.5, b.admit(3.0), FAILED)
    assert astuple(moved)[:6] == (3.5, "switch", "closed", "open", "consecutive", 5.0)
    assert b.moved is moved


# -- counts -----------------------------------------------------------------------------------------------------

HELD_AGAINST = Thresholds(3, 5, 0.5, 0.8, 3.0, 2)


def test_a_move_says_the_counts_that_led_to_it_though_it_begins_them_anew():
    b = steady()
    call(b, 0.0, GOOD, 3.0)
    call(b, 4.0, FAILED)
    assert astuple(b.counts(4.0)) == ("closed", 2, 1, 1, 1, 0, HELD_AGAINST)
    call(b, 5.0, FAILED)
    call(b, 5.0, FAILED)
    assert astuple(b.moved.counts) == ("closed", 4, 3, 1, 3, 0, HELD_AGAINST)
    assert astuple(b.counts(5.0)) == ("open", 4, 3, 1, 0, 0, HELD_AGAINST)


def test_good_probes_and_the_window_are_still_there_in_the_move_that_forgets_them():
    b = half_opened(steady())
    assert b.moved.counts.state == "open"
    call(b, b.until, GOOD)
    assert b.counts(b.until).good_probes == 1
    assert call(b, b.until, GOOD) == "half_open -> closed (recovered)"
    assert astuple(b.moved.counts) == ("half_open", 3, 3, 0, 0, 2, HELD_AGAINST)
    assert astuple(b.counts(b.until)) == ("closed", 0, 0, 0, 0, 0, HELD_AGAINST)


def test_an_override_that_ends_says_what_was_counted_under_it():
    b = breaker()
    b.force(0.0, State.FORCED_CLOSED)
    call(b, 1.0, FAILED)
    assert astuple(b.force(2.0, None).counts)[:5] == ("forced_closed", 1, 1, 0, 1)
    assert b.counts(2.0).calls == 0


def test_counts_are_held_against_the_policy_in_force():
    b = breaker()
    b.adopt(BreakerPolicy.model_validate({"consecutive": 0, "half_open": {"close_after": 7}}), lease=LEASE)
    assert b.counts(0.0).thresholds == replace(HELD_AGAINST, consecutive=0, close_after=7)


def test_a_permit_is_heeded_until_it_runs_out_or_the_breaker_moves():
    b = breaker()
    permit = b.admit(0.0)
    assert b.heeds(LEASE - 0.1, permit)
    assert not b.heeds(LEASE, permit)
    opened(b, 1.0)
    assert not b.heeds(1.0, permit)


def test_a_hint_lets_it_probe_at_once():
    b = opened(steady())
    assert short(b.hint(1.0)) == "open -> half_open (window_opened)"
    assert isinstance(b.admit(1.0), Permit)


def test_a_hint_means_nothing_to_a_breaker_that_is_not_open():
    b = breaker()
    assert b.hint(0.0) is None
    half_opened(b)
    assert b.hint(b.until) is None


# -- half-open --------------------------------------------------------------------------------------------------


def test_half_open_only_so_many_probes_are_under_way_at_once():
    b = half_opened(steady(half_open={"permits": 2}))
    first, second = b.admit(5.0), b.admit(5.5)
    assert isinstance(first, Permit)
    assert isinstance(second, Permit)
    assert b.admit(6.0) == Refusal(5.0)  # until the lease of the first runs out
    b.settle(6.0, first, GOOD)
    assert isinstance(b.admit(6.0), Permit)


def test_enough_good_probes_in_a_row_close_it():
    b = half_opened(steady())
    assert [call(b, 5.0, GOOD), call(b, 5.0, Verdict.DEGRADED)] == [None, "half_open -> closed (recovered)"]


def test_one_good_probe_does_not_close_it():
    b = half_opened(steady())
    assert [call(b, 5.0, GOOD), call(b, 5.0, FAILED)] == [None, "half_open -> open (probe_failed)"]


def test_good_probes_before_a_trip_do_not_count_after_it():
    b = half_opened(steady())
    call(b, 5.0, GOOD)
    call(b, 5.0, FAILED)
    b.tick(b.until)
    assert call(b, b.until, GOOD) is None


def test_a_slow_probe_opens_it_again():
    b = half_opened(steady())
    assert call(b, 5.0, GOOD, 3.0) == "half_open -> open (slow_rate)"


def test_a_client_that_leaves_a_silent_probe_opens_it_again():
    b = half_opened(steady())
    assert call(b, 5.0, IGNORED, 3.0) == "half_open -> open (slow_rate)"


@pytest.mark.parametrize("verdict", [IGNORED, Verdict.CALLER_ERROR, Verdict.MISCONFIGURED])
def test_a_probe_that_says_nothing_only_gives_its_place_back(verdict):
    b = half_opened(steady())
    call(b, 5.0, GOOD)
    assert [call(b, 5.0, verdict) for _ in range(10)] == [None] * 10
    assert call(b, 5.0, GOOD) == "half_open -> closed (recovered)"


def test_closed_again_it_has_forgotten_the_failures_that_opened_it():
    b = half_opened(steady())
    call(b, 5.0, GOOD)
    call(b, 5.0, GOOD)
    assert b.view(5.0)["calls"] == 0
    assert [call(b, 5.0, v) for v in (FAILED, FAILED, GOOD, GOOD)] == [None] * 4


# -- permits ----------------------------------------------------------------------------------------------------


def test_a_vanished_probe_frees_its_place_when_its_lease_runs_out():
    b = half_opened(steady())
    assert isinstance(b.admit(5.0), Permit)
    b.tick(10.999)
    assert b.admit(10.999).retry_after == pytest.approx(0.001)
    b.tick(11.0)
    assert isinstance(b.admit(11.0), Permit)


def test_an_expired_place_is_free_even_before_the_next_tick():
    b = half_opened(steady())
    b.admit(5.0)
    assert isinstance(b.admit(11.0), Permit)


def test_a_probe_settled_after_its_lease_is_ignored_whether_or_not_anybody_ticked():
    for ticked in (False, True):
        b = half_opened(steady())
        late = b.admit(5.0)
        if ticked:
            b.tick(11.0)
        assert b.settle(11.0, late, FAILED) is None
        assert b.state is State.HALF_OPEN


def test_a_shorter_lease_counts_at_once_although_older_permits_last_longer():
    b = half_opened(steady(half_open={"permits": 2}))
    b.admit(5.0)
    b.adopt(b._policy, lease=1.0)
    b.admit(5.0)
    b.tick(6.0)
    assert b.outstanding(6.0) == 1
    assert isinstance(b.admit(6.0), Permit)


def test_a_permit_counts_once_however_often_it_is_settled():
    b = breaker()
    permit = b.admit(0.0)
    assert [b.settle(0.0, permit, FAILED) for _ in range(9)] == [None] * 9
    assert b.view(0.0)["failures"] == 1


@pytest.mark.parametrize("verdict", list(Verdict))
@pytest.mark.parametrize("seconds", [0.1, 5.9])
def test_a_straggler_from_before_the_trip_decides_nothing_half_open(verdict, seconds):
    b = steady()
    stragglers = [b.admit(5.0 + i / 10 - seconds) for i in range(5)]
    opened(b, 0.0)
    b.tick(5.0)
    assert b.state is State.HALF_OPEN
    assert [b.settle(5.0 + i / 10, s, verdict) for i, s in enumerate(stragglers)] == [None] * 5
    assert b.state is State.HALF_OPEN
    assert b.view(5.5)["good_probes"][0] == 0


def test_a_straggler_does_not_take_a_probes_place():
    b = steady()
    b.admit(0.0)
    half_opened(b)
    assert isinstance(b.admit(5.0), Permit)


def test_a_second_probe_that_fails_after_the_first_opened_it_does_not_open_it_twice():
    b = half_opened(steady(half_open={"permits": 2}))
    first, second = b.admit(5.0), b.admit(5.0)
    assert short(b.settle(5.1, first, FAILED)) == "half_open -> open (probe_failed)"
    until = b.until
    assert b.settle(6.0, second, FAILED) is None
    assert b.until == until


def test_a_straggler_from_half_open_does_not_count_once_closed():
    b = half_opened(steady(half_open={"permits": 3}))
    probes = [b.admit(5.0) for _ in range(3)]
    assert [short(b.settle(5.0, p, GOOD)) for p in probes[:2]] == [None, "half_open -> closed (recovered)"]
    assert b.settle(5.0, probes[2], FAILED) is None
    assert b.view(5.0)["failures"] == 0


# -- open time --------------------------------------------------------------------------------------------------


def open_times(b: Breaker, trips: int, now: float = 0.0) -> list[float]:
    """Open times of trips in a row, each probe failing."""
    opened(b, now)
    times = [b.until - now]
    for _ in range(trips - 1):
        now = b.until
        call(b, now, FAILED)
        times.append(b.until - now)
    return times


def test_open_time_grows_with_each_trip_in_a_row_up_to_its_maximum():
    assert open_times(steady(), 5) == [5.0, 10.0, 15.0, 15.0, 15.0]


def test_a_multiplier_of_one_means_no_growth():
    assert open_times(steady(open={"multiplier": 1.0}), 3) == [5.0] * 3


def test_ten_thousand_trips_in_a_row_overflow_nothing():
    b = steady(open={"multiplier": 10.0})
    assert open_times(b, 10_000)[-1] == 15.0


def test_closed_for_long_enough_it_begins_again_with_the_shortest_open_time():
    b = steady()
    open_times(b, 3)
    closed_at = b.until
    call(b, closed_at, GOOD)
    call(b, closed_at, GOOD)
    b.tick(closed_at + 15.0)
    opened(b, closed_at + 15.0)
    assert b.until - (closed_at + 15.0) == 5.0


def test_failing_right_after_recovery_it_stays_open_for_longer():
    b = steady()
    open_times(b, 2)
    closed_at = b.until
    call(b, closed_at, GOOD)
    call(b, closed_at, GOOD)
    opened(b, closed_at + 14.9)
    assert b.until - (closed_at + 14.9) == pytest.approx(15.0)


def test_jitter_spreads_replicas_over_the_whole_range():
    times = sorted(open_times(breaker(seed=seed), 1)[0] for seed in range(500))
    assert 3.5 <= times[0] < 3.6
    assert 6.4 < times[-1] <= 6.5


def test_jitter_at_the_maximum_spreads_below_it_and_does_not_pile_up_on_it():
    times = sorted(open_times(breaker(seed=seed, open={"base": "15s"}), 1)[0] for seed in range(500))
    assert times[-1] <= 15.0
    assert len(set(times)) == 500
    assert times[-1] - times[0] > 6


def test_jitter_is_drawn_anew_with_each_trip():
    """Else a replica that drew a long open time would stay longer than the others every time."""
    b = breaker(open={"multiplier": 1.0})
    assert len({round(seconds, 6) for seconds in open_times(b, 6)}) == 6


def test_the_same_seed_draws_the_same_open_times():
    assert open_times(breaker(seed=5), 6) == open_times(breaker(seed=5), 6) != open_times(breaker(seed=6), 6)


# -- adopt and view ---------------------------------------------------------------------------------------------


def adopted(b: Breaker, **policy) -> Breaker:
    b.adopt(BreakerPolicy.model_validate(policy), lease=LEASE)
    return b


def test_new_numbers_leave_state_permits_and_tally_alone():
    b = breaker()
    permit = b.admit(0.0)
    call(b, 0.0, FAILED)
    adopted(b, consecutive=2)
    assert b.view(0.0)["calls"] == 1
    assert short(b.settle(0.0, permit, FAILED)) == "closed -> open (consecutive)"
    adopted(b, consecutive=9)
    assert b.state is State.OPEN


def test_another_window_begins_empty():
    b = breaker()
    call(b, 0.0, FAILED)
    adopted(b, window={"size": 30})
    assert b.view(0.0)["calls"] == 0


def test_a_half_open_breaker_takes_new_numbers_of_probes():
    b = half_opened(steady())
    call(b, 5.0, GOOD)
    adopted(b, half_open={"permits": 2, "close_after": 3})
    probes = [b.admit(5.0), b.admit(5.0)]
    assert [short(b.settle(5.0, p, GOOD)) for p in probes] == [None, "half_open -> closed (recovered)"]


# -- held by an operator ----------------------------------------------------------------------------------------


def test_forced_open_it_refuses_whatever_time_says_and_begins_again_with_a_probe():
    b = steady()
    assert short(b.force(0.0, State.FORCED_OPEN)) == "closed -> forced_open (override)"
    assert b.tick(1e6) is None
    assert b.admit(1e6) == Refusal(60.0)  # nobody knows when, so ask again in a minute
    assert b.hint(1e6) is None
    assert short(b.force(1e6, None)) == "forced_open -> half_open (override_ended)"
    assert isinstance(b.admit(1e6), Permit)
    assert isinstance(b.admit(1e6), Refusal)


def test_the_first_trip_after_it_was_held_open_is_the_first_in_a_row():
    b = steady()
    b.force(0.0, State.FORCED_OPEN)
    b.force(1.0, None)
    assert call(b, 1.0, FAILED) == "half_open -> open (probe_failed)"
    assert b.refusal(1.0) == Refusal(5.0)


def test_forced_closed_it_never_trips_and_begins_again_empty():
    b = opened(steady())
    assert short(b.force(1.0, State.FORCED_CLOSED)) == "open -> forced_closed (override)"
    assert [call(b, 1.0, FAILED) for _ in range(50)] == [None] * 50
    assert short(b.force(2.0, None)) == "forced_closed -> closed (override_ended)"
    assert call(b, 2.0, FAILED) is None, "the failures of the time it was held are forgotten"


def test_what_is_not_held_cannot_be_released_and_what_is_held_not_held_again():
    b = opened(steady())
    assert b.force(1.0, None) is None
    assert b.state is State.OPEN
    b.force(1.0, State.FORCED_OPEN)
    assert b.force(2.0, State.FORCED_OPEN) is None


def test_a_straggler_from_before_it_was_held_decides_nothing():
    b = steady(consecutive=1)
    before = b.admit(0.0)
    b.force(0.1, State.FORCED_CLOSED)
    b.force(0.2, None)
    assert b.settle(0.3, before, FAILED) is None
    assert b.state is State.CLOSED


def test_the_view_shows_counts_against_thresholds():
    b = steady()
    assert b.view(9.0) == {
        "state": "closed",
        "epoch": 0,
        "for_seconds": None,
        "probe_in_seconds": None,
        "calls": 0,
        "min_calls": 5,
        "failures": 0,
        "failure_rate": [0.0, 0.5],
        "slow_rate": [0.0, 0.8],
        "failures_in_row": [0, 3],
        "good_probes": [0, 2],
        "permits_out": 0,
    }
    call(b, 0.0, GOOD, 3.0)
    call(b, 0.0, FAILED)
    b.admit(0.0)
    view = b.view(0.0)
    assert (view["failure_rate"], view["slow_rate"], view["failures_in_row"], view["permits_out"]) == (
        [0.5, 0.5],
        [0.5, 0.8],
        [1, 3],
        1,
    )
    for now, seconds, probe in ((3.01254, 2.013, 2.987), (7.0, 6.0, 0.0)):
        view = opened(steady(), 1.0).view(now)
        assert (view["state"], view["for_seconds"], view["probe_in_seconds"]) == ("open", seconds, probe)


def test_what_a_window_of_time_has_forgotten_is_not_shown():
    b = breaker(window={"type": "time", "duration": "10s"}, consecutive=0)
    call(b, 1.0, FAILED)
    assert (b.view(2.0)["calls"], b.tally(2.0).failures) == (1, 1)
    assert (b.view(13.0)["calls"], b.tally(13.0).failures) == (0, 0)


# -- any sequence at all ----------------------------------------------------------------------------------------


class Naive:
    """The same machine written without any care for cost: a list of everything that counts, and counting by looking."""

    def __init__(self, policy: BreakerPolicy) -> None:
        self.policy = policy
        self.state, self.epoch, self.since = "closed", 0, None
        self.seen: list[tuple[bool, bool]] = []  # (failed, slow) of the window
        self.row: list[bool] = []  # failed, of this epoch's verdicts that say something
        self.probes_good = 0
        self.trips = 0
        self.out: dict[int, tuple[int, float, float]] = {}  # number -> epoch, at, expires

    def move(self, state: str, now: float) -> None:
        self.state, self.since, self.epoch = state, now, self.epoch + 1
        self.row, self.probes_good = [], 0

    def trip(self, now: float) -> None:
        if self.state == "closed" and (self.since is None or now - self.since >= self.policy.open.max):
            self.trips = 0
        self.trips += 1
        self.move("open", now)

    def settle(self, now: float, number: int, verdict: Verdict) -> None:
        epoch, at, expires = self.out.pop(number, (None, 0.0, 0.0))
        if epoch != self.epoch or expires <= now:
            return
        good, failed = verdict in ("success", "degraded"), verdict in ("retryable", "fatal")
        slow = now - at >= self.policy.slow_call.duration
        if not (good or failed or slow):
            return
        if self.state == "half_open":
            if failed or slow:
                self.trip(now)
            else:
                self.probes_good += 1
                if self.probes_good >= self.policy.half_open.close_after:
                    self.seen = []
                    self.move("closed", now)
            return
        self.seen = [*self.seen, (failed, slow)][-self.policy.window.size :]
        if good or failed:
            self.row.append(failed)
        p, n = self.policy, len(self.seen)
        in_row = p.consecutive and len(self.row) >= p.consecutive and all(self.row[-p.consecutive :])
        failures, slows = sum(f for f, _ in self.seen), sum(s for _, s in self.seen)
        rates = n >= p.min_calls and (
            (failures and failures / n >= p.failure_rate) or (slows and slows / n >= p.slow_call.rate)
        )
        if in_row or rates:
            self.trip(now)

    def outstanding(self, now: float) -> int:
        return sum(expires > now for _, _, expires in self.out.values())


POLICIES = [
    {},
    {"consecutive": 0, "min_calls": 3, "window": {"size": 4}},
    {"consecutive": 2, "half_open": {"permits": 3, "close_after": 1}, "open": {"jitter": 1.0}},
    {"slow_call": {"duration": "500ms", "rate": "50%"}, "min_calls": 2, "half_open": {"permits": 2, "close_after": 3}},
    {"open": {"base": "15s", "max": "15s", "multiplier": 10.0}},
]


class AnySequence(RuleBasedStateMachine):
    """Calls begin, end or vanish in any order while time passes; whoever is half-open can always be probed in the end."""

    permits = Bundle("permits")

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.policy = BreakerPolicy()
        self.breaker = Breaker(self.policy, "switch", lease=LEASE, seed=3)
        self.naive = Naive(self.policy)
        self.given = self.back = 0

    def passed(self, moved) -> None:
        """What holds of any move."""
        if moved is None:
            return
        assert moved.at == self.now
        assert moved.after == self.breaker.state.value == self.naive.state
        if moved.after == "open":
            o = self.policy.open
            assert self.breaker.until == self.now + moved.open_for
            low = min(o.base, o.max / (1 + o.jitter)) * (1 - o.jitter)
            assert low - 1e-9 <= moved.open_for <= o.max + 1e-9
            middle = min(o.base * o.multiplier ** min(self.naive.trips - 1, 20), o.max / (1 + o.jitter))
            assert abs(moved.open_for - middle) <= middle * o.jitter + 1e-9
        else:
            assert moved.open_for is None

    @rule(seconds=st.sampled_from([0.0, 0.1, 0.5, 1.0, 3.0, 5.0, 6.0, 20.0]))
    def time_passes(self, seconds):
        self.now += seconds

    @rule(target=permits)
    def a_call_begins(self):
        moved = self.breaker.tick(self.now)
        if self.naive.state == "open" and self.now >= self.breaker.until:
            self.naive.move("half_open", self.now)
            assert short(moved) == "open -> half_open (timer)"
        else:
            assert moved is None
        refusal = self.breaker.refusal(self.now)
        permit = self.breaker.admit(self.now)
        probes = sum(e == self.naive.epoch and x > self.now for e, _, x in self.naive.out.values())
        shut = self.naive.state == "open" or (
            self.naive.state == "half_open" and probes >= self.policy.half_open.permits
        )
        assert isinstance(permit, Refusal) == shut
        if shut:
            assert refusal == permit
            assert permit.retry_after >= 0
            return None
        assert refusal is None
        self.given += 1
        self.naive.out[permit.number] = (permit.epoch, permit.at, permit.expires)
        return permit

    @rule(permit=consumes(permits), verdict=st.sampled_from(Verdict))
    def a_call_ends(self, permit, verdict):
        if permit is None:
            return
        before, epoch = self.naive.state, self.naive.epoch
        slow = self.now - permit.at >= self.policy.slow_call.duration
        moved = self.breaker.settle(self.now, permit, verdict)
        self.naive.settle(self.now, permit.number, verdict)
        self.back += 1
        assert (moved is not None) == (self.naive.epoch != epoch)
        if permit.epoch != epoch or (verdict in (IGNORED, Verdict.CALLER_ERROR, Verdict.MISCONFIGURED) and not slow):
            assert moved is None
        if moved:
            assert moved.before == before
        self.passed(moved)

    @rule(permit=permits)
    def a_call_is_settled_twice_or_vanishes(self, permit):
        if permit is not None and permit.number not in self.breaker._out:
            assert self.breaker.settle(self.now, permit, FAILED) is None

    @rule()
    def the_window_opens(self):
        moved = self.breaker.hint(self.now)
        assert (moved is not None) == (self.naive.state == "open")
        if moved:
            self.naive.move("half_open", self.now)

    @rule(policy=st.sampled_from(POLICIES))
    def a_policy_is_adopted(self, policy):
        before = self.breaker.state, self.breaker.epoch, self.breaker.until, self.breaker.outstanding(self.now)
        new = BreakerPolicy.model_validate(policy)
        self.breaker.adopt(new, lease=LEASE)
        if new.window != self.policy.window:
            self.naive.seen = []
        self.policy = self.naive.policy = new
        assert before == (
            self.breaker.state,
            self.breaker.epoch,
            self.breaker.until,
            self.breaker.outstanding(self.now),
        )

    @precondition(lambda self: self.breaker.state is not State.CLOSED)
    @rule()
    def it_is_never_wedged(self):
        """After the longest open time and the longest lease a probe passes, whatever vanished before."""
        self.now = max(self.now + LEASE, self.breaker.until)
        if self.breaker.tick(self.now):
            self.naive.move("half_open", self.now)
        assert self.breaker.refusal(self.now) is None

    @invariant()
    def it_agrees_with_the_model(self):
        assert (self.breaker.state.value, self.breaker.epoch) == (self.naive.state, self.naive.epoch)
        assert self.breaker.outstanding(self.now) == self.naive.outstanding(self.now)
        if self.naive.state == "closed":
            view = self.breaker.view(self.now)
            assert (view["calls"], view["failures"]) == (len(self.naive.seen), sum(f for f, _ in self.naive.seen))

    @invariant()
    def permits_out_are_permits_given_less_those_settled_or_expired(self):
        expired = sum(expires <= self.now for _, _, expires in self.naive.out.values())
        assert self.breaker.outstanding(self.now) == self.given - self.back - expired


AnySequence.TestCase.settings = settings(max_examples=150, stateful_step_count=60)
TestAnySequence = AnySequence.TestCase
