"""Many worlds, one after the other or on all cores, and what came of them."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from multiprocessing import get_context
from typing import NamedTuple

from .check import check
from .generate import generate
from .violation import Violation

TWICE_EVERY = 50  # one world in so many is told twice and replayed from its journal
PORTION = 10  # worlds that a process is given at a time


class Found(NamedTuple):
    """A promise that was broken in the world of that number."""

    number: int
    promise: str
    text: str


class Tally(NamedTuple):
    """``counts`` is what happened in ``worlds`` worlds."""

    worlds: int = 0
    counts: Counter[str] = Counter()  # noqa: RUF012 - never changed in place
    found: tuple[Found, ...] = ()

    @property
    def calls(self) -> int:
        return self.counts["calls"]

    def __add__(self, other: Tally) -> Tally:  # type: ignore[override]
        return Tally(self.worlds + other.worlds, self.counts + other.counts, self.found + other.found)


def try_world(number: int, twice_every: int = TWICE_EVERY) -> Tally:
    """The world with this number."""
    world = generate(number)
    try:
        return Tally(1, check(world, twice=number % twice_every == 0))
    except Violation as violation:
        return Tally(1, Counter(calls=world.calls), (Found(number, violation.promise, violation.text),))


def portion(first: int) -> Tally:
    """The worlds from ``first`` on, as many as a portion has."""
    tally = Tally()
    for number in range(first, first + PORTION):
        tally += try_world(number)
    return tally


def campaign(seed: int, calls: int, *, seconds: float, processes: int) -> Iterator[Tally]:
    """Portions of worlds from number ``seed`` on until there were so many calls, or the time is over; what has come of all so far.

    With one process they are performed in this one. Which worlds are tried depends on ``seed`` alone, how many on what they hold.
    """
    over = time.monotonic() + seconds
    tally = Tally()
    for done in _portions(seed, processes):
        tally += done
        yield tally
        if tally.calls >= calls or time.monotonic() > over:
            return


def _portions(seed: int, processes: int) -> Iterator[Tally]:
    firsts = iter(range(seed, seed + (1 << 62), PORTION))
    if processes == 1:
        yield from map(portion, firsts)
        return
    pool = ProcessPoolExecutor(processes, mp_context=get_context("spawn"))
    try:
        pending: set[Future[Tally]] = {pool.submit(portion, next(firsts)) for _ in range(processes + 1)}
        while pending:
            done, pending = wait(pending, return_when=FIRST_COMPLETED)
            for future in done:
                pending.add(pool.submit(portion, next(firsts)))
                yield future.result()
    finally:
        pool.shutdown(cancel_futures=True)
