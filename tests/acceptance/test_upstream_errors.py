"""A switch that reports its failures in the body of a 200: the breaker opens, and nothing of the failure's text gets out."""

from __future__ import annotations

import pytest

from sidecar.lab.switch import PARTIAL_TEXT, UPSTREAM_ERROR
from tests.acceptance.running import standing

# Words of the lab's own failures: of the switch's 200s, of plain text and web pages, of bytes that are no HTTP.
LEAKS = (UPSTREAM_ERROR, PARTIAL_TEXT, "object has no attribute", "Internal Server Error", "Bad Gateway", "not HTTP")
LEAKS += (
    "Service Unavailable",
    "auth_required",
    "connection attempts",
    "Traceback",
    "127.0.0.1",
    "ModeEnum.MADRE. Status: ERROR",
)
BROKEN = ("error", "partial", "empty", "html", "500", "503", "reset", "garbage", "unauthorised", "refuse")


async def test_errors_under_http_200_open_the_breaker() -> None:
    async with standing("switch=error", "madre=detached") as town:
        answers = [await town.chat() for _ in range(8)]
        assert (await town.metrics()).breaker("switch") == "open"
        asked = town.lab.requests("switch")["POST /switch/chat"]
    assert [answer.status for answer in answers] == [200] * 8
    bodies = [answer.json for answer in answers]
    assert all(body["degraded"] and body["status"] == "degraded" and body["provider"] == "madre" for body in bodies)
    assert [body["reason"] for body in bodies] == ["failure"] * 3 + ["open"] * 5
    assert asked == 3
    assert not any(leak in answer.raw for answer in answers for leak in LEAKS)


@pytest.mark.parametrize("fault", BROKEN)
@pytest.mark.parametrize("madre", ["ok", "500", "error", "refuse"])
async def test_no_text_of_a_failure_reaches_the_client(fault: str, madre: str) -> None:
    """The ``auth_required`` of the switch included: it is our token that is wrong then, not the client's."""
    async with standing(f"switch={fault}", f"madre={madre}", tempo=0.05) as town:
        answers = [await town.chat() for _ in range(4)]
    assert [answer.status for answer in answers] == [200] * 4
    assert all(answer.json["degraded"] for answer in answers)
    assert [leak for answer in answers for leak in LEAKS if leak in answer.raw] == []


async def test_the_check_for_leaks_would_see_one() -> None:
    """The text is really there for the sidecar to let out."""
    async with standing("switch=error") as town:
        fields = {"X-VX11-Token": town.lab.token}
        payload = {"messages": [{"role": "user", "content": "hola"}]}
        direct = await town.ask("POST", town.lab.switch_url + "/switch/chat", json=payload, headers=fields)
    assert UPSTREAM_ERROR in direct.raw


async def test_the_last_rung_may_be_an_error_that_says_nothing_either() -> None:
    async with standing("switch=error", "madre=500", policy="fallback: {local: error}") as town:
        answer = await town.chat()
    assert answer.status == 503
    assert answer.json["detail"]
    assert not any(leak in answer.raw for leak in LEAKS)
