"""The whole process held up for a while, as a busy host, a paused container or a suspended machine does: SIGSTOP, then SIGCONT."""

from __future__ import annotations

import asyncio
import signal
import time
from collections import Counter
from functools import partial

from benchmarks.losses.case import Case, Claim, Figures, Told, none, times
from benchmarks.losses.child import serving
from benchmarks.losses.stage import Stage, until
from benchmarks.losses.traffic import Sent, Traffic, degraded, failed, median, slowest
from sidecar.lab.town import Lab

RATE = 10.0  # chats a second
SWITCH = "switch=lognormal:0.25:0.2"  # so that some are in flight whenever it is stopped
# All that came meanwhile may be asked at once: what is looked at is what a stall does, and not what a limit does to a crowd.
POLICY = "targets: [{name: switch, limiter: {max_concurrent: 128}}, {name: madre}, {name: local}]\n"
SLACK = 1.0  # seconds beyond the stall and the answer's own time
AFTER, SOON_AFTER = 2.5, 1.5  # seconds of chats after it
LONGEST, BRIEF = 7.0, 4.0  # seconds of stalls: longer than an attempt may take


async def play(seconds: float, stage: Stage) -> Figures:
    seconds = stage.seconds(seconds, min(seconds, BRIEF))
    async with (
        Lab(faults=(SWITCH,), seed=stage.seed) as lab,
        serving(stage.where, lab.urls, policy=POLICY) as child,
        Traffic(child.client, RATE, stage.random) as traffic,
    ):
        await asyncio.sleep(1.0 + stage.random.random())
        before = await child.scrape()
        await until(lambda: _flying(traffic))
        stopped = time.perf_counter()
        child.process.signal(signal.SIGSTOP)
        await asyncio.sleep(seconds)
        child.process.signal(signal.SIGCONT)
        went_on = time.perf_counter()
        await asyncio.sleep(stage.seconds(AFTER, SOON_AFTER))
        over = time.perf_counter()
        after = await child.scrape()
        said = child.lines()
    well = traffic.between(0, stopped - 0.5)
    flying = [each for each in traffic.sent if each.begun < stopped <= each.ended]
    meanwhile = traffic.between(stopped, went_on)
    later = traffic.between(went_on + SLACK, over)
    stalls = [line["seconds"] for line in said if line["event"] == "loop_stalled"]
    late = max((each.ended - max(went_on, each.begun) for each in flying + meanwhile), default=0.0)
    return {
        "stall s": seconds,
        "in flight": len(flying),
        "in flight, degraded": degraded(flying),
        "meanwhile": len(meanwhile),
        "meanwhile, degraded": degraded(meanwhile),
        "timeouts": Counter(each.chat.reason for each in traffic.sent)["timeout"],
        "open": Counter(each.chat.reason for each in traffic.sent)["open"],
        "failed": failed(traffic.sent),
        "slowest before s": slowest(well),
        "last after it went on s": late,
        "breaker moves": sum(line["event"] == "breaker_moved" for line in said),
        "stalls counted": after.counted("event_loop_stalls_total") - before.counted("event_loop_stalls_total"),
        "stall lines": len(stalls),
        "longest stall said s": max(stalls, default=0.0),
        "shed": after.counted("shed_requests_total") - before.counted("shed_requests_total"),
        "median before ms": 1000 * median(well),
        "median after ms": 1000 * median(later),
        "degraded after": degraded(later),
        "recovered s": _recovered(traffic.sent, went_on),
    }


async def _flying(traffic: Traffic) -> bool:
    return traffic.under_way > 1


def _recovered(sent: list[Sent], went_on: float) -> float:
    """From going on to the answer after which none is degraded and none waits longer for what was its turn."""
    held_up = [each.ended for each in sent if each.begun < went_on <= each.ended or each.chat.degraded]
    return max([0.0, *(ended - went_on for ended in held_up)])


def tell(it: Figures) -> Told:
    chats = it["in flight"] + it["meanwhile"]
    bad = it["in flight, degraded"] + it["meanwhile, degraded"]
    lost = (
        f"no chat; of {chats:.0f} in flight or sent meanwhile {bad:.0f} degraded, the last answered "
        f"{it['last after it went on s']:.2f} s after it went on"
    )
    said = (
        f"`loop_stalled` {times(it['stall lines'])}, longest {it['longest stall said s']:.2f} s; `event_loop_stalls_total` "
        f"+{it['stalls counted']:.0f}; breaker moved {times(it['breaker moves'])}"
    )
    return Told(lost, said, f"{it['recovered s']:.2f} s")


def _case(seconds: float) -> Case:
    return Case(
        f"stall {seconds:g} s",
        lambda it: f"SIGSTOP for {it['stall s']:g} s, then SIGCONT, under {RATE:.0f} chats/s of 0.25 s",
        partial(play, seconds),
        tell,
        (
            none("failed", "no chat is reset, refused or left hanging"),
            Claim("chats were in flight", lambda it: it["in flight"] > 0),
            Claim(
                "an answer is late by no more than the stall",
                lambda it: it["last after it went on s"] <= it["slowest before s"] + SLACK,
            ),
            none("in flight, degraded", "answers that came meanwhile are taken for answers"),
            none("breaker moves", "no breaker minds a stall of our own"),
            none("shed", "a single stall turns nobody away"),
            none("degraded after", "nothing is left of it"),
            # A machine that is busy may hold it up once more.
            Claim("it is counted, and not for each chat", lambda it: 1 <= it["stalls counted"] <= 3),
            Claim("and each is one line of the log", lambda it: it["stall lines"] == it["stalls counted"]),
            Claim(
                "how long it was is said",
                lambda it: it["stall s"] - 0.2 <= it["longest stall said s"] <= it["stall s"] + 0.5,
            ),
        ),
        brief=seconds == LONGEST,
    )


CASES = tuple(map(_case, (0.5, 2.0, LONGEST)))
