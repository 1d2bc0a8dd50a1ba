"""madre's contract: she depends on the switch, works serially, and every call leaves rows."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import aiohttp
import pytest

from sidecar.lab.town import Lab
from tests.lab.conftest import TEMPO, Client, until

DONE = "Plan executed. Mode: ModeEnum.MADRE. Status: DONE"
ROWS = {"intents_log": 1, "tasks": 1, "madre_actions": 3, "context": 3, "task_queue": 1}


async def chat(lab: Lab, http: Client, message: str = "hola", **more: Any) -> Any:
    return await http.post(lab.madre_url + "/madre/chat", {"message": message}, token=None, **more)


async def timed(lab: Lab, http: Client, message: str = "hola") -> tuple[float, Any]:
    """Seconds of lab time, and the answer."""
    began = time.perf_counter()
    answer = await chat(lab, http, message)
    return (time.perf_counter() - began) / TEMPO, answer


def steps(answer: Any) -> list[str]:
    return [action["step"] for action in answer.json["actions"]]


async def test_success_without_any_token(lab: Lab, http: Client) -> None:
    answer = await chat(lab, http)
    assert answer.status == 200
    assert set(answer.json) == {
        "response", "session_id", "intent_id", "plan_id", "status", "mode", "provider", "model", "warnings", "targets",
        "actions",
    }  # fmt: skip
    fixed = {"response": DONE, "status": "DONE", "mode": "MADRE", "provider": "fallback_local", "model": "local"}
    assert {name: answer.json[name] for name in fixed} == fixed
    assert steps(answer) == ["SYSTEM_HEALTHCHECK", "SYSTEM_HEALTHCHECK", "CALL_SWITCH"]
    assert answer.json["actions"][-1]["result"]["reply"] == "[general-7b] hola"


async def test_a_wrong_token_and_unknown_fields_do_not_matter(lab: Lab, http: Client) -> None:
    sent = {"message": "hola", "session_id": "s", "correlation_id": "c", "context": {}}
    answer = await http.post(lab.madre_url + "/madre/chat", sent, token="wrong")
    assert (answer.status, answer.json["session_id"]) == (200, "s")
    assert "correlation_id" not in answer.json


async def test_422(lab: Lab, http: Client) -> None:
    answer = await http.post(lab.madre_url + "/madre/chat", {"text": "x"})
    assert (answer.status, answer.json["detail"][0]["loc"]) == (422, ["body", "message"])


@pytest.mark.parametrize("message", ["delete everything", "please RESET it", "kill it"])
async def test_destructive_words_wait_for_a_confirmation(lab: Lab, http: Client, message: str) -> None:
    answer = await chat(lab, http, message)
    assert (answer.status, answer.json["status"]) == (200, "WAITING")
    assert answer.json["response"] == (
        "Action requires confirmation. Provide plan_id and confirm_token to /madre/plans/{id}/confirm"
    )
    assert "confirm_token" not in answer.json
    assert lab.requests("switch") == {}


async def test_audio_words_do_not_ask_the_switch(lab: Lab, http: Client) -> None:
    answer = await chat(lab, http, "more reverb")
    assert answer.json["mode"] == "AUDIO_ENGINEER"
    assert "CALL_SWITCH" not in steps(answer)


async def test_a_lone_surrogate_is_500_and_long_messages_are_echoed(lab: Lab, http: Client) -> None:
    headers = {"Content-Type": "application/json"}
    answer = await http.ask("POST", lab.madre_url + "/madre/chat", data=b'{"message":"\\ud800"}', headers=headers)
    assert answer.status == 500
    assert answer.json["detail"].startswith("Error serializing to JSON: UnicodeEncodeError: ")
    assert len((await chat(lab, http, "x" * 100_000)).text) > 100_000


async def test_the_switch_refuses(lab: Lab, http: Client) -> None:
    await lab.fault("switch", "refuse")
    answer = await chat(lab, http)
    assert (answer.status, answer.json["response"]) == (200, DONE)
    assert answer.json["actions"][-1]["result"] == {"status": "error", "error": "All connection attempts failed"}


async def test_the_switch_hangs_two_seconds_of_health_and_five_of_chat() -> None:
    """In real proportions, a tenth of the time."""
    connector = aiohttp.TCPConnector(force_close=True)
    async with Lab(tempo=0.1) as lab, aiohttp.ClientSession(connector=connector) as session:
        await lab.fault("switch", "hang")
        began = time.perf_counter()
        answer = await chat(lab, Client(session))
        assert 7.0 <= (time.perf_counter() - began) / 0.1 < 10.0
        assert answer.json["actions"][1]["result"]["error"] == "timeout"
        assert answer.json["actions"][2]["result"]["error"] == "timeout"
        assert answer.json["response"] == DONE


async def test_with_a_hung_switch_audio_takes_two_seconds_and_destruction_none(lab: Lab, http: Client) -> None:
    await lab.fault("switch", "hang")
    audio, _ = await timed(lab, http, "audio")
    asked = lab.requests("switch")
    await chat(lab, http, "delete it")
    assert 2.0 <= audio < 5.0
    assert lab.requests("switch") == asked


async def test_gateway_and_switch_hang(lab: Lab, http: Client) -> None:
    await lab.fault("switch", "hang")
    await lab.fault("gateway", "hang")
    seconds, _ = await timed(lab, http)
    assert 9.0 <= seconds < 14.0


async def test_a_four_second_chat_in_the_switch_holds_madre_as_long(lab: Lab, http: Client) -> None:
    await lab.fault("switch", "execute")
    sent = {"messages": [{"role": "user", "content": "sleep 4"}]}
    running = asyncio.create_task(http.post(lab.switch_url + "/switch/chat", sent))
    await until(lambda: bool(lab.executed))
    seconds, answer = await timed(lab, http)
    assert 3.5 <= seconds < 5.5
    assert answer.json["actions"][-1]["result"]["reply"] == "[general-7b] hola"
    await running


async def test_her_work_is_serial(lab: Lab, http: Client) -> None:
    began = time.perf_counter()
    await asyncio.gather(*(chat(lab, http) for _ in range(5)))
    assert (time.perf_counter() - began) / TEMPO >= 5 * 0.111


async def test_every_call_leaves_rows_also_when_nobody_waits_for_it(lab: Lab, http: Client) -> None:
    await chat(lab, http)
    assert lab.rows == ROWS
    await lab.fault("switch", "hang")
    with pytest.raises(TimeoutError):
        await chat(lab, http, timeout=aiohttp.ClientTimeout(total=0.03))
    await until(lambda: lab.rows["task_queue"] == 2)  # she goes on without us
    assert lab.rows == {name: 2 * count for name, count in ROWS.items()}


async def test_health_reports_the_switch(lab: Lab, http: Client) -> None:
    answer = await http.get(lab.madre_url + "/health", token=None)
    assert set(answer.json) == {"module", "status", "version", "time", "deps"}
    assert answer.json["deps"]["switch"] == "up"
    await lab.fault("switch", "refuse")
    answer = await http.get(lab.madre_url + "/health")
    assert (answer.json["status"], answer.json["deps"]["switch"]) == ("ok", "down")


async def test_no_metrics(lab: Lab, http: Client) -> None:
    assert (await http.get(lab.madre_url + "/metrics")).status == 404


async def test_detached_she_does_not_ask_the_switch(lab: Lab, http: Client) -> None:
    await lab.fault("switch", "hang")
    await lab.fault("madre", "detached")
    answer = await chat(lab, http)
    assert (answer.json["response"], steps(answer)) == (DONE, [])
    assert lab.requests("switch") == {}


async def test_faults_with_an_answer(lab: Lab, http: Client) -> None:
    await lab.fault("madre", "waiting")
    assert (await chat(lab, http)).json["status"] == "WAITING"
    await lab.fault("madre", "error")
    answer = await chat(lab, http)
    assert (answer.status, answer.json["status"]) == (200, "ERROR")
    await lab.fault("madre", "500")
    answer = await chat(lab, http)
    assert (answer.status, answer.text) == (500, "Internal Server Error")
    assert answer.headers["content-type"].startswith("text/plain")
    assert (await http.get(lab.madre_url + "/madre/power/state")).status == 200


async def test_slow(lab: Lab, http: Client) -> None:
    await lab.fault("madre", "slow:3")
    seconds, _ = await timed(lab, http)
    assert seconds >= 3.0


async def test_drawn_times_and_half_of_her_speed(lab: Lab, http: Client) -> None:
    await lab.fault("madre", "detached")
    await lab.fault("madre", "lognormal:3:0")
    seconds, _ = await timed(lab, http)
    assert seconds >= 3.0
    await lab.fault("madre", "ok")
    await lab.fault("madre", "detached")
    await lab.fault("madre", "capacity:0.05")
    seconds, _ = await timed(lab, http)
    assert seconds >= 0.057 / 0.05


async def test_a_share_of_the_chats_fails(lab: Lab, http: Client) -> None:
    await lab.fault("madre", "failing:1")
    answer = await chat(lab, http)
    assert (answer.status, answer.text) == (500, "Internal Server Error")
    assert lab.rows == {}
