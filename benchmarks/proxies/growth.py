"""What a request costs when there are more connections: busy ones, and ones that say nothing."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

from benchmarks.proc import raise_descriptor_limit
from benchmarks.proxies.figures import Figures
from benchmarks.proxies.idle import idle
from benchmarks.proxies.load import CONNECTIONS, Wrk, request
from benchmarks.proxies.measure import cpu
from benchmarks.proxies.peers import NGINX, SIDECAR, Place

BUSY = (1, 10, 100, 1_000)
# The built-in policy takes 10 000 connections; the busy ones and some to spare are among them.
IDLE = 9_800  # with 20,000 descriptors, which is what some machines allow, the sidecar has room for 9,840 clients
BESIDE = f"{CONNECTIONS} beside {IDLE} idle"
POINTS = (*map(str, BUSY), BESIDE)
WHO = (SIDECAR, NGINX)


def figure(point: str) -> str:
    return f"at {point}"


def measure(figures: Figures, number: int, place: Place, wrk: Wrk, seconds: int) -> None:
    """One round of one proxy: microseconds of processor time for a request with a header of its own, and the share of 200."""
    message = request("unique", place.port, place.peer.chat)
    for point in POINTS:
        beside = point == BESIDE
        if beside and raise_descriptor_limit() < IDLE + 2_000:
            continue
        with idle(place.port, IDLE) if beside else contextlib.nullcontext():
            before = cpu(place.pid)
            done = wrk.round(place.port, message, CONNECTIONS if beside else int(point), seconds)
            used = cpu(place.pid) - before
        if done.requests:
            figures.add(number, place.peer.name, figure(point), used / done.requests * 1e6)
            figures.add(number, place.peer.name, figure(point) + " share", done.share)


def table(figures: Figures) -> tuple[list[str], list[list[str]]]:
    """Head and rows: a row for each number of connections that was measured."""
    who = [name for name in WHO if any(figures.has(name, figure(point)) for point in POINTS)]
    head = ["connections", *(column for name in who for column in (f"{name} µs", "200"))]
    rows = []
    for point in POINTS:
        cells = [cell for name in who for cell in _cells(figures, name, point)]
        if any(cells):
            rows.append([point, *cells])
    return head, rows


def _cells(figures: Figures, name: str, point: str) -> Sequence[str]:
    cost, share = figures.median(name, figure(point)), figures.least(name, figure(point) + " share")
    return ("", "") if cost is None or share is None else (f"{cost:.1f}", f"{share:.1%}")
