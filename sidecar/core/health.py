"""Active health checks of one target: what its probes say, and when that is obeyed. Pure; who asks and when is the edge's business.

Theory
------
Three states. *unknown*: nothing is known, or nothing any more, and that is as good as well. *up*. *down*: the target is not asked.

    any      -- ``fall`` failed probes in a row                               --> down
    any      -- ``rise`` good probes in a row                                 --> up
    down     -- a chat was answered                                           --> up
    up, down -- no probe counted for ``TURNS`` turns of the prober            --> unknown
    any      -- probing was switched off, or the target's power window opened --> unknown

*Busy is not dead.* The switch blocks its event loop while it works on a chat, and its /health waits with everything else. So silence
(no answer, no connection taken) while a chat is in flight on the target says nothing: it neither counts nor breaks a row. What a kernel
or a proxy says by itself (refused, no such name, reset, 5xx) counts whether or not it is busy: a loop that is blocked says none of it.

*A probe that asks the wrong thing says nothing either*: any answer below 500 that is not 2xx shows that somebody is at home. So a wrong
``path`` never takes a target away from chats.

*A chat says more than a probe.* Probes only foretell whether a chat would be answered; one that was answered ends a row of failures, and
takes a target that is down up at once. So a target that answers a chat in every ``fall`` probes never goes down, whatever probes say.

*Recovered* is said once, when ``rise`` good probes in a row follow a failed one: then, and not at every good probe, it is worth asking a
target again whose breaker is open. A breaker that opened under probes that never failed learns nothing from one more good probe.

How often probes come is not known here: results that count have times, and the oldest one that still holds follows from the policy.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from sidecar.core.fact import HealthMoved
from sidecar.core.vocabulary import FAILURES, ErrorKind, Outcome, Verdict
from sidecar.policy.model import HealthPolicy

TURNS = 3  # of the prober, each as long as may be, for which its last result holds
_SILENT = frozenset({ErrorKind.TIMEOUT, ErrorKind.CONNECT_TIMEOUT})  # what a loop that is blocked looks like


class HealthState(StrEnum):
    UNKNOWN = "unknown"
    UP = "up"
    DOWN = "down"


class Heard(NamedTuple):
    """What one result led to. ``recovered``: the target is worth asking again."""

    moves: tuple[HealthMoved, ...] = ()
    recovered: bool = False


def weigh(outcome: Outcome, *, busy: bool) -> Verdict:
    """What a probe means: success, fatal, or ignored where it says nothing. ``busy``: a chat was in flight while it was under way."""
    if outcome.status is not None:
        if 200 <= outcome.status < 300:
            return Verdict.SUCCESS
        return Verdict.FATAL if outcome.status >= 500 else Verdict.IGNORED
    ours = outcome.error is ErrorKind.NO_SOCKET
    return Verdict.IGNORED if ours or (busy and outcome.error in _SILENT) else Verdict.FATAL


class Health:
    """``failures`` and ``good`` count probes in a row; ``moved`` is the last move, None where the state is that of the beginning."""

    def __init__(self, policy: HealthPolicy, target: str) -> None:
        self._target = target
        self._heard: float | None = None  # when a probe counted last
        self._shaken = False  # a probe has failed since it last recovered
        self.state = HealthState.UNKNOWN
        self.moved: HealthMoved | None = None
        self.failures = self.good = 0
        self.adopt(policy)

    def adopt(self, policy: HealthPolicy) -> None:
        """Take new numbers. What was counted stays, and is judged by them with the next probe."""
        self._fall, self._rise = policy.fall, policy.rise
        self._lasts = TURNS * (policy.interval * (1 + policy.jitter) + policy.timeout)

    # -- evidence -------------------------------------------------------------------------------------------------

    def hear(self, now: float, verdict: Verdict) -> Heard:
        """Take what a probe means, in the words of ``weigh``."""
        expired = self._forget(now, "stale") if self._is_stale(now) else None
        moved, recovered = None, False
        if verdict in FAILURES:
            moved = self._failed(now)
        elif verdict is Verdict.SUCCESS:
            moved = self._succeeded(now)
            recovered = self._shaken and self.good >= self._rise
            self._shaken = self._shaken and not recovered
        return Heard(tuple(move for move in (expired, moved) if move is not None), recovered)

    def answered(self, now: float) -> HealthMoved | None:
        """Take that the target has answered a chat."""
        self.failures = 0
        return self._move(now, HealthState.UP, "answered") if self.down(now) else None

    def forget(self, now: float, why: str) -> HealthMoved | None:
        """What was known holds no more: probing is ``off``, or the power window of the target opened."""
        self._shaken = False
        return self._forget(now, why)

    # -- seen from outside ----------------------------------------------------------------------------------------

    def down(self, now: float) -> bool:
        """Whether the target is not to be asked, as far as its probes go."""
        return self.state is HealthState.DOWN and not self._is_stale(now)

    def stands(self, now: float) -> HealthState:
        """The state; what has become too old counts as unknown."""
        return HealthState.UNKNOWN if self._is_stale(now) else self.state

    def view(self, now: float) -> dict[str, object]:
        """State with its counts against their thresholds, for people."""
        return {
            "state": self.stands(now).value,
            "for_seconds": None if self.moved is None else round(now - self.moved.at, 3),
            "failures_in_row": [self.failures, self._fall],
            "good_in_row": [min(self.good, self._rise), self._rise],
            "heard_seconds_ago": None if self._heard is None else round(now - self._heard, 3),
        }

    # -- the moves ------------------------------------------------------------------------------------------------

    def _failed(self, now: float) -> HealthMoved | None:
        self._heard, self._shaken = now, True
        self.failures += 1
        self.good = 0
        fell = self.failures >= self._fall and self.state is not HealthState.DOWN
        return self._move(now, HealthState.DOWN, "failed") if fell else None

    def _succeeded(self, now: float) -> HealthMoved | None:
        self._heard = now
        self.good += 1
        self.failures = 0
        rose = self.good >= self._rise and self.state is not HealthState.UP
        return self._move(now, HealthState.UP, "recovered") if rose else None

    def _is_stale(self, now: float) -> bool:
        return self._heard is not None and now - self._heard > self._lasts

    def _forget(self, now: float, why: str) -> HealthMoved | None:
        self._heard = None
        moved = None if self.state is HealthState.UNKNOWN else self._move(now, HealthState.UNKNOWN, why)
        self.failures = self.good = 0
        return moved

    def _move(self, now: float, after: HealthState, why: str) -> HealthMoved:
        before, self.state = self.state, after
        self.moved = HealthMoved(now, self._target, before.value, after.value, why, self.failures, self.good)
        return self.moved
