"""The gateway's two chat pipelines."""

from __future__ import annotations

import time
from typing import Any

import pytest

from sidecar.lab.town import Lab
from tests.lab.conftest import TEMPO, Client

FAILURES_THAT_OPEN = 3


async def chat(lab: Lab, http: Client, message: str = "hola", session: str | None = None, **more: Any) -> Any:
    sent = {"message": message} | ({"session_id": session} if session else {})
    return await http.post(lab.gateway_url + "/operator/api/chat", sent, **more)


async def talk(lab: Lab, http: Client, message: str = "hola", session: str = "s") -> Any:
    sent = {"message": message, "session_id": session}
    return await http.post(lab.gateway_url + "/operator/chat", sent)


async def breakers(lab: Lab, http: Client) -> Any:
    return (await http.get(lab.gateway_url + "/vx11/circuit-breaker/status")).json


async def open_window(lab: Lab, http: Client) -> None:
    await http.post(lab.madre_url + "/madre/power/window/open", {"services": ["switch"], "ttl_sec": 3600})


async def test_the_canned_text(lab: Lab, http: Client) -> None:
    answer = await chat(lab, http, "hola", "s1", headers={"X-Correlation-Id": "corr-1"})
    assert answer.status == 200
    assert answer.json == {
        "message_id": answer.json["message_id"],
        "session_id": "s1",
        "response": "[LOCAL LLM DEGRADED] Received message (4 chars). Switch unavailable in solo_madre mode.",
        "model": "local_llm_degraded",
        "fallback_source": "local_llm_degraded",
        "degraded": True,
        "correlation_id": "corr-1",
    }
    assert "x-correlation-id" not in answer.headers


async def test_a_correlation_id_in_the_body_is_ignored(lab: Lab, http: Client) -> None:
    sent = {"message": "hola", "correlation_id": "corr-body-1"}
    answer = await http.post(lab.gateway_url + "/operator/api/chat", sent)
    assert answer.json["correlation_id"] != "corr-body-1"
    assert len(answer.json["correlation_id"]) == 36


async def test_without_a_session_the_second_is_the_session(lab: Lab, http: Client) -> None:
    session = (await chat(lab, http)).json["session_id"]
    assert session.startswith("session_")
    assert session.removeprefix("session_").isdigit()


async def test_the_same_question_within_a_minute_is_cached(lab: Lab, http: Client) -> None:
    first = (await chat(lab, http, "hola", "s")).json
    second = (await chat(lab, http, "hola", "s", headers={"x-correlation-id": "mine"})).json
    assert "cache_hit" not in first
    assert (second["cache_hit"], second["correlation_id"]) == (True, "mine")
    assert second["message_id"] != first["message_id"]
    assert second["response"] == first["response"]


@pytest.mark.parametrize(("message", "status"), [("a" * 4000, 200), ("\U0001f600" * 4000, 200), ("a" * 4001, 413)])
async def test_length_counts_code_points(lab: Lab, http: Client, message: str, status: int) -> None:
    answer = await chat(lab, http, message, "s")
    assert answer.status == status
    if status == 413:
        assert answer.json == {
            "error": "Message too long (max 4000 characters)",
            "message_length": 4001,
            "session_id": "s",
        }


async def test_ten_per_minute_per_session(http: Client) -> None:
    async with Lab() as lab:  # in real time, so that the minute does not pass
        await lab.fault("madre", "refuse")
        statuses = [(await chat(lab, http, "x" * 4001, "rl1")).status for _ in range(10)]
        assert statuses == [413] * 10  # these count: length is looked at after the limit
        answer = await chat(lab, http, "x", "rl1")
        assert answer.status == 429
        assert answer.json == {
            "error": "Rate limit exceeded (10 requests/minute)",
            "retry_after": 60,
            "session_id": "rl1",
        }
        assert "retry-after" not in answer.headers
        assert (await chat(lab, http, "x", "rl2")).status == 200


async def test_an_open_window_does_not_help_and_costs_the_switch_its_breaker(lab: Lab, http: Client) -> None:
    await open_window(lab, http)
    for number in range(FAILURES_THAT_OPEN):
        assert (await chat(lab, http, f"hola {number}", "s")).json["degraded"] is True
    assert lab.requests("switch") == {"POST /switch/chat": 3}
    assert (await breakers(lab, http))["switch"]["state"] == "OPEN"
    # The other pipeline now goes to madre as well, though the switch is healthy.
    assert "reply" not in (await talk(lab, http)).json


async def test_madre_hung_costs_three_seconds(lab: Lab, http: Client) -> None:
    await lab.fault("madre", "hang")
    began = time.perf_counter()
    assert (await chat(lab, http)).json["degraded"] is True
    assert 3.0 <= (time.perf_counter() - began) / TEMPO < 6.0


async def test_operator_chat_takes_the_switch_then_madre_then_says_offline(lab: Lab, http: Client) -> None:
    answer = (await talk(lab, http)).json
    assert set(answer) == {"status", "model", "queue_size", "task_queue_id", "reply"}
    assert (answer["status"], answer["reply"]) == ("queued", "[general-7b] hola")
    await lab.fault("switch", "refuse")
    answer = (await talk(lab, http)).json
    assert (answer["status"], answer["provider"]) == ("DONE", "fallback_local")
    await lab.fault("madre", "refuse")
    for _ in range(FAILURES_THAT_OPEN):
        offline = await talk(lab, http)
        assert offline.status == 200
        assert offline.json == {
            "status": "service_offline",
            "module": "madre",
            "error": "All connection attempts failed",
        }
    assert (await talk(lab, http)).json == {
        "status": "service_offline",
        "module": "madre",
        "reason": "circuit_open",
    }


async def test_operator_chat_with_a_hung_switch_takes_22_seconds(lab: Lab, http: Client) -> None:
    await lab.fault("switch", "hang")
    began = time.perf_counter()
    answer = await talk(lab, http)
    assert 22.0 <= (time.perf_counter() - began) / TEMPO < 30.0
    assert answer.json["status"] == "DONE"


async def test_only_operator_chat_writes_history(lab: Lab, http: Client) -> None:
    missing = {"error": "session_not_found", "session_id": "s"}
    await chat(lab, http, "hola", "s")
    assert (await http.get(lab.gateway_url + "/operator/session/s")).json == missing
    await talk(lab, http, "hola", "s")
    history = (await http.get(lab.gateway_url + "/operator/session/s")).json
    assert set(history) == {"session_id", "user_id", "created_at", "message_count", "messages", "summary"}
    assert history["message_count"] == 2
    said = [(message["role"], message["content"]) for message in history["messages"]]
    assert said == [("user", "hola"), ("assistant", "[general-7b] hola")]
    assert set(history["messages"][0]) == {"role", "content", "timestamp", "metadata"}


async def test_three_status_commands_open_madres_breaker(lab: Lab, http: Client) -> None:
    for _ in range(FAILURES_THAT_OPEN):
        await http.post(lab.gateway_url + "/operator/api/chat/commands", {"command": "status"})
    assert (await breakers(lab, http))["madre"]["state"] == "OPEN"
    await lab.fault("switch", "refuse")
    assert (await talk(lab, http)).json["reason"] == "circuit_open"


async def test_the_message_command_is_the_same_chat(lab: Lab, http: Client) -> None:
    sent = {"command": "message", "message": "hola", "session_id": "s"}
    answer = await http.post(lab.gateway_url + "/operator/api/chat/commands", sent)
    assert answer.json["fallback_source"] == "local_llm_degraded"
    assert (await http.post(lab.gateway_url + "/operator/api/chat/commands", {"command": "dance"})).status == 400
