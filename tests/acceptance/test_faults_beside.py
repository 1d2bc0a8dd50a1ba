"""The same faults beside others: the sidecar's row in short, and that the words of the table are what a user would say."""

from __future__ import annotations

import json
import sys

import aiohttp
import pytest

from benchmarks.faults import beside
from benchmarks.faults.beside import PEERS, chat, met, play, program_of
from benchmarks.faults.catalogue import FAULTS, Fault
from benchmarks.faults.target import MADRE, SWITCH, Manner, Target, bytes_, late, says, whole

BY_NAME = {fault.name: fault for fault in FAULTS}
SIDECAR = PEERS[0]
OWN = {"provider": "local", "degraded": True, "response": "later", "status": "degraded"}


@pytest.mark.uncounted
@pytest.mark.parametrize(
    "name", ["503", "silent within the body", "200 with status error", "refuses connections", "400"]
)
async def test_the_sidecar_answers_every_chat_in_time_and_asks_nobody_twice(name: str) -> None:
    told = await play(SIDECAR, sys.executable, BY_NAME[name], 3)
    assert told.outcomes == {"marked" if name == "400" else "answered": 3}
    assert told.twice == 0


@pytest.mark.uncounted
async def test_somebody_else_lets_a_failure_under_200_through() -> None:
    haproxy = next(peer for peer in PEERS if peer.name == "haproxy")
    program = program_of(haproxy)
    if program is None:
        pytest.skip("haproxy is not installed (make deps)")
    assert (await play(haproxy, program, BY_NAME["200 with status error"], 2)).outcomes == {"broken": 2}
    assert (await play(haproxy, program, BY_NAME["well"], 2)).outcomes == {"answered": 2}


@pytest.mark.parametrize(
    ("manner", "word"),
    [
        (says(200, SWITCH), "answered"),
        (says(200, MADRE), "answered"),
        (says(200, OWN), "marked"),
        (says(200, {"response": "degraded", "degraded": True}), "marked"),
        (says(200, SWITCH | {"status": "error"}), "broken"),
        (says(200, {"status": "ok"}), "broken"),
        (says(200, ["hola"]), "broken"),
        (bytes_(whole(200, b"{"), then="kept"), "broken"),
        (says(503, OWN), "failed"),
        (bytes_(whole(200, json.dumps(SWITCH).encode())[:-5], then="close"), "failed"),
        (late(0.5), "late"),
    ],
)
async def test_the_words_are_those_of_a_user(manner: Manner, word: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beside, "PATIENCE", 0.05)
    async with Target("switch") as target, aiohttp.ClientSession() as client:
        target.turn = lambda _: manner
        assert await chat(client, f"http://127.0.0.1:{target.port}/operator/api/chat", None) == word


async def test_a_client_that_leaves_is_no_late_answer() -> None:
    async with Target("switch") as target, aiohttp.ClientSession() as client:
        target.turn = lambda _: late(5.0)
        assert await chat(client, f"http://127.0.0.1:{target.port}/", 0.05) == "left"


def test_only_faults_that_need_no_name_are_met() -> None:
    assert {fault.name for fault in FAULTS} - {fault.name for fault in met()} == {
        "name does not resolve",
        "name does not resolve, then does",
    }
    assert all(isinstance(fault, Fault) for fault in met())
