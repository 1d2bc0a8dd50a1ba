"""From ``python -m sidecar serve`` to the first chat it has served, with byte code; beside what Python and aiohttp take anyway."""

from __future__ import annotations

import argparse
import contextlib
import os
import subprocess
import sys
import time
from contextlib import AbstractContextManager

from benchmarks.parts import ROOT, Client, Running, chat, server, sidecar, spread, switch_chat, table

READY, SERVED = "sidecar: line that says ready", "sidecar: first chat served"
BARE, IMPORT, PYTHON = "bare aiohttp server: first request served", "python -c 'import aiohttp.web'", "python -c ''"


def command(code: str) -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=os.environ, check=True)
    return time.perf_counter() - began


def first_served(starting: AbstractContextManager[Running], request: tuple[str, object]) -> tuple[float, float]:
    """Seconds from the spawn to the ready line, and to the end of the first answer."""
    with starting as place, contextlib.closing(Client(place)) as client:
        client.seconds(client.request(*request))
        return place.ready - place.began, time.perf_counter() - place.began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=10)
    runs = parser.parse_args().runs
    os.environ.pop(
        "PYTHONDONTWRITEBYTECODE", None
    )  # what is installed has its byte code; this is no benchmark of the compiler
    seconds: dict[str, list[float]] = {name: [] for name in (SERVED, READY, BARE, IMPORT, PYTHON)}
    with server("switch") as switch:
        first_served(sidecar(switch), chat(0))  # not counted: files and byte code come into the cache
        for number in range(runs):
            ready, served = first_served(sidecar(switch), chat(number))
            seconds[READY].append(ready)
            seconds[SERVED].append(served)
            seconds[BARE].append(first_served(server("bare"), switch_chat())[1])
            seconds[IMPORT].append(command("import aiohttp.web"))
            seconds[PYTHON].append(command(""))
    rows = [[name, *(f"{value * 1000:.0f}" for value in spread(values))] for name, values in seconds.items()]
    table([f"milliseconds, {runs} runs", "median", "min", "max"], rows)


if __name__ == "__main__":
    main()
