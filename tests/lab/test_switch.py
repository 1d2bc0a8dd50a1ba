"""The switch's contract, its failures with HTTP 200, and that it does one thing at a time."""

from __future__ import annotations

import asyncio
import builtins
import os
import subprocess
import time
from typing import Any

import aiohttp
import pytest

from sidecar.lab.town import Lab
from tests.lab.conftest import TEMPO, Client, until


def body(*texts: str, **more: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": text} for text in texts], **more}


async def chat(lab: Lab, http: Client, *texts: str, **more: Any) -> Any:
    return await http.post(lab.switch_url + "/switch/chat", body(*texts, **more))


async def test_success(lab: Lab, http: Client) -> None:
    answer = await chat(lab, http, "hola", session_id="s", correlation_id="c")
    assert answer.status == 200
    assert answer.json == {
        "status": "ok",
        "provider": "local",
        "decision": "local",
        "content": "[local-7b] hola",
        "reply": "[local-7b] hola",
        "latency_ms": answer.json["latency_ms"],
        "engine_used": "general-7b",
        "used_cli": False,
        "fallback_reason": "cli_unavailable",
        "tokens_used": None,
    }
    assert isinstance(answer.json["latency_ms"], int)


async def test_the_local_lane_takes_the_last_message(lab: Lab, http: Client) -> None:
    assert (await chat(lab, http, "first", "last")).json["reply"] == "[local-7b] last"
    assert (await chat(lab, http)).json["reply"] == "[local-7b] "


@pytest.mark.parametrize("token", [None, "", "wrong"])
async def test_missing_and_wrong_token_are_the_same(lab: Lab, http: Client, token: str | None) -> None:
    answer = await http.post(lab.switch_url + "/switch/chat", body("x"), token=token)
    assert (answer.status, answer.json) == (401, {"detail": "auth_required"})
    assert (await http.get(lab.switch_url + "/health", token=token)).status == 200


async def test_bearer_is_not_accepted(lab: Lab, http: Client) -> None:
    headers = {"Authorization": f"Bearer {lab.token}"}
    assert (await http.post(lab.switch_url + "/switch/chat", body("x"), token=None, headers=headers)).status == 401


@pytest.mark.parametrize("sent", [{"message": "x", "session_id": "s"}, body("x", metadata=None), {"messages": "x"}])
async def test_what_it_does_not_take(lab: Lab, http: Client, sent: Any) -> None:
    answer = await http.post(lab.switch_url + "/switch/chat", sent)
    assert answer.status == 422
    assert answer.json["detail"][0]["loc"][0] == "body"


async def test_health_and_metrics_are_json(lab: Lab, http: Client) -> None:
    health = await http.get(lab.switch_url + "/health", token=None)
    assert set(health.json) == {"status", "module", "active_model", "warm_model", "queue_size"}
    assert (health.json["status"], health.json["module"]) == ("ok", "switch")
    assert (await http.get(lab.switch_url + "/metrics", token=None)).headers["content-type"] == "application/json"


async def test_failures_with_http_200_that_metadata_provokes(lab: Lab, http: Client) -> None:
    error = await chat(lab, http, "x", metadata={"task_type": 5})
    assert (error.status, error.json) == (
        200,
        {
            "status": "error",
            "provider": "fallback",
            "content": "Error: 'int' object has no attribute 'strip'",
            "latency_ms": 0,
        },
    )
    partial = await chat(lab, http, "x", metadata={"language_lane": False})
    assert (partial.status, partial.json["status"], partial.json["content"]) == (200, "partial", "Error en Hermes")


@pytest.mark.parametrize(
    ("fault", "status", "text"),
    [
        ("500", 500, "Internal Server Error"),
        ("503", 503, '{"detail":"Service Unavailable"}'),
        ("error", 200, "'int' object has no attribute 'strip'"),
        ("partial", 200, '"status":"partial"'),
        ("empty", 200, '"reply":""'),
        ("html", 200, "<h1>502 Bad Gateway</h1>"),
        ("unauthorised", 401, '{"detail":"auth_required"}'),
    ],
)
async def test_faults_with_an_answer(lab: Lab, http: Client, fault: str, status: int, text: str) -> None:
    await lab.fault("switch", fault)
    answer = await chat(lab, http, "hola")
    assert answer.status == status
    assert text in answer.text
    assert (await http.get(lab.switch_url + "/health")).status == 200
    await lab.clear("switch")
    assert (await chat(lab, http, "hola")).json["reply"] == "[local-7b] hola"


async def test_huge_is_valid_json_of_32_mib(lab: Lab, http: Client) -> None:
    await lab.fault("switch", "huge")
    answer = await chat(lab, http, "hola")
    assert len(answer.json["reply"]) == 32 * 1024 * 1024


async def test_a_client_that_leaves_the_huge_answer_does_no_harm(lab: Lab, http: Client) -> None:
    await lab.fault("switch", "huge")
    headers = {"x-vx11-token": lab.token}
    async with http.session.post(lab.switch_url + "/switch/chat", json=body("x"), headers=headers) as answer:
        await answer.content.readexactly(10)
        answer.close()
    await lab.clear("switch")
    assert (await chat(lab, http, "hola")).status == 200


async def test_one_at_a_time_and_health_waits_too(lab: Lab, http: Client) -> None:
    await lab.fault("switch", "slow:5")
    began = time.perf_counter()
    calls = [asyncio.create_task(chat(lab, http, "x")) for _ in range(3)]
    await until(lambda: lab.requests("switch").get("POST /switch/chat") == 3)
    await http.get(lab.switch_url + "/health")
    assert time.perf_counter() - began >= 3 * 5 * TEMPO
    await asyncio.gather(*calls)


async def test_work_for_a_client_that_left_still_occupies_it(lab: Lab, http: Client) -> None:
    await lab.fault("switch", "slow:10")
    began = time.perf_counter()
    with pytest.raises(TimeoutError):
        await http.post(lab.switch_url + "/switch/chat", body("x"), timeout=aiohttp.ClientTimeout(total=0.05))
    await http.get(lab.switch_url + "/health")
    assert time.perf_counter() - began >= 10 * TEMPO


async def test_drawn_times_pass_beside_each_other(lab: Lab, http: Client) -> None:
    await lab.fault("switch", "lognormal:5:0")
    began = time.perf_counter()
    answers = await asyncio.gather(*(chat(lab, http, "x") for _ in range(5)))
    seconds = (time.perf_counter() - began) / TEMPO
    assert all(answer.status == 200 for answer in answers)
    assert 5 <= seconds < 5 * 5
    began = time.perf_counter()
    await http.post(lab.switch_url + "/switch/route-v5", {"prompt": "x"})
    assert (time.perf_counter() - began) / TEMPO >= 5


async def test_half_of_its_speed_takes_twice_as_long(lab: Lab, http: Client) -> None:
    await lab.fault("switch", "slow:4")
    await lab.fault("switch", "capacity:0.5")
    began = time.perf_counter()
    await asyncio.gather(*(chat(lab, http, "x") for _ in range(2)))
    assert (time.perf_counter() - began) / TEMPO >= 2 * 8


async def test_a_cold_one_takes_longer_at_first_one_after_the_other(lab: Lab, http: Client) -> None:
    await lab.fault("switch", "cold:6:2")
    began = time.perf_counter()
    await asyncio.gather(*(chat(lab, http, "x") for _ in range(2)))
    assert (time.perf_counter() - began) / TEMPO >= 6 + 3
    began = time.perf_counter()
    await http.post(lab.switch_url + "/switch/route-v5", {"prompt": "x"})
    assert (time.perf_counter() - began) / TEMPO < 6


async def test_stragglers_do_not_hold_up_the_others(lab: Lab, http: Client) -> None:
    await lab.fault("switch", "straggling:1:5")
    began = time.perf_counter()
    await asyncio.gather(*(chat(lab, http, "x") for _ in range(5)))
    assert 5 <= (time.perf_counter() - began) / TEMPO < 5 * 5


async def test_a_share_of_the_chats_fails(lab: Lab, http: Client) -> None:
    await lab.fault("switch", "failing:0.3")
    answers = [await chat(lab, http, "x") for _ in range(100)]
    failed = sum(answer.status == 503 for answer in answers)
    assert 10 <= failed <= 50  # four standard errors
    assert sum(answer.status == 200 for answer in answers) == 100 - failed
    await lab.fault("switch", "failing:1")
    assert (await http.post(lab.switch_url + "/switch/route-v5", {"prompt": "x"})).status == 503
    await lab.clear("switch")
    assert (await chat(lab, http, "x")).status == 200


@pytest.fixture
def _nothing_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every way of running something ends the test."""

    def forbidden(*_args: Any, **_more: Any) -> None:
        pytest.fail("something was executed")

    for module, name in (
        (os, "system"), (os, "popen"), (os, "execv"), (os, "execve"), (os, "fork"), (os, "posix_spawn"),
        (subprocess, "Popen"), (subprocess, "run"), (builtins, "exec"),
        (asyncio, "create_subprocess_shell"), (asyncio, "create_subprocess_exec"),
    ):  # fmt: skip
        monkeypatch.setattr(module, name, forbidden)


@pytest.mark.usefixtures("_nothing_runs")
async def test_the_executing_lane_is_told_and_never_run(lab: Lab, http: Client) -> None:
    assert (await chat(lab, http, "echo hi")).json["reply"] == "[local-7b] echo hi"
    assert lab.executed == []
    await lab.fault("switch", "execute")
    answer = (await chat(lab, http, "echo hi", "ignored")).json
    assert (answer["provider"], answer["decision"], answer["reply"]) == ("generic_shell", "cli", "hi")
    assert (answer["used_cli"], answer["content"]) == (True, "hi")
    assert "would have been executed" in (await chat(lab, http, "rm -rf /")).json["reply"]
    # No command: the shell fails and the local lane answers, with the last message.
    assert (await chat(lab, http, "hola", "last")).json["reply"] == "[local-7b] last"
    assert lab.executed == ["echo hi", "rm -rf /", "hola"]


async def test_a_sleeping_command_blocks_the_switch(lab: Lab, http: Client) -> None:
    await lab.fault("switch", "execute")
    began = time.perf_counter()
    await chat(lab, http, "sleep 5")
    assert time.perf_counter() - began >= 5 * TEMPO
