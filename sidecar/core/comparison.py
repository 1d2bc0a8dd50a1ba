"""What a candidate policy would have made of a call, beside what the policy in force made of it: the words, and how they are counted.

A *result* is one of four: the candidate ``agrees`` (the same provider, degraded or not, for the same reason), it ``differs``, of it only
that its primary would not have answered is decided (``not_primary``), or nothing is (``undecided``). A call that is not decided to its
end says ``why``. All sets are closed, because they end up as metric labels.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple

from sidecar.core.fact import CallBegan, CallEnded
from sidecar.core.vocabulary import Finish, Reason

ENDINGS = ("primary", "fallback", "local", "failed", "client_gone")
"""How a call ends, as in the outcomes of chats."""
PARTLY = "not_primary"
"""What is said of a candidate's end where no more is known than that its primary did not answer."""
MOST_EXAMPLES = 10


class Result(StrEnum):
    AGREES = "agrees"
    DIFFERS = "differs"
    NOT_PRIMARY = "not_primary"
    UNDECIDED = "undecided"


class Why(StrEnum):
    """Why a call was not decided to its end."""

    NOT_ASKED = "not_asked"  # the candidate asks a target that was not asked
    OTHER_MOMENT = "other_moment"  # that target was asked, and at another moment
    CUT_OFF = "cut_off"  # the record ends before the candidate's patience does
    OTHER_REQUEST = "other_request"  # the candidate sends something else, or elsewhere: nobody knows the answer to that
    UNREAD = "unread"  # a rule of the candidate looks at words of the answer that were not kept
    CONNECTING = (
        "connecting"  # longer than the candidate waits for a connection, and it is not known whether there was one
    )
    HEDGED = "hedged"  # one of the two asks a late target a second time
    CROWDED = "crowded"  # too many calls under way to follow this one


class Compared(NamedTuple):
    """One call. ``at`` is when it was known; ``active`` and ``candidate`` are endings, ``PARTLY``, or None for unknown.

    ``seconds`` is how much later the candidate would have answered (negative: earlier), 0 within the tolerance of what counts as the same
    moment; None unless both are decided and nobody had left.
    """

    at: float
    call: int
    correlation_id: str
    result: Result
    active: str | None
    candidate: str | None
    why: Why | None = None
    seconds: float | None = None

    @property
    def different(self) -> bool:
        """Whether it is decided that the candidate would have ended otherwise."""
        if self.result is Result.NOT_PRIMARY:
            return self.active == "primary"
        return self.result is Result.DIFFERS


class Tallies:
    """What the comparisons since the candidate began come to."""

    def __init__(self) -> None:
        self._results: Counter[str] = Counter(dict.fromkeys(Result, 0))
        self._differences: Counter[tuple[str, str]] = Counter()
        self._undecided: Counter[str] = Counter()
        self._seconds = {"earlier": 0.0, "later": 0.0}
        self._examples: deque[Compared] = deque(maxlen=MOST_EXAMPLES)

    def add(self, compared: Compared) -> None:
        self._results[compared.result] += 1
        if compared.why is not None:
            self._undecided[compared.why.value] += 1
        if compared.different:
            self._differences[str(compared.active), str(compared.candidate)] += 1
            self._examples.append(compared)
        if compared.seconds:
            self._seconds["later" if compared.seconds > 0 else "earlier"] += abs(compared.seconds)

    def view(self, now: float) -> dict[str, object]:
        """For people: newest examples first."""
        differs: dict[str, dict[str, int]] = {}
        for (active, candidate), count in sorted(self._differences.items()):
            differs.setdefault(active, {})[candidate] = count
        return {
            "calls": self._results.total(),
            "agrees": self._results[Result.AGREES],
            "not_primary": self._results[Result.NOT_PRIMARY],
            "differs": differs,
            "undecided": dict(sorted(self._undecided.items())),
            "seconds_earlier": round(self._seconds["earlier"], 3),
            "seconds_later": round(self._seconds["later"], 3),
            "examples": list(_told(reversed(self._examples), now)),
        }


def crowded(fact: CallBegan) -> Compared:
    """A call that nobody could follow."""
    return Compared(fact.at, fact.call, fact.correlation_id, Result.UNDECIDED, None, None, Why.CROWDED)


def undecided(at: float, correlation_id: str, active: CallEnded, candidate: CallEnded, why: Why) -> Compared:
    """``candidate`` says how far it had come: with a reason why its primary did not answer, that much is decided.

    A primary that was only passed over, because a session stays with another target, may have been asked later.
    """
    partly = candidate.first_reason not in {None, Reason.AFFINITY}
    result = Result.NOT_PRIMARY if partly else Result.UNDECIDED
    ended = PARTLY if partly else None
    return Compared(at, active.call, correlation_id, result, ending(active.finish), ended, why)


def decided(at: float, correlation_id: str, active: CallEnded, candidate: CallEnded, same: float) -> Compared:
    """``same`` is the tolerance, in seconds, within which two moments are one."""
    one, other = active.finish, candidate.finish
    agrees = (one.provider, one.degraded, one.reason, one.abandoned) == (
        other.provider,
        other.degraded,
        other.reason,
        other.abandoned,
    )
    seconds = None
    if not one.abandoned and not other.abandoned:
        seconds = candidate.seconds - active.seconds
        seconds = 0.0 if abs(seconds) <= same else seconds
    result = Result.AGREES if agrees else Result.DIFFERS
    return Compared(at, active.call, correlation_id, result, ending(one), ending(other), None, seconds)


def ending(finish: Finish) -> str:
    """One of ``ENDINGS``."""
    if finish.abandoned:
        return "client_gone"
    if finish.provider is None:
        return "failed"
    if finish.attempt is None:
        return "local"
    return "fallback" if finish.degraded else "primary"


def _told(examples: Iterable[Compared], now: float) -> Iterable[dict[str, object]]:
    for each in examples:
        yield {
            "correlation_id": each.correlation_id,
            "active": each.active,
            "candidate": each.candidate,
            "seconds": None if each.seconds is None else round(each.seconds, 3),
            "seconds_ago": round(now - each.at, 1),
        }
