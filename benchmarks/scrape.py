"""How large a scrape is and how long it takes to write, with every label child that can exist, in both formats.

In one process and without sockets: what is measured is what keeps the event loop from everything else while a scraper asks.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics

from benchmarks.parts import quantile, table
from sidecar.core.engine import Engine
from sidecar.core.fact import ChatServed
from sidecar.edge.outlets.telemetry import OUTCOMES, Telemetry
from sidecar.policy.model import Policy

MOST_LINES = 1200
FORMATS: dict[str, Callable[[CollectorRegistry], bytes]] = {
    "text": generate_latest,
    "OpenMetrics": generate_openmetrics,
}


def full() -> Telemetry:
    """Every child there can be (they are made at start), with an engine behind it and an exemplar in every bucket."""
    telemetry = Telemetry(time.monotonic)
    engine = Engine(0.0, Policy(), revision="r1", source="built-in", seed=1, emit=telemetry)
    telemetry.watch_engine(lambda: engine.gauges(0.0))
    for outcome, codes in OUTCOMES.items():
        for seconds in (0.001, 0.007, 0.02, 0.04, 0.07, 0.2, 0.4, 0.7, 1.5, 2.5, 3.5, 4.5, 5.5, 7, 20, 50, 70):
            telemetry(ChatServed(0.0, 1, "c", outcome, codes[0], seconds, 0.0, trace_id="f" * 32, sampled=True))
    return telemetry


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scrapes", type=int, default=300)
    arguments = parser.parse_args()
    registry = full().registry
    rows = []
    most = 0
    for name, write in FORMATS.items():
        lines = write(registry).splitlines()
        series = sum(not line.startswith(b"#") for line in lines)
        seconds = []
        for _ in range(arguments.scrapes):
            began = time.perf_counter()
            write(registry)
            seconds.append(time.perf_counter() - began)
        most = max(most, len(lines))
        size = sum(len(line) + 1 for line in lines) / 1024
        figures = [
            f"{value * 1000:.2f}" for value in (min(seconds), statistics.median(seconds), quantile(seconds, 0.95))
        ]
        rows.append([name, len(lines), series, f"{size:.1f}", *figures])
    table(["format", "lines", "series", "KiB", "ms, least", "ms, median", "ms, p95"], rows)
    print(f"\n{arguments.scrapes} scrapes each. Target: below {MOST_LINES} lines, some 10 ms. Measured: {most} lines.")


if __name__ == "__main__":
    main()
