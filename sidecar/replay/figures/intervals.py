"""How sure the figures are: a bootstrap over stretches of time.

Calls are not independent: what a breaker does to one it does to its neighbours. So not calls are drawn again but ``BLOCKS`` stretches of
time, each with all of its calls (Carlstein, 1986): a period with one outage shows how much of the result hangs on that one outage. Where a
world was drawn several times, each resample takes one of the draws, so that what had to be made up adds its own doubt (multiple
imputation, Rubin, 1987).

Two intervals come of it. That of a *difference* is the confidence interval of the difference between two columns whose stretches are drawn
together, which is what makes it narrow. That of a *figure* says where it is likely to lie if traffic like this came once more: both that
traffic and the one on record are samples, so the deviations are wider by the root of two. What never happened has no
stretches to be drawn again, which is no promise that it never will: such a share reaches to Wilson's bound (1927), of half as many calls
for the same reason.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate, pairwise
from math import ceil, sqrt
from statistics import NormalDist
from typing import NamedTuple

from sidecar.core.draw import draw
from sidecar.replay.column import Interval
from sidecar.replay.figures.summary import OUTCOMES, QUANTILES, Share, seconds_of

BLOCKS = 30
RESAMPLES = 500
CONFIDENCE = 0.95
FEWEST = 100  # answered calls, with fewer of which no interval is stated
_AGAIN = sqrt(2.0)
_Z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
_ROUNDING = 1e-9


FIGURES = ("degraded_share", "availability", "attempts_per_call", *(f"p{share * 100:g}" for share in QUANTILES))
Values = Mapping[str, float | None]


class Block(NamedTuple):
    """A stretch of time: calls by what became of them and their attempts (``_COUNTED``), and answers by the step of their duration."""

    counted: Sequence[int]
    steps: Mapping[int, int]


Blocks = Sequence[Block]
_COUNTED = (*OUTCOMES, "attempts")


def blocks_of(shares: Sequence[Share]) -> Blocks:
    """The slices of a summary, joined to ``BLOCKS`` stretches or to as many as there are."""
    count = max(min(BLOCKS, len(shares)), 1)
    bounds = [number * len(shares) // count for number in range(count + 1)]
    return [_block(shares[first:last]) for first, last in pairwise(bounds)]


def _block(shares: Sequence[Share]) -> Block:
    steps: dict[int, int] = {}
    for share in shares:
        for step, answers in share.seconds.items():
            steps[step] = steps.get(step, 0) + answers
    return Block([sum(share.outcomes[word] for share in shares) for word in _COUNTED], steps)


class Resampled:
    """The figures of one column over the resamples. Two with as many draws and blocks are paired."""

    def __init__(self, draws: Sequence[Blocks]) -> None:
        """``draws``: the blocks of each time the world was drawn, at least one."""
        self._steps = sorted({step for blocks in draws for block in blocks for step in block.steps})
        dense = [
            [(block.counted, [block.steps.get(step, 0) for step in self._steps]) for block in blocks]
            for blocks in draws
        ]
        wholes = [self._values(blocks) for blocks in dense]
        self.point: Values = {name: _mean(whole[name] for whole in wholes) for name in FIGURES}
        self.values: list[Values] = []
        self._answered = min(sum(sum(steps) for _, steps in blocks) for blocks in dense)
        for number in range(RESAMPLES if self._answered >= FEWEST else 0):
            blocks = dense[int(draw(0, number) * len(dense))]
            self.values.append(
                self._values([blocks[int(draw(1, number, n) * len(blocks))] for n in range(len(blocks))])
            )

    def _values(self, blocks: Sequence[tuple[Sequence[int], Sequence[int]]]) -> Values:
        primary, fallback, local, failed, gone, attempts = map(
            sum, zip(*(counted for counted, _ in blocks), strict=True)
        )
        answered = primary + fallback + local + failed
        cumulated = list(accumulate(map(sum, zip(*(steps for _, steps in blocks), strict=True))))
        return {
            "degraded_share": 1 - primary / answered if answered else None,
            "availability": (primary + fallback) / answered if answered else None,
            "attempts_per_call": attempts / (answered + gone) if answered + gone else None,
            **{f"p{share * 100:g}": self._quantile(cumulated, share) for share in QUANTILES},
        }

    def _quantile(self, cumulated: Sequence[int], share: float) -> float | None:
        if not cumulated or not cumulated[-1]:
            return None
        rank = max(ceil(share * cumulated[-1] - _ROUNDING), 1)
        return seconds_of(self._steps[bisect_left(cumulated, rank)])

    def intervals(self) -> dict[str, Interval]:
        """Where each figure is likely to lie if traffic like this came once more. Empty where there are too few calls."""
        found = {}
        for name in FIGURES:
            known = sorted(value for values in self.values if (value := values[name]) is not None)
            middle = self.point[name]
            if known and middle is not None:
                low, high = _again(name, middle, *_edges(known))
                if name in _SHARES and middle in (0, 1):
                    low, high = self._unseen(middle)
                if name.startswith("p"):  # no answer was ever faster or slower than these
                    low, high = max(low, seconds_of(self._steps[0])), min(high, seconds_of(self._steps[-1]))
                found[name] = Interval(low, high)
        return found

    def _unseen(self, share: float) -> tuple[float, float]:
        """Of a share that is 0 or 1, and so in every resample."""
        beyond = _Z**2 / (self._answered / 2 + _Z**2)
        return (1 - beyond, 1.0) if share else (0.0, beyond)

    def minus(self, other: Resampled) -> dict[str, tuple[float, Interval]]:
        """Each figure less the same of ``other``, with the interval of the difference."""
        found = {}
        for name in FIGURES:
            pairs = ((ours[name], theirs[name]) for ours, theirs in zip(self.values, other.values, strict=False))
            known = sorted(ours - theirs for ours, theirs in pairs if ours is not None and theirs is not None)
            ours, theirs = self.point[name], other.point[name]
            if known and ours is not None and theirs is not None:
                found[name] = (ours - theirs, Interval(*_edges(known)))
        return found


_SHARES = ("degraded_share", "availability")


def _again(name: str, middle: float, low: float, high: float) -> tuple[float, float]:
    """Stretched around the middle: shares as they are and within 0 and 1, times and counts as ratios, for they cannot be negative."""
    if name in _SHARES:
        low, high = (middle + (edge - middle) * _AGAIN for edge in (low, high))
        return max(low, 0.0), min(high, 1.0)
    if middle <= 0:
        return low, high
    return middle * (low / middle) ** _AGAIN, middle * (high / middle) ** _AGAIN


def _edges(ordered: Sequence[float]) -> tuple[float, float]:
    tail = (1 - CONFIDENCE) / 2
    last = len(ordered) - 1
    return ordered[round(tail * last)], ordered[round((1 - tail) * last)]


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
