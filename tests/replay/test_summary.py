"""What a replay comes to: quantiles as a naive reader counts them, open time to the end, calls that are counted once."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.core.fact import AttemptEnded, BreakerMoved, CallBegan, CallEnded, DormancyHeard
from sidecar.core.vocabulary import Binding, Finish, Reason, Verdict
from sidecar.replay.column import Held
from sidecar.replay.figures import summary as module
from sidecar.replay.figures.summary import QUANTILES, Summary, quantile
from tests.replay.worlds import World


def ended(call, seconds, provider="switch", reason=None, *, abandoned=False):
    finish = Finish(provider, 1, degraded=reason is not None, reason=reason, abandoned=abandoned)
    return CallEnded(float(call), call, seconds, finish, reason, 1)


def moved(at, after, target="switch"):
    return BreakerMoved(at, target, "?", after, "?", None)


def summed(*facts):
    summary = Summary()
    for fact in facts:
        summary(fact)
    summary.run_ended()
    return summary.figures()


@given(st.lists(st.integers(0, 50).map(float), min_size=1, max_size=200), st.integers(0, 100))
def test_a_quantile_is_the_smallest_value_that_the_share_does_not_exceed(values, percent):
    naive = min(v for v in values if sum(other <= v for other in values) * 100 >= percent * len(values))
    assert quantile(sorted(values), percent / 100) == naive


@pytest.mark.parametrize(
    ("count", "expected"), [(1, (1, 1, 1)), (2, (1, 2, 2)), (20, (10, 19, 20)), (100, (50, 95, 99))]
)
def test_quantiles_of_the_first_numbers_are_those_one_expects(count, expected):
    assert tuple(quantile([float(n) for n in range(1, count + 1)], share) for share in QUANTILES) == expected


def test_of_nothing_there_are_no_quantiles_and_no_rates():
    figures = summed()
    assert figures == {
        "calls": 0,
        "outcomes": {"primary": 0, "fallback": 0, "local": 0, "failed": 0, "client_gone": 0},
        "providers": {},
        "reasons": {},
        "verdicts": {},
        "degraded_share": None,
        "availability": None,
        "attempts": 0,
        "attempts_per_call": None,
        "latency_seconds": {"p50": None, "p95": None, "p99": None},
        "breaker_open_seconds": {},
        "deadline_misses": 0,
    }


def test_every_call_is_counted_once_and_a_client_that_left_has_no_latency():
    figures = summed(
        ended(1, 0.1),
        ended(2, 9.0, None, abandoned=True),
        ended(3, 0.3, None, Reason.TIMEOUT),
        ended(4, 0.2, "madre", Reason.OPEN),
        AttemptEnded(1.0, 1, "switch", 1, 0.1, None, Verdict.SUCCESS, Binding.ATTEMPT),
        AttemptEnded(1.0, 4, "madre", 1, 0.1, None, Verdict.SUCCESS, Binding.ATTEMPT),
        AttemptEnded(1.0, 4, "madre", 2, 0.1, None, Verdict.FATAL, Binding.ATTEMPT),
    )
    assert figures["calls"] == 4
    assert figures["providers"] == {"client_gone": 1, "failed": 1, "madre": 1, "switch": 1}
    assert figures["outcomes"] == {"primary": 1, "fallback": 1, "local": 0, "failed": 1, "client_gone": 1}
    assert (figures["degraded_share"], figures["availability"]) == (0.6667, 0.6667)
    assert figures["reasons"] == {"none": 1, "open": 1, "timeout": 1}
    assert figures["latency_seconds"] == {"p50": 0.2, "p95": 0.3, "p99": 0.3}
    assert figures["verdicts"] == {"madre": {"fatal": 1, "success": 1}, "switch": {"success": 1}}
    assert (figures["attempts"], figures["attempts_per_call"]) == (3, 0.75)


def test_open_time_is_from_each_opening_to_the_next_move():
    figures = summed(
        moved(1.0, "open"), moved(6.0, "half_open"), moved(7.0, "open"), moved(17.5, "half_open"), moved(18.0, "closed"),
        moved(2.0, "open", "madre"), moved(3.0, "half_open", "madre"), ended(9, 99.0),
    )  # fmt: skip
    assert figures["breaker_open_seconds"] == {"madre": 1.0, "switch": 15.5}


def test_a_breaker_that_is_still_open_counts_until_the_last_fact():
    figures = summed(moved(1.0, "open"), ended(5, 0.1), DormancyHeard(9.5, None))
    assert figures["breaker_open_seconds"] == {"switch": 8.5}


def test_a_breaker_open_at_the_end_of_one_run_is_closed_in_the_next():
    """Whose clock may show anything: a machine that was started anew begins at 0."""
    summary = Summary()
    for fact in (moved(5000.0, "open"), ended(5010, 0.1)):
        summary(fact)
    summary.run_ended()
    for fact in (ended(3, 0.1), moved(4.0, "open"), moved(6.0, "half_open")):
        summary(fact)
    summary.run_ended()
    summary.run_ended()
    assert summary.figures()["breaker_open_seconds"] == {"switch": 12.0}


@pytest.mark.parametrize("number", range(10))
def test_a_summary_of_a_world_agrees_with_a_naive_one(number):
    facts, summary = [], Summary()
    World(number, 100).simulate(lambda fact: (facts.append(fact), summary(fact)))
    summary.run_ended()
    figures = summary.figures()
    ends = [fact for fact in facts if isinstance(fact, CallEnded)]
    stayed = [fact for fact in ends if not fact.finish.abandoned]
    assert figures["calls"] == len(ends) == 100
    assert sum(figures["reasons"].values()) == len(stayed)
    assert figures["attempts"] == sum(fact.attempts for fact in ends)
    assert figures["attempts"] == sum(count for counts in figures["verdicts"].values() for count in counts.values())
    for target in ("switch", "madre"):
        open_for, state, since = 0.0, "closed", 0.0
        for fact in facts:
            if isinstance(fact, BreakerMoved) and fact.target == target:
                open_for += fact.at - since if state == "open" else 0.0
                state, since = fact.after, fact.at
        open_for += facts[-1].at - since if state == "open" else 0.0
        assert figures["breaker_open_seconds"].get(target, 0.0) == pytest.approx(open_for, abs=0.001)


# -- over time ---------------------------------------------------------------------------------------------------------


def over_time(*facts, offset=0.0):
    summary = Summary()
    summary.run_begins(None, offset)
    for fact in facts:
        summary(fact)
    summary.run_ended()
    return summary


def chat(at, seconds=0.1, provider="switch", reason=None, patience=4.75):
    call = int(at * 1000)
    finish = Finish(provider, None if provider == "local" else 1, degraded=reason is not None, reason=reason)
    return CallBegan(at, call, patience, "c", "r"), CallEnded(at + seconds, call, seconds, finish, reason, 2)


def test_a_call_belongs_to_the_slice_in_which_it_came():
    facts = [*chat(100.0), *chat(100.2, 3.0, "local", Reason.TIMEOUT), *chat(100.6, 0.1, "madre", Reason.OPEN)]
    slices = over_time(*facts).slices()
    assert [(one.start, one.calls, one.primary, one.fallback, one.local, one.attempts) for one in slices] == [
        (0.0, 2, 1, 0, 1, 4),
        (0.25, 0, 0, 0, 0, 0),
        (0.5, 1, 0, 1, 0, 2),
    ]


@pytest.mark.parametrize("count", [10, 299, 300, 301, 3000])
def test_slices_become_wider_and_never_too_many(count):
    summary = over_time(*(fact for n in range(count) for fact in chat(50.0 + n * 0.25)))
    slices = summary.slices()
    assert len(slices) <= module.MOST_SLICES
    assert sum(one.calls for one in slices) == count
    assert len({one.seconds for one in slices}) == 1
    assert [one.start for one in slices] == [n * summary.width for n in range(len(slices))]


def test_a_second_run_follows_the_first():
    summary = over_time(*chat(100.0))
    summary.run_begins(7.0, 0.5)
    for fact in (*chat(7.0), moved(7.1, "open"), moved(7.35, "half_open")):
        summary(fact)
    summary.run_ended()
    assert [one.calls for one in summary.slices()] == [1, 0, 1]
    assert summary.held["switch"] == [
        Held("open", pytest.approx(0.6), pytest.approx(0.85)),
        Held("half_open", pytest.approx(0.85), pytest.approx(0.85)),
    ]


def test_what_a_breaker_was_held_in_is_listed_but_for_closed():
    summary = over_time(*chat(10.0), moved(11.0, "open"), moved(12.0, "half_open"), moved(13.0, "closed"), *chat(20.0))
    assert summary.held["switch"] == [Held("open", 1.0, 2.0), Held("half_open", 2.0, 3.0)]


def test_an_answer_after_its_deadline_is_a_miss_and_one_a_little_late_is_none():
    facts = [*chat(1.0, 4.76), *chat(2.0, 4.85), *chat(3.0, 0.4, patience=0.3)]
    assert over_time(*facts).figures()["deadline_misses"] == 2


def test_latencies_rise_to_one_and_show_the_slow_end():
    summary = over_time(*(fact for n in range(5000) for fact in chat(n * 0.01, (n + 1) / 1000)))
    found = summary.latencies()
    assert len(found) <= 300
    assert list(found) == sorted(found)
    assert found[-1] == (5.0, 1.0)
    assert sum(share > 0.99 for _, share in found) > 20
    for seconds, share in found:
        assert share == pytest.approx(seconds * 1000 / 5000)
    assert Summary().latencies() == ()
