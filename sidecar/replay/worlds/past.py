"""The world as it was recorded: a call's attempts come out as they did, as far as the record knows.

What it cannot know is resampled, counted and said. An attempt that a timeout cut off, or a client that left, is *censored*: where a
candidate would have waited longer, how long it would have taken is drawn from that target's answers in that period, given that it took
longer than it was waited for. An attempt that was never made (another retry, a target the recorded policy did not ask) is *imputed*: drawn
from the same distribution. A target with no recorded attempt at all is *unknown* and taken to be unreachable.

A target that works on few requests at once (``capacity``) is a queue: what is recorded of an attempt is then what it took the target
once it was its turn, and when its turn comes depends on who asks besides, under the candidate. One that is only slowed down by others
(``crowding``) is replayed as slow as it would be beside those that the candidate has under way.

Draws depend on the call, the target and the turn, never on how often was drawn before: two candidates meet the same luck.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from heapq import heappop, heappush, heapreplace
from types import MappingProxyType
from typing import NamedTuple

from sidecar.core.draw import draw
from sidecar.core.value import Value
from sidecar.core.vocabulary import Attempt, ErrorKind, Outcome
from sidecar.replay.record import Attempted, Record
from sidecar.replay.simulate import TIMED_OUT
from sidecar.replay.world import NEVER
from sidecar.replay.worlds.capacity import UNLIMITED, servers_of, transport_of, worked
from sidecar.replay.worlds.crowding import ALONE, Crowding, alone, crowding_of
from sidecar.replay.worlds.periods import Periods
from sidecar.replay.worlds.survival import Survival

UNREACHABLE = Outcome(error=ErrorKind.CONNECT)
LATENESS = 0.01  # seconds that live timers may be late: an attempt that would wait that much longer is not another one
AUTO = "auto"
Servers = Mapping[str, int | str | None]


class Assumed(NamedTuple):
    """Attempts of a replay whose outcome was not simply the recorded one."""

    censored: int = 0
    imputed: int = 0
    unknown: int = 0

    def plus(self, other: Assumed) -> Assumed:
        return Assumed(*(mine + theirs for mine, theirs in zip(self, other, strict=True)))


class History:
    """One target's part of a record: its periods, and the distribution of its answers in each."""

    def __init__(self, attempts: list[Attempted], servers: int | str | None) -> None:
        """``servers``: as many as it works on at once, None for as many as ask, ``auto`` for what the record says."""
        self.periods = Periods(attempts)
        listed = self.periods.listed
        self.crowding = ALONE
        if isinstance(servers, str):
            self.served, self.crowding = servers_of(attempts, listed), crowding_of(attempts, listed)
        else:
            self.served = UNLIMITED._replace(servers=servers)
        if (
            self.crowding.nats > self.served.nats
        ):  # both explain durations by who else was there: the better one is taken
            self.served = self.served._replace(servers=None)
        elif self.served.servers is not None:
            self.crowding = ALONE
        self.transport = 0.0
        self._attempts: list[Attempted | None] = [*attempts]
        if self.served.servers is not None:
            self.transport = transport_of(attempts, listed, self.served.servers)
            self._attempts = worked(attempts, listed, self.served.servers, self.transport)
        elif self.crowding.rise:
            self._attempts = [*alone(attempts, self.crowding)]
        self.depends = self.served.servers is not None or self.crowding.rise > 0
        """Whether an answer depends on who asks besides."""
        self._worked = {
            (asked.call, asked.began): found
            for asked, found in zip(attempts if self.depends else (), self._attempts, strict=self.depends)
            if found is not None
        }
        self._survivals: dict[int, Survival] = {}

    def survival(self, moment: float) -> Survival:
        """The distribution that stands for attempts made at ``moment``."""
        index = self.periods.at(moment)
        known = self._survivals.get(index)
        if known is None:
            period = self.periods.listed[index]
            attempts = self._attempts[period.first : period.last]
            known = self._survivals[index] = Survival(found for found in attempts if found is not None)
        return known

    def worked(self, attempted: Attempted) -> Attempted | None:
        """A recorded attempt without the time that others cost it; None: nobody knows."""
        return self._worked.get((attempted.call, attempted.began))


class Past:
    """What worlds of one run are made from. Made once, and shared by all candidates."""

    def __init__(self, record: Record, servers: Servers = MappingProxyType({})) -> None:
        """``servers`` by target: how many it works on at once, None for as many as ask; not stated or ``auto``: what the record says."""
        self.record = record
        self.histories = {
            target: History(attempts, servers.get(target, AUTO)) for target, attempts in sorted(record.attempts.items())
        }


class _Asked(Value):
    """An attempt that a candidate makes: the ``turn``-th of its call on its target, waited for ``patience`` seconds at most."""

    now: float
    call: int
    target: str
    turn: int
    patience: float


class AsRecorded:
    """One replay's view of a past; made anew for each, because it counts and has queues."""

    def __init__(self, past: Past, seed: int) -> None:
        self._past = past
        self._seed = seed
        self._free = {
            target: [-math.inf] * history.served.servers
            for target, history in past.histories.items()
            if history.served.servers is not None
        }
        self._ends: dict[str, list[float]] = {target: [] for target in past.histories}
        self._censored = self._imputed = self._unknown = 0

    @property
    def assumed(self) -> Assumed:
        return Assumed(self._censored, self._imputed, self._unknown)

    def answer(self, now: float, call: int, step: Attempt) -> tuple[float, Outcome]:
        target = step.target
        history = self._past.histories.get(target)
        if history is None:
            self._unknown += 1
            return 0.0, UNREACHABLE
        record = self._past.record
        recorded = record.turn(call, target, step.turn)
        if recorded is not None and not recorded.cut and not history.depends:
            return recorded.seconds, recorded.outcome  # type: ignore[return-value]  # what was not cut has one
        patience = min(step.timeout, record.leave_at.get(call, math.inf) - now)
        asked = _Asked(now, call, target, step.turn, patience)
        if not history.depends:
            return self._alone(asked, history, recorded)
        seconds, outcome = self._worked(asked, history, recorded)
        if seconds == NEVER:
            return NEVER, outcome  # what hangs holds nobody up
        free = self._free.get(target)
        if free is None:
            return _crowded(now, self._ends[target], history.crowding, seconds), outcome
        return _queued(now + history.transport, free, seconds) + history.transport, outcome

    def _alone(self, asked: _Asked, history: History, recorded: Attempted | None) -> tuple[float, Outcome]:
        """An attempt that was cut off or never made, on a target that answers as fast however many ask."""
        if recorded is None:
            self._imputed += 1
            return self._drawn(asked, history, 0.0)
        if asked.patience <= recorded.seconds + LATENESS:
            return NEVER, TIMED_OUT
        self._censored += 1
        return self._drawn(asked, history, recorded.seconds)

    def _worked(self, asked: _Asked, history: History, recorded: Attempted | None) -> tuple[float, Outcome]:
        """How long a server works on it once it is its turn."""
        worked = None if recorded is None else history.worked(recorded)
        if worked is not None and worked.outcome is not None and not worked.cut:
            return worked.seconds, worked.outcome
        if recorded is None:
            self._imputed += 1
        else:
            self._censored += asked.patience > recorded.seconds + LATENESS
        return self._drawn(asked, history, 0.0 if worked is None else worked.seconds)

    def _drawn(self, asked: _Asked, history: History, after: float) -> tuple[float, Outcome]:
        """As others of its period; ``after`` seconds it is known to have been silent."""
        seed = self._seed ^ int.from_bytes(asked.target.encode(), "big")
        u = draw(seed, asked.call, asked.turn, 0)
        seconds, outcome = history.survival(asked.now).draw(u, lambda: draw(seed, asked.call, asked.turn, 1), after)
        return (NEVER, TIMED_OUT) if outcome is None else (seconds, outcome)


def _queued(now: float, free: list[float], seconds: float) -> float:
    """Seconds until it is served, after those before it were. ``free``: when each server is."""
    ends = max(now, free[0]) + seconds
    heapreplace(free, ends)
    return ends - now


def _crowded(now: float, ends: list[float], crowding: Crowding, seconds: float) -> float:
    """Seconds until the answer beside those under way, of which ``ends`` says how long they are."""
    while ends and ends[0] <= now:
        heappop(ends)
    seconds *= crowding.factor(len(ends))
    heappush(ends, now + seconds)
    return seconds
