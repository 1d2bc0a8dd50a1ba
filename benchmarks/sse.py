"""Many server-sent event streams at once: how long until the first frame, how late each frame is, and whether all came in order.

The origin stamps each frame with the clock that all processes share; the reader subtracts. Direct and through the
sidecar take turns on the same machine, so read the differences, not the figures.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import time
from collections.abc import Callable
from typing import NamedTuple

from benchmarks.parts import Running, quantile, running, sidecar, table
from benchmarks.proc import rss

ONE_LINE = 4_096


class Stream(NamedTuple):
    """One stream: seconds until its first frame, seconds each frame was late, and whether every frame came, once, in order."""

    first: float
    late: list[float]
    whole: bool


async def _read(place: Running, frames: int, every: float, delay: float) -> Stream:
    await asyncio.sleep(delay)
    began = time.monotonic()
    reader, writer = await asyncio.open_connection(place.host, place.port)
    try:
        target = f"/events?frames={frames}&every={every}"
        writer.write(f"GET {target} HTTP/1.1\r\nHost: {place.address}\r\nAccept: text/event-stream\r\n\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        numbers, late, first = [], [], 0.0
        ended = False
        while not ended:
            size = int(await reader.readline(), 16)
            chunk = (await reader.readexactly(size + 2))[:-2]
            now = time.monotonic_ns()
            first = first or time.monotonic() - began
            ended = not size
            for frame in chunk.split(b"\n\n")[:-1]:
                number, stamp = frame.removeprefix(b"id: ").split(b"\ndata: ")
                numbers.append(int(number))
                late.append((now - int(stamp)) / 1e9)
        ordered = head.startswith(b"HTTP/1.1 200") and numbers == list(range(frames))
        return Stream(first, late, ordered)
    except (EOFError, ConnectionError):
        return Stream(0.0, [], whole=False)
    finally:
        writer.close()


async def streams(place: Running, count: int, frames: int, every: float) -> list[Stream]:
    """``count`` streams that begin spread over one ``every``, so that their frames do not all fall into one moment."""
    return list(await asyncio.gather(*(_read(place, frames, every, every * n / count) for n in range(count))))


def measure(count: int, frames: int, every: float, rounds: int) -> tuple[dict[str, list[Stream]], tuple[float, float]]:
    """The streams by way, and the sidecar's memory in MiB before and after."""
    with contextlib.ExitStack() as stack:
        origin = stack.enter_context(running("-m", "benchmarks.gateway"))
        place = stack.enter_context(sidecar(origin))
        ways = {"direct": origin, "through the sidecar": place}
        found: dict[str, list[Stream]] = {name: [] for name in ways}
        for where in ways.values():
            run(lambda where=where: streams(where, count, 2, 0.01))  # warm
        before = rss(place.pid)
        for _ in range(rounds):
            for name, where in ways.items():
                found[name] += run(lambda where=where: streams(where, count, frames, every))
        return found, (before, rss(place.pid))


def run(make: Callable[..., object]) -> list[Stream]:
    import uvloop  # noqa: PLC0415

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(make())  # type: ignore[arg-type]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--streams", type=int, default=200)
    parser.add_argument("--frames", type=int, default=50, help="of one stream (%(default)s)")
    parser.add_argument("--every", type=float, default=0.1, help="seconds between two (%(default)s)")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    found, memory = measure(arguments.streams, arguments.frames, arguments.every, arguments.rounds)
    rows = []
    for name, streams_ in found.items():
        firsts = [stream.first for stream in streams_]
        late = [each for stream in streams_ for each in stream.late]
        figures = [f"{quantile(samples, share) * 1000:.2f}" for samples in (firsts, late) for share in (0.5, 0.99)]
        rows.append([name, len(streams_), len(late), *figures, sum(stream.whole for stream in streams_)])
    table(["milliseconds", "streams", "frames", "first p50", "first p99", "late p50", "late p99", "whole"], rows)
    print(f"\n{arguments.streams} at once. Sidecar: {memory[0]:.1f} MiB before, {memory[1]:.1f} MiB after.")


if __name__ == "__main__":
    main()
