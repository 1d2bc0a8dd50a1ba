"""Resident memory of the sidecar: when it has just started, and after a thousand chats; beside a bare aiohttp server.

Read from /proc, so on Linux only. RSS counts what the process has in memory, shared libraries included; PSS counts
shared pages by share; USS counts what nobody else has.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import statistics
from collections.abc import Callable
from pathlib import Path

from benchmarks.parts import Client, Running, chat, server, sidecar, switch_chat, table

Ask = Callable[[int], tuple[str, object]]
STATES = ("after start", "after the chats")


def resident(pid: int) -> tuple[float, float, float]:
    """RSS, PSS and USS in MiB."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    found = {
        name: int(size) / 1024 for name, size in re.findall(r"^(Rss|Pss|Private_\w+):\s+(\d+) kB", text, re.MULTILINE)
    }
    return found["Rss"], found["Pss"], found["Private_Clean"] + found["Private_Dirty"]


def measure(place: Running, ask: Ask, chats: int) -> list[tuple[float, float, float]]:
    with contextlib.closing(Client(place)) as client:
        client.seconds(client.request(*ask(0)))  # started is what has served once: what is needed is loaded then
        before = resident(place.pid)
        for number in range(1, chats + 1):
            client.seconds(client.request(*ask(number)))
        return [before, resident(place.pid)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--chats", type=int, default=1000)
    arguments = parser.parse_args()
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # to compile takes memory, too
    seen: dict[tuple[str, str], list[tuple[float, float, float]]] = {}
    with server("switch") as switch:
        for _ in range(arguments.runs):
            with sidecar(switch) as place:
                ours = measure(place, chat, arguments.chats)
            with server("bare") as place:
                bare = measure(place, lambda _: switch_chat(), arguments.chats)
            for name, figures in (("sidecar", ours), ("bare aiohttp server", bare)):
                for state, figure in zip(STATES, figures, strict=True):
                    seen.setdefault((name, state), []).append(figure)
    rows = [
        [
            f"{name}, {state}",
            *(f"{statistics.median(values):.1f}" for values in zip(*figures, strict=True)),
            f"{max(figures)[0]:.1f}",
        ]
        for (name, state), figures in seen.items()
    ]
    table(["MiB", "RSS", "PSS", "USS", "RSS, most"], rows)
    idle = statistics.median(rss for rss, *_ in seen["sidecar", STATES[0]])
    print(
        f"\n{arguments.runs} runs each, {arguments.chats} chats. Target: at most 64 MiB idle. Measured: {idle:.1f} MiB."
    )


if __name__ == "__main__":
    main()
