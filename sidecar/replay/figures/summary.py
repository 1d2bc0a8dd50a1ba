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
from sidecar.core.vocabulary import Finish
from sidecar.replay.column import Held, Slice

QUANTILES = (0.5, 0.95, 0.99)
OUTCOMES = ("primary", "fallback", "local", "failed", "client_gone")
NARROWEST = 0.25  # seconds of a slice
MOST_SLICES = 300
LATE = 0.05  # seconds after its deadline from which on an answer has missed it: live timers are a few milliseconds late
GRAIN = 100  # steps of a histogram for a factor of e: each is 1 % wide
SHORTEST = 1e-5  # seconds
_ROUNDING = 1e-9  # 0.07 · 100 is a little more than 7


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
    """Takes every fact of one run after the other; ``run_ended`` stands between them, for each has a clock of its own."""

    def __init__(self) -> None:
        self.providers: Counter[str] = Counter()
        self.outcomes: Counter[str] = Counter()
        self.reasons: Counter[str] = Counter()
        self.verdicts: Counter[tuple[str, str]] = Counter()
        self.seconds = array("d")
        self.attempts = 0
        self.late = 0
        self.open_seconds: defaultdict[str, float] = defaultdict(float)
        self.width = NARROWEST  # seconds of a slice
        self.shares: list[Share] = []
        self.held: defaultdict[str, list[Held]] = defaultdict(list)
        self._state: dict[str, tuple[str, float]] = {}
        self._begun: dict[int, CallBegan] = {}
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
        self._begun.clear()

    def _began(self, fact: CallBegan) -> None:
        if self._began_at is None:
            self._began_at = fact.at
            self._offset -= fact.at
        self._begun[fact.call] = fact

    def _attempt_ended(self, fact: AttemptEnded) -> None:
        self.attempts += 1
        self.verdicts[fact.target, fact.verdict.value] += 1

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
        began = self._begun.pop(fact.call, None)
        finish = fact.finish
        outcome = outcome_of(finish)
        self.outcomes[outcome] += 1
        share = self._slice(fact.at - fact.seconds)
        share.outcomes[outcome] += 1
        share.outcomes["attempts"] += fact.attempts
        if finish.abandoned:
            self.providers["client_gone"] += 1
            return
        self.providers[finish.provider or "failed"] += 1
        self.reasons[finish.reason.value if finish.reason else "none"] += 1
        self.seconds.append(fact.seconds)
        share.seconds[grain(fact.seconds)] += 1
        if began is not None and fact.seconds > began.patience + LATE:
            self.late += 1

    def _slice(self, at: float) -> Share:
        """The slice of a moment. There are as many as the time so far needs; when they become too many, pairs become one."""
        index = max(int((at + self._offset) // self.width), 0)
        while index >= MOST_SLICES:
            self.width *= 2
            index //= 2
            self.shares = [_joined(self.shares[n : n + 2]) for n in range(0, len(self.shares), 2)]
        while len(self.shares) <= index:
            self.shares.append(Share(Counter(), Counter()))
        return self.shares[index]

    def figures(self) -> dict[str, Any]:
        """As JSON, after ``run_ended``. Times in seconds; ``attempts_per_call`` counts every call, also those whose client left.

        Shares are of answered calls: a client that left has none. An answer by nobody but us is unavailability.
        """
        calls = sum(self.outcomes.values())
        answered = calls - self.outcomes["client_gone"]
        ordered = sorted(self.seconds)
        unavailable = self.outcomes["local"] + self.outcomes["failed"]
        return {
            "calls": calls,
            "outcomes": {outcome: self.outcomes[outcome] for outcome in OUTCOMES},
            "providers": dict(sorted(self.providers.items())),
            "reasons": dict(sorted(self.reasons.items())),
            "verdicts": _nested(self.verdicts),
            "degraded_share": _ratio(answered - self.outcomes["primary"], answered),
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


def _joined(shares: list[Share]) -> Share:
    outcomes: Counter[str] = Counter()
    seconds: Counter[int] = Counter()
    for share in shares:
        outcomes.update(share.outcomes)
        seconds.update(share.seconds)
    return Share(outcomes, seconds)


def outcome_of(finish: Finish) -> str:
    """What a call came to, in the words of the metrics."""
    if finish.abandoned:
        return "client_gone"
    if finish.provider is None:
        return "failed"
    if finish.attempt is None and finish.provider == "local":
        return "local"
    return "fallback" if finish.degraded else "primary"


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
