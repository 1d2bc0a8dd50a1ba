"""How long a day takes to replay: ten chats a second for 24 hours, 864,000 calls, with outages, slow hours and a share of failures.

The journal is made on virtual time (which is not measured), then read and decided again as it was, and tried under candidate policies,
one at a time on one core and then two at once. Beside it what a bare loop of this Python takes at the same moment: these machines vary.
"""

from __future__ import annotations

import argparse
import gc
import random
import resource
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import orjson

from benchmarks.parts import table
from sidecar.cli.trials import Wanted, tried
from sidecar.core.engine import Engine
from sidecar.core.fact import Fact
from sidecar.core.line import SCHEMA, to_line
from sidecar.core.scene import Call
from sidecar.core.vocabulary import Outcome
from sidecar.policy.load import Loaded, parse
from sidecar.policy.model import Policy
from sidecar.replay.simulate import Arrival, Simulation
from sidecar.replay.study import pasts, study, trial
from sidecar.replay.world import Behaviour, Synthetic
from sidecar.replay.worlds.scenario import NOTHING

RATE = 10.0  # chats a second
BAR = 45.0  # seconds per policy
SEED = 20261128
WELL = Behaviour(median=0.3, sigma=0.5)
MADRE = Behaviour(median=0.06, sigma=0.1)
DAY = [
    (0.0, WELL),
    (0.30, Behaviour(hanging=1.0)),
    (0.32, WELL),
    (0.50, Behaviour(median=0.3, sigma=0.8, failing=0.05, failures=(Outcome(status=503),))),
    (0.70, Behaviour(median=0.002, sigma=0.1, failing=1.0)),
    (0.71, Behaviour(median=0.9, sigma=0.6)),
    (0.80, WELL),
]
CANDIDATES = {
    "default": "",
    "a second, eight at once": "timeouts: {attempt: 1s}\nlimiter: {max_concurrent: 8}\n",
}


def write(path: Path, calls: int) -> None:
    """A journal of so many calls."""
    policy = Policy.model_validate({"limiter": {"max_concurrent": 16}})
    seconds = calls / RATE
    phases = {"switch": [(at * seconds, kind) for at, kind in DAY], "madre": [(0.0, MADRE)]}
    with path.open("wb") as file:
        file.write(orjson.dumps({"in": "start", "schema": SCHEMA, "version": "0.1.0", "seed": SEED}) + b"\n")

        def emit(fact: Fact) -> None:
            line = to_line(fact)
            if line is not None:
                file.write(orjson.dumps(line) + b"\n")

        engine = Engine(0.0, policy, revision="r", source="benchmark", seed=SEED, emit=emit)
        Simulation(engine, Synthetic(phases, SEED)).run(_arrivals(calls))


def _arrivals(calls: int) -> Iterator[Arrival]:
    luck = random.Random(SEED)
    at = 1.0
    for number in range(1, calls + 1):
        at += luck.expovariate(RATE)
        yield Arrival(at, Call(number, 4.75 - luck.random() * 0.001, f"c{number}"))


def bare() -> float:
    """Seconds of this Python for ten million turns of a loop, now."""
    began = time.process_time()
    for _ in range(10_000_000):
        pass
    return time.process_time() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=864_000)
    calls = parser.parse_args().calls
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "journal-000001.jsonl"
        write(path, calls)
        rows = [["journal", f"{path.stat().st_size / 1e6:.0f} MB", "", ""]]
        policies = [parse(text, name) for name, text in CANDIDATES.items()]
        measured = _measure(path, policies, rows)
        table([f"{calls} calls", "seconds", "processor", "loop"], rows)
    print(
        f"\nTarget: under {BAR:.0f} s per policy on one core for 864,000 calls. Measured: {max(measured):.1f} s for {calls}. "
        f"Memory at most: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB."
    )


def _measure(path: Path, policies: list[Loaded], rows: list[list[str]]) -> list[float]:
    def timed(what: str, began: tuple[float, float]) -> float:
        seconds, cpu = time.perf_counter() - began[0], time.process_time() - began[1]
        rows.append([what, f"{seconds:.1f}", f"{cpu:.1f}", f"{bare():.2f}"])
        return seconds

    def now() -> tuple[float, float]:
        return time.perf_counter(), time.process_time()

    began = now()
    found = study([path])
    timed("read, and decided again as it was", began)
    if found.fidelity.differing or found.calls != found.fidelity.calls:
        raise AssertionError("the journal did not come out the same")
    began = now()
    past = pasts(found)
    timed("what worlds are made from", began)
    gc.freeze()
    measured = []
    for loaded in policies:
        began = now()
        trial(past, loaded)
        measured.append(timed(f"one core: {loaded.source}", began))
    del past, found
    began = now()
    tried(Wanted([path], policies, NOTHING, draws=1))
    timed("the whole command, both on all cores", began)
    return measured


if __name__ == "__main__":
    main()
