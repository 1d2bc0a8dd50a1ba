"""From values to places: 0 at the left or the bottom of a plot, 1 at the other end, with ticks where people expect them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from statistics import NormalDist
from typing import Final, NamedTuple

from sidecar.replay.report.words import GAP, exact

FEW = 5  # ticks that have room in a narrow window; the others are ``fine``
SHORTEST = 1e-4  # seconds: the shortest time on a logarithmic axis
_STEPS = (1.0, 2.0, 5.0)
_CLOCK: Final[
    tuple[tuple[float, float, str, tuple[float, ...]], ...]
] = (  # longest span, seconds in the unit, its name, steps in it
    (120.0, 1.0, "seconds", (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30)),
    (7200.0, 60.0, "minutes", (0.5, 1, 2, 5, 10, 20, 30)),
    (3 * 86400.0, 3600.0, "hours", (0.25, 0.5, 1, 2, 3, 6, 12)),
    (math.inf, 86400.0, "days", (0.5, 1, 2, 5, 7, 14, 28)),
)
_PERCENTILES = (0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999, 0.9999)
_LOWEST = 0.03


class Tick(NamedTuple):
    """``fine``: shown only where there is room."""

    at: float
    label: str
    fine: bool = False


class Scale(NamedTuple):
    """``bend`` makes of a value what is spread evenly from ``bend(low)`` to ``bend(high)``; ``unit`` is what the axis says."""

    low: float
    high: float
    ticks: tuple[Tick, ...]
    bend: Callable[[float], float] = float
    unit: str = ""

    def at(self, value: float) -> float:
        """Where ``value`` is, 0 to 1; what lies outside is at the edge."""
        low, high = self.bend(self.low), self.bend(self.high)
        return (self.bend(min(max(value, self.low), self.high)) - low) / (high - low)

    def marked(self, values: Sequence[tuple[float, str, bool]]) -> Scale:
        """The same with ticks at ``values``."""
        ticks = tuple(
            Tick(self.at(value), label, fine) for value, label, fine in values if self.low <= value <= self.high
        )
        return self._replace(ticks=ticks)


def linear(low: float, high: float, label: Callable[[float], str], *, most: int = FEW) -> Scale:
    """Round ends around ``low`` and ``high``, at most ``most`` + 1 ticks."""
    if high <= low:
        high = low + 1.0
    step = _round_step((high - low) / most)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    scale = Scale(first * step, last * step, ())
    return scale.marked([(number * step, label(round(number * step, 12)), False) for number in range(first, last + 1)])


def _round_step(least: float) -> float:
    power = 10.0 ** math.floor(math.log10(least))
    return next(step * power for step in (*_STEPS, 10.0) if step * power >= least * (1 - 1e-9))


def clock(span: float) -> Scale:
    """Time since the first call, for ``span`` seconds, in the unit that fits."""
    span = span if span > 0 else 1.0
    _, size, unit, steps = next(each for each in _CLOCK if span <= each[0])
    units = span / size
    fine = next((step for step in steps if FEW <= units / step <= 2 * FEW), None)
    if fine is None:  # shorter or longer than clocks have steps for
        fine = _round_step(units / (2 * FEW))
        steps = (2 * fine, 5 * fine)
    coarse = next((step for step in steps if units / step <= FEW and not round(step / fine, 6) % 1), fine)
    every = round(coarse / fine)
    scale = Scale(0.0, span, (), unit=f"{unit} since the first call")
    numbers = range(math.floor(units / fine + 1e-9) + 1)
    return scale.marked([(n * fine * size, f"{round(n * fine, 9):g}", bool(n % every)) for n in numbers])


def durations(shortest: float, longest: float) -> Scale:
    """Logarithmic, for times to an answer in seconds; a little wider than asked for, so that no curve lies on the edge."""
    low = max(shortest, SHORTEST) / 1.15
    high = max(longest, low * 1.3) * 1.15
    if high / low < 8:  # a decade shows hardly a tick: widen to the next ones
        low, high = low / 2, high * 2
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    wide = high / low > 100
    values = [
        (step * 10.0**power, exact(step * 10.0**power), wide and step > 1)
        for power in decades
        for step in (_STEPS if high / low < 3e4 else (1.0,))
    ]
    return Scale(low, high, (), math.log, "time to the answer").marked(values)


def percentiles(answers: int) -> Scale:
    """Shares, spread as a normal distribution is: the middle and the slow end can both be read, and a lognormal one is a straight line.

    Goes as far as ``answers`` can tell: beyond it is the slowest one.
    """
    normal = NormalDist()
    marks = [share for share in _PERCENTILES if share <= 0.9 or round((1 - share) * answers, 6) >= 1]
    top = normal.cdf(normal.inv_cdf(marks[-1]) + 0.45)
    ticks = [(share, f"p{share * 100:g}", share in {0.25, 0.75}) for share in marks]
    return Scale(_LOWEST, top, (), normal.inv_cdf, "share of answers that are not slower").marked(
        [*ticks, (top, "slowest", False)]
    )


def percent(value: float) -> str:
    """The label of a tick of shares."""
    return f"{value * 100:g}{GAP}%"


def plain(value: float) -> str:
    """The label of a tick of numbers."""
    return f"{value:g}"
