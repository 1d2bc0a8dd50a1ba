"""A switch that accepts and never answers, while chats keep coming: everybody is answered in time, and the switch serves again soon after."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections import Counter

import pytest

from sidecar.lab.load import ChatRecord, chat_load
from tests.acceptance.running import Answer, Standing, standing

RATE = 8.0  # chats a second, each in a session of its own
PATIENCE = 5.0  # seconds that the UI waits
BACK_WITHIN = 20.0  # seconds from the end of the fault to an answer by the switch
DURATIONS = [pytest.param(6.0, id="short"), pytest.param(30.0, id="full", marks=pytest.mark.slow)]


async def load(town: Standing, seconds: float) -> list[ChatRecord]:
    return await chat_load(town.url, town.lab.token, rate=RATE, seconds=seconds)


def all_in_time(records: list[ChatRecord], count: float) -> None:
    assert len(records) == count
    assert Counter(record.status for record in records) == {200: count}
    assert all(record.degraded for record in records)
    assert max(record.seconds for record in records) < PATIENCE


def since_open(records: list[ChatRecord]) -> list[ChatRecord]:
    """The chats that began when the breaker of the switch was open for the first time, and all after them."""
    first = min(record.start for record in records if record.reason == "open")
    return [record for record in records if record.start >= first]


def told(records: list[ChatRecord]) -> str:
    seconds = sorted(record.seconds for record in records)
    by = ", ".join(f"{name} {count}" for name, count in Counter(record.provider for record in records).most_common())
    return (
        f"{len(records)} chats, by {by}, median {statistics.median(seconds) * 1000:.0f} ms, slowest {seconds[-1]:.3f} s"
    )


async def until_served_by_switch(town: Standing) -> float:
    """One chat a second, as a user would; seconds from now to the end of the first answer by the switch."""
    began = time.monotonic()
    while time.monotonic() - began < BACK_WITHIN:
        sent = time.monotonic()
        if (await town.chat()).json["provider"] == "switch":
            return time.monotonic() - began
        await asyncio.sleep(max(sent + 1.0 - time.monotonic(), 0.0))  # the traffic has this pace
    raise AssertionError(f"not served by the switch within {BACK_WITHIN} s")


async def stays_with_switch(town: Standing) -> None:
    later: list[Answer] = [await town.chat() for _ in range(5)]
    assert [answer.json["provider"] for answer in later] == ["switch"] * 5
    assert (await town.metrics()).breaker("switch") == "closed"


@pytest.mark.parametrize("seconds", DURATIONS)
async def test_madre_on_her_own_answers_everybody_in_time(seconds: float, figures: list[str]) -> None:
    async with standing("switch=hang", "madre=detached") as town:
        records = await load(town, seconds)
        scrape = await town.metrics()
        await town.lab.clear("switch")
        back = await until_served_by_switch(town)
        await stays_with_switch(town)
    all_in_time(records, RATE * seconds)
    assert scrape.breaker("switch") in ("open", "half_open")
    assert scrape.total("breaker_transitions_total", target="switch", to="open") >= 1
    later = since_open(records)
    by_madre = sum(record.provider == "madre" for record in later) / len(later)
    figures.append(f"switch hung, madre detached, {RATE:g}/s for {seconds:g} s: {told(records)}")
    figures.append(
        f"switch hung, madre detached, {RATE:g}/s for {seconds:g} s: breaker open after {later[0].start:.2f} s; from then "
        f"{100 * by_madre:.1f} % by madre; {told(later)}; fault over: switch after {back:.1f} s"
    )
    assert by_madre >= 0.95
    assert statistics.median(record.seconds for record in later) < 0.4


@pytest.mark.parametrize("seconds", DURATIONS)
async def test_madre_who_waits_for_the_switch_as_well_leaves_it_to_the_local_answer(
    seconds: float, figures: list[str]
) -> None:
    async with standing("switch=hang") as town:
        records = await load(town, seconds)
        await town.lab.clear("switch")
        back = await until_served_by_switch(town)
        await stays_with_switch(town)
    all_in_time(records, RATE * seconds)
    figures.append(
        f"switch hung, madre waits for it, {RATE:g}/s for {seconds:g} s: {told(records)}; from breaker open "
        f"{told(since_open(records))}; fault over: switch after {back:.1f} s"
    )
    assert {record.provider for record in records} == {"local"}
