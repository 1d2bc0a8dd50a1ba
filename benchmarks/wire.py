"""Every wire case against the sidecar as it is run, and against nginx and HAProxy where they are installed.

A proxy stands in front of a recording upstream on loopback; a client sends the bytes of a case, whole and one at a time.
One table says how many cases went as they should, one list which did not. Nothing here is a measure of speed.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks.parts import TOKEN, running, table
from benchmarks.proxies.process import free_port
from tests.corpus.judge import Case, cases, section
from tests.corpus.lanes import Lane, over, recording

SIDECAR = "sidecar"
PEERS = {"nginx": "nginx.conf", "HAProxy": "haproxy.cfg"}
CONFIGURATIONS = Path(__file__).parent / "peers"
LANES = 4
SPELLINGS = "spellings of a path"


class Result(NamedTuple):
    """One case against one proxy. ``must``: the RFC says MUST; ``soft``: other choices are known and defended."""

    section: str
    id: str
    must: bool
    soft: bool
    faults: list[str]
    way: str = ""

    @property
    def kind(self) -> str:
        return "soft" if self.soft else "MUST" if self.must else "other"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", metavar="PROXY", choices=(SIDECAR, *PEERS), help="run this one alone")
    parser.add_argument("--brief", action="store_true", help="leave out what the peers' faults were")
    arguments = parser.parse_args()
    results: dict[str, list[Result]] = {}
    for name in (SIDECAR, *PEERS):
        if arguments.only not in (None, name):
            continue
        if name in PEERS and shutil.which(name.lower()) is None:
            print(f"{name} is not installed: left out")
            continue
        results[name] = asyncio.run(measure(name))
    show(results, brief=arguments.brief)
    if any(result.faults and (result.must or not result.soft) for result in results.get(SIDECAR, ())):
        sys.exit(1)


async def measure(name: str) -> list[Result]:
    """All cases against one proxy."""
    began = time.perf_counter()
    async with recording(LANES) as (lanes, upstreams):
        with contextlib.ExitStack() as stack:
            for lane, upstream in zip(lanes, upstreams, strict=True):
                lane.port = stack.enter_context(sidecar(upstream) if name == SIDECAR else peer(name, upstream))
            results = await wire(lanes, piecemeal=False)
            results += await wire(lanes, piecemeal=True)
            results += await spellings(lanes)
    print(f"{name}: {len(results)} runs in {time.perf_counter() - began:.0f} s", flush=True)
    return results


async def wire(lanes: Sequence[Lane], *, piecemeal: bool) -> list[Result]:
    asked = cases("http1_wire") + cases("more_wire")

    async def judge(lane: Lane, case: Case) -> list[str]:
        return await lane.judge(case, piecemeal=piecemeal)

    faults = await over(lanes, asked, judge)
    way = "bytewise" if piecemeal else "whole"
    return [
        Result(section(case), case["id"], case["level"] == "MUST", case.get("soft", False), found, way)
        for case, found in zip(asked, faults, strict=True)
    ]


async def spellings(lanes: Sequence[Lane]) -> list[Result]:
    """Each in a session of its own: ten chats a minute and session is the limit."""
    asked = cases("path_aliases")
    bodies = {
        case["target"]: json.dumps({"message": "hola", "session_id": f"spelling-{number}"}).encode()
        for number, case in enumerate(asked)
    }

    async def judge(lane: Lane, case: dict[str, str]) -> list[str]:
        return await lane.judge_spelling(case, TOKEN, bodies[case["target"]])

    faults = await over(lanes, asked, judge)
    return [
        Result(SPELLINGS, case["target"], must=False, soft=False, faults=found)
        for case, found in zip(asked, faults, strict=True)
    ]


# -- proxies ------------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def sidecar(upstream: int) -> Iterator[int]:
    """As an operator starts it. There is no switch and no madre: a chat is answered, and that is enough here."""
    nobody = f"127.0.0.1:{free_port()}"
    places = ("--gateway", f"127.0.0.1:{upstream}", "--switch", nobody, "--madre", nobody)
    with running("-m", "sidecar", "serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", *places) as process:
        yield process.port


@contextlib.contextmanager
def peer(name: str, upstream: int) -> Iterator[int]:
    """One of the others, with its configuration and all it writes in a directory that goes again."""
    port = free_port()
    with tempfile.TemporaryDirectory() as directory:
        text = (CONFIGURATIONS / PEERS[name]).read_text()
        filled = {"LISTEN": str(port), "UPSTREAM": str(upstream), "TOKEN": TOKEN, "DIRECTORY": directory}
        for word, value in filled.items():
            text = text.replace("{" + word + "}", value)
        path = Path(directory) / PEERS[name]
        path.write_text(text)
        process = subprocess.Popen(
            command(name, str(path)), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=dict(os.environ)
        )
        try:
            await_port(process, port)
            yield port
        finally:
            process.terminate()
            process.wait(15)


def command(name: str, path: str) -> list[str]:
    return ["nginx", "-e", "stderr", "-c", path] if name == "nginx" else ["haproxy", "-q", "-db", "-f", path]


def await_port(process: subprocess.Popen[bytes], port: int, within: float = 10.0) -> None:
    """Until somebody listens there."""
    deadline = time.monotonic() + within
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.02)
    raise SystemExit(f"did not start: {process.args}")


# -- figures ------------------------------------------------------------------------------------------------------------


def share(results: Sequence[Result]) -> str:
    return f"{sum(not result.faults for result in results)}/{len(results)}" if results else ""


def show(results: dict[str, list[Result]], *, brief: bool) -> None:
    """Cases met of cases run, all and MUST alone; then what failed."""
    sections = list(dict.fromkeys(result.section for found in results.values() for result in found))
    chosen: list[tuple[str, Callable[[Result], bool]]] = [
        (name, lambda result, name=name: result.section == name)
        for name in sections  # type: ignore[misc]
    ]
    chosen += [("wire cases", lambda result: result.section != SPELLINGS), ("total", lambda _: True)]
    rows = []
    for title, belongs in chosen:
        row = [title]
        for found in results.values():
            some = [result for result in found if belongs(result)]
            row += [share(some), share([result for result in some if result.must])]
        rows.append(row)
    print()
    table(["", *(word for name in results for word in (name, "MUST"))], rows)
    for name, found in results.items():
        failures(name, found, brief=brief and name != SIDECAR)


def failures(name: str, results: Sequence[Result], *, brief: bool) -> None:
    """Each failed case once, and the way of sending it if only one of the two failed."""
    failed: dict[str, list[Result]] = {}
    for result in results:
        if result.faults:
            failed.setdefault(result.id, []).append(result)
    kinds = Counter(first.kind for first, *_ in failed.values())
    print(f"\n{name}: {len(failed)} failed" + "".join(f" · {kind} {count}" for kind, count in sorted(kinds.items())))
    for first, *more in failed.values():
        alone = "" if more or not first.way else f" ({first.way} only)"
        print(f"  {first.kind:5} {first.id}{alone}" + ("" if brief else f": {'; '.join(first.faults)}"))


if __name__ == "__main__":
    main()
