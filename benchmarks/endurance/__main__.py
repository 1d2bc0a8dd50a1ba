from __future__ import annotations

import argparse
import asyncio
import contextlib
import random
import statistics
import tempfile
import time
from collections import Counter
from pathlib import Path

from benchmarks import endurance
from benchmarks.endurance import verdict
from benchmarks.endurance.figures import HEAD, Sample, plot, rows, second_half, slope
from benchmarks.endurance.load import Load, capacity
from benchmarks.endurance.town import Seen, Town, town
from benchmarks.endurance.troubles import Troubles
from benchmarks.parts import table

REST = 6.0  # seconds without anybody: longer than any connection is kept
LOOKS = 4
FEWEST = 60  # samples


async def play(minutes: float, seed: int, directory: Path) -> list[str]:
    """A whole run: what is wrong with it."""
    every = min(15.0, minutes * 60 / FEWEST)
    async with town(directory, min(every, REST / 4)) as here:
        async with here.client() as client:
            most = await capacity(client, min(10.0, minutes * 60 / 4))
        warm = _forgotten(here)
        before = await _at_rest(here)
        print(
            f"{most:.0f} chats a second at most; {most / 2:.0f} requests a second for {minutes:g} minutes", flush=True
        )
        samples, troubles, total = await _soak(here, most / 2, minutes, seed, every)
        after = await _at_rest(here)
        _tell(samples, troubles, total, before, after)
        metrics = await here.metrics()
        wrong = (
            verdict.of_requests(total)
            + verdict.of_rest(before, after)
            + verdict.of_growth(samples)
            + verdict.of_shed(samples)
        )
        wrong += verdict.of_targets(list(here.targets.values())) + verdict.of_metrics(metrics, total + warm)
    return wrong + await asyncio.to_thread(verdict.of_journal, here.journal)


def _forgotten(here: Town) -> Counter[str]:
    """The chats before the run, all the same to the targets; they need not remember them."""
    asked = here.targets["switch"].asked
    count = len(asked)
    asked.clear()
    return Counter({"by switch": count})


async def _at_rest(here: Town) -> Seen:
    """What there is all the time when nobody is there: the least of some looks, for health probes come and go."""
    await asyncio.sleep(REST)
    looks = [await here.look()]
    for _ in range(LOOKS):
        await asyncio.sleep(REST / LOOKS / 2)
        looks.append(await here.look())
    return Seen(*map(min, zip(*looks, strict=True)))


async def _soak(
    here: Town, rate: float, minutes: float, seed: int, every: float
) -> tuple[list[Sample], Counter[str], Counter[str]]:
    samples: list[Sample] = []
    troubles = Troubles(here, seed)
    async with here.client() as client:
        load = Load(client, f"{here.url}/health", rate, seed)
        trouble = asyncio.create_task(troubles.run())
        looking = asyncio.create_task(_look(here, load, every, samples))
        try:
            await load.run(minutes * 60)
        finally:
            for task in (trouble, looking):
                task.cancel()
            for task in (trouble, looking):
                with contextlib.suppress(asyncio.CancelledError):
                    await task
            await troubles.end()
    return samples, troubles.counts, load.total


async def _look(here: Town, load: Load, every: float, samples: list[Sample]) -> None:
    """Appends a sample each time."""
    began = last = time.perf_counter()
    used = (await here.look()).used
    while True:
        await asyncio.sleep(every)
        seen, now = await here.look(), time.perf_counter()
        samples.append(Sample((now - began) / 60, seen, load.taken(), (seen.used - used) / (now - last)))
        last, used = now, seen.used


def _tell(samples: list[Sample], troubles: Counter[str], total: Counter[str], before: Seen, after: Seen) -> None:
    table(HEAD, rows(samples))
    minutes = samples[-1].minute
    print()
    print(plot("resident memory, MiB", [sample.seen.memory for sample in samples], minutes))
    print(plot("descriptors", [float(sample.seen.descriptors) for sample in samples], minutes))
    print(plot("chats by the switch, %", [_share(sample) for sample in samples], minutes))
    print("\nmeanwhile:", ", ".join(f"{count} {what}" for what, count in sorted(troubles.items())))
    print("in all:", ", ".join(f"{count} {what}" for what, count in sorted(total.items())))
    half = second_half(samples)
    print(f"memory, second half: {statistics.mean(y for _, y in half):.1f} MiB, {slope(half) * 60:+.2f} MiB an hour")
    for name, seen in (("before", before), ("after", after)):
        print(
            f"{name + ', nobody there:':<22} {seen.memory:.1f} MiB, {seen.descriptors} descriptors, {seen.tasks} tasks, "
            f"{seen.timers} timers, {seen.objects} objects, {seen.under_way} under way, {seen.held} held"
        )


def _share(sample: Sample) -> float:
    counts = sample.told.counts
    chats = sum(count for word, count in counts.items() if word.startswith("by "))
    return 100 * counts["by switch"] / max(chats, 1)


def main() -> int:
    parser = argparse.ArgumentParser(description=(endurance.__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().getrandbits(32))
    parser.add_argument("--brief", action="store_true", help="twelve seconds, as the tests have it")
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}", flush=True)
    with tempfile.TemporaryDirectory() as name:
        wrong = asyncio.run(play(0.2 if arguments.brief else arguments.minutes, arguments.seed, Path(name)))
    for said in wrong:
        print(f"wrong: {said}")
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
