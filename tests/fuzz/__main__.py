"""``python -m tests.fuzz [SECONDS]``: every fuzzer for its share of the time (15 minutes by default), then what came of it.

Prints executions, distinct outcomes and findings per fuzzer, and the branch coverage of ``sidecar/wire``. Exits with 1 when
anything was found.
"""

from __future__ import annotations

import contextlib
import sys
import time
import warnings

import coverage

DEFAULT = 900.0
EVERY = 60.0  # seconds between signs of life


def main(seconds: float) -> int:
    measured = coverage.Coverage(branch=True, source=["sidecar.wire"], data_file=None)
    measured.start()
    found = _fuzz(seconds)
    measured.stop()
    print("branch coverage of sidecar/wire:")
    measured.report(file=sys.stdout, show_missing=True)
    return 1 if found else 0


def _fuzz(seconds: float) -> int:
    """Runs all of them; the number of findings."""
    # Not before coverage has begun: what is imported earlier is not measured.
    import uvloop  # noqa: PLC0415

    from .api import admin_port  # noqa: PLC0415
    from .campaign import PURE, Fuzzer, Tally, campaign  # noqa: PLC0415
    from .live import Arena, examples  # noqa: PLC0415

    with contextlib.ExitStack() as stack:
        on_asyncio, on_uvloop = (stack.enter_context(Arena(factory)) for factory in (None, uvloop.new_event_loop))
        port = stack.enter_context(admin_port())
        fuzzers = (
            *PURE,
            Fuzzer("data port, asyncio", examples, on_asyncio.check),
            Fuzzer("data port, uvloop", examples, on_uvloop.check),
            Fuzzer("admin port", port.examples, port.check, lambda _: b""),
        )
        tallies: dict[str, Tally] = {}
        told = time.monotonic()
        for tally in campaign(fuzzers, seconds):
            tallies[tally.fuzzer.name] = tally
            if time.monotonic() - told > EVERY:
                told = time.monotonic()
                print(f"{sum(one.executions for one in tallies.values()):>9} executions", file=sys.stderr, flush=True)
    print(f"{'fuzzer':<20}{'executions':>12}{'seconds':>9}{'outcomes':>10}{'kept':>6}{'findings':>10}")
    for name, tally in tallies.items():
        print(
            f"{name:<20}{tally.executions:>12}{tally.seconds:>9.0f}{len(tally.outcomes):>10}{len(tally.kept):>6}{len(tally.findings):>10}"
        )
    for name, tally in tallies.items():
        for finding in tally.findings:
            print(f"\n{name}: {finding}")
    return sum(len(tally.findings) for tally in tallies.values())


if __name__ == "__main__":
    warnings.simplefilter("error", ResourceWarning)
    sys.exit(main(float(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT))
