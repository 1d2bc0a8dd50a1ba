"""madre's power state: obeyed or only used to explain, and noticed when it changes."""

from __future__ import annotations

from typing import Any

import pytest

from sidecar.policy.load import load
from tests.acceptance.running import ROOT, Standing, standing

OBEY = "dormant: {mode: obey, poll: 50ms}"
EXPLAIN = "dormant: {mode: explain, poll: 50ms}"


async def power(town: Standing, action: str, **payload: Any) -> None:
    url = f"{town.lab.madre_url}/madre/power/window/{action}"
    answer = await town.ask("POST", url, json=payload, headers={"X-VX11-Token": town.lab.token})
    assert answer.status == 200


async def open_window(town: Standing) -> None:
    await power(town, "open", services=["switch"], mode="hold")
    await town.metrics_when(lambda scrape: scrape.total("dormant") == 0)


async def until_dormant(town: Standing) -> None:
    """A power state was heard that says the switch is off: the state of the lab at its start, as of VX11."""
    await town.metrics_when(lambda scrape: scrape.total("dormant") == 1)


async def served(town: Standing) -> tuple[str, str | None]:
    body = (await town.chat()).json
    assert body["degraded"] is (body["provider"] != "switch")
    return body["provider"], body.get("reason")


def asked(town: Standing) -> int:
    return town.lab.requests("switch").get("POST /switch/chat", 0)


async def test_obeyed_a_dormant_switch_is_not_asked_until_its_window_opens() -> None:
    async with standing("madre=detached", policy=OBEY) as town:
        await until_dormant(town)
        assert await served(town) == ("madre", "dormant")
        assert asked(town) == 0
        await open_window(town)
        assert await served(town) == ("switch", None)
        await power(town, "close")
        await until_dormant(town)
        assert await served(town) == ("madre", "dormant")
        assert asked(town) == 1
        assert (await town.metrics()).breaker("switch") == "closed"


async def test_the_shipped_policy_for_solo_madre_obeys() -> None:
    async with standing("madre=detached", policy=load(ROOT / "policies" / "solo_madre.yaml")) as town:
        await until_dormant(town)
        assert await served(town) == ("madre", "dormant")
        assert asked(town) == 0


async def test_obeying_ends_when_madre_no_longer_says() -> None:
    """Unknown is awake: with madre gone only the switch is left, and it is asked."""
    async with standing("madre=detached", policy=OBEY) as town:
        await until_dormant(town)
        await town.lab.fault("madre", "refuse")
        await town.metrics_when(lambda scrape: scrape.total("dormant") == 0)
        assert await served(town) == ("switch", None)


async def test_explaining_a_switch_that_answers_serves_whatever_the_state_says() -> None:
    async with standing(policy=EXPLAIN) as town:
        await until_dormant(town)
        assert await served(town) == ("switch", None)


async def test_explaining_a_refusal_of_a_dormant_switch_is_no_failure() -> None:
    async with standing("switch=refuse", "madre=detached", policy=EXPLAIN) as town:
        await until_dormant(town)
        assert [await served(town) for _ in range(6)] == [("madre", "dormant")] * 6
        assert (await town.metrics()).breaker("switch") == "closed"
        await open_window(town)  # now it should be there, and a refusal is a failure
        reasons = [(await served(town))[1] for _ in range(4)]
        assert (reasons[0], reasons[-1], set(reasons)) == ("failure", "open", {"failure", "open"})


@pytest.mark.parametrize("policy", [OBEY, EXPLAIN])
async def test_a_window_that_opens_does_not_wait_for_the_breaker(policy: str) -> None:
    """Its open time is 5 s; the switch that has just been started is asked at once."""
    async with standing("switch=error", "madre=detached", policy=policy) as town:
        await until_dormant(town)
        await open_window(town)
        assert [(await served(town))[1] for _ in range(4)] == ["failure", "failure", "failure", "open"]
        await power(town, "close")
        await until_dormant(town)
        await town.lab.clear("switch")
        await open_window(town)
        assert await served(town) == ("switch", None)


async def test_no_chat_waits_for_a_madre_that_hangs() -> None:
    async with standing("madre=hang", policy=OBEY) as town:
        answer = await town.chat()
    assert answer.json["provider"] == "switch"
    assert answer.seconds < 1.0
