"""Twenty replicas before one switch that was gone and comes back: when do their breakers try it again, and does it stand that?

Breakers that opened together and stay open for the same time try again together. So the open time is spread by jitter; here it is as
shipped, and once with ``jitter: 0``. Every replica is a sidecar of its own with a seed of its own, and the switch has room for little
more than they ask of it when all is well.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from benchmarks.outages import figures
from benchmarks.outages.claims import ALWAYS, BACK, patience_of_recovery
from benchmarks.outages.setting import (
    MINUTE,
    NO_LIMITER,
    Claim,
    Drill,
    Form,
    Run,
    Runs,
    Setting,
    Way,
    each,
    of_switch,
    policy,
)
from benchmarks.outages.upstream import Capacity, Trouble
from benchmarks.parts import quantile

REPLICAS = 20
SWITCH = Capacity(12, 0.05)
RATE, BRIEF_RATE = 200.0, 60.0  # chats a second, by all of them
COLD, WARMS = 4.0, 400  # it comes back four times as slow as it is, and is warm after so many chats
LIVE_OUTAGE = 20.0  # seconds; the open times are the shipped ones
SPREAD, PLAIN, BARE = "shipped jitter", "jitter: 0", "jitter: 0, no limits"
TOGETHER = 0.1  # seconds within which probes count as one herd
MOST = 5  # probes within that, of twenty
CROWDED = 1.0  # seconds in the switch's queue
WARM = 5.0  # seconds after which it must be warm, once all are closed
BINS = 16


def settings(form: Form, way: Way) -> list[Setting]:
    since, outage, scale, rate = 5.0, form.minute, 1.0, RATE
    if form.brief and way == "live":
        since, outage, scale, rate = 2.0, 4.0, 8.0, BRIEF_RATE
    elif form.brief or form.minute != MINUTE:
        outage = LIVE_OUTAGE
    trouble = Trouble("refusing", since, since + outage, cold=COLD, warms=WARMS)
    sides = {
        SPREAD: form.breaker(scale=scale),
        PLAIN: form.breaker(opens="jitter: 0", scale=scale),
        BARE: form.breaker("half_open: {permits: 100}", opens="jitter: 0", scale=scale) + of_switch(NO_LIMITER),
    }
    names = (SPREAD,) if form.brief and way == "live" else tuple(sides)
    longest = policy().policy.ladder[0].breaker.open.max / scale
    lasts = trouble.until + longest + BACK + WARM + 1.0
    return [Setting(name, sides[name], rate, lasts, SWITCH, trouble, REPLICAS) for name in names]


def _shipped(run: Run) -> bool:
    return run.name == SPREAD


def _closed(run: Run) -> str | None:
    after, most = figures.closed(run), patience_of_recovery(run)
    return f"all closed after {after:.1f} s, {most:.1f} allowed" if after > most else None


def _stands(run: Run) -> str | None:
    trips, waited = figures.trips_after_closing(run), figures.longest_wait(run)
    if trips or waited > CROWDED:
        return f"{trips} breakers opened again, and a request waited {waited:.2f} s for its turn"
    return None


def _serves(run: Run) -> str | None:
    since = run.setting.trouble.until + figures.closed(run) + WARM
    chats = [chat for chat in figures.judged(run) if chat.at >= since]
    if not chats:
        return "not all are closed" if math.isinf(since) else "no chat to judge it by: the machine had no time"
    later = figures.share(chats, figures.SWITCH)
    missed = (1 - later) * len(chats)
    allowed = max((1 - run.setting.well) * len(chats), 1.0)  # of few chats one may be missed
    return f"{later:.1%} by the switch once all are closed" if missed > allowed + 1e-9 else None


def _spread(run: Run) -> str | None:
    most = herd(run)
    return f"{most} probes within {TOGETHER * 1000:.0f} ms, {MOST} allowed" if most > MOST else None


def _wider(runs: Runs) -> list[str]:
    spread, plain = (_width(runs[name]) for name in (SPREAD, PLAIN))
    if spread > plain:
        return []
    return [f"{_of(runs)}: spread over {spread:.2f} s, {plain:.2f} s without jitter"]


def _longer(runs: Runs) -> list[str]:
    shipped, bare = (figures.longest_wait(runs[name]) for name in (SPREAD, BARE))
    if bare > shipped:
        return []
    return [f"{_of(runs)}: a request waited {shipped:.2f} s with limits, {bare:.2f} s without"]


def _of(runs: Runs) -> str:
    return f"{runs[SPREAD].way}, seed {runs[SPREAD].seed}"


def herd(run: Run) -> int:
    return figures.most_within([probe.at for probe in figures.probes(run)], TOGETHER)


def _width(run: Run) -> float:
    """Seconds from the first of the first probes to the last, without the earliest and the latest tenth."""
    first = figures.first_probes(run)
    tenth = len(first) // 10
    return first[-1 - tenth] - first[tenth] if first else 0.0


def table(played: Sequence[Sequence[Run]]) -> tuple[Sequence[str], list[Sequence[object]]]:
    """A column for each side and way."""
    columns = [_column(runs) for runs in played]
    names = list(columns[0])
    head = ["", *(f"{runs[0].name}, {runs[0].way}" for runs in played)]
    return head, [[name, *(column[name] for column in columns)] for name in names]


def _column(runs: Sequence[Run]) -> dict[str, object]:
    during = [chat for run in runs for chat in figures.within(run, figures.phases(run)[1])]
    firsts = [figures.first_probes(run) for run in runs]
    trouble = runs[0].setting.trouble
    after = [chat for run in runs for chat in figures.within(run, figures.phases(run)[2])]
    told: dict[str, object] = {
        "outage, s": f"{trouble.until - trouble.since:g}",
        "chats": sum(len(run.chats) for run in runs),
        "failed": sum(len(figures.failed(run.chats)) for run in runs),
        "late": sum(len(figures.late(run, run.chats)) for run in runs),
        "by the switch, madre, local during it": " ".join(
            f"{figures.share(during, name):.0%}" for name in (figures.SWITCH, figures.MADRE, figures.LOCAL)
        ),
        "p99 ms during it": f"{1000 * quantile([chat.seconds for chat in during], 0.99):.0f}",
        "p99 ms after it": f"{1000 * quantile([chat.seconds for chat in after], 0.99):.0f}",
        "attempts during it": figures.spread([figures.asked(run, figures.phases(run)[1]) for run in runs]),
        "first probes spread over, s": figures.spread([_width(run) for run in runs], 2),
        "most probes within 100 ms": figures.spread([herd(run) for run in runs]),
        "longest wait at the switch, ms": figures.spread([1000 * figures.longest_wait(run) for run in runs]),
        "breakers that opened again": figures.spread([figures.trips_after_closing(run) for run in runs]),
        "all closed after, s": figures.spread([figures.closed(run) for run in runs], 1),
        "the switch answers 99 % after, s": figures.spread([figures.back(run) for run in runs], 1),
    }
    for second in range(BINS):
        count = sum(math.floor(at) == second for first in firsts for at in first) / len(runs)
        told[f"first probes in second {second + 1:>2}"] = f"{count:.3g} {'#' * round(count)}".strip()
    return told


DRILL = Drill(
    "herd",
    f"{REPLICAS} replicas and a switch that comes back, {RATE:g} chats a second of {SWITCH.rate:.0f} that it can do",
    settings,
    table,
    (
        *ALWAYS,
        Claim(
            f"every breaker is closed within the longest open time and {BACK:g} s, or ten chats of each", each(_closed)
        ),
        Claim(
            f"shipped, the switch is not pushed over again: no breaker opens again, none waits {CROWDED:g} s there",
            each(_stands, _shipped),
        ),
        Claim(f"{WARM:g} s after all are closed the switch answers 99 %", each(_serves)),
        Claim(
            f"shipped, at most {MOST} probes come within any {TOGETHER * 1000:.0f} ms",
            each(_spread, _shipped),
            timed=True,
        ),
        Claim("and the first of each spread over more time than without jitter", _wider, timed=True),
        Claim("without jitter and limits requests wait longer at the switch", _longer, timed=True),
    ),
    together=False,
)
