"""What a replay comes to: counts, attempts, latencies. Fed by facts alone.

A breaker is open from the move that opened it to the next one; one that is still open at the end of a run counts until the last
fact of that run, after which nothing is known.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict

from sidecar.core.fact import AttemptEnded, BreakerMoved, CallEnded, Fact

QUANTILES = (0.5, 0.95, 0.99)
_ROUNDING = 1e-9  # 0.07 · 100 is a little more than 7


class Summary:
    """Takes every fact of one run after the other; ``run_ended`` stands between them, for each has a clock of its own."""

    def __init__(self) -> None:
        self.providers: Counter[str] = Counter()
        self.reasons: Counter[str] = Counter()
        self.verdicts: Counter[tuple[str, str]] = Counter()
        self.seconds: list[float] = []
        self.attempts = 0
        self.open_seconds: defaultdict[str, float] = defaultdict(float)
        self._open_since: dict[str, float] = {}
        self._last = 0.0

    def __call__(self, fact: Fact) -> None:
        self._last = fact.at
        if isinstance(fact, AttemptEnded):
            self.attempts += 1
            self.verdicts[fact.target, fact.verdict.value] += 1
        elif isinstance(fact, CallEnded):
            self._ended(fact)
        elif isinstance(fact, BreakerMoved):
            self._moved(fact)

    def run_ended(self) -> None:
        """What is open still was open until the last fact; the next fact is of another run."""
        for target in tuple(self._open_since):
            self._closed(target, self._last)

    def _moved(self, fact: BreakerMoved) -> None:
        self._closed(fact.target, fact.at)
        if fact.after == "open":
            self._open_since[fact.target] = fact.at

    def _closed(self, target: str, at: float) -> None:
        since = self._open_since.pop(target, None)
        if since is not None:
            self.open_seconds[target] += at - since

    def _ended(self, fact: CallEnded) -> None:
        if fact.finish.abandoned:
            self.providers["client_gone"] += 1
            return
        self.providers[fact.finish.provider or "failed"] += 1
        self.reasons[fact.finish.reason.value if fact.finish.reason else "none"] += 1
        self.seconds.append(fact.seconds)

    def figures(self) -> dict[str, object]:
        """As JSON, after ``run_ended``. Times in seconds; ``attempts_per_call`` counts every call, also those whose client left."""
        calls = sum(self.providers.values())
        ordered = sorted(self.seconds)
        return {
            "calls": calls,
            "providers": dict(sorted(self.providers.items())),
            "reasons": dict(sorted(self.reasons.items())),
            "verdicts": _nested(self.verdicts),
            "attempts": self.attempts,
            "attempts_per_call": round(self.attempts / calls, 4) if calls else None,
            "latency_seconds": {f"p{share * 100:g}": quantile(ordered, share) for share in QUANTILES},
            "breaker_open_seconds": {
                target: round(seconds, 3) for target, seconds in sorted(self.open_seconds.items())
            },
        }


def quantile(ordered: list[float], share: float) -> float | None:
    """The smallest value that at least ``share`` of the sorted values do not exceed; None of nothing."""
    rank = math.ceil(share * len(ordered) - _ROUNDING)
    return round(ordered[max(rank, 1) - 1], 6) if ordered else None


def _nested(verdicts: Counter[tuple[str, str]]) -> dict[str, dict[str, int]]:
    nested: dict[str, dict[str, int]] = {}
    for (target, verdict), count in sorted(verdicts.items()):
        nested.setdefault(target, {})[verdict] = count
    return nested
