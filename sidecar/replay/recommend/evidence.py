"""What journals show of one target: how it is when it is well, how often it is not, for how long, and how many it serves at once.

All runs count. A target is *well* in a period in which at least half of what was asked got an answer. What says nothing about it is left
out as its breaker leaves it out: attempts that madre's power state explains, and those of clients with little patience.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import pairwise
from math import inf, sqrt
from typing import NamedTuple

from sidecar.core.attempt import SUSPICIOUS
from sidecar.core.classify import Classifier
from sidecar.core.dormancy import Dormancy
from sidecar.core.fact import DormancyHeard
from sidecar.core.scene import SHORTENED
from sidecar.core.vocabulary import ANSWERS, FAILURES, ErrorKind, Outcome, Verdict
from sidecar.policy.model import Policy, Target
from sidecar.replay.recommend.quantiles import Times, Z
from sidecar.replay.record import Attempted, Record
from sidecar.replay.worlds.capacity import UNLIMITED, Served
from sidecar.replay.worlds.crowding import ALONE, Crowding, others_of
from sidecar.replay.worlds.past import History, Past
from sidecar.replay.worlds.periods import Period

WELL = 0.5
BRIEFEST = 1.0  # second in which a journal's chats are taken to have come at least


class Seen(NamedTuple):
    """One target. ``times`` are those of its answers while it was well; ``failed`` of ``asked`` attempts then counted as failures of it.

    ``outages`` are the lengths of the times in which it was not well, of each that began and ended within a run. ``together`` is how many
    attempts were under way when one began, rising. ``service`` is how long one is worked on, where it is known how many are at once.
    ``calls_per_second`` is how often chats came.
    """

    target: str
    times: Times
    asked: int
    failed: int
    outages: tuple[float, ...]
    served: Served
    crowding: Crowding
    service: Times
    together: tuple[int, ...]
    calls_per_second: float

    @property
    def failing(self) -> tuple[float, float]:
        """The share that fails while the target is well, and the most that it may be by this sample (Wilson, 1927)."""
        n, share = max(self.asked, 1), self.failed / max(self.asked, 1)
        spread = Z * sqrt(share * (1 - share) / n + Z * Z / (4 * n * n))
        return share, min((share + Z * Z / (2 * n) + spread) / (1 + Z * Z / n), 1.0)


def seen_in(past: Sequence[Past], policy: Policy) -> list[Seen]:
    """What all runs show of every target of ``policy``'s ladder, from the top; also of one that was never asked."""
    spans = [each.record.span for each in past]
    seconds = sum(last - first for first, last in spans)
    rate = sum(len(each.record.chats) for each in past) / max(seconds, BRIEFEST)
    return [_seen(target, past, policy, rate) for target in policy.ladder]


def _seen(target: Target, past: Sequence[Past], policy: Policy, rate: float) -> Seen:
    name = target.name
    runs = [_Run(target, each.record, each.histories[name], policy) for each in past if name in each.histories]
    verdicts = [verdict for run in runs for verdict in run.verdicts]
    served = max((run.served for run in runs), key=lambda served: served.met, default=UNLIMITED)
    worked = [found for run in runs if run.served.servers == served.servers for found in run.worked]
    return Seen(
        target=name,
        times=Times([attempted for run in runs for attempted in run.timed]),
        asked=len(verdicts),
        failed=sum(verdict in FAILURES for verdict in verdicts),
        outages=tuple(length for run in runs for length in run.outages),
        served=served,
        crowding=max((run.crowding for run in runs), key=lambda crowding: crowding.nats, default=ALONE),
        service=Times(worked),
        together=tuple(sorted(others + 1 for run in runs for others in others_of(run.well))),
        calls_per_second=rate,
    )


class _Run:
    """One run's part. ``well`` are the attempts while the target was well, ``verdicts`` those of them that its breaker counts.

    ``timed`` are those of them that say how long an answer takes: answers, and what was cut off. A failure that came at once says nothing.
    """

    def __init__(self, target: Target, record: Record, history: History, policy: Policy) -> None:
        attempts = record.attempts[target.name]
        verdicts = list(_Judge(target, record, policy).verdicts(attempts))
        self.served, self.crowding = history.served, history.crowding
        self.well: list[Attempted] = []
        self.timed: list[Attempted] = []
        self.verdicts: list[Verdict] = []
        told: list[tuple[Period, bool]] = []  # periods of which something is known, and whether it was well
        for period in history.periods.listed:
            part = [
                (attempted, verdict)
                for attempted, verdict in zip(
                    attempts[period.first : period.last], verdicts[period.first : period.last], strict=True
                )
                if verdict is not None
            ]
            known = [verdict for _, verdict in part if verdict is not Verdict.IGNORED]
            if not known:
                continue
            is_well = sum(verdict in ANSWERS for verdict in known) >= WELL * len(known)
            told.append((period, is_well))
            if is_well:
                self.well += [attempted for attempted, _ in part]
                self.timed += [attempted for attempted, verdict in part if verdict in ANSWERS or attempted.cut]
                self.verdicts += [verdict for verdict in known if verdict in ANSWERS or verdict in FAILURES]
        self.outages = tuple(_outages(told))
        serial = history.served.servers is not None
        self.worked = [found for one in self.timed if (found := history.worked(one)) is not None] if serial else []


class _Judge:
    """What attempts meant, as the plan has it, from what a record holds of them."""

    def __init__(self, target: Target, record: Record, policy: Policy) -> None:
        self._target = target
        self._policy = policy
        self._classify = Classifier(target)
        self._known: dict[int, Verdict] = {}  # by identity: a record has one object for all outcomes that are alike
        self._heard, self._states = [-inf], [Dormancy()]
        for fact in record.outside:
            if isinstance(fact, DormancyHeard):
                state = Dormancy()
                state.hear(fact.active)
                self._heard.append(fact.at)
                self._states.append(state)
        self._hurried = {
            came.number
            for came in record.chats
            if came.patience < (came.deadline.client - came.deadline.margin) * SHORTENED
        }

    def verdicts(self, attempts: Sequence[Attempted]) -> Iterator[Verdict | None]:
        """One for each. IGNORED: it was cut short by its client, and says that it took longer; None: it says nothing."""
        suspicious = self._target.breaker.slow_call.duration * SUSPICIOUS
        for attempted in attempts:
            outcome = attempted.outcome
            if outcome is None or (
                outcome.error is ErrorKind.TIMEOUT
                and attempted.seconds < suspicious
                and attempted.call in self._hurried
            ):
                yield Verdict.IGNORED
            elif self._explained(attempted, outcome):
                yield None
            else:
                yield self._verdict(outcome)

    def _explained(self, attempted: Attempted, outcome: Outcome) -> bool:
        state = self._states[bisect_right(self._heard, attempted.began + attempted.seconds) - 1]
        return state.explains(self._target.name, self._policy.dormant, outcome)

    def _verdict(self, outcome: Outcome) -> Verdict:
        known = self._known.get(id(outcome))
        if known is None:
            known = self._known[id(outcome)] = self._classify(outcome)
        return known


def _outages(told: Sequence[tuple[Period, bool]]) -> Iterator[float]:
    """How long the target was not well, for each time that began and ended within the record."""
    since = None
    for (before, was_well), (period, is_well) in pairwise(told):
        if was_well and not is_well:
            since = period.since
        elif is_well and not was_well and since is not None:
            yield before.until - since
            since = None
