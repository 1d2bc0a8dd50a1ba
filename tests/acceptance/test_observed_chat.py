"""``mode: shadow`` before a gateway: clients and gateway notice nothing, operators see what they would gain, and nobody is lost on the way to enforcing."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections import Counter
from pathlib import Path
from random import Random, getrandbits  # seeded per run by pytest-randomly

import pytest

from sidecar.edge import reload as reload_module
from tests.acceptance.conftest import FREE, Spawn
from tests.acceptance.pairs import Exchange, sessions
from tests.acceptance.running import LINK, ask, standing
from tests.acceptance.test_reload_under_load import (
    ADMIN,
    BREAKER,
    Mount,
    Place,
    Streams,
    connections_that_live_as_long_as_real_ones,  # noqa: F401 - for every test here
)
from tests.acceptance.test_reload_under_load import serving as standing_on
from tests.acceptance.test_transparency import faults
from tests.acceptance.transparency import Origin, run
from tests.corpus.raw import serving

SHADOW = "mode: shadow\n"
MODES = ("enforce", "shadow", "off")
START = re.compile(rb"\A(?:GET|POST|PUT|PATCH) \S+ ")
ROUNDS = 12
AT_ONCE = 6


def put_to_chat(exchange: Exchange, rng: Random) -> Exchange:
    """The same request, for the chat route; a token for every second one."""
    asked = START.sub(b"POST /operator/api/chat ", exchange.request)
    if rng.getrandbits(1):
        asked = asked.replace(b"\r\n", b"\r\nX-VX11-Token: right\r\n", 1)
    return exchange._replace(request=asked)


async def test_pairs_of_chats_and_answers_pass_unchanged_under_the_eyes_of_an_observer(
    spawn: Spawn, tmp_path: Path
) -> None:
    seed = getrandbits(32)
    rng = Random(seed)
    connections = [[put_to_chat(pair, rng) for pair in connection] for connection in sessions(seed, 250)]
    pairs = [pair for connection in connections for pair in connection]
    file = tmp_path / "policy.yaml"
    file.write_text(SHADOW)
    near, far = Origin(pairs), Origin(pairs)
    async with serving(near) as direct, serving(far) as upstream:
        nobody = ("--switch", "127.0.0.1:9", "--madre", "127.0.0.1:9")
        process = spawn(
            "serve", *FREE, "--gateway", f"127.0.0.1:{upstream}", *nobody, "--policy", str(file), **{LINK: "right"}
        )
        ready = process.ready()
        through = await run(int(ready["listen"].rpartition(":")[2]), far, connections)
        found = faults(await run(direct, near, connections), through)
        scrape = (await asyncio.to_thread(ask, "GET", f"http://{ready['admin']}/metrics")).body.decode()
    counted = sum(float(line.rpartition(" ")[2]) for line in scrape.splitlines() if "_observed_chats_total{" in line)
    assert not found, f"seed {seed}: {len(found)} of {len(pairs)} pairs differ\n" + "\n\n".join(found[:8])
    assert counted == sum(b"POST /operator/api/chat " in pair.request for pair in pairs) > 100


async def test_what_an_operator_sees_before_deciding_to_enforce() -> None:
    policy = f"{SHADOW}guards: {{rate_limit: 4 per 60s}}\n"
    async with standing(policy=policy) as town:
        for number in range(6):
            answer = await town.chat(session="one" if number else "other")
            assert (answer.status, answer.json["fallback_source"]) == (200, "local_llm_degraded")
        assert (await town.chat(token="wrong")).json == {"error": "forbidden", "status_code": 403}
        scrape = await town.metrics_when(lambda it: it.total("observed_chats_total") == 7)
        state = (await town.ask("GET", town.admin + "/state")).json
        notes = (await town.ask("GET", town.admin + "/readyz?verbose")).json["notes"]
    assert scrape.total("observed_chats_total", would="pass", gateway="degraded") == 5
    assert scrape.total("observed_chats_total", would="rate_limited", gateway="degraded") == 1
    assert scrape.total("observed_chats_total", would="forbidden", gateway="rejected") == 1
    assert scrape.total("upstream_attempts_total") == scrape.total("chat_requests_total") == 0  # no target was asked
    assert state["observed"]["differences"] == {
        "only_we_would_refuse": 1,
        "only_the_gateway_refused": 0,
        "for_the_ladder": 5,
    }
    assert notes == ["mode shadow: the gateway answers chat, the sidecar only looks on"]


class Talking:
    """Chats one after the other, several at once, whatever is in force; each must be answered by somebody."""

    def __init__(self, town: Place) -> None:
        self._town = town
        self.going = True
        self.by: Counter[str] = Counter()
        self.failed: list[str] = []

    async def run(self) -> None:
        while self.going:
            try:
                answer = await self._town.chat()
            except OSError as error:
                self.failed.append(type(error).__name__)
                continue
            if answer.status == 200:
                self.by[str(answer.json.get("provider") or "gateway")] += 1
            else:
                self.failed.append(f"{answer.status} {answer.body[:80]!r}")
            await asyncio.sleep(0.02)


async def test_from_looking_to_answering_to_neither_under_load_nobody_loses_an_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, figures: list[str]
) -> None:
    monkeypatch.setattr(reload_module, "LOOK", 0.02)
    mount = Mount(tmp_path / "mount")
    async with standing_on(tmp_path / "mount", tmp_path / "journal") as town:
        talking, streams = Talking(town), Streams(town)
        runs = [asyncio.create_task(talking.run()) for _ in range(AT_ONCE)]
        open_ = [asyncio.create_task(each) for each in (streams.events_stream(), streams.websocket())]
        for number in range(1, ROUNDS + 1):
            before = talking.by.total()
            mount.rename(f"{BREAKER}mode: {MODES[number % 3]}\n# {number}\n", number)
            reload = await town.ask("POST", town.admin + "/reload", data=b"{}", headers={"X-VX11-Admin-Token": ADMIN})
            assert reload.status == 200
            async with asyncio.timeout(10):
                while talking.by.total() < before + 3 * AT_ONCE:  # noqa: ASYNC110 - somebody else is talking
                    await asyncio.sleep(0.01)
        talking.going = False
        await asyncio.gather(*runs)
        cut = [task for task in open_ if task.done()]
        for task in open_:
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(*open_)
        scrape = await town.metrics()
    observed, answered = scrape.total("observed_chats_total"), scrape.total("chat_requests_total")
    figures.append(
        f"modes under load: {ROUNDS} changes, {talking.by.total()} chats, {len(talking.failed)} failed: {answered:.0f} answered by the "
        f"sidecar, {observed:.0f} by the gateway and observed, {talking.by['gateway'] - observed:.0f} by it unobserved"
    )
    assert talking.failed == []
    assert (cut, streams.cut) == ([], [])
    assert answered == talking.by.total() - talking.by["gateway"] > 0
    assert 0 < observed < talking.by["gateway"]
    assert scrape.total("observed_chats_total", would="undecided") == 0
