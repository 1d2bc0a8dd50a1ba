"""How many calls a second the simulator replays on one core, with every fact on; beside what a bare heap loop takes for as many entries."""

from __future__ import annotations

import argparse
import heapq
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

from benchmarks.parts import table
from sidecar.core.engine import Engine
from sidecar.core.fact import Fact
from sidecar.core.scene import Call
from sidecar.core.vocabulary import ErrorKind, Outcome
from sidecar.policy.model import Policy
from sidecar.replay.figures.summary import Summary
from sidecar.replay.simulate import Arrival, Simulation
from sidecar.replay.world import Behaviour, Synthetic

GAP = 0.05  # seconds between arrivals: twenty chats a second
KEPT = 10_000  # facts, after which the list is cleared
HEALTHY = Behaviour()
WORLDS = {
    "healthy": [(0.0, HEALTHY)],
    "one in ten refused": [(0.0, Behaviour(failing=0.1))],
    "outages, 30 s in each minute": [
        (start, kind)
        for minute in range(1000)
        for start, kind in (
            (minute * 60.0, HEALTHY),
            (minute * 60.0 + 30, Behaviour(failing=0.5, hanging=0.4, failures=(Outcome(error=ErrorKind.RESET),))),
        )
    ],
}


def arrivals(calls: int) -> Iterator[Arrival]:
    for number in range(1, calls + 1):
        yield Arrival(number * GAP, Call(number, 4.75, "benchmark"))


def simulated(world: str, calls: int) -> tuple[float, int, int]:
    """Seconds, facts, and entries that went through the heap."""
    kept: list[Fact] = []
    summary = Summary()
    facts = 0

    def emit(fact: Fact) -> None:
        nonlocal facts
        kept.append(fact)
        summary(fact)
        if len(kept) == KEPT:
            facts += KEPT
            kept.clear()

    phases = {"switch": WORLDS[world], "madre": [(0.0, HEALTHY)]}
    engine = Engine(0.0, Policy.model_validate({}), revision="benchmark", source="built-in", seed=1, emit=emit)
    simulation = _Counting(engine, Synthetic(phases, 1))
    began = time.perf_counter()
    simulation.run(arrivals(calls))
    seconds = time.perf_counter() - began
    summary.run_ended()
    if summary.figures()["calls"] != calls:
        raise AssertionError("calls were lost")
    return seconds, facts + len(kept), simulation.entries


class _Counting(Simulation):
    entries = 0

    def _push(self, *entry: Any) -> None:
        self.entries += 1
        super()._push(*entry)


def bare(entries: int, calls: int) -> float:
    """Seconds for as many entries with callbacks that do nothing, each call's first entry pushing the rest of it."""
    heap: list[tuple[float, int, Callable[[float], None]]] = []
    pushed = 0
    each = max(round(entries / calls), 1)

    def nothing(now: float) -> None:
        pass

    began = time.perf_counter()
    for number in range(calls):
        for entry in range(each):
            pushed += 1
            heapq.heappush(heap, (number * GAP + entry * 0.02, pushed, nothing))
        while len(heap) > 2 * each:
            now, _, happening = heapq.heappop(heap)
            happening(now)
    while heap:
        now, _, happening = heapq.heappop(heap)
        happening(now)
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=20_000)
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    calls = arguments.calls
    rows = []
    worst = float("inf")
    for world in WORLDS:
        measured = [simulated(world, calls) for _ in range(arguments.runs)]
        _, facts, entries = measured[0]
        best = min(seconds for seconds, _, _ in measured)
        middle = statistics.median(seconds for seconds, _, _ in measured)
        loop = min(bare(entries, calls) for _ in range(arguments.runs))
        worst = min(worst, calls / best)
        figures = (calls / middle, calls / best, best / calls * 1e6, facts / calls, entries / calls, calls / loop)
        rows.append(
            [world, *(f"{value:,.{digits}f}" for value, digits in zip(figures, (0, 0, 1, 1, 1, 0), strict=True))]
        )
    head = [
        f"{calls} calls, {arguments.runs} runs",
        "calls/s",
        "best",
        "µs per call",
        "facts",
        "entries",
        "bare heap calls/s",
    ]
    table(head, rows)
    print(
        f"\nTarget: at least 30,000 calls/s in every world. Measured (best of {arguments.runs}): {worst:,.0f} in the slowest."
    )


if __name__ == "__main__":
    main()
