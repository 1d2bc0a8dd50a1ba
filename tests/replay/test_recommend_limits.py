"""Limiters: as many as a target works on, or as were ever needed."""

from __future__ import annotations

import pytest

from sidecar.replay.recommend.limits import limiter
from sidecar.replay.recommend.value import Missing
from sidecar.replay.worlds.capacity import Served
from sidecar.replay.worlds.crowding import Crowding
from tests.replay.known import loaded
from tests.replay.seen import seen, times


def found(rules=None, **fields):
    policy = loaded(**({} if rules is None else {"limiter": rules})).policy
    return {one.path.removeprefix("limiter."): one for one in limiter(seen(**fields), policy.ladder[0], policy)}


@pytest.mark.parametrize(
    ("servers", "service", "queue"), [(1, 0.1, "4"), (2, 0.1, "9"), (4, 0.0475, "40"), (1, 0.0, "1000")]
)
def test_a_target_with_a_queue_is_asked_what_it_works_on_and_as_many_wait_as_are_served_in_time(
    servers, service, queue
):
    listed = found(served=Served(servers, 300, 99.4), service=times(500, service, 0.0), rules={"max_concurrent": 6})
    assert {name: one.value for name, one in listed.items()} == {
        "max_concurrent": str(servers), "queue": queue, "queue_timeout": "475ms",
    }  # fmt: skip
    assert listed["queue"].evidence.startswith(
        f"it works on {servers} at once (300 attempts that met others, 99 nats), each for "
    )
    assert len({one.group for one in listed.values()}) == 1


def test_nobody_waits_for_a_target_that_takes_longer_than_one_may_wait():
    listed = found(served=Served(1, 300, 99.0), service=times(500, 1.0, 0.1))
    assert listed["queue"].value == "0"
    assert "queue_timeout" not in listed


def test_where_the_service_time_is_not_known_there_is_no_queue_to_size():
    assert set(found(served=Served(1, 300, 99.0))) == {"max_concurrent"}


def test_what_is_there_already_is_right():
    listed = found(served=Served(4, 300, 99.0), service=times(500, 0.1, 0.0), rules={"max_concurrent": 4})
    assert listed["max_concurrent"].why.startswith("4 is right: it works on 4 at once")


def test_a_limit_that_was_reached_grows():
    listed = found(together=tuple(sorted([1] * 900 + [4] * 100)))
    assert listed["max_concurrent"].value == "8"
    assert listed["max_concurrent"].confidence == "low"
    assert "reached with 10.0% of 1000 attempts" in listed["max_concurrent"].evidence


def test_that_others_make_it_slower_is_said():
    listed = found(together=tuple(sorted([1] * 900 + [4] * 100)), crowding=Crowding(0.05, 4, 30.0))
    assert listed["max_concurrent"].evidence.endswith("of 1000 attempts, and each other one makes it 5.1% slower")


def test_a_limit_that_was_never_reached_shrinks_only_by_many_moments():
    few = found(together=(1,) * 2000, rules={"max_concurrent": 16})["max_concurrent"]
    assert isinstance(few, Missing)
    assert few.enough
    assert (
        few.why
        == "16 was never reached: at most 1 were under way together in 999 of 1000 of 2000 moments; too few moments for less"
    )
    many = found(together=tuple(sorted([1] * 15_000 + [5] * 100)), rules={"max_concurrent": 16})["max_concurrent"]
    assert many.value == "8"
    assert many.evidence.endswith("half as many again leaves room")


def test_one_attempt_at_a_time_is_no_reason_for_one_slot():
    assert found(together=(1,) * 20_000)["max_concurrent"].value == "2"


def test_half_as_many_again_may_be_more_than_there_is():
    assert found(together=tuple(sorted([1] * 800 + [3] * 200)))["max_concurrent"].value == "5"


def test_few_attempts_say_nothing():
    assert found(together=(1,) * 199)["max_concurrent"].why.startswith("not enough data: 199 ")
