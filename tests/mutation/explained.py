"""Why a mutant that lives is no hole in the tests: by what it changed."""

from __future__ import annotations

import re
from typing import NamedTuple

from .survivors import Change, Mutant


class Explanation(NamedTuple):
    """``where`` matches module and function, ``before`` and ``after`` something in the changed lines; empty ones match everything."""

    why: str
    where: str
    before: str = ""
    after: str = ""

    def fits(self, mutant: Mutant, change: Change) -> bool:
        if not re.search(self.where, f"{mutant.module} {mutant.function}") or not re.search(self.before, change.before):
            return False
        return bool(re.search(self.after, change.after))


_EDGE = "on the very edge, where either side would be right: moments that are told apart by a tolerance, sums and means of floats"
_UNUSED = "a moment that the machine does not look at: it is asked for so that all machines have one shape"
_SHOWN = "a digit more or less of a figure that only people read"
_NEVER = "what stands there first is replaced before anybody reads it"
_MIXING = "another way to mix bits is as good: that draws are even, and apart, is tested, and which ones they are is held by golden journals"
_ASSERTED = "what cannot be, asserted for people and the type checker; the other branch is taken by nobody"
_SAME = "the same to Python, or to all that is ever put there"

EXPLAINED: tuple[Explanation, ...] = (
    Explanation(_SHOWN, "", r"round\(", r"round\(.*, (None|\d)?\)"),
    Explanation(_EDGE, "core/(actual|followed|comparison|gradient|window) ", "[<>]=? ", "[<>]=? "),
    Explanation(_EDGE, "core/chaos (met|before)", "[<>] ", "[<>]= "),
    Explanation(_EDGE, "core/agenda Agenda.at", r"len\(self._heap\)"),
    Explanation(
        _EDGE, "core/(hedge _place|budget HedgeBudget.affords|classify digest|line number)", "[<>]=? ", "[<>]=? "
    ),
    Explanation(_UNUSED, "", r"(budget|hedges)\.\w+\(", r"\(None\)"),
    Explanation(_NEVER, "core/(followed Followed.__init__|agenda Agenda.__init__|shadow Shadow.__init__)"),
    Explanation(_MIXING, "core/(draw draw|engine Engine._machines_for)"),
    Explanation(_MIXING, "core/(breaker Breaker._open_time|plan _retry_delay)", r"draw\("),
    Explanation(_EDGE, "core/(attempt|breaker|budget|course|plan) ", "[<>]=? ", "[<>]=? "),
    Explanation(_ASSERTED, "", "assert "),
    Explanation(_UNUSED, "core/(plan|hedge|attempt|limiter)", r"(limiter\.(leave|enter)|_grant)\(", r"\(None"),
    Explanation(_SAME, "", r"last=False", r"last=None"),
    Explanation(_SAME, "core/followed", "= False$", "= None$"),
    Explanation(_SAME, "core/followed", r"self._turn \+= 1", r"self._turn"),  # a number that only has to be another one
    Explanation(_SAME, "core/agenda Agenda.at", r"_pushed"),
    Explanation(_SAME, "core/shadow Shadow.learn", r"known.get"),
    Explanation(_SAME, "core/classify digest", r"body.get\(path\)", "False"),  # _below finds it, too, more slowly
    Explanation(_SAME, "core/plan _turned"),  # there are two targets, and the ladder has no others
    Explanation(_SAME, "core/idempotency Keys.(__init__|adopt)", "max"),  # a bound that only has to be one
)


def explanation(mutant: Mutant, change: Change) -> str | None:
    """The first that fits; None where the tests could be better."""
    return next((each.why for each in EXPLAINED if each.fits(mutant, change)), None)
