"""When a target behaved alike: its recorded attempts cut into periods.

A target that hangs for ten minutes and then answers is two targets one after the other, and what stands for an attempt nobody made must
come from the right one of them. Each attempt is put in a class (how it ended, and how long it took to within a factor of four), and the
sequence of classes is cut where its mixture changes: bottom-up, neighbours are joined as long as one mixture explains both better than two
do (Keogh et al., "An online algorithm for segmenting time series", 2001, with the Dirichlet-multinomial likelihood for a measure). A cut
costs ``CUT`` nats, and less where the two attempts are far apart in time, since changes come with time and not with attempts: while a
breaker keeps everybody out, two probes are all there is to see of an outage. Between two periods the change is put in the middle between
the last attempt before and the first one after it: nobody saw it closer.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from heapq import heappop, heappush
from itertools import pairwise
from math import inf, lgamma, log
from typing import NamedTuple

from sidecar.core.vocabulary import ErrorKind
from sidecar.replay.record import Attempted, kind_of

CUT = 8.0  # nats that a cut must gain where attempts are as far apart as usual
CHEAPEST, DEAREST = 3.0, 10.0  # the same after a long pause, and between attempts at one moment
PRIOR = 0.5  # of each class (Jeffreys)
MOST_ATOMS = (
    20_000  # pieces that are joined at most: beyond, a piece is several attempts, and its edges are looked at again
)
_FACTOR = log(4.0)
SHORTEST = 1e-4  # seconds

SILENT = 0  # the class of what was cut off
_STEPS = 64  # classes of one kind of outcome, by how long it took


class Period(NamedTuple):
    """The attempts ``first`` to before ``last`` of a target, and from when to when they stand for it."""

    first: int
    last: int
    since: float
    until: float


class Periods:
    """All periods of one target, in order; ``at`` finds the one of a moment."""

    def __init__(self, attempts: Sequence[Attempted]) -> None:
        """``attempts`` in the order in which they began, at least one."""
        cuts = _cuts(attempts)
        edges = [-inf, *(_change(attempts, cut) for cut in cuts), inf]
        bounds = [0, *cuts, len(attempts)]
        self.listed = tuple(
            Period(first, last, since, until)
            for first, last, since, until in zip(bounds, bounds[1:], edges, edges[1:], strict=False)
        )
        self._since = [period.since for period in self.listed]

    def at(self, moment: float) -> int:
        """The index of the period that holds then."""
        return bisect_right(self._since, moment) - 1


def _classes(attempts: Sequence[Attempted]) -> list[int | None]:
    """A number for each attempt, the same for those that are alike; None where the client left: that says nothing about the target."""
    kinds: dict[tuple[object, ...], int] = {}
    known: dict[int, int] = {}  # by identity: a record has one object for all outcomes that are alike
    found: list[int | None] = []
    for attempted in attempts:
        outcome = attempted.outcome
        if outcome is None:
            found.append(None)
            continue
        kind = known.get(id(outcome))
        if kind is None:
            silent = outcome.error is ErrorKind.TIMEOUT
            kind = known[id(outcome)] = SILENT if silent else kinds.setdefault(kind_of(outcome), len(kinds) + 1)
        if kind is not SILENT:
            kind = kind * _STEPS + int(log(max(attempted.seconds, SHORTEST) / SHORTEST) / _FACTOR)
        found.append(kind)
    return found


def _change(attempts: Sequence[Attempted], cut: int) -> float:
    """The moment between the attempts before and after a cut."""
    before, after = attempts[cut - 1], attempts[cut]
    known = min(before.began + before.seconds, after.began)
    return (known + after.began) / 2


def _cuts(attempts: Sequence[Attempted]) -> list[int]:
    classes = _classes(attempts)
    size = -(-len(classes) // MOST_ATOMS)
    costs = _costs(attempts)
    atoms = [
        _Atom(first, Counter(classes[first : first + size]), costs[first]) for first in range(0, len(classes), size)
    ]
    for atom in atoms:
        atom.counts.pop(None, None)
    joined = _join(atoms, max(len({known for known in classes if known is not None}), 1))
    if size == 1:
        return [atom.first for atom in joined[1:]]
    sharpened = {_sharpened(classes, size, left, right) for left, right in pairwise(joined)}
    return sorted(sharpened - {0, len(classes)})


def _costs(attempts: Sequence[Attempted]) -> list[float]:
    """What a cut before each attempt costs."""
    gaps = [0.0, *(after.began - before.began for before, after in pairwise(attempts))]
    usual = max(sorted(gaps)[len(gaps) // 2], SHORTEST)
    return [min(max(CUT - log(max(gap, SHORTEST) / usual), CHEAPEST), DEAREST) for gap in gaps]


class _Atom:
    """A stretch of attempts: where it begins, how often each class is in it, what the cut before it costs, and its neighbours."""

    __slots__ = ("after", "before", "cost", "counts", "first", "likelihood", "version")

    def __init__(self, first: int, counts: Counter[int | None], cost: float) -> None:
        self.first = first
        self.counts = counts
        self.cost = cost
        self.likelihood = 0.0
        self.before: _Atom | None = None
        self.after: _Atom | None = None
        self.version = 0  # -1: joined to the one before


def _join(atoms: list[_Atom], classes: int) -> list[_Atom]:
    """Join neighbours, the best pair first, until a cut between any two is worth what it costs."""
    heap: list[tuple[float, int, int, int, _Atom, _Atom]] = []

    def offer(left: _Atom, right: _Atom) -> None:
        gain = _likelihood(left.counts + right.counts, classes) - left.likelihood - right.likelihood + right.cost
        if gain > 0:
            heappush(heap, (-gain, left.first, left.version, right.version, left, right))

    for atom in atoms:
        atom.likelihood = _likelihood(atom.counts, classes)
    for left, right in pairwise(atoms):
        left.after, right.before = right, left
        offer(left, right)
    while heap:
        _, _, left_version, right_version, left, right = heappop(heap)
        if (left.version, right.version) != (left_version, right_version):
            continue
        left.counts += right.counts
        left.likelihood = _likelihood(left.counts, classes)
        left.after, right.version = right.after, -1
        left.version += 1
        if left.after is not None:
            left.after.before = left
            offer(left, left.after)
        if left.before is not None:
            offer(left.before, left)
    return [atom for atom in atoms if atom.version >= 0]


def _likelihood(counts: Counter[int | None], classes: int) -> float:
    """Log likelihood of a sequence with these counts under one unknown mixture of ``classes`` classes."""
    total = sum(counts.values())
    within = sum(lgamma(count + PRIOR) for count in counts.values()) - len(counts) * lgamma(PRIOR)
    return within + lgamma(classes * PRIOR) - lgamma(total + classes * PRIOR)


def _sharpened(classes: Sequence[int | None], size: int, left: _Atom, right: _Atom) -> int:
    """The best place for a cut within the pieces on both sides of it."""
    first, last = max(right.first - size, left.first + 1), min(right.first + size, len(classes) - 1)
    score = best = 0.0
    cut = first
    for index in range(first, last):
        score += _share(left.counts, classes[index]) - _share(right.counts, classes[index])
        if score > best:
            best, cut = score, index + 1
    return cut


def _share(counts: Counter[int | None], known: int | None) -> float:
    if known is None:
        return 0.0
    return log((counts[known] + PRIOR) / (sum(counts.values()) + PRIOR))
