"""What a replay comes to: counts, attempts, latencies, and their course over time. Fed by facts alone.

A breaker is open from the move that opened it to the next one; one that is still open at the end of a run counts until the last
fact of that run, after which nothing is known. A call belongs to the slice of time in which it came.
"""

from __future__ import annotations

import math
from array import array
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from sidecar.core.fact import AttemptEnded, BreakerMoved, CallBegan, CallEnded, Fact
from sidecar.core.vocabulary import Reason
from sidecar.replay.column import Held, Slice

QUANTILES = (0.5, 0.95, 0.99)
OUTCOMES = ("primary", "fallback", "local", "failed", "client_gone")
NARROWEST = 0.25  # seconds of a slice
MOST_SLICES = 300
MOST_ATTEMPTS = 65_535  # of one call, that can be told from more
LATE = 0.05  # seconds after its deadline from which on an answer has missed it: live timers are a few milliseconds late
GRAIN = 100  # steps of a histogram for a factor of e: each is 1 % wide
SHORTEST = 1e-5  # seconds
_ROUNDING = 1e-9  # 0.07 · 100 is a little more than 7


_Kind = tuple[str | None, bool, Reason | None, bool]  # provider, degraded, reason, abandoned


class Share(NamedTuple):
    """What there is in one slice: calls by what became of them, their attempts, and how often an answer took how long."""

    outcomes: Counter[str]
    seconds: Counter[int]

    @property
    def calls(self) -> int:
        return sum(self.outcomes[outcome] for outcome in OUTCOMES)

    @property
    def attempts(self) -> int:
        return self.outcomes["attempts"]


class Summary:
    """Takes every fact of one run after the other; ``run_ended`` stands between them, for each has a clock of its own.

    A day has a million calls and five facts for each, so next to nothing is done while they come: a row is kept of every call that ended
    (when it came, how long it took, with how many attempts, and which kind of end it had), and everything else is counted from the rows.
    """

    def __init__(self) -> None:
        self.verdicts: Counter[tuple[str, str]] = Counter()
        self.late = 0
        self.open_seconds: defaultdict[str, float] = defaultdict(float)
        self.held: defaultdict[str, list[Held]] = defaultdict(list)
        self._kinds: dict[_Kind, int] = {}
        self._came, self._took = array("d"), array("d")
        self._kind, self._tries = array("H"), array("H")
        self._slices: tuple[float, list[Share]] | None = None
        self._state: dict[str, tuple[str, float]] = {}
        self._patience: dict[int, float] = {}
        self._offset = 0.0  # what the clock of the slices shows when that of this run shows 0
        self._began_at: float | None = 0.0
        self._last = 0.0
        self._takes: Mapping[type, Callable[[Any], None]] = {
            CallBegan: self._began,
            AttemptEnded: self._attempt_ended,
            CallEnded: self._ended,
            BreakerMoved: self._moved,
        }

    def __call__(self, fact: Fact) -> None:
        self._last = fact.at
        takes = self._takes.get(type(fact))
        if takes is not None:
            takes(fact)

    def run_begins(self, at: float | None, offset: float = 0.0) -> None:
        """Say when the run that follows begins (None: with its first chat), and how many seconds the runs before it took."""
        self._began_at = at
        self._offset = offset - (at or 0.0)

    def run_ended(self) -> None:
        """What is open still was open until the last fact; the next fact is of another run."""
        for target in tuple(self._state):
            self._until(target, self._last)
        self._patience.clear()

    def _began(self, fact: CallBegan) -> None:
        if self._began_at is None:
            self._began_at = fact.at
            self._offset -= fact.at
        self._patience[fact.call] = fact.patience

    def _attempt_ended(self, fact: AttemptEnded) -> None:
        self.verdicts[fact.target, fact.verdict] += 1

    def _moved(self, fact: BreakerMoved) -> None:
        self._until(fact.target, fact.at)
        self._state[fact.target] = (fact.after, fact.at)

    def _until(self, target: str, at: float) -> None:
        """What a breaker was in until now is over."""
        state, since = self._state.pop(target, (None, 0.0))
        if state is None:
            return
        if state == "open":
            self.open_seconds[target] += at - since
        if state != "closed":
            self.held[target].append(Held(state, since + self._offset, at + self._offset))

    def _ended(self, fact: CallEnded) -> None:
        finish, seconds, kinds = fact.finish, fact.seconds, self._kinds
        kind = (finish.provider, finish.degraded, finish.reason, finish.abandoned)
        self._kind.append(kinds.setdefault(kind, len(kinds)))
        self._came.append(fact.at - seconds + self._offset)
        self._took.append(seconds)
        self._tries.append(min(fact.attempts, MOST_ATTEMPTS))
        if seconds > self._patience.pop(fact.call, math.inf) + LATE and not finish.abandoned:
            self.late += 1

    # -- counted from the rows ----------------------------------------------------------------------------------------

    @property
    def attempts(self) -> int:
        return sum(self.verdicts.values())

    @property
    def outcomes(self) -> Counter[str]:
        return self._counted(_outcome)

    @property
    def providers(self) -> Counter[str]:
        return self._counted(lambda kind: "client_gone" if kind[3] else kind[0] or "failed")

    @property
    def reasons(self) -> Counter[str]:
        """Of calls whose client stayed."""
        counted = self._counted(lambda kind: "" if kind[3] else kind[2].value if kind[2] else "none")
        del counted[""]
        return counted

    @property
    def seconds(self) -> array[float]:
        """How long each answer took, in the order in which they ended; a client that left got none."""
        left = {number for kind, number in self._kinds.items() if kind[3]}
        if not left:
            return self._took
        return array("d", (took for took, kind in zip(self._took, self._kind, strict=True) if kind not in left))

    def _counted(self, word: Callable[[_Kind], str]) -> Counter[str]:
        counted: Counter[str] = Counter()
        by_number = Counter(self._kind)
        for kind, number in self._kinds.items():
            counted[word(kind)] += by_number[number]
        return counted

    @property
    def width(self) -> float:
        """Seconds of a slice."""
        return self._sliced()[0]

    @property
    def shares(self) -> list[Share]:
        """By slice, from the first arrival on."""
        return self._sliced()[1]

    def _sliced(self) -> tuple[float, list[Share]]:
        """The width doubles until there are not too many slices."""
        if self._slices is None:
            last, width = max(self._came, default=-1.0), NARROWEST
            while last // width >= MOST_SLICES:
                width *= 2
            shares = [Share(Counter(), Counter()) for _ in range(int(last // width) + 1 if last >= 0 else 0)]
            words = [_outcome(kind) for kind in self._kinds]
            for came, took, kind, tries in zip(self._came, self._took, self._kind, self._tries, strict=True):
                outcomes, seconds = shares[max(int(came // width), 0)]
                word = words[kind]
                outcomes[word] += 1
                outcomes["attempts"] += tries
                if word != "client_gone":
                    seconds[grain(took)] += 1
            self._slices = width, shares
        return self._slices

    def figures(self) -> dict[str, Any]:
        """As JSON, after ``run_ended``. Times in seconds; ``attempts_per_call`` counts every call, also those whose client left.

        Shares are of answered calls: a client that left has none. An answer by nobody but us is unavailability.
        """
        outcomes = self.outcomes
        calls = sum(outcomes.values())
        answered = calls - outcomes["client_gone"]
        ordered = sorted(self.seconds)
        unavailable = outcomes["local"] + outcomes["failed"]
        return {
            "calls": calls,
            "outcomes": {outcome: outcomes[outcome] for outcome in OUTCOMES},
            "providers": dict(sorted(self.providers.items())),
            "reasons": dict(sorted(self.reasons.items())),
            "verdicts": _nested(self.verdicts),
            "degraded_share": _ratio(answered - outcomes["primary"], answered),
            "availability": _ratio(answered - unavailable, answered),
            "attempts": self.attempts,
            "attempts_per_call": _ratio(self.attempts, calls),
            "latency_seconds": {f"p{share * 100:g}": quantile(ordered, share) for share in QUANTILES},
            "breaker_open_seconds": {
                target: round(seconds, 3) for target, seconds in sorted(self.open_seconds.items())
            },
            "deadline_misses": self.late,
        }

    def slices(self) -> tuple[Slice, ...]:
        return tuple(
            Slice(
                number * self.width,
                self.width,
                share.calls,
                share.outcomes["primary"],
                share.outcomes["fallback"],
                share.outcomes["local"],
                share.outcomes["failed"],
                share.outcomes["client_gone"],
                share.attempts,
            )
            for number, share in enumerate(self.shares)
        )

    def latencies(self, points: int = 200) -> tuple[tuple[float, float], ...]:
        """The distribution of answer times at ``points`` places: evenly spread, and closer together towards the slow end."""
        ordered = sorted(self.seconds)
        if not ordered:
            return ()
        shares = [step / points for step in range(1, points + 1)]
        tail = [1 - 10 ** (-step / 20) for step in range(20, 81)]
        ranks = sorted({max(math.ceil(share * len(ordered) - _ROUNDING), 1) for share in (*shares, *tail)})
        return tuple((ordered[rank - 1], rank / len(ordered)) for rank in ranks)


def _outcome(kind: _Kind) -> str:
    """What a call came to, in the words of the metrics."""
    provider, degraded, _, abandoned = kind
    if abandoned:
        return "client_gone"
    if provider is None:
        return "failed"
    if provider == "local":
        return "local"
    return "fallback" if degraded else "primary"


def grain(seconds: float) -> int:
    """The step of a histogram that ``seconds`` fall into."""
    return int(math.log(max(seconds, SHORTEST)) * GRAIN // 1)


def seconds_of(step: int) -> float:
    """The middle of a step."""
    return math.exp((step + 0.5) / GRAIN)


def quantile(ordered: list[float], share: float) -> float | None:
    """The smallest value that at least ``share`` of the sorted values do not exceed; None of nothing."""
    rank = math.ceil(share * len(ordered) - _ROUNDING)
    return round(ordered[max(rank, 1) - 1], 6) if ordered else None


def _ratio(part: int, whole: int) -> float | None:
    return round(part / whole, 4) if whole else None


def _nested(verdicts: Counter[tuple[str, str]]) -> dict[str, dict[str, int]]:
    nested: dict[str, dict[str, int]] = {}
    for (target, verdict), count in sorted(verdicts.items()):
        nested.setdefault(target, {})[verdict] = count
    return nested
