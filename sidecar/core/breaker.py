"""The circuit breaker of one target.

Theory
------
Three states. *closed*: everybody passes, verdicts are tallied in a window. *open*: nobody passes until ``until``.
*half_open*: at most ``permits`` probes are under way at once, and what they find decides.

    closed    -- failure rate, slow-call rate or failures in a row reach their threshold --> open
    open      -- its time is over (``tick``), or it is said to be back (``hint``)        --> half_open
    half_open -- ``close_after`` good probes in a row                                    --> closed
    half_open -- one failed or slow probe                                                --> open, for longer

Whoever passes gets a ``Permit`` and settles it exactly once. Two properties of permits carry the machine:

* *A permit has an epoch*, which every move of the breaker advances. A request that began before a trip and ends after it (a
  straggler) says how the target was then. It is settled like any other, but decides nothing in an epoch that is not its own:
  neither closes a half-open breaker nor trips it again.
* *A permit expires* after ``lease`` seconds, which is longer than any attempt may take. A probe that vanished without being settled
  frees its place, so half-open is never wedged; settled after that it is ignored.

So permits out = permits settled or expired, whatever drivers do.

Two more states are an operator's: *forced_open* refuses everybody, *forced_closed* lets everybody pass and never trips, whatever time
and verdicts say. Released, the first begins again with a probe, the second with an empty window.

Verdicts: success and degraded are good; retryable and fatal are failures; caller_error, misconfigured and ignored say nothing
about the target's health and only give the permit back. A call is slow when it took at least ``slow_call.duration``, whatever came
of it; so a client that leaves after that long still counts as a slow call, one that leaves early does not count.

Open time grows with each trip in a row: base·multiplier^k, at most ``max``, spread by ±jitter around that so that replicas do
not reopen together; the middle is lowered where the spread would pass ``max``. k starts again at 0 once the breaker has stayed closed
for ``max``: a target that fails right after it was let in again has not recovered.
"""

from __future__ import annotations

from enum import StrEnum

from sidecar.core.draw import draw
from sidecar.core.fact import BreakerMoved, Counts, Thresholds
from sidecar.core.value import Value
from sidecar.core.vocabulary import ANSWERS, FAILURES, Verdict
from sidecar.core.window import Tally, window_for
from sidecar.policy.model import BreakerPolicy


class State(StrEnum):
    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"
    FORCED_OPEN = "forced_open"
    FORCED_CLOSED = "forced_closed"


FORCED = frozenset({State.FORCED_OPEN, State.FORCED_CLOSED})
UNTIL_RELEASED = 60.0  # seconds: what a held breaker says about when to ask again; nobody knows


class Permit(Value):
    """Leave to ask, until ``expires``; worth nothing once the breaker has moved on from its ``epoch``."""

    number: int
    epoch: int
    at: float
    expires: float


class Refusal(Value):
    """``retry_after``: seconds until it is worth asking again, as far as can be known."""

    retry_after: float


class Breaker:
    def __init__(self, policy: BreakerPolicy, target: str, *, lease: float, seed: int) -> None:
        """``lease`` in seconds is longer than an attempt may take; ``seed`` and the epoch draw the jitter."""
        self._policy = policy
        self._thresholds = _thresholds(policy)
        self._target = target
        self._lease = lease
        self._seed = seed
        self._window = window_for(policy.window)
        self._out: dict[int, Permit] = {}  # oldest first
        self._numbered = 0
        self.state = State.CLOSED
        self.epoch = 0
        self.moved: BreakerMoved | None = None  # the last move; None: the state is that of the beginning
        self.until = 0.0  # end of the open time
        self.failures_in_row = 0
        self._good_probes = 0
        self._trips_in_row = 0

    # -- passing --------------------------------------------------------------------------------------------------

    def tick(self, now: float) -> BreakerMoved | None:
        """What time alone does: leases run out, an open time ends. Called before ``refusal`` and ``admit``."""
        while self._out and (oldest := next(iter(self._out.values()))).expires <= now:
            del self._out[oldest.number]
        if self.state is State.OPEN and now >= self.until:
            return self._move(now, State.HALF_OPEN, "timer")
        return None

    def refusal(self, now: float) -> Refusal | None:
        """What ``admit`` would refuse with, without taking a permit."""
        if self.state is State.CLOSED:
            return None
        if self.state is State.OPEN:
            return Refusal(max(self.until - now, 0.0))
        if self.state is State.FORCED_OPEN:
            return Refusal(UNTIL_RELEASED)
        if self.state is State.HALF_OPEN:
            probes = self._probes(now)
            if len(probes) >= self._policy.half_open.permits:
                return Refusal(max(min(probe.expires for probe in probes) - now, 0.0))
        return None

    def admit(self, now: float) -> Permit | Refusal:
        refusal = self.refusal(now)
        if refusal is not None:
            return refusal
        self._numbered += 1
        permit = Permit(self._numbered, self.epoch, now, now + self._lease)
        self._out[permit.number] = permit
        return permit

    def settle(self, now: float, permit: Permit, verdict: Verdict) -> BreakerMoved | None:
        """Give a permit back with what became of it; the move this led to, if any."""
        if self._out.pop(permit.number, None) is None or not self.heeds(now, permit):
            return None
        failed = verdict in FAILURES
        slow = now - permit.at >= self._thresholds.slow_seconds
        if not failed and not slow and verdict not in ANSWERS:
            return None
        if self.state is State.HALF_OPEN:
            return self._settle_probe(now, failed=failed, slow=slow)
        self._window.add(now, failed=failed, slow=slow)
        if failed:
            self.failures_in_row += 1
        elif verdict in ANSWERS:
            self.failures_in_row = 0
        why = self._tripped_by(now) if self.state is State.CLOSED else None
        return self._trip(now, why) if why else None

    def heeds(self, now: float, permit: Permit) -> bool:
        """Whether what becomes of an unsettled permit decides anything: it is of this epoch and has not run out."""
        return permit.epoch == self.epoch and permit.expires > now

    # -- moved from outside ---------------------------------------------------------------------------------------

    def hint(self, now: float, why: str = "window_opened") -> BreakerMoved | None:
        """Something says the target is back (its power window opened, its health recovered): an open breaker may probe at once."""
        return self._move(now, State.HALF_OPEN, why) if self.state is State.OPEN else None

    def force(self, now: float, state: State | None) -> BreakerMoved | None:
        """Hold the breaker in one of ``FORCED``, or release it with None."""
        if state is self.state or (state is None and self.state not in FORCED):
            return None
        if state is not None:
            return self._move(now, state, "override")
        moved = self._move(now, State.HALF_OPEN if self.state is State.FORCED_OPEN else State.CLOSED, "override_ended")
        self._window.clear()
        return moved

    def adopt(self, policy: BreakerPolicy, *, lease: float) -> None:
        """Take new numbers. State, epoch and permits stay; the window stays unless it is another kind or size of window."""
        if policy.window != self._policy.window:
            self._window = window_for(policy.window)
        self._policy = policy
        self._thresholds = _thresholds(policy)
        self._lease = lease

    # -- seen from outside ----------------------------------------------------------------------------------------

    @property
    def admitted(self) -> int:
        """Permits given so far."""
        return self._numbered

    def outstanding(self, now: float) -> int:
        """Permits neither settled nor expired."""
        return sum(permit.expires > now for permit in self._out.values())

    def tally(self, now: float) -> Tally:
        """What the rates are read from."""
        return self._window.tally(now)

    def counts(self, now: float) -> Counts:
        """What a move would be decided by now, with what it is held against."""
        seen, row, good = self._window, self.failures_in_row, self._good_probes
        seen.advance(now)
        return Counts(self.state, seen.calls, seen.failures, seen.slow, row, good, self._thresholds)

    def view(self, now: float) -> dict[str, object]:
        """State with its counts against their thresholds, for people."""
        tally = self._window.tally(now)
        policy = self._policy
        return {
            "state": self.state.value,
            "epoch": self.epoch,
            "for_seconds": None if self.moved is None else round(now - self.moved.at, 3),
            "probe_in_seconds": round(max(self.until - now, 0.0), 3) if self.state is State.OPEN else None,
            "calls": tally.calls,
            "min_calls": policy.min_calls,
            "failures": tally.failures,
            "failure_rate": [tally.failures / tally.calls if tally.calls else 0.0, policy.failure_rate],
            "slow_rate": [tally.slow / tally.calls if tally.calls else 0.0, policy.slow_call.rate],
            "failures_in_row": [self.failures_in_row, policy.consecutive],
            "good_probes": [self._good_probes, policy.half_open.close_after],
            "permits_out": self.outstanding(now),
        }

    # -- the moves ------------------------------------------------------------------------------------------------

    def _probes(self, now: float) -> list[Permit]:
        return [permit for permit in self._out.values() if permit.epoch == self.epoch and permit.expires > now]

    def _settle_probe(self, now: float, *, failed: bool, slow: bool) -> BreakerMoved | None:
        if failed or slow:
            return self._trip(now, "probe_failed" if failed else "slow_rate")
        self._good_probes += 1
        if self._good_probes < self._thresholds.close_after:
            return None
        moved = self._move(now, State.CLOSED, "recovered")
        self._window.clear()
        return moved

    def _tripped_by(self, now: float) -> str | None:
        limits = self._thresholds  # and not the policy: an attribute of a model is dear, and every attempt asks
        if limits.consecutive and self.failures_in_row >= limits.consecutive:
            return "consecutive"
        seen = self._window
        seen.advance(now)
        if seen.calls < limits.min_calls:
            return None
        # Divided, not multiplied: 14 of 25 is exactly the float 0.56, while 0.56 · 25 is a little more than 14.
        if seen.failures and seen.failures / seen.calls >= limits.failure_rate:
            return "failure_rate"
        if seen.slow and seen.slow / seen.calls >= limits.slow_rate:
            return "slow_rate"
        return None

    def _trip(self, now: float, why: str) -> BreakerMoved:
        if self.state is State.CLOSED and (self.moved is None or now - self.moved.at >= self._policy.open.max):
            self._trips_in_row = 0
        open_for = self._open_time()
        self._trips_in_row += 1
        self.until = now + open_for
        return self._move(now, State.OPEN, why, open_for)

    def _open_time(self) -> float:
        policy = self._policy.open
        middle = policy.base
        for _ in range(self._trips_in_row):  # a loop, because multiplier ** 10_000 overflows
            if middle >= policy.max or policy.multiplier == 1:
                break
            middle *= policy.multiplier
        middle = min(middle, policy.max / (1 + policy.jitter))
        return middle * (1 + policy.jitter * (2 * draw(self._seed, self.epoch) - 1))

    def _move(self, now: float, after: State, why: str, open_for: float | None = None) -> BreakerMoved:
        counts = self.counts(now)
        self.moved = BreakerMoved(now, self._target, self.state.value, after.value, why, open_for, counts)
        self.state = after
        self.epoch += 1
        self.failures_in_row = self._good_probes = 0
        return self.moved


def _thresholds(policy: BreakerPolicy) -> Thresholds:
    slow = policy.slow_call
    half = policy.half_open
    return Thresholds(
        policy.consecutive, policy.min_calls, policy.failure_rate, slow.rate, slow.duration, half.close_after
    )
