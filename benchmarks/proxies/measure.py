"""What a proxy costs: processor time, instructions and memory of its process and its children; how soon it answers."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

from benchmarks.proc import rss, seconds
from benchmarks.proxies.peers import Peer, Place, serving
from benchmarks.proxies.upstream import Upstream

_ANSWERED = re.compile(r"^vx11_sidecar_chat_requests_total\{([^}]*)\} (\S+)", re.MULTILINE)


def tree(pid: int) -> list[int]:
    """The process and all below it."""
    children: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(path.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue  # it ended just now
        children.setdefault(parent, []).append(int(path.parent.name))
    found = [pid]
    for each in found:
        found += children.get(each, ())
    return found


def cpu(pid: int) -> float:
    """Seconds of processor time so far, user and system; Linux counts them in hundredths."""
    return _over(pid, seconds)


def resident(pid: int) -> float:
    """MiB; what processes share counts in each."""
    return _over(pid, rss)


def _over(pid: int, figure: Callable[[int], float]) -> float:
    """The sum over the process and its children; a child may end meanwhile, the process may not."""
    total = figure(pid)
    for each in tree(pid)[1:]:
        with contextlib.suppress(OSError):
            total += figure(each)
    return total


def start(peer: Peer, program: str, upstream: Upstream, core: int | None, directory: Path) -> float:
    """Milliseconds from spawning it to the end of the first answer; it is asked every two."""
    began = time.perf_counter()
    with serving(peer, program, upstream, core, directory):
        return (time.perf_counter() - began) * 1000


def by_switch(place: Place) -> tuple[float, float]:
    """How many chats the sidecar has answered, and how many of them the switch did, by its own count."""
    with urllib.request.urlopen(f"http://127.0.0.1:{place.admin}/metrics", timeout=10) as answer:
        return counted(answer.read().decode())


def counted(exposition: str) -> tuple[float, float]:
    """All chats, and those of the outcome ``primary``; not those that the load left when its time was over."""
    lines = _ANSWERED.findall(exposition)
    found = [(labels, float(value)) for labels, value in lines if 'outcome="client_gone"' not in labels]
    return sum(value for _, value in found), sum(value for labels, value in found if 'outcome="primary"' in labels)


# -- instructions, where the machine counts them ------------------------------------------------------------------------


def counters() -> bool:
    """Whether ``perf`` can count instructions here; virtual machines mostly cannot."""
    if shutil.which("perf") is None:
        return False
    command = ["perf", "stat", "-x", ",", "-e", "instructions", "true"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    return done.returncode == 0 and instructions(done.stderr) is not None


def counting(pid: int, report: Path) -> list[str]:
    """A command that runs another, and counts what the process does meanwhile."""
    pids = ",".join(map(str, tree(pid)))
    return ["perf", "stat", "-x", ",", "-o", str(report), "-e", "instructions", "-p", pids, "--"]


def instructions(report: str) -> float | None:
    """Of ``perf stat -x ,``: user and kernel together; nothing if they were not counted."""
    found = [line.split(",") for line in report.splitlines() if "instructions" in line]
    if not found or not all(fields[0].isdigit() for fields in found):
        return None
    return float(sum(int(fields[0]) for fields in found))


def wait_until_quiet(pid: int, most: float = 3.0) -> None:
    """Until it does nothing: what was started may still be loading."""
    deadline = time.monotonic() + most
    before = cpu(pid)
    while time.monotonic() < deadline:
        time.sleep(0.3)
        now = cpu(pid)
        if now - before < 2 / os.sysconf("SC_CLK_TCK"):
            return
        before = now
