"""More than it can do: three times its capacity for ten seconds, by clients that wait for nobody.

Capacity is found first, by a short ramp: the highest rate at which all are answered and the 99th percentile stays below a
quarter of a second. Then comes the flood, and then the rate of a quiet hour until its 99th percentile is what it was
before. Load, sidecar and upstream share the machine: read the shape (who is answered, how fast the others are told,
what is kept in memory, how soon it is over), not the figures.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import time
from collections import Counter
from typing import NamedTuple

from benchmarks.parts import Running, server, sidecar, table
from benchmarks.probe import Probe, Told, told
from benchmarks.proc import Watch, raise_descriptor_limit, rss

QUIET = 50.0  # requests a second before and after
BEST = 0.25  # the p99 that a rate within capacity keeps
NORMAL = 3.0  # times the p99 of before, and at least this much:
AT_LEAST = 0.05
STEP = 1.4
CONNECTIONS = 4_000  # that the flood has
FASTEST = {True: 9_000.0, False: 4_000.0}  # what the load can send a second, with kept connections or without


class Flood(NamedTuple):
    name: str
    capacity: float
    rate: float
    during: Told
    statuses: dict[int, int]
    before: Told
    growth: float
    kept: float
    descriptors: int
    recovered: float | None  # seconds after the last request of the flood was due


async def capacity(place: Running, kind: str, *, kept: bool, first: float, most: float) -> float:
    """The highest rate of the ramp that was served well; at least the first."""
    rate = good = first
    while rate <= most:
        for _ in range(2):  # once may be the machine's other work
            probe = Probe(place, kept=kept)
            found = told(await probe.at(rate, 1.0, kind))
            probe.close()
            if found.share >= 0.99 and found.high <= BEST:
                break
            await asyncio.sleep(1.0)
        else:
            break
        good = rate
        rate *= STEP
    return good


async def flood(
    place: Running, kind: str, *, kept: bool, seconds: float, times: float, first: float, most: float, patience: float
) -> Flood:
    quiet = Probe(place, kept=True)
    before = told((await quiet.at(QUIET, 3.0, kind))[int(QUIET) :])
    held = await capacity(place, kind, kept=kept, first=first, most=most)
    await asyncio.sleep(1.0)
    rate = min(held * times, FASTEST[kept])
    probe = Probe(place, kept=kept, patience=patience, most=CONNECTIONS)
    with Watch(place.pid) as watch:
        began = time.perf_counter()
        outcomes = await probe.at(rate, seconds, kind)
        over = began + seconds
        probe.close()
        recovered = await _recovery(quiet, kind, before, over)
    quiet.close()
    await asyncio.sleep(0.5)
    statuses = dict(Counter(each.status for each in outcomes))
    return Flood(
        name=f"{kind}, {'kept connections' if kept else 'a connection each'}",
        capacity=held,
        rate=rate,
        during=told(outcomes),
        statuses=statuses,
        before=before,
        growth=watch.growth,
        kept=rss(place.pid) - watch.before,
        descriptors=watch.most_descriptors,
        recovered=recovered,
    )


async def _recovery(quiet: Probe, kind: str, before: Told, over: float, within: float = 30.0) -> float | None:
    """When the first second began that was as good as those before the flood."""
    wanted = max(before.high * NORMAL, AT_LEAST)
    while (began := time.perf_counter()) < over + within:
        now = told(await quiet.at(QUIET, 1.0, kind))
        if now.share == 1.0 and now.high <= wanted:
            return max(began - over, 0.0)
    return None


def measure(
    kinds: list[tuple[str, bool]], *, seconds: float, times: float, first: float, most: float, patience: float = 10.0
) -> list[Flood]:
    """One flood of each kind; each meets a sidecar of its own."""
    import uvloop  # noqa: PLC0415

    raise_descriptor_limit()
    found = []
    for kind, kept in kinds:
        with contextlib.ExitStack() as stack, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            place = stack.enter_context(sidecar(stack.enter_context(server("switch"))))
            made = flood(
                place, kind, kept=kept, seconds=seconds, times=times, first=first, most=most, patience=patience
            )
            found.append(runner.run(made))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--times", type=float, default=3.0, help="capacity times this is the flood (%(default)s)")
    parser.add_argument(
        "--most", type=float, default=8_000, help="where the ramp ends, requests a second (%(default)s)"
    )
    parser.add_argument("--only", choices=("chat", "relayed"))
    arguments = parser.parse_args()
    wanted = ("chat", "relayed") if arguments.only is None else (arguments.only,)
    kinds = [(kind, kept) for kind in wanted for kept in (True, False)]
    floods = measure(kinds, seconds=arguments.seconds, times=arguments.times, first=200, most=arguments.most)
    rows = []
    for each in floods:
        during = each.during
        milliseconds = [
            f"{value * 1000:.0f}"
            for value in (each.before.high, during.median, during.high, during.shed_high, during.late)
        ]
        rows.append([
            each.name, f"{each.capacity:.0f}", during.asked, during.answered, during.degraded, during.shed, during.errors,
            during.unsent, *milliseconds,
            f"{each.growth:.0f}", f"{each.kept:.0f}", each.descriptors,
            "never" if each.recovered is None else f"{each.recovered:.1f}",
        ])  # fmt: skip
    table(
        [
            "flood of", "capacity/s", "asked", "answered", "degraded", "shed", "errors", "unsent", "p99 before",
            "p50", "p99", "p99 of shed",
            "load late", "RSS +", "after", "fds", "normal after, s",
        ],
        rows,
    )  # fmt: skip
    print("\nMilliseconds, from when a request was due; MiB. 299 degraded, -1 lost, -2 timed out, -3 unsent:")
    for each in floods:
        print(f"  {each.name}: {dict(sorted(each.statuses.items()))}")


if __name__ == "__main__":
    main()
