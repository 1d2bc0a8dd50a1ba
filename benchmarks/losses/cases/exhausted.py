"""Not one descriptor left, whatever took them: the limit is lowered to what is open."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp

from benchmarks.losses.case import Case, Claim, Figures, Told, exactly, none, times, within
from benchmarks.losses.child import Child, serving
from benchmarks.losses.stage import Stage, until_or_never
from benchmarks.losses.traffic import Traffic, failed, slowest
from benchmarks.policies.client import Client
from benchmarks.proc import seconds as processor
from sidecar.lab.town import DEFAULT_TOKEN, Lab

RATE = 20.0  # chats a second
KEPT = 12  # connections that were there before
DEADLINE = 4.75  # seconds
BUSY = 0.5  # of a core, with the chats in it: a loop that turns for nothing takes all of one
SWITCH = "switch=lognormal:0.03:0.3"
POLICY = (
    "targets: [{name: switch, limiter: {max_concurrent: 64}}, {name: madre}, {name: local}]\ndormant: {mode: ignore}\n"
)


@asynccontextmanager
async def existing(child: Child) -> AsyncIterator[Client]:
    """A client whose connections are there already, and stay."""
    connector = aiohttp.TCPConnector(limit=KEPT, keepalive_timeout=60.0)
    async with aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar()) as connections:
        client = Client(connections, f"http://{child.listen}", DEFAULT_TOKEN)
        await asyncio.gather(*(client.chat() for _ in range(KEPT)))
        yield client


async def accepted(child: Child) -> bool:
    return (await child.client.chat()).status == 200


async def play(stage: Stage) -> Figures:
    # The targets close what is idle at once, so that a chat needs a connection to them; where one is closed as it is used, madre answers.
    async with (
        Lab(faults=(SWITCH,), seed=stage.seed, keep_alive=0.02) as lab,
        serving(stage.where, lab.urls, policy=POLICY) as child,
        existing(child) as client,
        Traffic(client, RATE, stage.random) as traffic,
    ):
        await asyncio.sleep(0.5)
        await _exhausted(child, 0)  # a scrape has a connection already, as Prometheus has
        limits = resource.prlimit(child.pid, resource.RLIMIT_NOFILE)
        gone, used = time.perf_counter(), processor(child.pid)
        for _ in range(40):
            resource.prlimit(child.pid, resource.RLIMIT_NOFILE, (_lowest_free(child.pid), limits[1]))
            await asyncio.sleep(0.01)
        none_left = time.perf_counter()
        known = await until_or_never(lambda: _exhausted(child, 1), 5.0)
        closed = await _new_clients(child)
        await _look_on(child, stage.seconds(4.0, 1.5))
        reasons = Counter(each.chat.reason for each in traffic.between(none_left, time.perf_counter()))
        used, given = processor(child.pid) - used, time.perf_counter()
        resource.prlimit(child.pid, resource.RLIMIT_NOFILE, limits)
        back = await until_or_never(lambda: _exhausted(child, 0), 5.0)
        taken = await until_or_never(lambda: accepted(child), 10.0)
        await asyncio.sleep(stage.seconds(6.0, 1.0))
        said = Counter(line["event"] for line in child.lines())
        moved = len(child.lines("breaker_moved"))
    meanwhile, after = traffic.between(none_left, given), traffic.between(given, time.perf_counter())
    return {
        "chats meanwhile": len(meanwhile),
        "failed": failed(traffic.sent),
        "by local meanwhile": sum(each.chat.provider == "local" for each in meanwhile),
        "slowest s": slowest(meanwhile),
        "by failure": reasons["failure"],
        "by open": reasons["open"],
        "new clients closed at once": closed,
        "known s": known,
        "lines that say it": said["descriptors_exhausted"],
        "lines that say it is over": said["descriptors_left_again"],
        "lines of other kinds": sum(said.values()) - sum(said[kind] for kind in _EXPECTED),
        "processor": used / (given - gone),
        "breaker moves": moved,
        "taken s": taken,
        "said over s": back,
        "recovered s": max([0.0, *(each.ended - given for each in after if each.chat.provider == "local")]),
    }


_EXPECTED = (
    "chat",
    "ready",
    "policy_adopted",
    "descriptors_exhausted",
    "descriptors_left_again",
    "breaker_moved",
    "loop_stalled",
)


def _lowest_free(pid: int) -> int:
    """Where the next one would be: with that for a limit there is none."""
    taken = {int(each.name) for each in Path(f"/proc/{pid}/fd").iterdir()}
    return next(number for number in range(len(taken) + 1) if number not in taken)


async def _look_on(child: Child, seconds: float) -> None:
    """Scrape twice a second."""
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        await child.scrape()
        await asyncio.sleep(0.5)


async def _exhausted(child: Child, value: int) -> bool:
    return (await child.scrape()).counted("descriptors_exhausted") == value


async def _new_clients(child: Child) -> int:
    """How many of twenty that come now are told at once that there is nothing, by the end of their connection."""
    host, _, port = child.listen.rpartition(":")

    async def one() -> bool:
        try:
            async with asyncio.timeout(2.0):
                reader, writer = await asyncio.open_connection(host, int(port))
                writer.write(b"GET /health HTTP/1.1\r\nHost: vx11\r\n\r\n")
                with contextlib.suppress(ConnectionError):
                    await reader.read()
                writer.close()
        except TimeoutError:
            return False
        return True

    return sum(await asyncio.gather(*(one() for _ in range(20))))


def tell(it: Figures) -> Told:
    lost = (
        f"real answers: {it['by local meanwhile']:.0f} of {it['chats meanwhile']:.0f} chats on connections there before are by "
        f"`local`, the slowest after {1000 * it['slowest s']:.0f} ms; new connections, closed at once"
    )
    said = (
        f"`descriptors_exhausted` 1 after {it['known s']:.1f} s and a line of that name {times(it['lines that say it'])}, "
        f"`descriptors_left_again` {times(it['lines that say it is over'])}; {100 * it['processor']:.0f}% of a core; "
        f"`breaker_moved` {times(it['breaker moves'])}"
    )
    return Told(
        lost,
        said,
        f"new connections {it['taken s']:.2f} s, real answers {it['recovered s']:.2f} s after there were some",
    )


CASES = (
    Case(
        "descriptors",
        lambda _: f"not one descriptor left (RLIMIT_NOFILE lowered to what is open), under {RATE:.0f} chats/s",
        play,
        tell,
        (
            none("failed", "no chat on a connection that was there fails"),
            within("slowest s", DEADLINE, "each is answered in time"),
            Claim("they are degraded: the targets could not be asked", lambda it: it["by local meanwhile"] > 0),
            exactly("new clients closed at once", 20, "no new connection is left waiting"),
            within("known s", 1.5, "the metric says it"),
            exactly("lines that say it", 1, "one line of the log says it"),
            exactly("lines that say it is over", 1, "and one that it is over"),
            none("lines of other kinds", "nothing else is said"),
            within("processor", BUSY, "the loop does not turn for nothing"),
            within("taken s", 1.0, "new connections are taken at once"),
            within(
                "recovered s",
                1.0,
                "real answers are back at once: that we had no descriptor says nothing of the targets",
            ),
            none("breaker moves", "no breaker minds"),
        ),
    ),
)
