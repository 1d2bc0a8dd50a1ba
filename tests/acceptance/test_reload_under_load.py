"""Policies are replaced again and again, some of them bad, under traffic: nobody notices but the metrics."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from sidecar.edge import reload as reload_module
from sidecar.edge.app import Sidecar
from sidecar.edge.environment import read_environment
from sidecar.edge.outlets.log import Logging
from sidecar.edge.reload import Source
from sidecar.edge.settings import renew, resolve
from sidecar.lab import listener
from sidecar.lab.town import DEFAULT_TOKEN, Lab
from sidecar.policy.load import load
from tests.acceptance.running import LINK, Standing

ADMIN = "reload-admin-token"
A_SECOND = 50  # requests
EVERY = 0.075  # seconds from one write to the next, at least: the looks need two of these thirds
TEMPO = 0.02  # of the lab: a chat takes milliseconds, and the event stream says something every 300 ms

# Windows that remember the whole test, and thresholds that its failures do not reach; and room for what comes at once where
# the machine stood still for a moment: what is asked here is whether a change costs an answer.
BREAKER = "breaker: {window: {type: time, duration: 1h}, min_calls: 1000, consecutive: 0, slow_call: {duration: 10s}}\n"
ROOM = "limiter: {max_concurrent: 100, queue: 100, queue_timeout: 5s}\n"
BAD = "deadline:\n  client: 5\n  pacience: 1s\n"


def text(number: int) -> str:
    """A policy like no other, and the same in everything that breakers, budgets and limiters look at."""
    return f"{BREAKER}{ROOM}deadline: {{client: {5000 + number}ms}}\nrelay: {{deny: [/debug/*, /denied/{number}]}}\n"


class Mount:
    """A directory as a ConfigMap is mounted, written to in each of the ways there are."""

    def __init__(self, path: Path) -> None:
        self._path = path
        (path / "0").mkdir(parents=True)
        (path / "0" / "policy.yaml").write_text(text(0))
        (path / "..data").symlink_to("0")
        (path / "policy.yaml").symlink_to("..data/policy.yaml")
        self.ways: tuple[Callable[[str, int], None], ...] = (self.rename, self.write, self.swap)

    def rename(self, said: str, _: int) -> None:
        file = (self._path / "policy.yaml").resolve()
        other = file.with_name(".new")
        other.write_text(said)
        other.replace(file)

    def write(self, said: str, _: int) -> None:
        (self._path / "policy.yaml").write_text(said)

    def swap(self, said: str, number: int) -> None:
        (self._path / str(number)).mkdir()
        (self._path / str(number) / "policy.yaml").write_text(said)
        (self._path / "..tmp").symlink_to(str(number))
        (self._path / "..tmp").replace(self._path / "..data")


class Place(Standing):
    """Adds the state and its reloads."""

    async def state(self) -> dict[str, Any]:
        return (await self.ask("GET", self.admin + "/state")).json

    async def taken(self) -> tuple[str, int]:
        """What a new policy changes, taken or refused. (A scrape would say it as well, and cost the process more than the load does.)"""
        state = await self.state()
        return state["policy"]["revision"], len(state["policy_problems"])


@contextlib.asynccontextmanager
async def serving(mount: Path, journal: Path) -> AsyncIterator[Place]:
    """The sidecar in front of the lab, with its policy in ``mount``."""
    environ = {LINK: DEFAULT_TOKEN, "VX11_SIDECAR_ADMIN_TOKEN": ADMIN}
    said = read_environment(environ)
    logging = Logging("error")
    connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=4.0)
    try:
        async with Lab(tempo=TEMPO) as lab, aiohttp.ClientSession(connector=connector) as session:
            places = {"gateway": lab.gateway_url, "switch": lab.switch_url, "madre": lab.madre_url}
            flags = {"listen": "127.0.0.1:0", "admin": "127.0.0.1:0", "journal": str(journal), **places}
            settings = resolve(flags, said, environ, load(mount))

            def read() -> Source:
                renewed = renew(settings, flags, said, environ, load(mount))
                return Source(renewed.snapshot, renewed.files, renewed.mutators)

            async with Sidecar(settings, logging, read) as sidecar:
                yield Place(lab, sidecar, session)
    finally:
        logging.close()


@pytest.fixture(autouse=True)
def connections_that_live_as_long_as_real_ones(monkeypatch):
    """The lab's tempo would close idle connections after 100 ms, and a chat that meets the closing falls to madre."""
    monkeypatch.setattr(listener, "KEEP_ALIVE", listener.KEEP_ALIVE / TEMPO)


class Load:
    """Fifty requests a second, every second one a chat, whatever becomes of those before."""

    def __init__(self, town: Place) -> None:
        self._town = town
        self._going = True
        self.sent = Counter[str]()
        self.failed: list[str] = []
        self.seconds: list[float] = []

    async def run(self) -> None:
        began, count = time.monotonic(), 0
        async with asyncio.TaskGroup() as group:
            while self._going:
                group.create_task(self._one("chat" if count % 2 else "relay"))
                count += 1
                await asyncio.sleep(max(began + count / A_SECOND - time.monotonic(), 0))

    def stop(self) -> None:
        self._going = False

    async def _one(self, kind: str) -> None:
        self.sent[kind] += 1
        try:
            if kind == "chat":
                answer = await self._town.chat()
                well = answer.status == 200 and answer.json["provider"] == "switch"
            else:
                answer = await self._town.ask("GET", self._town.url + "/health")
                well = answer.status == 200
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            self.failed.append(f"{kind}: {type(error).__name__}")
        else:
            self.seconds.append(answer.seconds)
            if not well:
                self.failed.append(f"{kind}: {answer.status} {answer.body[-160:]!r}")


class Streams:
    """An event stream and a WebSocket that are open the whole time, and what came through them."""

    def __init__(self, town: Place) -> None:
        self._town = town
        self.events = self.echoes = 0
        self.cut: list[str] = []

    async def events_stream(self) -> None:
        url = self._town.url + "/operator/api/events"
        patience = aiohttp.ClientTimeout(total=None, sock_read=5)
        async with self._town.session.get(url, headers={"Accept": "text/event-stream"}, timeout=patience) as stream:
            with contextlib.suppress(asyncio.CancelledError):
                try:
                    while await stream.content.readuntil(b"\n\n"):
                        self.events += 1
                except (aiohttp.ClientError, TimeoutError, asyncio.IncompleteReadError) as error:
                    self.cut.append(f"events: {type(error).__name__}")
                else:
                    self.cut.append("events: ended")

    async def websocket(self) -> None:
        async with self._town.session.ws_connect(self._town.url + "/ws") as socket:
            await socket.receive_json(timeout=5)
            with contextlib.suppress(asyncio.CancelledError):
                try:
                    while True:
                        await socket.send_json({"n": self.echoes})
                        assert await socket.receive_json(timeout=5) == {"n": self.echoes}
                        self.echoes += 1
                        await asyncio.sleep(0.05)
                except (aiohttp.ClientError, TimeoutError, TypeError) as error:
                    self.cut.append(f"websocket: {type(error).__name__}")


async def remember_failures(town: Place) -> None:
    """Madre's breaker has failures in its window and retries to save up for, and nobody asks madre after that."""
    await town.lab.fault("switch", "refuse")
    await town.lab.fault("madre", "refuse")
    for _ in range(3):
        assert (await town.chat()).json["provider"] == "local"
    await town.lab.clear()
    assert (await town.chat()).json["provider"] == "switch"


def remembered(state: dict[str, Any], target: str) -> dict[str, Any]:
    view = state["targets"][target]
    kept = ("state", "epoch", "calls", "failures", "failures_in_row", "permits_out")
    return {name: view["breaker"][name] for name in kept} | {"budget": view["retry_budget"]}


async def replace_policies(town: Place, mount: Mount, count: int) -> Counter[str]:
    """Write ``count`` policies, every tenth a bad one; each is seen to have been judged before the next one comes."""
    done: Counter[str] = Counter()
    for number in range(1, count + 1):
        began = time.monotonic()
        before = await town.taken()
        bad = number % 10 == 0
        mount.ways[number % 3](f"{BAD}# {number}\n{'#' * (number % 7)}" if bad else text(number), number)
        if number % 4 == 0:  # somebody does not wait for the next look
            headers = {"X-VX11-Admin-Token": ADMIN}
            answer = await town.ask("POST", town.admin + "/reload", data=b"{}", headers=headers)
            assert answer.status == (409 if bad else 200)
            done["by order"] += 1
        async with asyncio.timeout(5):
            while await town.taken() == before:  # noqa: ASYNC110 - there is nothing to wait on but the state
                await asyncio.sleep(0.02)
        done["failed" if bad else "changed"] += 1
        if bad:
            assert len((await town.state())["policy_problems"]) == 2
        await asyncio.sleep(max(began + EVERY - time.monotonic(), 0))
    return done


async def under_load(count: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, figures: list[str]) -> None:
    monkeypatch.setattr(reload_module, "LOOK", 0.02)
    mount = Mount(tmp_path / "mount")
    async with serving(tmp_path / "mount", tmp_path / "journal") as town:
        await remember_failures(town)
        load_, streams = Load(town), Streams(town)
        before = await town.state()
        running = asyncio.create_task(load_.run())
        open_ = [asyncio.create_task(each) for each in (streams.events_stream(), streams.websocket())]
        began = time.monotonic()
        done = await replace_policies(town, mount, count)
        took = time.monotonic() - began
        load_.stop()
        await running
        standing_still = [task for task in open_ if not task.done()]
        for task in open_:
            task.cancel()
        await asyncio.gather(*open_)
        after, scrape = await town.state(), await town.metrics()

    chats = load_.sent["chat"]
    seconds = sorted(load_.seconds)
    lines = [
        json.loads(line) for path in sorted((tmp_path / "journal").iterdir()) for line in path.read_text().splitlines()
    ]
    adopted = sum(line["in"] == "adopt" for line in lines)
    p99, longest = seconds[int(len(seconds) * 0.99)] * 1000, seconds[-1] * 1000
    figures.append(
        f"reload under load: {count} policies in {took:.1f} s ({done['changed']} taken, {done['failed']} refused, "
        f"{done['by order']} by order, the rest by watching), {sum(load_.sent.values())} requests, {len(load_.failed)} failed, "
        f"p99 {p99:.0f} ms, longest {longest:.0f} ms; {streams.events} events and {streams.echoes} echoes, {len(streams.cut)} streams cut"
    )
    assert load_.failed == []
    assert streams.cut == []
    assert len(standing_still) == 2
    assert streams.events > took
    assert streams.echoes > took
    assert chats > 0.8 * took * A_SECOND / 2
    assert (done["changed"], done["failed"]) == (count - count // 10, count // 10)
    assert scrape.total("policy_reloads_total", result="changed") == count - count // 10

    # Nothing that was remembered is lost: madre's failures stay, the switch's window has grown by just these chats.
    assert remembered(after, "madre") == remembered(before, "madre")
    was = remembered(before, "madre")
    assert was["failures"] >= 3
    assert was["budget"][0] < was["budget"][1]
    was = remembered(before, "switch")
    now = remembered(after, "switch")
    assert (now["state"], now["epoch"], now["failures"]) == ("closed", 0, was["failures"])
    assert now["calls"] == was["calls"] + chats
    assert scrape.total("breaker_transitions_total") == 0

    # Each policy stands in the journal once, before the calls it decided, and no line is lost.
    assert adopted == 1 + done["changed"]
    assert sum(line["in"] == "call" for line in lines) == chats + 4
    assert scrape.total("journal_dropped_total") == 0
    assert (after["policy_problems"] == []) == (count % 10 != 0)


async def test_forty_policies_replaced_under_load_cost_nobody_an_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, figures: list[str]
) -> None:
    await under_load(40, tmp_path, monkeypatch, figures)


@pytest.mark.slow
async def test_two_hundred_policies_replaced_under_load_cost_nobody_an_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, figures: list[str]
) -> None:
    await under_load(200, tmp_path, monkeypatch, figures)
