"""Whoever reads the log goes away, or stops reading for a while."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import time

from benchmarks.losses.case import Case, Claim, Figures, Told, none, within
from benchmarks.losses.child import serving
from benchmarks.losses.stage import Stage, until
from benchmarks.losses.traffic import Traffic, degraded, failed, median, slowest
from benchmarks.proc import seconds as processor
from sidecar.lab.town import Lab

RATE = 40.0  # chats a second: below what the log lets pass of one kind
SMALL = 4096  # bytes that a pipe holds
SWITCH = "switch=lognormal:0.01:0.3"
POLICY = "targets: [{name: switch, limiter: {max_concurrent: 64}}, {name: madre}, {name: local}]\n"


async def gone(stage: Stage) -> Figures:
    """The other end of the pipe is closed: each write is an EPIPE."""
    half = stage.seconds(4.0, 1.0)
    read, write = os.pipe()
    async with Lab(faults=(SWITCH,), seed=stage.seed) as lab, contextlib.AsyncExitStack() as stack:
        child = await stack.enter_async_context(serving(stage.where, lab.urls, policy=POLICY, errors=write))
        os.close(write)
        reading = asyncio.create_task(asyncio.to_thread(_drain, read, half + 0.2))
        async with Traffic(child.client, RATE, stage.random) as traffic:
            began, used = time.perf_counter(), processor(child.pid)
            await asyncio.sleep(half)
            await reading
            os.close(read)
            closed, middle = time.perf_counter(), processor(child.pid)
            await asyncio.sleep(half)
            over, after = time.perf_counter(), processor(child.pid)
        lost = (await child.scrape()).counted("log_dropped_total")
        alive = child.process.code is None
    well, ill = traffic.between(began, closed), traffic.between(closed, over)
    return {
        "chats": len(traffic.sent),
        "failed": failed(traffic.sent),
        "degraded": degraded(traffic.sent),
        "chats without a reader": len(ill),
        "median before ms": 1000 * median(well),
        "median without a reader ms": 1000 * median(ill),
        "slowest without a reader s": slowest(ill),
        "lost lines": lost,
        "dead": not alive,
        "processor before": (middle - used) / (closed - began),
        "processor without a reader": (after - middle) / (over - closed),
    }


def _drain(descriptor: int, within: float) -> bytes:
    """What comes for so many seconds."""
    os.set_blocking(descriptor, False)
    until, found = time.monotonic() + within, b""
    while time.monotonic() < until:
        with contextlib.suppress(BlockingIOError):
            found += os.read(descriptor, 65536)
        time.sleep(0.02)
    return found


async def stuck(stage: Stage) -> Figures:
    """Nobody reads, the pipe is full, and the writer waits; then everything is read."""
    half = stage.seconds(4.0, 1.0)
    read, write = os.pipe()
    fcntl.fcntl(write, fcntl.F_SETPIPE_SZ, SMALL)
    async with Lab(faults=(SWITCH,), seed=stage.seed) as lab, contextlib.AsyncExitStack() as stack:
        child = await stack.enter_async_context(serving(stage.where, lab.urls, policy=POLICY, errors=write))
        os.close(write)
        async with Traffic(child.client, RATE, stage.random) as traffic:
            used, began = processor(child.pid), time.perf_counter()
            await asyncio.sleep(2 * half)
            used, spent = processor(child.pid) - used, time.perf_counter() - began
        reading = asyncio.create_task(asyncio.to_thread(_drain, read, 1.5))
        back = await until(lambda: _all_read(reading))
        lost = (await child.scrape()).counted("log_dropped_total")
        suppressed = (await child.scrape()).counted("log_suppressed_total")
        alive = child.process.code is None
    os.close(read)
    said = [json.loads(line)["event"] for line in reading.result().splitlines()]
    return {
        "chats": len(traffic.sent),
        "failed": failed(traffic.sent),
        "degraded": degraded(traffic.sent),
        "slowest s": slowest(traffic.sent),
        "lines of chats": said.count("chat"),
        "suppressed": suppressed,
        "lost lines": lost,
        "dead": not alive,
        "processor": used / spent,
        "back s": back,
    }


async def _all_read(reading: asyncio.Task[bytes]) -> bool:
    return reading.done()


def _tell_gone(it: Figures) -> Told:
    lost = f"{it['lost lines']:.0f} lines of the log, of {it['chats without a reader']:.0f} chats; no chat"
    return Told(
        lost, f"`log_dropped_total` {it['lost lines']:.0f}", "never: such a pipe does not come back; the metric stays"
    )


def _tell_stuck(it: Figures) -> Told:
    lost = f"nothing: {it['lines of chats']:.0f} lines of {it['chats']:.0f} chats came when the pipe was read (10 000 lines wait)"
    return Told(lost, f"`log_dropped_total` {it['lost lines']:.0f}", "as it was read")


_UNHARMED = (
    none("failed", "no chat fails"),
    none("degraded", "none is degraded"),
    none("dead", "the process lives"),
)
CASES = (
    Case(
        "log reader gone",
        lambda _: f"the reader of standard error closes its end (EPIPE), under {RATE:.0f} chats/s",
        gone,
        _tell_gone,
        (
            *_UNHARMED,
            within("slowest without a reader s", 1.0, "no chat waits for the log"),
            Claim("each line is counted as lost", lambda it: it["lost lines"] >= 0.9 * it["chats without a reader"]),
            Claim(
                "it costs no processor time",
                lambda it: it["processor without a reader"] <= 1.5 * it["processor before"] + 0.05,
            ),
        ),
    ),
    Case(
        "log reader stuck",
        lambda _: f"nobody reads standard error, a pipe of {SMALL} bytes, under {RATE:.0f} chats/s; then somebody does",
        stuck,
        _tell_stuck,
        (
            *_UNHARMED,
            within("slowest s", 1.0, "no chat waits for the log"),
            none("lost lines", "no line is lost"),
            Claim("every chat's line comes", lambda it: it["lines of chats"] + it["suppressed"] == it["chats"]),
        ),
        brief=False,
    ),
)
