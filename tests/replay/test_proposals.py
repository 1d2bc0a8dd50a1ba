"""All proposals together: what known worlds lead to, and that short journals lead to none."""

from __future__ import annotations

from math import exp

import pytest

from sidecar.policy.units import seconds
from sidecar.replay.recommend.evidence import seen_in
from sidecar.replay.recommend.proposals import proposals
from sidecar.replay.recommend.value import Missing, Proposal
from sidecar.replay.world import Behaviour, Synthetic
from tests.replay.known import Serial, arrivals, loaded, past, steady

FIELDS = {
    "switch": {
        "timeouts.attempt", "breaker.slow_call.duration", "breaker.consecutive", "breaker.min_calls", "breaker.open.base",
        "limiter.max_concurrent",
    },
    "madre": {
        "reserve", "breaker.slow_call.duration", "breaker.consecutive", "breaker.min_calls", "breaker.open.base",
        "limiter.max_concurrent",
    },
}  # fmt: skip


def found(world, coming, **sections):
    policy = loaded(**sections).policy
    listed = list(proposals(seen_in([past(world, loaded(**sections), coming)], policy), policy))
    return {(one.target, one.path): one for one in listed}


def test_known_values_are_found_within_a_tenth():
    """The switch fails every fourth time, so that madre is asked often enough to be known."""
    world = steady(switch=Behaviour(0.6, 0.4, failing=0.25), madre=Behaviour(0.4, 0.4))
    listed = found(
        world, arrivals(5000, 2.0), retry={"max_attempts": 1}, breaker={"consecutive": 0, "failure_rate": "100%"}
    )
    attempt, reserve = listed["switch", "timeouts.attempt"], listed["madre", "reserve"]
    assert seconds(attempt.value) == pytest.approx(0.6 * exp(0.4 * 2.5758), rel=0.1)
    assert seconds(reserve.value) == pytest.approx(0.4 * exp(0.4 * 1.6449), rel=0.1)
    assert reserve.confidence in ("high", "fair")
    slow = listed["switch", "breaker.slow_call.duration"]
    assert seconds(slow.value) == pytest.approx(0.6 * exp(0.4 * 2.3263), rel=0.1)


def test_a_serial_target_and_known_outages_are_found_within_a_tenth():
    well, hung = Behaviour(0.25, 0.2), Behaviour(0.25, 0.2, hanging=1.0)
    listed = [(0.0, well)]
    for number in range(8):
        listed += [(200.0 + number * 150, hung), (240.0 + number * 150, well)]
    world = Serial(Synthetic({"switch": listed, "madre": [(0.0, Behaviour(0.06, 0.2))]}, 3), "madre")
    open_time = {"open": {"base": "3s", "max": "15s", "multiplier": 1}}
    several = found(world, arrivals(3000, 2.0), breaker=open_time, timeouts={"attempt": "2500ms"})
    opens = several["switch", "breaker.open.base"]
    assert seconds(opens.value) == pytest.approx((2 * 40.0 / 2.0) ** 0.5, rel=0.1)
    assert "8 outages" in opens.evidence
    serial = found(Serial(steady(switch=Behaviour(0.25, 0.3)), "switch"), arrivals(1500, 2.0))
    assert serial["switch", "limiter.max_concurrent"].value == "1"
    assert int(serial["switch", "limiter.queue"].value) == pytest.approx(0.475 / 0.25, abs=1)
    assert serial["switch", "limiter.queue_timeout"].value == "475ms"
    assert {serial["switch", f"limiter.{name}"].group for name in ("max_concurrent", "queue", "queue_timeout")} == {
        "queue"
    }


@pytest.mark.parametrize("calls", [0, 1, 90])
def test_a_short_journal_says_not_enough_data_for_every_field(calls):
    listed = found(steady(), arrivals(calls, 2.0))
    assert {(target, path) for target, paths in FIELDS.items() for path in paths} == set(listed)
    assert all(
        isinstance(one, Missing) and not one.enough and one.why.startswith("not enough data: ")
        for one in listed.values()
    )


def test_of_a_target_nobody_asked_nothing_is_said_however_much_is_known_of_the_other():
    listed = found(steady(), arrivals(1500, 2.0))
    assert all("not enough data: 0 " in one.why for (target, _), one in listed.items() if target == "madre")
    assert any(isinstance(one, Proposal) for (target, _), one in listed.items() if target == "switch")


def test_an_attempt_has_what_the_proposed_reserves_leave():
    """A slow madre has more kept back for her, and so an attempt on the switch has less."""
    world = steady(switch=Behaviour(1.6, 0.3, failing=0.3), madre=Behaviour(1.4, 0.25))
    listed = found(
        world, arrivals(2500, 0.5), retry={"max_attempts": 1}, breaker={"consecutive": 0, "failure_rate": "100%"}
    )
    assert seconds(listed["madre", "reserve"].value) == pytest.approx(2.11, rel=0.1)
    attempt = listed["switch", "timeouts.attempt"]
    assert isinstance(attempt, Missing)
    assert "and it has 2." in attempt.why
    slow = listed["switch", "breaker.slow_call.duration"]
    assert seconds(slow.value) <= 2.75


def test_every_proposal_names_a_field_and_what_the_policy_has():
    world = steady(switch=Behaviour(0.6, 0.4, failing=0.25), madre=Behaviour(0.4, 0.4))
    sections = {"retry": {"max_attempts": 1}, "breaker": {"consecutive": 0}}
    policy = loaded(**sections).policy.model_dump(mode="json")
    for (target, path), one in found(world, arrivals(1500, 2.0), **sections).items():
        if isinstance(one, Missing):
            continue
        place = next(each for each in policy["targets"] if each["name"] == target)
        for part in path.split("."):
            place = place[part]
        assert one.present == str(place)
        assert one.value != one.present
        assert one.n > 0
        assert one.confidence in ("high", "fair", "low")
