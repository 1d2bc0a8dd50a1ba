"""Chats with an Idempotency-Key through the whole sidecar: many at once, both spellings, clients that leave, reloads, restarts."""

from __future__ import annotations

import asyncio
import contextlib

from canary import MESSAGE

from sidecar.lab.town import DEFAULT_TOKEN
from tests.acceptance.running import CHAT, Answer, Standing, standing

ON = 'idempotency: {mode: "on"}\n'
V1 = "/operator/api/v1/chat"
KEY = "8e03978e-40d5-43e8-bc93-6894a57f9324"


async def keyed(
    town: Standing, *, path: str = CHAT, key: str = KEY, message: str = MESSAGE, session: str = "one"
) -> Answer:
    fields = {"X-VX11-Token": DEFAULT_TOKEN, "Idempotency-Key": key}
    return await town.ask("POST", town.url + path, json={"message": message, "session_id": session}, headers=fields)


def asked(town: Standing) -> int:
    return town.lab.requests("switch")["POST /switch/chat"]


async def state(town: Standing) -> dict[str, int] | None:
    shown = (await town.ask("GET", town.admin + "/state")).json["idempotency"]
    assert shown is None or isinstance(shown, dict)
    return shown


async def test_of_25_at_once_one_reaches_the_switch_and_all_of_them_get_its_answer_in_the_end(
    figures: list[str],
) -> None:
    async with standing("switch=slow:0.4", policy=ON) as town:
        answers = await asyncio.gather(*(keyed(town, path=(CHAT, V1)[n % 2]) for n in range(25)))
        (first,) = (answer for answer in answers if answer.status == 200)
        waiting = [answer for answer in answers if answer.status == 409]
        again = await asyncio.gather(*(keyed(town, path=(V1, CHAT)[n % 2]) for n in range(5)))
        other = await keyed(town, message="something else")
        scrape = await town.metrics()
        assert asked(town) == 1
        held = await state(town)
    assert len(waiting) == 24
    for answer in waiting:
        body = answer.json
        assert set(body) == {"detail", "error", "retry_after", "correlation_id"}
        assert 1 <= int(answer.headers["Retry-After"]) == body["retry_after"] <= 5
        assert answer.headers["X-Correlation-Id"] == body["correlation_id"]
    for answer in again:
        assert (answer.status, answer.body, answer.headers["Idempotent-Replayed"]) == (200, first.body, "true")
    ids = {answer.headers["X-Correlation-Id"] for answer in (first, *again)}
    assert len(ids) == 6
    assert other.status == 422
    assert held is not None
    assert (held["running"], held["kept"]) == (0, 1)
    results = {"claimed": 1, "kept": 1, "running": 24, "replayed": 5, "mismatch": 1, "freed": 0}
    assert {word: scrape.total("idempotency_keys_total", result=word) for word in results} == results
    slowest = max(answer.seconds for answer in again)
    figures.append(
        f"25 chats under one key at once: 1 carried out, {len(waiting)} told to wait; replayed within {slowest * 1000:.1f} ms"
    )


async def test_thirty_sessions_with_keys_of_their_own_do_not_meet() -> None:
    async with standing(policy=ON + "limiter: {max_concurrent: 30}\n") as town:
        said = await asyncio.gather(
            *(keyed(town, key=f"k{n}", message=f"number {n}", session=f"s{n}") for n in range(30))
        )
        again = await asyncio.gather(
            *(keyed(town, key=f"k{n}", message=f"number {n}", session=f"s{n}") for n in range(30))
        )
        assert [one.body for one in said] == [two.body for two in again]
        assert len({one.body for one in said}) == 30
        assert asked(town) == 30


async def test_a_client_that_leaves_frees_its_key() -> None:
    async with standing("switch=slow:1.5", policy=ON) as town:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.3):
                await keyed(town)
        await town.metrics_when(lambda scrape: scrape.total("idempotency_keys_total", result="freed") == 1)
        assert await state(town) == {"running": 0, "kept": 0, "bytes": 0}
        await town.lab.clear("switch")
        answer = await keyed(town)
        assert (answer.status, answer.json["provider"]) == (200, "switch")
        assert "Idempotent-Replayed" not in answer.headers
        assert asked(town) == 2


async def test_a_degraded_answer_is_asked_for_anew_until_the_switch_answers() -> None:
    async with standing("switch=refuse", policy=ON) as town:
        assert [(await keyed(town)).json["degraded"] for _ in range(2)] == [True, True]
        await town.lab.clear("switch")
        assert (await keyed(town)).json["degraded"] is False
        assert (await keyed(town)).headers["Idempotent-Replayed"] == "true"


async def test_a_restart_forgets() -> None:
    for _ in range(2):
        async with standing(policy=ON) as town:
            assert "Idempotent-Replayed" not in (await keyed(town)).headers


async def test_without_the_policy_every_chat_is_a_new_one() -> None:
    async with standing() as town:
        assert len({(await keyed(town)).body for _ in range(3)}) == 3
        assert asked(town) == 3
        assert await state(town) is None


async def test_a_target_that_honours_keys_gets_one_and_others_get_none() -> None:
    targets = "targets: [{name: switch, effects: dedup}, {name: madre}]\n"
    async with standing(policy=targets) as town:
        await keyed(town)
        scrape = await town.metrics()
        assert scrape.total("idempotency_keys_sent_total") == 1
        assert scrape.total("idempotency_keys_sent_total", target="switch", origin="client") == 1
    async with standing() as town:
        await keyed(town)
        assert (await town.metrics()).total("idempotency_keys_sent_total") == 0
