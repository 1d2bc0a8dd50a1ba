"""The desk of several workers: two whole sidecars that know each other, asked at the one for both."""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from canary import ADMIN
from office import BASE, standing
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse

from sidecar.edge.admin import colleagues as module
from sidecar.edge.admin.colleagues import Colleagues
from sidecar.edge.settings import Address

NOBODY = Address("127.0.0.1", 9)
HOLD = {"target": "switch", "kind": "off", "author": "ana", "reason": "a test", "ttl": "10m"}
OPENMETRICS = "application/openmetrics-text;version=1.0.0"


class Pair:
    """Two workers of one policy. What they know of each other is set by ``introduce``."""

    def __init__(self, first, second, knows):
        self.offices = (first, second)
        self.first, self.second = first, second
        self._knows = knows

    def introduce(self, workers=2, **others):
        desks = {number: office.sidecar.own for number, office in enumerate(self.offices)}
        desks |= {int(number.removeprefix("_")): place for number, place in others.items()}
        for each in self._knows:
            each.desks, each.workers = {number: place for number, place in desks.items() if place}, workers


def policy(directory: Path, number: int) -> Path:
    path = directory / str(number) / "policy.yaml"
    path.parent.mkdir()
    path.write_text(BASE)
    return path


@pytest.fixture
async def pair(tmp_path):
    async with AsyncExitStack() as stack:
        knows = [Colleagues(0), Colleagues(1)]
        standings = [standing(policy(tmp_path, known.number), colleagues=known) for known in knows]
        offices = [await stack.enter_async_context(each) for each in standings]
        made = Pair(*offices, knows)
        made.introduce()
        yield made


async def chats(pair, first, second):
    for office, many in ((pair.first, first), (pair.second, second)):
        for _ in range(many):
            await office.chat()


def counted(families, name):
    """By worker."""
    found: dict[str, float] = {}
    for family in families:
        for sample in family.samples:
            if sample.name == f"vx11_sidecar_{name}":
                found[sample.labels["worker"]] = found.get(sample.labels["worker"], 0) + sample.value
    return found


# -- what is told -------------------------------------------------------------------------------------------------------


async def test_metrics_of_everybody_come_from_whoever_is_asked(pair):
    await chats(pair, 2, 3)
    told = []
    for office in pair.offices:
        _, text = await office.ask("GET", "/metrics", token=None)
        told.append(counted(parse(text), "chat_requests_total"))
    assert told == [{"0": 2, "1": 3}] * 2


async def test_metrics_come_as_openmetrics_where_that_is_asked_for_and_packed_where_that_is(pair):
    await chats(pair, 1, 1)
    url = f"http://{pair.first.sidecar.serving.admin}/metrics"
    async with pair.first.client.get(url, headers={"Accept": OPENMETRICS, "Accept-Encoding": "gzip"}) as got:
        assert got.content_type == "application/openmetrics-text"
        assert got.headers["Content-Encoding"] == "gzip"
        assert counted(parse_openmetrics(await got.text()), "chat_requests_total") == {"0": 1, "1": 1}
    async with pair.first.client.get(url, params={"name[]": "vx11_sidecar_degraded"}) as got:
        assert [family.name for family in parse(await got.text())] == ["vx11_sidecar_degraded"]


async def test_the_state_adds_up_and_says_who_is_who(pair):
    await chats(pair, 1, 1)
    for office in pair.offices:
        state = await office.state()
        assert [worker["worker"] for worker in state["workers"]] == [0, 1]
        assert state["connections"] == sum(worker["connections"] for worker in state["workers"]) == 2
        assert state["notes"] == []
        assert state["answering"]["provider"] == "local"


async def test_usage_trend_and_calls_add_up(pair):
    await chats(pair, 2, 3)
    _, usage = await pair.second.ask("GET", "/usage")
    assert usage["routes"]["/operator/api/chat"]["requests"] == 5
    _, trend = await pair.second.ask("GET", "/trend")
    assert (trend["whole"]["calls"], trend["whole"]["degraded"], sum(trend["calls"])) == (5, 5, 5)
    assert trend["whole"]["p95_seconds"] >= trend["whole"]["p50_seconds"] > 0
    _, calls = await pair.second.ask("GET", "/calls")
    assert sorted((line["worker"], line["call"]) for line in calls["last"]) == [(0, 1), (0, 2), (1, 1), (1, 2), (1, 3)]


async def test_a_call_is_explained_by_whoever_decided_it(pair):
    answer = await pair.second.chat()
    status, told = await pair.first.ask("GET", f"/calls/{answer['correlation_id']}")
    assert (status, told["worker"], told["facts"][0]["fact"]) == (200, 1, "CallBegan")
    status, told = await pair.first.ask("GET", "/calls/nobodys")
    assert (status, told) == (404, {"detail": "no recent call has this correlation id"})


async def test_readiness_is_that_of_the_one_that_was_met_with_everybodys_notes(pair):
    pair.introduce(workers=3)
    status, told = await pair.first.ask("GET", "/readyz?verbose")
    assert (status, told["status"]) == (200, "ok")
    assert told["notes"] == ["1 of 3 workers do not serve now; one that ended is started again"]
    assert await pair.first.ask("GET", "/readyz") == (200, {"status": "ok"})


async def test_each_can_be_asked_about_itself_alone(pair):
    await chats(pair, 2, 1)
    url = f"http://{pair.second.sidecar.own}"
    async with pair.second.client.get(url + "/metrics") as got:
        text = await got.text()
    assert 'worker="' not in text
    async with pair.second.client.get(url + "/state") as got:
        assert "workers" not in await got.json()


# -- one that does not answer -------------------------------------------------------------------------------------------


@pytest.fixture
async def silent():
    """A desk that takes connections and says nothing."""

    async def listen(reader, writer):
        await reader.read()
        writer.close()

    async with await asyncio.start_server(listen, "127.0.0.1", 0) as server:
        yield Address("127.0.0.1", server.sockets[0].getsockname()[1])


async def test_the_others_are_told_of_and_the_silent_one_is_named(pair, silent, monkeypatch):
    monkeypatch.setattr(module, "PATIENCE", 0.2)
    await chats(pair, 1, 1)
    pair.introduce(workers=3, _2=silent)
    state = await pair.first.state()
    assert [worker["worker"] for worker in state["workers"]] == [0, 1]
    assert state["notes"] == ["worker 2 does not answer its colleagues: the figures are without it"]
    _, text = await pair.first.ask("GET", "/metrics", token=None)
    assert counted(parse(text), "chat_requests_total") == {"0": 1, "1": 1}


async def test_where_nobody_answers_that_is_said(pair):
    pair.introduce(_0=NOBODY, _1=NOBODY)
    for path in ("/state", "/usage", "/trend", "/calls", "/calls/x"):
        assert await pair.first.ask("GET", path) == (503, {"detail": "worker 0, 1 did not answer"})
    assert await pair.first.ask("GET", "/metrics") == (503, {"detail": "no worker answers"})
    assert (await pair.first.ask("GET", "/readyz"))[0] == 200


# -- orders -------------------------------------------------------------------------------------------------------------


async def test_an_order_is_carried_out_by_everybody(pair):
    status, told = await pair.first.post("/overrides", HOLD)
    assert (status, told["overrides"][0]["author"]) == (200, "ana")
    for office in pair.offices:
        assert len(await office.logged("override_set")) == 1
    state = await pair.second.state()
    assert [held["target"] for held in state["overrides"]] == ["switch"]
    assert (await pair.second.post("/overrides/release", {"target": "switch"}))[0] == 200
    for office in pair.offices:
        assert len(await office.logged("override_ended")) == 1


@pytest.mark.parametrize(
    ("order", "token", "status", "detail"),
    [
        (HOLD, None, 401, "auth_required"),
        (HOLD, "wrong", 403, "forbidden"),
        (HOLD | {"kind": "offf"}, ADMIN, 400, "kind: 'offf' is none of forced_open, forced_closed, off"),
        (b"[", ADMIN, 400, "the body must be a JSON object"),
        (b" " * 70_000, ADMIN, 413, "an order is at most 65536 bytes of JSON"),
    ],
)
async def test_an_order_that_cannot_be_carried_out_reaches_nobody(pair, order, token, status, detail):
    assert await pair.first.post("/overrides", order, token=token) == (status, {"detail": detail})
    assert (await pair.first.state())["overrides"] == []


async def test_what_only_one_can_end_is_ended(pair):
    alone = f"http://{pair.second.sidecar.own}/overrides"
    async with pair.second.client.post(alone, data=json.dumps(HOLD), headers={"X-VX11-Admin-Token": ADMIN}) as got:
        assert got.status == 200
    assert (await pair.first.post("/overrides/release", {"target": "switch"}))[0] == 200
    assert (await pair.first.post("/overrides/release", {"target": "switch"}))[0] == 409


async def test_a_reload_that_one_refuses_is_refused(pair):
    pair.second.path.write_text("deadline: {client: 5}\n")
    status, told = await pair.first.post("/reload")
    assert status == 409
    assert "cannot be used" in told["detail"]


async def test_policies_that_differ_are_noticed(pair):
    pair.second.path.write_text("deadline: {client: 6s}\n")
    assert (await pair.first.post("/reload"))[0] == 200
    assert (await pair.first.state())["notes"] == [
        "workers do not have the same policy in force: POST /reload, or look for a file that only some can read"
    ]


async def test_an_order_that_one_did_not_hear_is_said_to_be_incomplete(pair):
    pair.introduce(_1=NOBODY)
    status, told = await pair.first.post("/overrides", HOLD)
    assert (status, told) == (502, {"detail": "worker 1 did not answer: give the order again"})


# -- who may ask --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/state", "/usage", "/trend", "/calls", "/calls/x"])
async def test_what_is_told_of_all_is_told_to_the_hosts_of_the_policy_alone(pair, path):
    assert await pair.first.ask("GET", path, host="evil.example") == (
        403,
        {"detail": "this Host is not one of admin.hosts"},
    )


# -- one that comes later -----------------------------------------------------------------------------------------------


async def test_a_late_worker_stands_as_its_colleagues_stand(pair, monkeypatch):
    monkeypatch.setattr(module, "LOOKS", (0.0, 0.0))
    pair.introduce(_1=None)
    await pair.first.post("/overrides", HOLD)
    await pair.first.post("/log-level", {"level": "debug"})
    pair.introduce()
    pair.second.sidecar.catch_up(ADMIN)
    (line,) = await pair.second.logged("override_set")
    assert {name: line[name] for name in ("target", "kind", "author", "reason")} == {
        name: HOLD[name] for name in ("target", "kind", "author", "reason")
    }
    assert 590 < line["ttl"] <= 600
    (line,) = await pair.second.logged("log_level_set")
    assert line["threshold"] == "debug"


async def test_what_was_released_while_it_was_introduced_is_not_held_for_ever(pair, monkeypatch):
    monkeypatch.setattr(module, "LOOKS", (0.0, 0.3))
    await pair.first.post("/overrides", HOLD)
    pair.second.sidecar.catch_up(ADMIN)
    await asyncio.sleep(0.1)
    pair.introduce(_1=None)
    await pair.first.post("/overrides/release", {"target": "switch"})
    pair.introduce()
    await pair.second.logged("override_ended")
    assert (await pair.first.state())["overrides"] == []
