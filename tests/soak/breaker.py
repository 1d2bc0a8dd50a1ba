"""A naive model of a circuit breaker, fed with what facts tell: the plainest thing that could be right.

The state is what the moves said it is; which move must be told follows from what attempts came to, counted anew each time in a list of
results. Written from the theory at the top of ``core/breaker`` and from the policy's descriptions, in another way than the code.
Times are seconds of virtual time.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from sidecar.core.fact import BreakerMoved
from sidecar.core.vocabulary import Verdict
from sidecar.policy.model import BreakerPolicy

from .violation import EPSILON, broken

TENTHS = 10  # a time window forgets in tenths
HELD = 60.0  # what a breaker that an operator holds open says about when to come back
BAD = (Verdict.RETRYABLE, Verdict.FATAL)
GOOD = (Verdict.SUCCESS, Verdict.DEGRADED)


class Asking(NamedTuple):
    """An attempt under way, as the breaker sees it: in which era of it it began, when, and until when its place is kept."""

    era: int
    at: float
    expires: float


class Due(NamedTuple):
    """A move that must be told next."""

    before: str
    after: str
    why: str


class NaiveBreaker:
    """Knows the state from the moves that were told, and which moves had to be told from what attempts came to."""

    def __init__(self, policy: BreakerPolicy, target: str, lease: float) -> None:
        self.policy = policy
        self.limits = _limits(policy)
        self.target = target
        self.lease = lease
        self.state = "closed"
        self.since = -math.inf
        self.until = 0.0
        self.era = 0
        self.row = 0
        self.good_probes = 0
        self.trips = 0
        self.asking: dict[tuple[int, int], Asking] = {}
        self.results: list[tuple[int, bool, bool]] = []  # (tenth in which it came, failed, slow)
        self.last: BreakerMoved | None = None

    def adopt(self, policy: BreakerPolicy, lease: float) -> None:
        if policy.window != self.policy.window:
            self.results = []
        self.policy, self.lease, self.limits = policy, lease, _limits(policy)

    def refuses(self, now: float) -> float | None:
        """Seconds until it is worth asking again; None where one may pass."""
        if self.state == "open":
            return max(self.until - now, 0.0)
        if self.state == "forced_open":
            return HELD
        if self.state == "half_open":
            probes = [
                asking.expires - now
                for asking in self.asking.values()
                if asking.era == self.era and asking.expires > now
            ]
            if len(probes) >= self.policy.half_open.permits:
                return min(probes)
        return None

    def began(self, now: float, attempt: tuple[int, int]) -> None:
        self.asking[attempt] = Asking(self.era, now, now + self.lease)

    def heeds(self, now: float, attempt: tuple[int, int]) -> bool:
        """Whether it matters what becomes of an attempt: not if it began before the last move, or its place was given up long ago."""
        asking = self.asking[attempt]
        return asking.era == self.era and asking.expires > now

    def ended(self, now: float, attempt: tuple[int, int], verdict: Verdict) -> Due | None:
        """The move that must follow."""
        heeded = self.heeds(now, attempt)
        asking = self.asking.pop(attempt)
        slow = now - asking.at >= self.policy.slow_call.duration
        failed = verdict in BAD
        says_something = failed or slow or verdict in GOOD
        if not heeded or not says_something:
            return None
        if self.state == "half_open":
            return self._probe(failed=failed, slow=slow)
        self.results.append((self._tenth(now), failed, slow))
        self.row = self.row + 1 if failed else 0 if verdict in GOOD else self.row
        why = self._why(now) if self.state == "closed" else None
        return Due("closed", "open", why) if why else None

    def _probe(self, *, failed: bool, slow: bool) -> Due | None:
        if failed or slow:
            return Due("half_open", "open", "probe_failed" if failed else "slow_rate")
        self.good_probes += 1
        return (
            Due("half_open", "closed", "recovered") if self.good_probes >= self.policy.half_open.close_after else None
        )

    def _tenth(self, now: float) -> int:
        """Which tenth of the window's length ``now`` falls in. Divided as the code divides: on a border either tenth would be right."""
        return int(now // (self.policy.window.duration / TENTHS)) if self.policy.window.type == "time" else 0

    def tally(self, now: float) -> tuple[int, int, int]:
        """Calls, failures and slow calls that the window still knows."""
        window = self.policy.window
        if window.type == "time":
            oldest = self._tenth(now) - TENTHS
            if self.results and self.results[0][0] <= oldest:
                self.results = [result for result in self.results if result[0] > oldest]
        elif len(self.results) > window.size:
            self.results = self.results[-window.size :]
        results = self.results
        return len(results), sum([result[1] for result in results]), sum([result[2] for result in results])

    def _why(self, now: float) -> str | None:
        policy = self.policy
        if policy.consecutive and self.row >= policy.consecutive:
            return "consecutive"
        calls, failures, slow = self.tally(now)
        if calls < policy.min_calls:
            return None
        if failures and failures / calls >= policy.failure_rate:
            return "failure_rate"
        return "slow_rate" if slow and slow / calls >= policy.slow_call.rate else None

    def held(self, override: str | None) -> Due | None:
        """The move that must follow an operator's decision about the breaker."""
        if override in ("forced_open", "forced_closed"):
            return Due(self.state, override, "override") if override != self.state else None
        if self.state == "forced_open":
            return Due(self.state, "half_open", "override_ended")
        return Due(self.state, "closed", "override_ended") if self.state == "forced_closed" else None

    def hinted(self) -> Due | None:
        return Due("open", "half_open", "window_opened") if self.state == "open" else None

    def moved(self, fact: BreakerMoved, due: Due | None) -> None:
        """Take a move. Without one that is ``due``, only time can have made it: an open time that is over."""
        if due is None:
            if (fact.before, fact.after, fact.why) != ("open", "half_open", "timer"):
                broken("breaker moves", f"nothing led to {fact}")
            if fact.at < self.until:
                broken("open time", f"{self.target} half-open at {fact.at}, {self.until - fact.at} s early")
        elif (fact.before, fact.after, fact.why) != due:
            broken("breaker moves", f"{due} was due, told was {fact}")
        if fact.before != self.state or fact.target != self.target:
            broken("breaker moves", f"{self.target} is {self.state}, told was {fact}")
        if (fact.open_for is not None) != (fact.after == "open"):
            broken("open time", f"{fact}")
        if fact.open_for is not None:
            self._opened(fact.at, fact.open_for)
        if fact.after == "closed" or fact.why == "override_ended":
            self.results = []
        self.state, self.since, self.last = fact.after, fact.at, fact
        self.era += 1
        self.row = self.good_probes = 0

    def _opened(self, now: float, seconds: float) -> None:
        """The k-th trip in a row opens for base·multiplier^k, ± jitter, never for longer than the maximum."""
        policy = self.policy.open
        if self.state == "closed" and now - self.since >= policy.max:
            self.trips = 0
        grown = policy.base * policy.multiplier ** min(self.trips, 100)
        middle = min(grown, policy.max / (1 + policy.jitter))
        least, most = middle * (1 - policy.jitter), middle * (1 + policy.jitter)
        if not least - EPSILON <= seconds <= min(most, policy.max) + EPSILON:
            broken(
                "open time",
                f"{self.target} open for {seconds} s at trip {self.trips} in a row, not within {least}..{most}",
            )
        self.trips += 1
        self.until = now + seconds


def _limits(policy: BreakerPolicy) -> tuple[float, ...]:
    """What counts are held against, as facts tell it."""
    slow = policy.slow_call
    return (
        policy.consecutive,
        policy.min_calls,
        policy.failure_rate,
        slow.rate,
        slow.duration,
        policy.half_open.close_after,
    )
