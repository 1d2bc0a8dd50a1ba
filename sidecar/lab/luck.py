"""The lab's dice: what a service draws for a request, from one seed.

One number makes a whole town repeatable: each service, and each thing that is drawn for it, has a stream of its own, so that turning one
fault on does not change what another one draws. Which request gets which draw is decided by the order in which they come.
"""

from __future__ import annotations

import math
import secrets
from random import Random

LARGEST = 2**32 - 1


def new_seed() -> int:
    """A seed that nobody has chosen, from 0 to ``LARGEST``."""
    return secrets.randbelow(LARGEST + 1)


class Luck:
    """What one service draws. Two of the same seed and service draw the same."""

    def __init__(self, seed: int, service: str) -> None:
        """Raises ValueError for a seed below 0 or above ``LARGEST``."""
        if not 0 <= seed <= LARGEST:
            raise ValueError(f"a seed is a whole number from 0 to {LARGEST}, not {seed}")
        self._takes = Random(f"{seed} {service} takes")  # noqa: S311 - nothing here is a secret
        self._fails = Random(f"{seed} {service} fails")  # noqa: S311
        self._straggles = Random(f"{seed} {service} straggles")  # noqa: S311

    def takes(self, median: float, sigma: float) -> float:
        """Seconds, lognormal: half of the draws are below ``median``; ``sigma`` is that of the logarithm."""
        return self._takes.lognormvariate(math.log(median), sigma)

    def straggles(self, share: float) -> bool:
        """True for that share (0 to 1) of the draws."""
        return self._straggles.random() < share

    def fails(self, share: float) -> bool:
        """True for that share (0 to 1) of the draws."""
        return self._fails.random() < share
