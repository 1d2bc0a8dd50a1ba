"""Times: what is proposed for attempts, reserves and slow calls, and when the policy's own value is as good."""

from __future__ import annotations

import pytest

from sidecar.core.vocabulary import ErrorKind, Outcome
from sidecar.replay.recommend.quantiles import Times
from sidecar.replay.recommend.times import attempt, reserve, seconds_of, share_given_up, share_of, slow_call
from sidecar.replay.recommend.value import Missing, Proposal
from sidecar.replay.record import Attempted
from tests.replay.known import loaded
from tests.replay.seen import seen, times


def rules(**sections):
    policy = loaded(**sections).policy
    return policy, policy.ladder[0], policy.ladder[1]


def test_an_attempt_may_take_as_long_as_995_of_1000_answers():
    found = attempt(seen(times=times(4000, 1.0, 0.5)), rules()[1], 3.25)
    assert found[:4] == ("switch", "timeouts.attempt", "auto", "1.5s")
    assert found.evidence == "99.5 % of 4000 answers came within 1.5 s (1.49 to 1.5)"
    assert (found.confidence, found.n) == ("high", 4000)


def test_less_of_them_where_the_record_is_short():
    """But not so few that a target which is well would lose more than one answer of a hundred."""
    assert attempt(seen(times=times(1100, 1.0, 0.5)), rules()[1], 3.25).evidence.startswith("99 % of 1100")
    found = attempt(seen(times=times(700, 1.0, 0.5)), rules()[1], 3.25)
    assert found.why == "not enough data: 700 attempts while it was well, 1000 are needed"


def test_where_it_needs_more_than_it_can_have_all_the_time_there_is_is_right():
    found = attempt(seen(times=times(4000, 3.0, 0.5)), rules()[1], 3.25)
    assert isinstance(found, Missing)
    assert found.enough
    assert found.why.startswith("auto is right: 99.5 % of 4000 answers came within 3.5 s")
    stated = attempt(seen(times=times(4000, 3.0, 0.5)), rules(timeouts={"attempt": "1s"})[1], 3.25)
    assert (stated.present, stated.value) == ("1s", "auto")
    assert seconds_of(stated) is None


def test_a_value_within_the_interval_is_as_good():
    found = attempt(seen(times=times(4000, 1.0, 0.5)), rules(timeouts={"attempt": "1493ms"})[1], 3.25)
    assert found.why.startswith("1.493s is as good: 99.5 % of 4000")
    assert found.enough


def test_of_what_was_cut_off_too_often_nothing_is_known():
    cut = Outcome(error=ErrorKind.TIMEOUT)
    attempts = [
        Attempted(k, float(k), 0.5, cut) if k % 3 else Attempted(k, float(k), 0.3, Outcome(status=200))
        for k in range(1200)
    ]
    found = attempt(seen(times=Times(attempts)), rules()[1], 3.25)
    assert found.why.startswith("not enough data: too many of its 1200 attempts were cut off")


def test_an_attempt_that_answers_at_once_still_has_a_moment():
    found = attempt(seen(times=times(4000, 0.01, 0.005)), rules()[1], 3.25)
    assert found.value == "50ms"
    assert found.evidence.endswith("; 50ms is the least that makes sense")


def test_a_reserve_is_what_95_of_100_answers_take():
    policy, _, madre = rules()
    found = reserve(seen(target="madre", times=times(2000, 1.0, 0.5)), madre, policy)
    assert (found.present, found.value) == ("auto", "1.45s")
    quick = reserve(seen(target="madre", times=times(2000, 0.05, 0.02)), madre, policy)
    assert quick.value == "300ms"
    assert quick.evidence.endswith("; 300ms it may take to connect")
    slow = reserve(seen(target="madre", times=times(2000, 3.0, 0.5)), madre, policy)
    assert slow.why.endswith("more than half of the patience cannot be kept back: auto is right")
    assert reserve(seen(times=times(100)), madre, policy).why.startswith("not enough data: 100 ")


def test_what_a_target_may_take_is_what_the_reserves_below_leave():
    policy = rules()[0]
    assert share_of(policy, 0, {}) == pytest.approx(3.25)
    assert share_of(policy, 0, {"madre": 0.5}) == pytest.approx(4.25)
    assert share_of(policy, 0, {"madre": 4.0}) == pytest.approx(2.375)
    assert share_of(policy, 1, {"madre": 4.0}) == pytest.approx(4.75)


def test_slow_is_what_99_of_100_are_not_or_half_of_what_is_promised():
    policy, switch, _ = rules()
    found = slow_call(seen(times=times(2000, 2.0, 0.5)), switch, policy, 3.25)
    assert (found.present, found.value) == ("3s", "2.49s")
    quick = slow_call(seen(times=times(2000, 0.1, 0.05)), switch, policy, 3.25)
    assert quick.value == "1.5s"
    assert quick.evidence.endswith("; 1.5s is half of what slo.latency promises")
    cut = slow_call(seen(times=times(2000, 2.0, 0.5)), switch, policy, 2.0)
    assert (cut.value, cut.confidence) == ("1.8s", "low")
    assert cut.evidence.endswith("; an attempt is given up after 2s: what is slow must be less to count")
    short = slow_call(seen(times=times(2000, 0.4, 0.2)), switch, policy, 0.6)
    assert short.value == "596ms"
    few = slow_call(seen(times=times(90)), switch, policy, 3.25)
    assert few.why == "not enough data: 90 attempts while it was well, 100 are needed"


def test_what_a_timeout_cuts_off_of_a_target_that_is_well():
    known = seen(times=times(4000, 1.0, 0.5))
    assert share_given_up(known, 1.5) == pytest.approx(0.005)
    assert share_given_up(known, 3.0) == 0.0
    assert share_given_up(seen(times=times(100)), 1.0) == 0.0


@pytest.mark.parametrize(("n", "sigma", "confidence"), [(20_000, 0.1, "high"), (700, 0.8, "fair"), (220, 1.2, "low")])
def test_confidence_is_the_width_of_the_interval(n, sigma, confidence):
    import math  # noqa: PLC0415
    from statistics import NormalDist  # noqa: PLC0415

    spread = [0.5 * math.exp(sigma * NormalDist().inv_cdf((k + 0.5) / n)) for k in range(n)]
    attempts = [Attempted(k, float(k), at, Outcome(status=200, text=True)) for k, at in enumerate(spread)]
    found = reserve(seen(target="madre", times=Times(attempts)), rules()[2], rules(deadline={"client": "60s"})[0])
    assert isinstance(found, Proposal)
    assert found.confidence == confidence
