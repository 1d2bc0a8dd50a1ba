"""What a chat costs the core more when a candidate runs beside the policy: processor seconds a call with a shadow, over those without.

The engine, its facts and the metrics' sink, on virtual time, without sockets; each variant in turn, several rounds.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

from benchmarks.parts import table
from benchmarks.simulate import HEALTHY, WORLDS, arrivals
from sidecar.core.engine import Engine
from sidecar.core.fact import Fact
from sidecar.core.shadow import Shadow
from sidecar.edge.outlets.telemetry import Telemetry
from sidecar.policy.model import Policy
from sidecar.replay.simulate import Simulation
from sidecar.replay.world import Synthetic

ACTIVE = Policy()
CANDIDATES = {
    "none": None,
    "the same policy": ACTIVE,
    "attempt 1 s": Policy.model_validate(
        {"targets": [{"name": "switch", "timeouts": {"attempt": "1s"}}, {"name": "madre"}]}
    ),
    "another order": Policy.model_validate({"targets": [{"name": "madre"}, {"name": "switch"}]}),
}


def run(world: str, candidate: Policy | None, calls: int) -> tuple[float, dict[str, object]]:
    """Seconds for all calls, and what was compared."""
    telemetry = Telemetry(lambda: 0.0)
    sinks: list[Callable[[Fact], None]] = [telemetry]
    shadow = None
    if candidate is not None:
        shadow = Shadow(0.0, candidate, revision="c", source="c", seed=1, tell=telemetry.compared)
        sinks.append(shadow.take)

    def emit(fact: Fact) -> None:
        for sink in sinks:
            sink(fact)

    engine = Engine(0.0, ACTIVE, revision="r", source="built-in", seed=1, emit=emit)
    phases = {"switch": WORLDS[world], "madre": [(0.0, HEALTHY)]}
    simulation = Simulation(engine, Synthetic(phases, 1))
    began = time.process_time()
    simulation.run(arrivals(calls))
    seconds = time.process_time() - began
    return seconds, {} if shadow is None else shadow.view(1e9)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    rows = []
    for world in WORLDS:
        taken: dict[str, list[float]] = {name: [] for name in CANDIDATES}
        seen: dict[str, dict[str, object]] = {}
        for _ in range(arguments.rounds):
            for name, candidate in CANDIDATES.items():
                seconds, seen[name] = run(world, candidate, arguments.calls)
                taken[name].append(seconds / arguments.calls * 1e6)
        without = statistics.median(taken["none"])
        for name, each in taken.items():
            cost = statistics.median(each)
            agrees = seen[name].get("agrees", "")
            rows.append([world, name, f"{cost:.1f}", f"{cost - without:+.1f}", f"{cost / without:.2f}", agrees])
    table(["world", "candidate", "µs a call", "more", "ratio", "calls that agree"], rows)


if __name__ == "__main__":
    main()
