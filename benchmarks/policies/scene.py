"""What a scene is: two policies that differ in one thing, the same lab and the same load for both, and what is claimed of the outcome.

The scenes themselves are in ``benchmarks.policies.scenes``, a module for each feature. Figures are named as the table prints them; the end
of the name is the unit (``%``, ``ms``), and without one they are plain numbers.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Literal, NamedTuple

from benchmarks.policies.stage import Stage

Figures = Mapping[str, float]
"""What one run came to, by name."""
Sides = Mapping[str, Figures]
"""The same for every side of a scene: of one seed, or the medians of all."""


class Claim(NamedTuple):
    """What must hold between the sides, in words and as code.

    Counts and shares must hold with every seed. ``timed`` ones, which the machine has a hand in, must hold at the medians of all seeds.
    """

    words: str
    holds: Callable[[Sides], bool]
    timed: bool = False


class Scene(NamedTuple):
    """``base`` and the text of a side together are the policy of that side; ``faults`` are on in the lab from the start.

    ``play`` is the load: it is the same for every side, ends by itself and says what came of it. ``shows`` says in one sentence what is to
    be seen. ``flags`` go to ``sidecar serve``.
    """

    feature: str
    kind: Literal["helps", "guarded"]
    title: str
    base: str
    sides: Mapping[str, str]
    faults: tuple[str, ...]
    play: Callable[[Stage], Awaitable[Figures]]
    claims: tuple[Claim, ...]
    shows: str
    flags: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        return f"{self.feature}.{self.kind}"
