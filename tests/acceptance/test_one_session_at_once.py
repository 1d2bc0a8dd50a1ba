"""The limit of ten chats a minute and session holds when all come at the same moment."""

from __future__ import annotations

import asyncio

from tests.acceptance.running import standing


async def test_of_25_chats_at_once_ten_are_answered_and_fifteen_refused(figures: list[str]) -> None:
    async with standing() as town:
        answers = await asyncio.gather(*(town.chat(f"number {n}", session="crowded") for n in range(25)))
        other = await town.chat(session="another")
        scrape = await town.metrics()
        asked = town.lab.requests("switch")["POST /switch/chat"]
    answered = [answer for answer in answers if answer.status == 200]
    refused = [answer for answer in answers if answer.status == 429]
    figures.append(f"25 chats of one session at once: {len(answered)} answered, {len(refused)} refused")
    assert (len(answered), len(refused)) == (10, 15)
    assert {answer.json["session_id"] for answer in answered} == {"crowded"}
    for answer in refused:
        body = answer.json
        assert set(body) == {"detail", "error", "retry_after", "session_id", "correlation_id"}
        assert body["error"].startswith("Rate limit exceeded")
        assert body["session_id"] == "crowded"
        assert 1 <= int(answer.headers["Retry-After"]) <= 60
        assert body["retry_after"] == int(answer.headers["Retry-After"])
        assert answer.headers["X-Correlation-Id"] == body["correlation_id"]
    assert other.status == 200
    assert asked == 11  # what is refused costs no target anything
    assert scrape.total("chat_requests_total", outcome="rejected", code="429") == 15
