"""How many requests a target works on at once, and what each of them takes it, read out of what was recorded.

A switch that answers one chat at a time in 100 ms is seen at 400 ms when four are asked at once; a policy that asks one at a time would see
100 ms, and no recorded duration says so. Served first come first served by ``servers``, the k-th request begins to be worked on when it has
come and a server is free, so its *service time* is what is left of its duration (Lindley, "The theory of queues with a single server",
1952). Which number of servers is true is judged by likelihood: under the right one the service times of a period are alike, under
a wrong one they depend on who else was there. Only requests that met others tell the numbers apart, and ``SURE`` nats are asked
for before anybody believes in a queue: without them a target answers as recorded, however many ask.

A request whose caller stopped waiting is worked on all the same (VX11's services do not notice), unless its target hangs: then nothing
is worked on, and what waits is dropped when it ends.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from heapq import heapreplace
from math import log, sqrt
from statistics import median
from typing import NamedTuple

from sidecar.core.value import replace
from sidecar.replay.record import Attempted
from sidecar.replay.worlds.periods import Period

CANDIDATES = (1, 2, 3, 4, 6, 8)
SURE = 20.0  # nats by which a queue must explain the durations better than none
FEWEST = 20  # requests that met others, without which nothing can be said
SHORTEST = 1e-4  # seconds: a shorter service is no service, and counts against who needs one
NARROWEST = 0.05  # of the spread of logarithms of service times: transport and timers blur as much
FARTHEST = 5.0  # deviations after which one service is no worse for being farther off

WINDOW, WINDOWS = 1_000, 12
RECENT = 15  # services that say what is usual
LONGEST_WAY = 0.2  # of a service that may be transport
HANGS = 5.0  # times the usual service, after which what is silent is no longer being worked on


class Served(NamedTuple):
    """``servers``: None for as many as ask. ``met``: requests that met others; ``nats``: what the queue explains better."""

    servers: int | None
    met: int = 0
    nats: float = 0.0


UNLIMITED = Served(None)


def servers_of(attempts: Sequence[Attempted], periods: Sequence[Period]) -> Served:
    """The number of servers that explains the record best. ``attempts`` of one target in the order in which they began."""
    attempts, periods = _most_met(attempts, periods)
    met = _met(attempts, periods)
    if len(met) < FEWEST:
        return Served(None, len(met))
    free = _explained(attempts, met, periods)
    found = {servers: _explained(worked(attempts, periods, servers), met, periods) for servers in CANDIDATES}
    best = max(found, key=lambda servers: found[servers])
    nats = found[best] - free
    return Served(best if nats > SURE else None, len(met), nats)


def _most_met(attempts: Sequence[Attempted], periods: Sequence[Period]) -> tuple[Sequence[Attempted], Sequence[Period]]:
    """Of a long record the ``WINDOWS`` stretches of ``WINDOW`` attempts in which most met others; what is asked needs no more."""
    if len(attempts) <= WINDOWS * WINDOW:
        return attempts, periods
    windows = [
        (first, min(first + WINDOW, period.last))
        for period in periods
        for first in range(period.first, period.last, WINDOW)
    ]
    windows.sort(key=lambda window: -len(_met(attempts, [Period(window[0], window[1], 0.0, 0.0)])))
    sample: list[Attempted] = []
    found = []
    for first, last in sorted(windows[:WINDOWS]):
        found.append(Period(len(sample), len(sample) + last - first, 0.0, 0.0))
        sample += attempts[first:last]
    return sample, found


def transport_of(attempts: Sequence[Attempted], periods: Sequence[Period], servers: int) -> float:
    """Seconds on the way to and from a target with ``servers``, which whoever waits there has behind it when its turn comes.

    One that finds a server free takes longer than one that had to wait by just that: the difference of their middles, within periods.
    """
    found = []
    for period in periods:
        part = attempts[period.first : period.last]
        alone, waited = _apart(part, worked(part, [Period(0, len(part), period.since, period.until)], servers), servers)
        if min(len(alone), len(waited)) >= FEWEST:
            usual = median(waited)
            found.append((min(len(alone), len(waited)), min(max(median(alone) - usual, 0.0), usual * LONGEST_WAY)))
    return max(found)[1] if found else 0.0


def _apart(
    attempts: Sequence[Attempted], services: Sequence[Attempted | None], servers: int
) -> tuple[list[float], list[float]]:
    """Service times of those who found a server free, and of those who did not."""
    alone: list[float] = []
    waited: list[float] = []
    free = [0.0] * servers
    for attempted, service in zip(attempts, services, strict=True):
        if service is not None and not attempted.cut:
            (alone if attempted.began >= free[0] else waited).append(service.seconds)
            heapreplace(free, max(attempted.began + attempted.seconds, free[0]))
    return alone, waited


def worked(
    attempts: Sequence[Attempted], periods: Sequence[Period], servers: int, transport: float = 0.0
) -> list[Attempted | None]:
    """The attempts with the seconds for which ``servers`` worked on them; None where the record cannot say.

    That is where somebody stopped waiting before it can have been done; it is taken to have been worked on for as long as the others
    of its period were at the middle. One that was silent for much longer than that once it was its turn hung, and stays cut.
    """
    found: list[Attempted | None] = []
    free = [0.0] * servers
    for period in periods:
        usual = Usual()
        for attempted in attempts[period.first : period.last]:
            begins = max(attempted.began + transport, free[0])
            ends = attempted.began + attempted.seconds
            service = max(ends - begins, 0.0)
            if not attempted.cut:
                usual.add(service)
                heapreplace(free, max(ends, free[0]))
                found.append(replace(attempted, seconds=service))
            elif attempted.outcome is None or service <= usual.seconds * HANGS:
                heapreplace(free, begins + min(usual.seconds, attempted.seconds))
                found.append(None)
            else:
                found.append(replace(attempted, seconds=service))
    return found


class Usual:
    """The middle of the last services of a period; nothing before the first."""

    def __init__(self) -> None:
        self._recent: deque[float] = deque(maxlen=RECENT)

    def add(self, seconds: float) -> None:
        self._recent.append(seconds)

    @property
    def seconds(self) -> float:
        return median(self._recent) if self._recent else 0.0


def _met(attempts: Sequence[Attempted], periods: Sequence[Period]) -> list[int]:
    """Indices of answered attempts that began while another was under way that was answered as well."""
    found = []
    for period in periods:
        busy_until = 0.0
        for index in range(period.first, period.last):
            attempted = attempts[index]
            if attempted.cut:
                continue
            if attempted.began < busy_until:
                found.append(index)
            busy_until = max(busy_until, attempted.began + attempted.seconds)
    return found


def _explained(attempts: Sequence[Attempted | None], met: Sequence[int], periods: Sequence[Period]) -> float:
    """Log likelihood of the durations of those in ``met``, lognormal in each period with its own middle and spread."""
    spreads = [_spread(attempts[period.first : period.last]) for period in periods]
    total, current = 0.0, 0
    for index in met:
        while index >= periods[current].last:
            current += 1
        attempted, (mu, sigma) = attempts[index], spreads[current]
        possible = attempted is not None and attempted.seconds > SHORTEST
        x = log(attempted.seconds) if attempted is not None and possible else mu
        far = min(abs(x - mu) / sigma, FARTHEST) if possible else FARTHEST
        total -= far * far / 2 + log(sigma) + x
    return total


def _spread(attempts: Sequence[Attempted | None]) -> tuple[float, float]:
    """Middle and spread of the logarithms of the durations of those that were answered."""
    logs = sorted(log(a.seconds) for a in attempts if a is not None and not a.cut and a.seconds > SHORTEST)
    if not logs:
        return log(SHORTEST), NARROWEST
    middle = logs[len(logs) // 2]
    inner = logs[len(logs) // 20 : len(logs) - len(logs) // 20]  # a tenth may be anything
    return middle, max(sqrt(sum((x - middle) ** 2 for x in inner) / len(inner)), NARROWEST)
