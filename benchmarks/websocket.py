"""WebSockets through the sidecar, case by case: both ends must see what they see without it.

Every case is run twice, direct and through a sidecar that is a process of its own, by two independent clients (``websockets``
and ``aiohttp``) against an echo peer by ``websockets``, and by a bare socket for what no library would send. What the
client and the server saw in the two runs must be equal, the addresses, nonces and hop-by-hop fields excepted.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple
from urllib.parse import urlencode

from benchmarks.parts import Running, sidecar, table
from benchmarks.websocket_by_hand import hand_cases
from benchmarks.websocket_cases import LARGE, SIZES, Case, library_cases
from benchmarks.websocket_clients import Place, without_place
from benchmarks.websocket_peer import Seen, bare_peer, echo_peer

PATIENCE = 15.0


class Verdict(NamedTuple):
    case: Case
    direct: str
    through: str

    @property
    def same(self) -> bool:
        return self.direct == self.through


async def _once(case: Case, place: Place, seen: Seen, key: str) -> str:
    """What client and server saw, as text."""
    told: list[Any] = []

    def target(path: str, **query: str) -> str:
        return f"{path}?{urlencode({'key': key, **query})}"

    try:
        async with asyncio.timeout(PATIENCE):
            await case.run(place, target, told)
            if case.noted:
                told.append(await seen.of(key))
    except (OSError, EOFError, TimeoutError) as error:
        told.append(type(error).__name__)
        if case.noted and not isinstance(error, TimeoutError):
            told.append(await seen.of(key))
    return without_place(told, place, key)


async def compare(cases: Sequence[Case], only: str = "") -> list[Verdict]:
    """Each case direct and through; the sidecars are processes of their own."""
    seen = Seen()
    verdicts = []
    async with contextlib.AsyncExitStack() as stack:
        ports = {"echo": await echo_peer(seen, stack), "bare": await bare_peer(seen, stack)}
        here = {name: Place("127.0.0.1", port) for name, port in ports.items()}
        there = {}
        for name, place in here.items():
            upstream = Running(0, place.host, place.port, 0.0, 0.0)
            through = await asyncio.to_thread(stack.enter_context, sidecar(upstream))
            there[name] = Place(through.host, through.port)
        for number, case in enumerate(cases):
            if only in case.group + case.name:
                sides = (("direct", here), ("through", there))
                told = [await _once(case, places[case.peer], seen, f"{way}-{number}-") for way, places in sides]
                verdicts.append(Verdict(case, *told))
    return verdicts


def show(verdicts: Sequence[Verdict], seconds: float) -> None:
    alike = Counter(verdict.case.group for verdict in verdicts if verdict.same)
    groups = Counter(verdict.case.group for verdict in verdicts)
    rows = [[group, count, alike[group], count - alike[group]] for group, count in groups.items()]
    total = [len(verdicts), alike.total(), len(verdicts) - alike.total()]
    table(["WebSocket", "cases", "identical", "different"], [*rows, ["all", *total]])
    for verdict in verdicts:
        if not verdict.same:
            print(
                f"\n{verdict.case.group}, {verdict.case.name}\n  direct:  {verdict.direct}\n  through: {verdict.through}"
            )
    print(f"\n{len(verdicts)} cases, each direct and through the sidecar, in {seconds:.1f} s.")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", metavar="TEXT", help="only cases whose group and name contain it")
    parser.add_argument("--show", action="store_true", help="what was seen, of every case")
    arguments = parser.parse_args()
    began = time.perf_counter()
    verdicts = asyncio.run(compare([*library_cases([*SIZES, LARGE]), *hand_cases()], arguments.only))
    if arguments.show:
        for verdict in verdicts:
            print(f"{verdict.case.group}, {verdict.case.name}: {verdict.direct[:1500]}\n")
    show(verdicts, time.perf_counter() - began)
    sys.exit(0 if all(verdict.same for verdict in verdicts) else 1)


if __name__ == "__main__":
    main()
