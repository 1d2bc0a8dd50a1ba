"""The grammar of faults, and what is on after a row of orders."""

from __future__ import annotations

import asyncio

import pytest

from sidecar.lab.faults import Faults, Order, catalogue, parse


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("switch=hang", Order("switch", "hang")),
        (" madre = detached ", Order("madre", "detached")),
        ("switch=slow:1.5", Order("switch", "slow", 1.5)),
        ("gateway=slow=2", Order("gateway", "slow", 2.0)),
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
        ("switch=hang:3", "takes no seconds"),
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
    faults.take(parse("switch=ok"))
    assert faults.names() == []
    assert faults.slow == 0.0


async def test_a_change_wakes_who_waits() -> None:
    faults = Faults("switch")
    waiting = asyncio.create_task(faults.moved())
    await asyncio.sleep(0)
    assert not waiting.done()
    faults.take(parse("switch=hang"))
    await asyncio.wait_for(waiting, 1)


def test_every_fault_is_explained() -> None:
    assert set(catalogue()["switch"]) == {
        "hang", "refuse", "500", "503", "error", "partial", "empty", "html", "reset", "garbage", "huge",
        "slow", "unauthorised", "execute",
    }  # fmt: skip
    assert set(catalogue()["madre"]) == {"hang", "refuse", "500", "waiting", "error", "slow", "detached"}
    assert set(catalogue()["gateway"]) == {"hang", "refuse", "500", "slow"}
