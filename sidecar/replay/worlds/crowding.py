"""How much slower a target answers with each further request under way, where it is no plain queue.

Part of the work is often shared (a lock on a database, a core) while the rest goes on side by side. The durations of a period then rise
with how many others were under way when a request began, and a candidate that asks more at once meets a slower target than the record
shows. The rise is estimated as a share per request: the slope of the logarithm of the duration of replies over the others under way, by
least squares within periods, so that a slow hour with many requests is not taken for slowness by many. It must be positive by ``SURE``
standard errors to be believed.
"""

from __future__ import annotations

from collections.abc import Sequence
from heapq import heappop, heappush
from math import exp, log, sqrt
from typing import NamedTuple

from sidecar.core.value import replace
from sidecar.replay.record import Attempted
from sidecar.replay.worlds.periods import Period

SURE = 4.0  # standard errors: by chance once in thirty thousand
FEWEST = 100  # replies
SHORTEST = 1e-4  # seconds


class Crowding(NamedTuple):
    """``rise`` of the logarithm of seconds for each other request under way; ``most`` of them were on record. No rise: nothing is known.

    ``nats``: by how much the rise explains the durations better than none.
    """

    rise: float = 0.0
    most: int = 0
    nats: float = 0.0

    def factor(self, others: int) -> float:
        """How many times as long it takes beside ``others``. Beyond twice what was ever seen nothing is extrapolated."""
        return exp(self.rise * min(others, 2 * self.most))


ALONE = Crowding()


def crowding_of(attempts: Sequence[Attempted], periods: Sequence[Period]) -> Crowding:
    """``attempts`` of one target in the order in which they began."""
    others = others_of(attempts)
    points: list[tuple[float, float]] = []
    parts = 0
    for period in periods:
        known = [
            (float(others[index]), log(attempts[index].seconds))
            for index in range(period.first, period.last)
            if _is_reply(attempts[index])
        ]
        if not known:
            continue
        parts += 1
        middle_x, middle_y = (sum(column) / len(known) for column in zip(*known, strict=True))
        points += [(x - middle_x, y - middle_y) for x, y in known]
    spread = sum(x * x for x, _ in points)
    free = len(points) - parts - 1
    if len(points) < FEWEST or free < 1 or spread <= 0:
        return ALONE
    rise = sum(x * y for x, y in points) / spread
    error = sqrt(sum((y - rise * x) ** 2 for x, y in points) / free / spread)
    if rise <= SURE * error:
        return ALONE
    # The likelihood ratio of a least-squares line against none: of a perfect line the plain t²/2 would promise too much.
    return Crowding(rise, max(others), free / 2 * log(1 + (rise / error) ** 2 / free))


def _is_reply(attempted: Attempted) -> bool:
    """Errors come sooner, whoever else is there: mixed with replies they would look like a rise."""
    outcome = attempted.outcome
    return outcome is not None and outcome.text and attempted.seconds > SHORTEST


def others_of(attempts: Sequence[Attempted]) -> list[int]:
    """For each attempt, how many others were under way when it began. One that was given up goes on for as long as is known."""
    ends: list[float] = []
    found = []
    for attempted in attempts:
        while ends and ends[0] <= attempted.began:
            heappop(ends)
        found.append(len(ends))
        heappush(ends, attempted.began + attempted.seconds)
    return found


def alone(attempts: Sequence[Attempted], crowding: Crowding) -> list[Attempted]:
    """The attempts as they would have been without the others."""
    others = others_of(attempts)
    return [
        replace(attempted, seconds=attempted.seconds / crowding.factor(count))
        for attempted, count in zip(attempts, others, strict=True)
    ]
