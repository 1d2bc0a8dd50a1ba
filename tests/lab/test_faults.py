"""The grammar of faults, and what is on after a row of orders."""

from __future__ import annotations

import asyncio
import math
import statistics

import pytest

from sidecar.lab.faults import Faults, Order, catalogue, parse


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("switch=hang", Order("switch", "hang")),
        (" madre = detached ", Order("madre", "detached")),
        ("switch=slow:1.5", Order("switch", "slow", (1.5,))),
        ("gateway=slow=2", Order("gateway", "slow", (2.0,))),
        ("switch=lognormal:1:0.5", Order("switch", "lognormal", (1.0, 0.5))),
        ("madre=lognormal=3:0", Order("madre", "lognormal", (3.0, 0.0))),
        ("switch=failing:0.25", Order("switch", "failing", (0.25,))),
        ("madre=capacity:0.5", Order("madre", "capacity", (0.5,))),
        ("madre=straggling:0.05:2", Order("madre", "straggling", (0.05, 2.0))),
        ("switch=cold:0.5:20", Order("switch", "cold", (0.5, 20.0))),
        ("switch=ok", Order("switch", "ok")),
        ("switch=503", Order("switch", "503")),
    ],
)
def test_orders(text: str, wanted: Order) -> None:
    assert parse(text) == wanted


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("switch", "SERVICE=FAULT"),
        ("hermes=hang", "there are: gateway, switch, madre"),
        ("switch=detached", "it has: hang, refuse, .*execute, or ok"),
        ("madre=html", "madre has no fault 'html'"),
        ("gateway=execute", "gateway has no fault"),
        ("switch=slow", "slow needs seconds"),
        ("switch=slow:", "slow needs seconds"),
        ("switch=slow:0", "slow needs seconds"),
        ("switch=slow:-1", "slow needs seconds"),
        ("switch=slow:nan", "slow needs seconds"),
        ("switch=slow:inf", "slow needs seconds"),
        ("switch=slow:1:2", "for example slow:1.5, not '1:2'"),
        (
            "switch=lognormal",
            "lognormal needs a median in seconds .* and a sigma .*, for example lognormal:1:0.5, not ''",
        ),
        ("switch=lognormal:1", "lognormal needs .* not '1'"),
        ("switch=lognormal:0:1", "lognormal needs"),
        ("switch=lognormal:1:-0.1", "lognormal needs"),
        ("switch=lognormal:1:3.1", "a sigma of its logarithm from 0 to 3"),
        ("switch=lognormal:1:x", "lognormal needs"),
        (
            "switch=failing:0",
            "failing needs a share of the chats above 0 and at most 1, for example failing:0.2, not '0'",
        ),
        ("madre=failing:1.1", "failing needs a share"),
        (
            "switch=straggling:0.05",
            "straggling needs a share of the chats .* and seconds .*, for example straggling:0.05:2, not '0.05'",
        ),
        (
            "switch=cold:1",
            "cold needs seconds .* and a number of chats above 0 and at most 10000, for example cold:0.5:20",
        ),
        ("madre=cold:1:2", "madre has no fault 'cold'"),
        ("madre=capacity:0", "capacity needs a share of its usual speed"),
        ("gateway=failing:0.5", "gateway has no fault 'failing'; it has: hang, refuse, 500, slow:SECONDS, or ok"),
        ("switch=hang:3", "nothing stands after hang; numbers do after slow:SECONDS, lognormal:MEDIAN:SIGMA, "),
        ("switch=ok:", "nothing stands after ok"),
    ],
)
def test_what_does_not_exist_is_named(text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        parse(text)


def test_behaviours_replace_each_other_and_modifiers_add_up() -> None:
    faults = Faults("switch")
    for text in ("switch=hang", "switch=slow:1.5", "switch=execute", "switch=error", "switch=slow:2"):
        faults.take(parse(text))
    assert faults.names() == ["error", "slow:2", "execute"]
    assert faults.slow == 2.0
    assert "execute" in faults
    for text in ("switch=lognormal:1:0.5", "switch=capacity:0.5", "switch=failing:0.1"):
        faults.take(parse(text))
    assert faults.names()[3:] == ["lognormal:1:0.5", "capacity:0.5", "failing:0.1"]
    assert faults.capacity == 0.5
    faults.take(parse("switch=ok"))
    assert faults.names() == []
    assert (faults.slow, faults.capacity, faults.draw_seconds(), faults.draw_failure()) == (0.0, 1.0, 0.0, False)


async def test_a_change_wakes_who_waits() -> None:
    faults = Faults("switch")
    waiting = asyncio.create_task(faults.moved())
    await asyncio.sleep(0)
    assert not waiting.done()
    faults.take(parse("switch=hang"))
    await asyncio.wait_for(waiting, 1)


def drawn(service: str, seed: int, *orders: str) -> list[tuple[float, bool]]:
    faults = Faults(service, seed)
    for text in orders:
        faults.take(parse(text))
    return [(faults.draw_seconds(), faults.draw_failure()) for _ in range(2000)]


def test_what_is_drawn_has_the_distribution_that_was_asked_for() -> None:
    draws = drawn("switch", 7, "switch=lognormal:2:0.5", "switch=failing:0.2")
    logarithms = [math.log(seconds) for seconds, _ in draws]
    assert statistics.mean(logarithms) == pytest.approx(math.log(2), abs=0.05)  # four standard errors
    assert statistics.stdev(logarithms) == pytest.approx(0.5, abs=0.04)
    assert sum(failed for _, failed in draws) / len(draws) == pytest.approx(0.2, abs=0.04)
    assert {seconds for seconds, _ in drawn("switch", 7, "switch=lognormal:2:0")} == {2.0}


def test_stragglers_are_that_share_and_come_on_top_of_what_is_usual() -> None:
    draws = [seconds for seconds, _ in drawn("switch", 7, "switch=straggling:0.1:5")]
    assert set(draws) == {0.0, 5.0}
    assert sum(draws) / 5 / len(draws) == pytest.approx(0.1, abs=0.03)  # four standard errors
    usual = [seconds for seconds, _ in drawn("switch", 7, "switch=lognormal:2:0.5")]
    both = [seconds for seconds, _ in drawn("switch", 7, "switch=lognormal:2:0.5", "switch=straggling:0.1:5")]
    assert both == [one + rare for one, rare in zip(usual, draws, strict=True)]


def test_what_is_cold_warms_up_chat_by_chat_and_is_cold_again_when_ordered_again() -> None:
    faults = Faults("switch")
    assert faults.warm_up() == 0.0
    for _ in range(2):
        faults.take(parse("switch=cold:4:2"))
        faults.take(parse("switch=slow:1"))
        assert [faults.warm_up() for _ in range(4)] == [4.0, 2.0, 0.0, 0.0]
    faults.take(parse("switch=cold:4:2"))
    faults.take(parse("switch=ok"))
    assert faults.warm_up() == 0.0


def test_one_seed_draws_the_same_whatever_else_is_on_and_each_service_for_itself() -> None:
    both = drawn("switch", 7, "switch=lognormal:2:0.5", "switch=failing:0.2")
    slow, failing = drawn("switch", 7, "switch=lognormal:2:0.5"), drawn("switch", 7, "switch=failing:0.2")
    assert [seconds for seconds, _ in both] == [seconds for seconds, _ in slow]
    assert [failed for _, failed in both] == [failed for _, failed in failing]
    assert drawn("madre", 7, "madre=lognormal:2:0.5") != slow
    assert drawn("switch", 8, "switch=lognormal:2:0.5") != slow


def test_every_fault_is_explained() -> None:
    assert set(catalogue()["switch"]) == {
        "hang", "refuse", "500", "503", "error", "partial", "empty", "html", "reset", "garbage", "huge",
        "slow:SECONDS", "lognormal:MEDIAN:SIGMA", "straggling:SHARE:SECONDS", "cold:SECONDS:CHATS", "failing:SHARE",
        "capacity:SHARE", "unauthorised", "execute",
    }  # fmt: skip
    assert set(catalogue()["madre"]) == {
        "hang", "refuse", "500", "waiting", "error", "slow:SECONDS", "lognormal:MEDIAN:SIGMA", "straggling:SHARE:SECONDS", "failing:SHARE",
        "capacity:SHARE", "detached",
    }  # fmt: skip
    assert set(catalogue()["gateway"]) == {"hang", "refuse", "500", "slow:SECONDS"}
