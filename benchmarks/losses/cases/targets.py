"""Whoever is behind is gone: switch and madre killed, and the gateway killed. Each is a process, and comes back at its address."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from contextlib import AsyncExitStack

from benchmarks.losses.case import Case, Claim, Figures, Told, exactly, none, times, within
from benchmarks.losses.child import Child, serving, town
from benchmarks.losses.stage import Stage, until_or_never
from benchmarks.losses.traffic import Traffic, degraded, failed, slowest
from benchmarks.proc import seconds as processor
from benchmarks.proxies.process import free_port
from sidecar.lab.town import Lab

RATE = 20.0  # chats a second
DEADLINE = 4.75  # seconds
# Madre's last word may be that the switch is off on purpose, and one that is off costs its breaker nothing: here it is to be missed.
POLICY = (
    "targets: [{name: switch, limiter: {max_concurrent: 64}}, {name: madre, limiter: {max_concurrent: 64}}, {name: local}]\n"
    "dormant: {mode: ignore}\n"
)
SOON = "breaker: {open: {base: 1s, max: 2s}}\n"
LONGEST_OPEN = 15.0  # seconds that a breaker stays open at most, by the policy; then two chats close it


async def answerers(stage: Stage) -> Figures:
    ports = {name: free_port() for name in ("switch", "madre")}
    flags = [part for name, port in ports.items() for part in (f"--{name}-port", str(port))]
    places = {name: f"127.0.0.1:{port}" for name, port in ports.items()}
    policy = POLICY + SOON if stage.brief else POLICY
    async with Lab() as gateway, AsyncExitStack() as towns:
        first = await towns.enter_async_context(town(*flags))
        async with (
            serving(stage.where, {"gateway": gateway.gateway_url, **places}, policy=policy) as child,
            Traffic(child.client, RATE, stage.random) as traffic,
        ):
            await asyncio.sleep(1.0)
            gone = time.perf_counter()
            await first.kill()
            await asyncio.sleep(stage.seconds(6.0, 1.5))
            relayed = await child.get("/health")
            still = time.perf_counter()
            await towns.enter_async_context(town(*flags))
            came = time.perf_counter()
            back = await until_or_never(lambda: _closed(child), LONGEST_OPEN * 1.5)
            await asyncio.sleep(1.0)
            over = time.perf_counter()
            said = child.lines("breaker_moved")
            reasons = Counter(each.chat.reason for each in traffic.between(gone, still))
    meanwhile, after = traffic.between(gone, still), traffic.between(came + back + 0.5, over)
    return {
        "chats meanwhile": len(meanwhile),
        "failed": failed(traffic.sent),
        "undegraded meanwhile": len(meanwhile) - degraded(meanwhile),
        "slowest meanwhile s": slowest(meanwhile),
        "by failure": reasons["failure"],
        "by open": reasons["open"],
        "other reasons": len(meanwhile) - reasons["failure"] - reasons["open"],
        "relayed": relayed == 200,
        "opened": sum(line["after"] == "open" for line in said),
        "lines": len(said),
        "back s": back,
        "degraded after": degraded(after),
        "after": len(after),
    }


async def _closed(child: Child) -> bool:
    """Whether the switch answers again, and its breaker says so."""
    scrape = await child.scrape()
    return scrape.counted("breaker_state", target="switch", state="closed") == 1 and scrape.counted("degraded") == 0


async def gateway(stage: Stage) -> Figures:
    port = free_port()
    flag = ("--gateway-port", str(port))
    async with Lab() as targets, AsyncExitStack() as towns:
        first = await towns.enter_async_context(town(*flag))
        places = {"gateway": f"127.0.0.1:{port}", "switch": targets.switch_url, "madre": targets.madre_url}
        async with (
            serving(stage.where, places, policy=POLICY) as child,
            Traffic(child.client, RATE, stage.random) as traffic,
        ):
            before = [await child.get("/health") for _ in range(3)]
            used, began = processor(child.pid), time.perf_counter()
            await first.kill()
            times: list[float] = []
            statuses = Counter[int]()
            while len(times) < stage.seconds(40, 10):
                asked = time.perf_counter()
                statuses[await child.get("/health")] += 1
                times.append(time.perf_counter() - asked)
                await asyncio.sleep(0.05)
            used, spent = processor(child.pid) - used, time.perf_counter() - began
            await towns.enter_async_context(town(*flag))
            back = await until_or_never(lambda: _relays(child), 10.0)
            scrape = await child.scrape()
    return {
        "before": sum(status == 200 for status in before),
        "relayed meanwhile": len(times),
        "502 or 503": statuses[502] + statuses[503],
        "502": statuses[502],
        "slowest relayed s": max(times),
        "chats": len(traffic.sent),
        "failed": failed(traffic.sent),
        "degraded": degraded(traffic.sent),
        "errors counted": scrape.counted("relay_errors_total", error="connect")
        + scrape.counted("relay_errors_total", error="reset"),
        "processor": used / spent,
        "back s": back,
    }


async def _relays(child: Child) -> bool:
    return await child.get("/health") == 200


def _tell_answerers(it: Figures) -> Told:
    lost = (
        f"real answers: {it['chats meanwhile']:.0f} chats degraded, all by `local`, the slowest after "
        f"{1000 * it['slowest meanwhile s']:.0f} ms; none failed"
    )
    said = (
        f"reasons failure {it['by failure']:.0f}, open {it['by open']:.0f}; `breaker_moved` {times(it['lines'])}; "
        "`breaker_state`, `fallbacks_total`, `degraded`"
    )
    return Told(lost, said, f"{it['back s']:.1f} s after they were back: the breaker's time, then two good chats")


def _tell_gateway(it: Figures) -> Told:
    lost = (
        f"{it['relayed meanwhile']:.0f} relayed requests, {it['502']:.0f} of them 502, the slowest after "
        f"{1000 * it['slowest relayed s']:.0f} ms; no chat of {it['chats']:.0f}"
    )
    return Told(
        lost,
        f"`relay_errors_total` {it['errors counted']:.0f}; no line for each",
        f"{it['back s']:.2f} s after it was back",
    )


CASES = (
    Case(
        "switch and madre killed",
        lambda _: f"switch and madre SIGKILLed, then started again, under {RATE:.0f} chats/s",
        answerers,
        _tell_answerers,
        (
            none("failed", "no chat fails"),
            none("undegraded meanwhile", "every answer meanwhile is marked"),
            within("slowest meanwhile s", DEADLINE, "all within the deadline"),
            none("other reasons", "the reasons say what it is"),
            exactly("relayed", 1, "the gateway is relayed to as before"),
            Claim("both breakers open, and say so", lambda it: it["opened"] >= 2),
            within("back s", LONGEST_OPEN * 1.3 + 1.0, "real answers are back by the breaker's time"),
            Claim("nothing is left of it", lambda it: it["degraded after"] == 0 < it["after"]),
        ),
    ),
    Case(
        "gateway killed",
        lambda _: f"the gateway SIGKILLed, then started again, under relayed requests and {RATE:.0f} chats/s",
        gateway,
        _tell_gateway,
        (
            exactly("before", 3, "it is relayed to before"),
            Claim("all are refused with 502 or 503", lambda it: it["502 or 503"] == it["relayed meanwhile"]),
            within("slowest relayed s", 1.0, "at once"),
            none("failed", "no chat fails"),
            none("degraded", "none is degraded"),
            Claim("each is counted", lambda it: it["errors counted"] >= it["relayed meanwhile"]),
            within("processor", 0.5, "it costs no processor time"),
            within("back s", 1.0, "it is relayed to again as soon as it is back"),
        ),
        brief=False,
    ),
)
