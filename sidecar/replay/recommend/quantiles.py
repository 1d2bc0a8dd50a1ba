"""How long something takes, with how sure that is, from attempts of which some were cut off.

Read from the product-limit estimate, so attempts that were cut off, by a timeout or by a client that left, count as what they are. The
interval of a quantile is that of the share, by the variance of Peto (1977), which is the binomial one where nobody was cut off, read back
as times (Brookmeyer and Crowley, 1982).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from math import sqrt
from statistics import NormalDist
from typing import NamedTuple

from sidecar.replay.record import Attempted
from sidecar.replay.worlds.survival import Survival

CONFIDENCE = 0.95
BEYOND = 10  # attempts that must have been waited for longer than a quantile before it is one
MOST = 20_000  # attempts that quantiles are read from; of more, evenly many over time
Z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
_ALMOST = 1 - 1e-9


class Quantile(NamedTuple):
    """``share`` of the answers came within ``seconds``; with ``CONFIDENCE`` between ``low`` and ``high``, out of ``n`` attempts.

    ``high`` is infinite where more were cut off than that.
    """

    share: float
    seconds: float
    low: float
    high: float
    n: int


class Times:
    """How long something takes, from attempts of which some were cut off."""

    def __init__(self, attempts: Sequence[Attempted]) -> None:
        used = _thinned(attempts)
        self.n = len(used)
        self._survival = Survival(used)
        self._waited = sorted(attempted.seconds for attempted in used)

    def quantile(self, share: float) -> Quantile | None:
        """None where too few were waited for as long as that: beyond, only a guess would go."""
        if not self._survival.answers:
            return None
        seconds = self._after(share)
        at_risk = self.n - bisect_left(self._waited, seconds)
        if at_risk < BEYOND:
            return None
        off = Z * (1 - share) * sqrt(share / at_risk)
        return Quantile(share, seconds, self._after(share - off), self._after(share + off), self.n)

    def _after(self, share: float) -> float:
        """Seconds within which ``share`` came. From before 0 on, for what took no time counts as well."""
        return self._survival.draw(min(max(share, 0.0), _ALMOST), lambda: 0.0, -1.0)[0]

    def highest(self, shares: Sequence[float]) -> Quantile | None:
        """That of the first of ``shares``, falling, for which there is one."""
        return next((found for share in shares if (found := self.quantile(share)) is not None), None)


def _thinned(attempts: Sequence[Attempted]) -> Sequence[Attempted]:
    if len(attempts) <= MOST:
        return attempts
    return [attempts[index * len(attempts) // MOST] for index in range(MOST)]
