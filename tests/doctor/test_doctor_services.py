"""Services that are down, hang, refuse us, or are not what we think: what is said of each."""

from __future__ import annotations

import json
import socket
import threading
import time

import canary
import pytest
from aiohttp import web
from doctored import (
    LINK,
    answers,
    deployment,
    serving,
)

from sidecar.doctor import asking
from sidecar.doctor.checks import chats, services


async def test_a_switch_that_refuses_is_down_when_it_should_be_on(tmp_path):
    async with deployment(tmp_path, "switch=refuse") as town:
        town.open_window()
        found = await town.examine()
    assert found.code == 1
    found.says("switch.health", "fail", "refuses connections", "nothing listens there", "open a power window at madre")
    found.says("chat.switch", "skipped", "see switch.health")
    found.says("token.switch", "skipped", "see switch.health")
    found.says(
        "chat.sidecar", "warn", "by madre, with its eight fields", "could not be reached", "Look at the attempts"
    )
    assert [point["state"] for point in json.loads(found.json)["checklist"]] == ["ok", "fail", "warn", "ok", "skipped"]


async def test_a_switch_that_is_off_on_purpose_is_no_fault(tmp_path):
    async with deployment(tmp_path, "switch=refuse") as town:
        found = await town.examine("switch.health")
    assert found.code == 0
    found.says("switch.health", "warn", "refuses connections", "off on purpose", "open a power window")


async def test_a_switch_that_hangs_is_not_taken_for_one_that_is_off(tmp_path, monkeypatch):
    monkeypatch.setattr(asking, "PATIENCE", 0.5)
    monkeypatch.setitem(chats.PATIENCE, "switch", 0.5)
    async with deployment(tmp_path, "switch=hang", running=False) as town:
        found = await town.examine("switch", "chat.switch", "token.switch")
    assert found.code == 1
    for check in ("switch.health", "chat.switch"):
        found.says(check, "fail", "gives no answer", "it hangs or is too busy", "look at its log")
    found.says("token.switch", "skipped", "see switch.health")


async def test_a_switch_with_another_token_says_401(tmp_path):
    async with deployment(tmp_path, "switch=unauthorised") as town:
        found = await town.examine("token", "chat")
    assert found.code == 1
    for check in ("token.switch", "chat.switch"):
        found.says(check, "fail", "answers 401 to our token", "it says 401 to both", f"give {LINK} the same value")
    found.says("chat.sidecar", "warn", "degraded: misconfigured", "wrong token", "Check the token we send")


async def test_a_switch_that_wants_another_body_is_told_from_one_that_fails(tmp_path):
    refusal = web.json_response({"detail": [{"type": "missing", "loc": ["body", "prompt"]}]}, status=422)
    async with (
        serving(answers(module="switch", otherwise=refusal)) as switch,
        deployment(tmp_path, switch=switch) as town,
    ):
        found = await town.examine("token.switch", "chat")
    assert found.code == 1
    found.says(
        "chat.switch",
        "fail",
        "answers 422: it does not accept the body of the chat",
        "the contract has changed",
        "compare the version of switch",
    )
    found.says("token.switch", "ok", "accepts our token")


@pytest.mark.parametrize(
    ("fault", "seen", "cause", "remedy"),
    [
        (
            "error",
            "answers 200 with status error: an error under HTTP 200",
            "says so in the body alone",
            "look at its log",
        ),
        ("partial", "answers 200 with status partial", "says so in the body alone", "look at its log"),
        ("empty", "the reply does not fit the schema: there is no text", "an empty reply", "compare the version"),
        ("html", "the reply does not fit the schema: it is no JSON object", "a page of a proxy", "compare the version"),
        ("500", "answers 500", "fails on its own", "look at its log"),
        ("reset", "closed the connection without a whole answer", "it crashed", "look at its log"),
        ("garbage", "does not speak HTTP", "another program has that port", "correct the address"),
        ("huge", "far too large", "another program", "correct the address"),
    ],
)
async def test_what_a_switch_answers_instead_of_an_answer_is_told_apart(tmp_path, fault, seen, cause, remedy):
    async with deployment(tmp_path, f"switch={fault}", running=False) as town:
        found = await town.examine("chat.switch")
    assert found.code == 1
    found.says("chat.switch", "fail", seen, cause, remedy)


async def test_a_slow_switch_is_measured_against_what_the_policy_leaves_it(tmp_path):
    tight = "deadline: {client: 400ms, margin: 50ms}\n"
    async with deployment(tmp_path, "switch=slow:1", policy=tight, running=False) as town:
        found = await town.examine("chat.switch")
    assert found.code == 0
    found.says("chat.switch", "warn", "the policy leaves it", "given to the next target", "see deadline and reserve")


async def test_slow_health_is_a_warning(tmp_path, monkeypatch):
    monkeypatch.setattr(services, "SLOW", 0.01)
    async with deployment(tmp_path, running=False) as town:
        found = await town.examine("madre.health")
    assert found.code == 0
    found.says("madre.health", "warn", "is healthy", "it waits for somebody", "ask again when it is quiet")


async def test_madre_that_hangs_is_found_and_the_chat_through_us_answered_all_the_same(tmp_path, monkeypatch):
    monkeypatch.setattr(asking, "PATIENCE", 0.5)
    monkeypatch.setitem(chats.PATIENCE, "madre", 0.5)
    async with deployment(tmp_path, "madre=hang") as town:
        found = await town.examine("madre", "chat.madre", "token.madre")
    assert found.code == 1
    for check in ("madre.health", "madre.power", "chat.madre"):
        found.says(check, "fail", "gives no answer", "it hangs or is too busy", "look at its log")
    found.says("token.madre", "skipped", "see madre.health")


@pytest.mark.parametrize(
    ("fault", "state", "words"),
    [
        ("waiting", "warn", ("with status WAITING", "confirm what it plans", "confirm or reject")),
        ("error", "fail", ("with status ERROR: an error under HTTP 200", "in the body alone", "look at its log")),
        ("500", "fail", ("answers 500", "fails on its own", "look at its log")),
    ],
)
async def test_madres_own_ways_to_fail_are_known(tmp_path, fault, state, words):
    async with deployment(tmp_path, f"madre={fault}", "switch=empty", running=False) as town:
        found = await town.examine("chat.madre")
    found.says("chat.madre", state, *words)
    assert found.code == (state == "fail")


async def test_a_gateway_that_is_down_is_said_and_chat_goes_on(tmp_path):
    async with deployment(tmp_path, "gateway=refuse") as town:
        found = await town.examine()
    assert found.code == 1
    assert found.states("fail") == {"gateway.health"}
    found.says(
        "gateway.health", "fail", "refuses connections", "nothing listens there", "--gateway, VX11_SIDECAR_GATEWAY_URL"
    )
    found.says("gateway.loop", "ok", "does not answer")
    found.says("chat.sidecar", "ok", "by switch")


async def test_somebody_else_at_an_address_is_noticed(tmp_path):
    async with (
        serving(answers(module="hormiguero")) as other,
        deployment(tmp_path, switch=other, running=False) as town,
    ):
        found = await town.examine("switch.health", "chat.switch")
    assert found.code == 1
    found.says(
        "switch.health",
        "fail",
        "answers as hormiguero",
        "another service",
        "correct the address (--switch, VX11_SWITCH_URL)",
    )


async def test_a_name_that_does_not_resolve_is_said(tmp_path):
    async with deployment(tmp_path, running=False) as town:
        town.open_window()
        found = await town.examine("switch.health", "chat.switch", flags={"switch": "no-such-host.invalid:8002"})
    assert found.code == 1
    found.says(
        "switch.health",
        "fail",
        "the name no-such-host.invalid does not resolve",
        "names of containers exist only in their network",
        "run the doctor where the sidecar runs",
    )
    found.says("chat.switch", "skipped", "see switch.health")


async def test_a_name_server_that_does_not_answer_holds_nobody_up(tmp_path, monkeypatch):
    silent, real = threading.Event(), socket.getaddrinfo

    def look_up(host, *how, **options):
        if host == "madre.example":
            silent.wait(30)
            raise OSError
        return real(host, *how, **options)

    monkeypatch.setattr(asking, "PATIENCE", 0.5)
    async with deployment(tmp_path, running=False) as town:
        with monkeypatch.context() as patched:
            patched.setattr(socket, "getaddrinfo", look_up)
            began = time.monotonic()
            found = await town.examine("madre.health", flags={"madre": "madre.example:8001"})
            took = time.monotonic() - began
    silent.set()
    assert took < 10
    found.says("madre.health", "fail", "madre.example does not resolve", "no such name here", "VX11_MADRE_URL")


async def test_a_power_state_that_cannot_be_read_is_said(tmp_path):
    async with deployment(tmp_path, running=False) as town:
        found = await town.examine("madre.power", "token.madre", environ={LINK: canary.WRONG})
    found.says("madre.power", "fail", "answers 403 to /madre/power/state", "dormant.mode is explain", "see token.madre")
    found.says("token.madre", "fail", "answers 403", "expects another token", LINK)
    async with (
        serving(answers(module="madre")) as madre,
        deployment(tmp_path, madre=madre, running=False) as town,
    ):
        found = await town.examine("madre.power")
    found.says("madre.power", "warn", "not with a power state", "another version", "dormant.mode: ignore")
