"""Idle connections to either port, far more than there are descriptors for."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from benchmarks.losses.case import Case, Claim, Figures, Told, exactly, none, within
from benchmarks.losses.cases.exhausted import BUSY, POLICY, RATE, SWITCH, accepted, existing
from benchmarks.losses.child import Child, serving
from benchmarks.losses.stage import Stage, until_or_never
from benchmarks.losses.traffic import Traffic, degraded, failed, slowest
from benchmarks.proc import descriptors
from benchmarks.proc import seconds as processor
from sidecar.lab.town import Lab

LOW = 256  # descriptors
IDLE = 400  # connections to each port
LINES = 60  # lines of one kind a second: what sampling lets pass, and a second that is not over


async def play(stage: Stage) -> Figures:
    async with (
        Lab(faults=(SWITCH,), seed=stage.seed) as lab,
        serving(stage.where, lab.urls, policy=POLICY, prefix=("prlimit", f"--nofile={LOW}:{LOW}")) as child,
        existing(child) as client,
        Traffic(client, RATE, stage.random) as traffic,
    ):
        await asyncio.sleep(0.5)
        before = await child.scrape()
        full, used = time.perf_counter(), processor(child.pid)
        async with _connections(child.listen) as data, _connections(child.admin.removeprefix("http://")) as admin:
            most = 0
            while time.perf_counter() < full + stage.seconds(5.0, 2.0):
                most = max(most, descriptors(child.pid))
                await asyncio.sleep(0.1)
            stays = (sum(not each.at_eof() for each in data), sum(not each.at_eof() for each in admin))
            turned_away = await _turned_away(child)
        used, free = processor(child.pid) - used, time.perf_counter()
        back = await until_or_never(lambda: accepted(child), 10.0)
        after = await child.scrape()
        said = Counter(line["event"] for line in child.lines())
    meanwhile = traffic.between(full, free)
    return {
        "stay, data port": stays[0],
        "stay, admin port": stays[1],
        "chats meanwhile": len(meanwhile),
        "failed": failed(traffic.sent),
        "degraded": degraded(traffic.sent),
        "slowest s": slowest(meanwhile),
        "new clients told 503": turned_away,
        "most descriptors": most,
        "refused": after.counted("messages_refused_total", why="connections")
        - before.counted("messages_refused_total", why="connections"),
        "lines a second": said["message_refused"] / (free - full),
        "processor": used / (free - full),
        "back s": back,
    }


@asynccontextmanager
async def _connections(place: str) -> AsyncIterator[list[asyncio.StreamReader]]:
    """So many that say nothing."""
    host, _, port = place.rpartition(":")
    opened = []
    try:
        for _ in range(IDLE):
            with contextlib.suppress(OSError):
                opened.append(await asyncio.open_connection(host, int(port)))
        yield [reader for reader, _ in opened]
    finally:
        for _, writer in opened:
            writer.close()


async def _turned_away(child: Child) -> bool:
    """Whether a client that comes now is told 503, and not left waiting."""
    chat = await child.client.chat(patience=2.0)
    return chat.status == 503


def tell(it: Figures) -> Told:
    lost = (
        f"new connections beyond {it['stay, data port']:.0f} idle ones at the data port ({it['stay, admin port']:.0f} at the admin "
        f"port); no chat of {it['chats meanwhile']:.0f} on connections there before, the slowest {1000 * it['slowest s']:.0f} ms"
    )
    said = (
        f'503 to whoever comes; `messages_refused_total{{why="connections"}}` {it["refused"]:.0f}, `message_refused` '
        f"{it['lines a second']:.0f} a second, {100 * it['processor']:.0f}% of a core; at most {it['most descriptors']:.0f} of {LOW} open"
    )
    return Told(lost, said, f"{it['back s']:.2f} s after they left")


CASES = (
    Case(
        "idle connections",
        lambda _: f"RLIMIT_NOFILE {LOW}, {IDLE} idle connections to each port, under {RATE:.0f} chats/s",
        play,
        tell,
        (
            none("failed", "no chat on a connection that was there fails"),
            none("degraded", "none is degraded"),
            within("slowest s", 1.0, "none waits"),
            exactly("new clients told 503", 1, "whoever comes is told 503"),
            Claim("never all descriptors are taken", lambda it: it["most descriptors"] < LOW),
            Claim("it is counted", lambda it: it["refused"] > 0),
            within("lines a second", LINES, "the log is no storm"),
            within("processor", BUSY, "the loop does not turn for nothing"),
            within("back s", 1.5, "new connections are taken as soon as there is room"),
        ),
        brief=False,
    ),
)
