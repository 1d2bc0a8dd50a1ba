"""A journal of live traffic, with everything that can happen to it, is decided again exactly as it was: every fact, to the last bit.

The long form records at least fifty thousand calls, in some six minutes. Clients and lab follow a seed that is drawn and printed; what the machine
does meanwhile does not.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import pytest
import uvloop

from sidecar.core.fact import (
    AttemptEnded,
    AttemptStarted,
    BreakerMoved,
    CallBegan,
    CallEnded,
    DormancyHeard,
    EventHeard,
    Fact,
    FellBack,
    Overridden,
    PolicyAdopted,
    Refused,
    Retried,
    RetryDenied,
)
from sidecar.core.vocabulary import Woke
from sidecar.edge import runtime
from sidecar.edge.app import Sidecar
from sidecar.edge.environment import read_environment
from sidecar.edge.outlets.journal import Journal
from sidecar.edge.outlets.log import Logging
from sidecar.edge.reload import Source
from sidecar.edge.settings import renew, resolve
from sidecar.lab.answers import RefusedError
from sidecar.lab.luck import new_seed
from sidecar.lab.power import WindowRequest
from sidecar.lab.town import DEFAULT_TOKEN, Lab
from sidecar.policy.load import Loaded, parse
from sidecar.replay.exact import ExactReplay
from sidecar.replay.journal import read_journals
from tests.acceptance.conftest import Spawn
from tests.acceptance.running import CHAT, LINK, Standing

RATE = 150.0  # chats a second
BURSTS = (1, 1, 2, 1, 1, 1, 24, 1, 1, 2, 1, 1, 24, 1, 1, 1, 2)  # chats that come at once, in each scene
PER_SCENE = sum(BURSTS)
FURTHER_ROUNDS = 4
SHORT, LONG = (
    1,
    45,
)  # rounds; of the second come 50,000 calls even where one client in fifty leaves before its chat is read
MANY = 50_000
MOST_MISSING = 3  # of what must occur, in the short form
ADMIN_TOKEN = "an-admin-token"
ENVIRON = {LINK: DEFAULT_TOKEN, "VX11_SIDECAR_ADMIN_TOKEN": ADMIN_TOKEN}
MOST_AT_ONCE = 96  # clients
LATEST = 0.1  # seconds by which the load may be behind its pace and make up for it
LEAVING, IMPATIENT = 0.2, 0.2  # shares of the clients

TIGHT = """
dormant: {mode: explain, poll: 20ms}
deadline: {client: 1500ms, margin: 100ms}
targets:
  - {name: switch, effects: none, reserve: 300ms, limiter: {max_concurrent: 3, queue: 10, queue_timeout: 80ms}}
  - {name: madre, limiter: {max_concurrent: 4, queue: 12, queue_timeout: 100ms}}
  - {name: local}
timeouts: {attempt: 200ms}
retry: {max_attempts: 2, backoff: {base: 5ms, max: 20ms}}
retry_budget: {ratio: 30%, burst: 3}
breaker: {consecutive: 12, failure_rate: 90%, open: {base: 120ms, max: 300ms}}
journal: {max_file: 64KiB, keep: 10000}
"""
RATES = """
dormant: {mode: obey, poll: 20ms}
deadline: {client: 1200ms, margin: 50ms}
targets: [{name: switch, effects: none}, {name: madre, effects: none}, {name: local}]
retry: {max_attempts: 4, on_timeout: true, backoff: {base: 10ms, max: 40ms}}
retry_budget: {ratio: 50%, burst: 30}
breaker:
  consecutive: 0
  min_calls: 12
  failure_rate: 83.3%
  window: {type: time, duration: 700ms}
  open: {base: 300ms, max: 400ms, jitter: 0.2}
  half_open: {permits: 2, close_after: 3}
limiter: {max_concurrent: 8, queue: 2, queue_timeout: 25ms}
journal: {max_file: 64KiB, keep: 10000}
"""
MADRE_FIRST = """
dormant: {mode: ignore, poll: 20ms}
deadline: {client: 1s, margin: 100ms}
targets: [{name: madre, limiter: {max_concurrent: 6, queue: 3}}, {name: switch}, {name: local}]
timeouts: {attempt: 250ms, connect: 50ms}
retry_budget: {ratio: 0%, burst: 1}
breaker: {consecutive: 4, open: {base: 80ms, max: 200ms}, half_open: {close_after: 1}}
fallback: {local: error}
journal: {max_file: 64KiB, keep: 10000}
"""

DECIDED = (
    AttemptEnded, AttemptStarted, BreakerMoved, CallBegan, CallEnded, DormancyHeard, EventHeard, FellBack, Overridden, PolicyAdopted,
    Refused, Retried, RetryDenied,
)  # fmt: skip

Order = Callable[["Town"], Awaitable[None]]


class Town(Standing):
    """A standing sidecar that can be told to reload and to override, and whose clients are a mixed lot."""

    policies: dict[str, Loaded]
    chosen: str

    async def reload(self, name: str) -> None:
        self.chosen = name
        await self._ordered("/reload", {})

    async def override(self, target: str, kind: str, ttl: str = "10m") -> None:
        await self._ordered(
            "/overrides", {"target": target, "kind": kind, "author": "me", "reason": "test", "ttl": ttl}
        )

    async def release(self, target: str) -> None:
        await self._ordered("/overrides/release", {"target": target})

    async def open_window(self) -> None:
        """While the breaker is open, to be told that it need not wait. At madre herself: she may be hung just then."""
        await self._tripped()
        with contextlib.suppress(RefusedError):  # it is open
            self.lab.madre.power.open(WindowRequest(services=["switch"], mode="hold"))

    async def close_window(self) -> None:
        """Where this is obeyed nobody asks from now on, and an open breaker stays open."""
        await self._tripped()
        self.lab.madre.power.close()

    async def _tripped(self) -> None:
        """Until the switch's breaker is open, or the scene is over: on a busy machine it may not come to that, and another round does."""
        with contextlib.suppress(TimeoutError):
            await self.metrics_when(lambda scrape: scrape.breaker("switch") == "open", within=PER_SCENE / RATE)

    async def client(self, luck: random.Random) -> int:
        """One chat by somebody; its status, 0 if its client left."""
        headers = {"X-VX11-Token": DEFAULT_TOKEN}
        if luck.random() < IMPATIENT:
            headers["X-Request-Timeout-Ms"] = str(luck.randint(60, 1200))
        stays = 10 ** luck.uniform(-2.5, -1) if luck.random() < LEAVING else 10.0
        payload = {"message": "hola", "session_id": f"exactness-{uuid.uuid4()}"}
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(stays), self.session.post(self.url + CHAT, json=payload, headers=headers) as got:
                await got.read()
                return got.status
        return 0

    async def _ordered(self, path: str, order: dict[str, Any]) -> None:
        answer = await self.ask("POST", self.admin + path, json=order, headers={"X-VX11-Admin-Token": ADMIN_TOKEN})
        assert answer.status == 200, answer


def faults(*orders: str) -> Order:
    """From now on these and no others."""

    async def give(town: Town) -> None:
        await town.lab.clear()
        for order in orders:
            await town.lab.order(order)

    return give


def both(*orders: Order) -> Order:
    async def give(town: Town) -> None:
        for order in orders:
            await order(town)

    return give


SCENES: Sequence[Order] = (
    faults(),
    faults("switch=503", "madre=detached"),  # retries, until the budget is empty
    faults(),
    faults("switch=slow:0.5"),  # 25 ms each, one after the other: a queue, and more than it holds
    faults("switch=lognormal:1:1", "switch=failing:0.2", "madre=lognormal:1:1", "madre=failing:0.2", "madre=detached"),
    faults("switch=hang", "madre=detached"),  # trips, probes that fail
    faults("switch=refuse"),  # explained by the power state
    faults("switch=error", "madre=waiting"),
    both(Town.open_window, faults("switch=error", "madre=error")),
    both(faults(), lambda town: town.reload("rates")),
    faults("switch=reset"),
    Town.close_window,  # obeyed
    both(faults("switch=partial"), Town.open_window),
    both(faults("madre=slow:1"), lambda town: town.override("switch", "off")),
    both(faults("switch=hang", "madre=hang"), lambda town: town.release("switch")),
    both(faults(), lambda town: town.override("madre", "forced_open", ttl="300ms")),
    both(faults("madre=refuse", "switch=503"), lambda town: town.reload("madre first")),
    both(faults("switch=hang", "madre=hang"), Town.close_window),
    both(faults(), lambda town: town.reload("tight")),
)


class Recorded(NamedTuple):
    directory: Path
    facts: list[Fact]
    statuses: Counter[int]
    most_in_flight: int
    rounds: int
    seconds: float


@contextlib.asynccontextmanager
async def town(directory: Path, seed: int) -> AsyncIterator[Town]:
    policies = {
        name: parse(text, f"{name}.yaml")
        for name, text in (("tight", TIGHT), ("rates", RATES), ("madre first", MADRE_FIRST))
    }
    logging, said = Logging("error"), read_environment(ENVIRON)
    connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=4.0)
    try:
        async with (
            Lab(tempo=0.05, seed=seed) as lab,
            aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar()) as session,
        ):
            places = {"gateway": lab.gateway_url, "switch": lab.switch_url, "madre": lab.madre_url}
            flags = {"listen": "127.0.0.1:0", "admin": "127.0.0.1:0", "journal": str(directory), **places}

            def read() -> Source:
                renewed = renew(settings, flags, said, ENVIRON, policies[stands.chosen])
                return Source(renewed.snapshot, renewed.files, renewed.mutators)

            settings = resolve(flags, said, ENVIRON, policies["tight"])
            async with Sidecar(settings, logging, read) as sidecar:
                stands = Town(lab, sidecar, session)
                yield stands
    finally:
        logging.close()


async def played(stands: Town, chat: Callable[[Town], Awaitable[None]]) -> None:
    """All scenes once, and every chat to its end. Where the machine cannot keep the pace, the load waits for it."""
    due = time.perf_counter()
    places = asyncio.Semaphore(MOST_AT_ONCE)

    async def seated() -> None:
        try:
            await chat(stands)
        finally:
            places.release()

    async with asyncio.TaskGroup() as group:
        for scene in SCENES:
            group.create_task(_done(scene(stands)))
            for burst in BURSTS:
                due = max(due, time.perf_counter() - LATEST) + burst / RATE
                await asyncio.sleep(max(due - time.perf_counter(), 0.0))
                for _ in range(burst):
                    await places.acquire()
                    group.create_task(seated())


async def _done(work: Awaitable[None]) -> None:
    await work


async def recorded(directory: Path, rounds: int, seed: int, monkeypatch: pytest.MonkeyPatch) -> Recorded:
    """``rounds`` times all scenes, with clients that come at their rate whatever happens to those before them.

    Further rounds until everything has occurred that must: on a busy machine a scene may be over before it has had its effect.
    """
    facts: list[Fact] = []

    class Overheard(Journal):
        def __init__(self, *given: Any, **named: Any) -> None:
            super().__init__(*given, **named)
            noted = self.takes
            self.takes = {kind: (facts.append, *noted.get(kind, ())) for kind in {*DECIDED, *noted}}

    monkeypatch.setattr(runtime, "Journal", Overheard)
    luck = random.Random(seed)
    began = time.perf_counter()
    statuses: Counter[int] = Counter()
    under_way = most = 0

    async def chat(stands: Town) -> None:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        statuses[await stands.client(luck)] += 1
        under_way -= 1

    async with town(directory, seed) as stands:
        done = 0
        while done < rounds or (missing(facts) and done < rounds + FURTHER_ROUNDS):
            await played(stands, chat)
            done += 1
        scrape = await stands.metrics()
    assert scrape.total("journal_dropped_total") == 0
    return Recorded(directory, facts, statuses, most, done, time.perf_counter() - began)


class Again:
    """Takes the facts of a replay, one after the other, and holds them against those that were live. Neither list is held twice."""

    def __init__(self, live: Sequence[Fact]) -> None:
        self._live = live
        self.number = 0
        self.first_difference: tuple[Fact | None, Fact] | None = None

    def __call__(self, fact: Fact) -> None:
        was = self._live[self.number] if self.number < len(self._live) else None
        self.number += 1
        if fact != was and self.first_difference is None:
            self.first_difference = (was, fact)


def occurrences(facts: list[Fact]) -> Counter[str]:
    """What happened, in the words a reader would ask for."""
    count: Counter[str] = Counter()
    for fact in facts:
        match fact:
            case CallEnded(_, _, _, finish, _, _):
                by = "nobody: its client left" if finish.abandoned else finish.provider or "nobody: an error"
                count[f"answered by {by}"] += 1
            case EventHeard(_, _, Woke()):
                count["waits"] += 1
            case Retried():
                count["retries"] += 1
            case RetryDenied(_, _, _, why):
                count[f"retry denied: {why}"] += 1
            case Refused(_, _, _, reason, _):
                count[f"refused: {reason}"] += 1
            case BreakerMoved(_, _, _, after, why, _):
                count[f"breaker {after}: {why}"] += 1
            case AttemptEnded(_, _, _, _, _, outcome, verdict, _):
                count[f"attempt {verdict}"] += 1
                count[f"outcome {(outcome.error or outcome.status) if outcome else 'client left'}"] += 1
            case DormancyHeard() | Overridden() | PolicyAdopted():
                count[type(fact).__name__] += 1
    count["queued"] = count.pop("waits") - count["retries"]  # a wait that was no backoff; at least so many
    return count


MUST_OCCUR = (
    "answered by switch", "answered by madre", "answered by local", "answered by nobody: an error", "answered by nobody: its client left",
    "queued", "retries", "retry denied: budget", "retry denied: attempts", "retry denied: effects",
    "refused: open", "refused: limited", "refused: off", "refused: dormant", "refused: timeout",
    "breaker open: consecutive", "breaker open: failure_rate", "breaker open: probe_failed", "breaker half_open: timer",
    "breaker closed: recovered", "breaker half_open: window_opened", "breaker forced_open: override", "breaker half_open: override_ended",
    "attempt success", "attempt degraded", "attempt retryable", "attempt fatal", "attempt ignored",
    "outcome timeout", "outcome connect", "outcome reset", "outcome 503", "outcome client left",
)  # fmt: skip


def missing(facts: list[Fact]) -> list[str]:
    """What must occur and has not."""
    count = occurrences(facts)
    return [what for what in MUST_OCCUR if not count[what]]


@pytest.mark.parametrize(
    "rounds", [pytest.param(SHORT, id="short"), pytest.param(LONG, id="long", marks=pytest.mark.slow)]
)
def test_live_traffic_is_decided_again_exactly_as_it_was(
    rounds: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spawn: Spawn, figures: list[str]
) -> None:
    seed = new_seed()
    print(f"seed {seed}")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:  # as the process has it
        live = runner.run(recorded(tmp_path / "journal", rounds, seed, monkeypatch))
    wanted, rounds = rounds, live.rounds
    calls = len(SCENES) * rounds * PER_SCENE
    assert live.statuses.total() == calls
    assert set(live.statuses) == {0, 200, 503}

    [run] = read_journals([live.directory])
    again = Again(live.facts)
    fidelity = ExactReplay(run, again).run()
    assert (fidelity.differing, fidelity.examples, fidelity.incomparable, fidelity.unfinished) == (0, (), 0, 0)
    assert fidelity.calls == sum(isinstance(fact, CallBegan) for fact in live.facts)
    assert fidelity.calls >= calls * 0.95  # some clients left before their chat was read
    assert wanted == SHORT or fidelity.calls >= MANY
    assert (run.skipped, run.messages) == (0, [])
    assert again.first_difference is None
    assert again.number == len(live.facts)
    files = len(list(live.directory.iterdir()))
    assert files >= 5

    count = occurrences(live.facts)
    # A busy machine is slow to retry and quick to trip, so that the short form may miss a few of them; the long one has time for all.
    assert len(missing(live.facts)) <= (MOST_MISSING if wanted == SHORT else 0), (missing(live.facts), count)
    assert (count["PolicyAdopted"], count["Overridden"]) == (1 + 3 * rounds, 4 * rounds)
    assert count["DormancyHeard"] >= 2 * rounds
    assert live.most_in_flight >= 20

    command = spawn("replay", str(live.directory), "--output", "json")
    assert command.ended(60 + calls / 200) == 0
    said = json.loads(command.stdout)["fidelity"]
    same = {"calls": fidelity.calls, "same": fidelity.calls, "differing": 0, "unfinished": 0, "examples": []}
    assert same.items() <= said.items()
    trips = sum(n for what, n in count.items() if what.startswith("breaker open"))
    ended = ", ".join(
        f"{n} {what.removeprefix('outcome ')}" for what, n in count.most_common() if what.startswith("outcome ")
    )
    figures.append(
        f"exactness, seed {seed}, {rounds} x {len(SCENES)} scenes in {live.seconds:.0f} s: {fidelity.calls} live calls in {files} journal "
        f"files, {fidelity.differing} differ, all {again.number} facts the same; {count['PolicyAdopted'] - 1} reloads, "
        f"{count['Overridden']} overrides and ends of them, {count['DormancyHeard']} power states heard; up to {live.most_in_flight} in flight, "
        f"{count['queued']} queued, {count['refused: limited']} shed, {count['retries']} retries, {count['retry denied: budget']} denied by the "
        f"budget, {trips} trips, {count['breaker closed: recovered']} recoveries, {live.statuses[0]} clients left; attempts ended: {ended}"
    )
