"""The world as it was recorded: a call's attempts come out as they did, as far as the record knows.

What it cannot know is said and counted, not hidden. An attempt that a timeout cut off, or a client that left, is *censored*: the target
was silent at least that long, and is taken to stay silent where a candidate policy would have waited longer. An attempt that was never
made (another retry, a target the recorded policy did not ask) is *imputed*: drawn from that target's recorded attempts around the time
the call came, the same draw under every policy. Drawn from all of them, an outage that a breaker kept everybody out of would be a fair
day. A target with no recorded attempt at all is *unknown* and taken to be unreachable.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import Counter, defaultdict
from typing import NamedTuple

from sidecar.core.draw import draw
from sidecar.core.fact import AttemptEnded, CallBegan, CallEnded, DormancyHeard, Fact, Overridden
from sidecar.core.plan import Call
from sidecar.core.vocabulary import Attempt, ErrorKind, Outcome
from sidecar.replay.simulate import TIMED_OUT, Arrival
from sidecar.replay.world import NEVER

UNREACHABLE = Outcome(error=ErrorKind.CONNECT)
NEAR = 2  # recorded attempts before a moment, and as many after it, that stand for those nobody made: few are seen in an outage
LATENESS = 0.01  # seconds that live timers may be late: an attempt that would wait that much longer is not another one


class Observed(NamedTuple):
    """An attempt that was recorded. ``outcome`` is None where the client left before there was one."""

    seconds: float
    outcome: Outcome | None


class Assumed(NamedTuple):
    """Attempts of a replay whose outcome was not simply the recorded one."""

    censored: int
    imputed: int
    unknown: int


class Record:
    """Takes the facts of an exact replay; gives back what happened, for other policies to meet.

    ``arrivals`` are the calls whose end was recorded, ``outside`` what the engine was told besides.
    """

    def __init__(self) -> None:
        self.arrivals: dict[int, Arrival] = {}
        self.outside: list[DormancyHeard | Overridden] = []
        self.attempts: dict[tuple[int, str, int], Observed] = {}
        self.by_target: dict[str, list[Observed]] = defaultdict(list)
        self.ended_at: dict[str, list[float]] = defaultdict(list)  # beside ``by_target``
        self._under_way: dict[int, Arrival] = {}
        self._asked: Counter[tuple[int, str]] = Counter()

    def __call__(self, fact: Fact) -> None:
        match fact:
            case CallBegan(at, call, patience, correlation_id, _):
                self._under_way[call] = Arrival(at, Call(call, patience, correlation_id))
            case AttemptEnded():
                self._asked[fact.call, fact.target] += 1
                observed = Observed(max(fact.seconds, 0.0), fact.outcome)
                self.attempts[fact.call, fact.target, self._asked[fact.call, fact.target]] = observed
                if fact.outcome is not None:
                    self.by_target[fact.target].append(observed)
                    self.ended_at[fact.target].append(fact.at)
            case CallEnded():
                leaves_after = max(fact.seconds, 0.0) if fact.finish.abandoned else None
                self.arrivals[fact.call] = self._under_way.pop(fact.call)._replace(leaves_after=leaves_after)
            case DormancyHeard() | Overridden():
                self.outside.append(fact)


class AsRecorded:
    """One replay's view of a record; made anew for each policy, because it counts."""

    def __init__(self, record: Record, seed: int) -> None:
        self._record = record
        self._seed = seed
        self._asked: Counter[tuple[int, str]] = Counter()
        self._censored = self._imputed = self._unknown = 0

    @property
    def assumed(self) -> Assumed:
        return Assumed(self._censored, self._imputed, self._unknown)

    def answer(self, now: float, call: int, step: Attempt) -> tuple[float, Outcome]:
        self._asked[call, step.target] += 1
        turn = self._asked[call, step.target]
        observed = self._record.attempts.get((call, step.target, turn)) or self._impute(call, step.target, turn)
        if observed.outcome is None or observed.outcome.error is ErrorKind.TIMEOUT:
            self._censored += min(step.timeout, self._client_stays(now, call)) > observed.seconds + LATENESS
            return NEVER, TIMED_OUT
        return observed.seconds, observed.outcome

    def _client_stays(self, now: float, call: int) -> float:
        arrival = self._record.arrivals.get(call)
        return math.inf if arrival is None or arrival.leaves_after is None else arrival.at + arrival.leaves_after - now

    def _around(self, call: int, target: str) -> list[Observed]:
        """What was recorded of ``target`` around the arrival of ``call``, which is the same moment under every policy."""
        pool = self._record.by_target.get(target, [])
        arrival = self._record.arrivals.get(call)
        if arrival is None:
            return pool
        first = bisect_right(self._record.ended_at[target], arrival.at) - NEAR
        first = max(min(first, len(pool) - 2 * NEAR), 0)
        return pool[first : first + 2 * NEAR]

    def _impute(self, call: int, target: str, turn: int) -> Observed:
        """By the turn on this target and not the number within the call: that depends on how often others were asked before."""
        pool = self._around(call, target)
        if not pool:
            self._unknown += 1
            return Observed(0.0, UNREACHABLE)
        self._imputed += 1
        seed = self._seed ^ int.from_bytes(target.encode(), "big")
        return pool[int(draw(seed, call, turn) * len(pool))]
