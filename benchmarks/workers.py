"""What further workers on one port give and cost: requests a second, processor time for each, who gets them, memory.

    python -m benchmarks.workers [--seconds 5] [--rounds 3] [--workers 1 2 4]

Load and upstream have no cores of their own here, for workers are there to use all: on a machine of two cores what the load takes is
missing, so the rate says what is left and the processor time for a request what it costs. Rounds are interleaved; shown are medians.
What the metrics of the workers add up to is held against what the load was answered. Exits with 1 if that differs.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import statistics
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from prometheus_client.parser import text_string_to_metric_families

from benchmarks.parts import running, table
from benchmarks.proc import seconds
from benchmarks.proxies.cores import Cores
from benchmarks.proxies.load import CONNECTIONS, Wrk, request
from benchmarks.proxies.peers import Chat
from benchmarks.proxies.process import program
from benchmarks.proxies.upstream import Upstream, fast

SHAPES = ("unique", "chat")
COUNTERS = {"unique": "relay_requests_total", "chat": "chat_requests_total"}
NOWHERE = Cores(None, None, None)
# Room for all of them at one worker: a place in the queue says nothing about processes.
POLICY = (
    "guards: {rate_limit: 100000 per 1s}\ntargets: [{name: switch, limiter: {max_concurrent: 64}}, {name: madre}]\n"
)


class Place(NamedTuple):
    """A sidecar: its ports, and every process of it."""

    port: int
    admin: str
    pids: tuple[int, ...]

    def used(self) -> float:
        """Processor seconds of all of it."""
        return sum(seconds(pid) for pid in self.pids)

    def memory(self) -> float:
        """MiB of all of it; what processes share counts once."""
        return sum(_pss(pid) for pid in self.pids)

    def counted(self, shape: str) -> dict[str, float]:
        """Requests by worker."""
        with urllib.request.urlopen(f"http://{self.admin}/metrics") as answer:
            text = answer.read().decode()
        found: dict[str, float] = {}
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                if sample.name == f"vx11_sidecar_{COUNTERS[shape]}":
                    worker = sample.labels.get("worker", "-")
                    found[worker] = found.get(worker, 0.0) + sample.value
        return found


class Round(NamedTuple):
    rate: float
    cost: float  # microseconds of processor time for a request
    busiest: float  # share of the worker that got most
    failed: int
    uncounted: int  # answered, and in no metric, or the other way round


def _pss(pid: int) -> float:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


@contextlib.contextmanager
def sidecar(workers: int, upstream: Upstream, directory: Path) -> Iterator[Place]:
    policy = directory / "policy.yaml"
    policy.write_text(POLICY)
    places = [f"--{name}=127.0.0.1:{port}" for name, port in upstream._asdict().items()]
    flags = [f"--workers={workers}", "--listen=127.0.0.1:0", "--admin=127.0.0.1:0", f"--policy={policy}", *places]
    with running("-m", "sidecar", "serve", *flags) as serves:
        with urllib.request.urlopen(f"http://{serves.admin}/state") as answer:
            state = json.load(answer)
        pids = [worker["pid"] for worker in state.get("workers", ())]
        yield Place(serves.port, serves.admin, (serves.pid, *pids))


def play(place: Place, shape: str, wrk: Wrk, lasts: int) -> Round:
    before, used = place.counted(shape), place.used()
    done = wrk.round(place.port, request(shape, place.port, Chat()), CONNECTIONS, lasts)
    cost = (place.used() - used) / max(done.requests, 1) * 1e6
    time.sleep(0.5)  # what was under way when the load stopped
    counts = {worker: count - before.get(worker, 0.0) for worker, count in place.counted(shape).items()}
    total = sum(counts.values())
    # wrk leaves in the middle of one request on each connection, which is counted here and not there.
    beyond = max(0, abs(round(total) - done.requests) - CONNECTIONS)
    return Round(done.rate, cost, max(counts.values(), default=0.0) / max(total, 1.0), done.failed, beyond)


def measure(counts: Sequence[int], rounds: int, lasts: int) -> tuple[list[list[object]], bool]:
    """The table's rows, and whether every request was counted."""
    with tempfile.TemporaryDirectory() as name, fast(NOWHERE, Path(name)) as upstream, contextlib.ExitStack() as stack:
        directory = Path(name)
        wrk = Wrk(NOWHERE, directory)
        places = {count: stack.enter_context(sidecar(count, upstream, directory)) for count in counts}
        found: dict[tuple[str, int], list[Round]] = {(shape, count): [] for shape in SHAPES for count in counts}
        for _ in range(rounds):
            for (shape, count), played in found.items():
                played.append(play(places[count], shape, wrk, lasts))
        memory = {count: place.memory() for count, place in places.items()}
    rows: list[list[object]] = []
    for (shape, count), played in found.items():
        first = statistics.median(one.rate for one in found[shape, counts[0]])
        base = statistics.median(one.cost for one in found[shape, counts[0]])
        rate, cost = (statistics.median(getattr(one, field) for one in played) for field in ("rate", "cost"))
        busiest = max(one.busiest for one in played)
        failed, uncounted = (sum(getattr(one, field) for one in played) for field in ("failed", "uncounted"))
        row = (
            shape,
            count,
            f"{rate:.0f}",
            f"{rate / first:.2f}",
            f"{cost:.0f}",
            f"{cost / base:.2f}",
            f"{busiest:.0%}",
            f"{memory[count]:.0f}",
        )
        rows.append([*row, failed, uncounted])
    return rows, not any(one.uncounted for played in found.values() for one in played)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4])
    arguments = parser.parse_args()
    if program("wrk") is None:
        print("wrk is not installed (a package of Debian: make deps)")
        return 1
    rows, adds_up = measure(arguments.workers, arguments.rounds, arguments.seconds)
    table(("what", "workers", "req/s", "x", "µs CPU", "x", "busiest", "MiB", "failed", "uncounted"), rows)
    return 0 if adds_up else 1


if __name__ == "__main__":
    raise SystemExit(main())
