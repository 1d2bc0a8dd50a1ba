"""Why a mutant that lives is no hole in the tests: by what it changed."""

from __future__ import annotations

import re
from typing import NamedTuple

from .survivors import Change, Mutant


class Explanation(NamedTuple):
    """``where`` matches module and function, ``before`` and ``after`` something in the changed lines; empty ones match everything.

    With ``only``, what is other in the lines than it was is nothing but what matches that.
    """

    why: str
    where: str
    before: str = ""
    after: str = ""
    only: str = ""

    def fits(self, mutant: Mutant, change: Change) -> bool:
        if not re.search(self.where, f"{mutant.module} {mutant.function}") or not re.search(self.before, change.before):
            return False
        if self.only and re.sub(self.only, "", change.before) != re.sub(self.only, "", change.after):
            return False
        return bool(re.search(self.after, change.after))


_EDGE = "on the very edge, where either side would be right: moments that are told apart by a tolerance, sums and means of floats"
_UNUSED = "a moment that the machine does not look at: it is asked for so that all machines have one shape"
_SEEN = "what an adaptive limit sees with who comes it sees again with who leaves, before anything is judged by it"
_SHOWN = "a digit, or a letter, of what only people read"
_NEVER = "what stands there first is replaced before anybody reads it"
_MIXING = "another way to mix bits is as good: that draws are even, and apart, is tested, and which ones they are is held by golden journals"
_ASSERTED = "what cannot be, asserted for people and the type checker; the other branch is taken by nobody"
_SAME = "the same to Python, or to all that is ever put there"
_TWO = "there are two targets, and a ladder has no others"

EXPLAINED: tuple[Explanation, ...] = (
    Explanation(_SHOWN, "", r"round\(", r"round\(.*, (None|\d)?\)"),
    Explanation(_SHOWN, "", "raise ", 'XX"'),
    Explanation(_EDGE, "core/(actual|followed|comparison|gradient|window|attempt|breaker|budget|course|plan) ", only="[<>]=?"),
    Explanation(_EDGE, "core/(chaos (met|before)|agenda Agenda.at|hedge _place|classify digest|line number)", only="[<>]=?"),
    Explanation(_UNUSED, "", r"(budget|hedges)\.\w+\(", r"\(None\)"),
    Explanation(_UNUSED, "core/probing forget", r"hold\(now", r"hold\(None"),  # unknown by then, and so not down
    Explanation(_SEEN, "core/(plan|hedge|limiter)", r"(limiter\.enter|_grant|_grant_waiting)\(now|enter\(course", r"\(None"),
    Explanation(_NEVER, "core/(followed Followed.__init__|agenda Agenda.__init__|shadow Shadow.__init__)"),
    Explanation(_NEVER, "core/gradient Gradient.__init__", "self._left = -inf, 1.0"),  # the first drop is one
    Explanation(_NEVER, "core/breaker Breaker.__init__", r"self.until = 0.0"),  # no breaker is open before it has tripped
    Explanation(_NEVER, "core/engine Engine.__init__", r"_lease = 0.0|guards.max_sessions"),  # adopt sets them, at its end
    Explanation(_MIXING, "core/draw draw"),
    Explanation(_MIXING, "core/breaker Breaker._open_time", r"1 \+ .*draw\(", r"1 - .*draw\("),
    Explanation(_ASSERTED, "", "assert "),
    Explanation(_SAME, "", r"last=False", r"last=None"),
    Explanation(_SAME, "core/engine Engine._machines_for", r'"big"', r"encode\(\), \)"),
    Explanation(_SAME, "core/followed", "= False$", "= None$"),
    Explanation(_SAME, "core/followed", r"self._turn \+= 1", r"self._turn"),  # a number that only has to be another one
    Explanation(_SAME, "core/agenda Agenda.at", r"_pushed"),
    Explanation(_SAME, "core/shadow Shadow.learn", r"known.get"),
    Explanation(_SAME, "core/classify digest", r"body.get\(path\)", "False"),  # _below finds it, too, more slowly
    Explanation(_SAME, "core/comparison Tallies.__init__", "fromkeys", "None"),  # a Counter has 0 of what it has not
    Explanation(_SAME, "core/idempotency Keys.(__init__|adopt)", r"2 \* policy.max", r"3 \* policy.max"),  # only a bound
    Explanation(_SAME, "core/idempotency Keys.meet", "if kept", "True"),  # found is one of both, and not the other
    Explanation(_SAME, "core/gradient Gradient._judge", r"_lower\(now, 0.0\)"),  # no lower bound is below one
    Explanation(_SAME, "core/plan _ask", r"_reason\(outcome, verdict\)", "None"),  # only what may be retried comes there
    Explanation(_SAME, "core/breaker Breaker._open_time", "or policy.multiplier", "and policy.multiplier"),  # only later
    Explanation(_SAME, "core/chaos after", r'rule.body or ""', "XXXX"),  # no body is spoilt by either
    Explanation(_TWO, "core/plan _turned"),
    Explanation(_TWO, "core/plan _descend", r"reserved \+="),
)  # fmt: skip


def explanation(mutant: Mutant, change: Change) -> str | None:
    """The first that fits; None where the tests could be better."""
    return next((each.why for each in EXPLAINED if each.fits(mutant, change)), None)
