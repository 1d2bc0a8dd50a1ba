"""The limit of one target, found while it works: as many at once as it answers without making them wait for each other.

Theory
------
A target that works on c chats at once, s seconds each, keeps one of n chats for s·max(1, n/c) (Little's law: n = rate · seconds, and the
rate has an end). So more at once is free up to c, and beyond buys nothing but waiting. c is never told; it is found by holding two
means against each other:

* the *baseline*: what an answer takes that never had more than ``min_concurrent`` under way beside and with it (it was *alone*);
* the *window*: what answers take that had company, at least ``WINDOW`` of them and two for each slot, over at least a second and two
  baselines (Netflix's ``WindowedLimit`` has ten samples and a second, too).

At the end of a window

    gradient = clamp(tolerance · baseline / mean, 1/2, 1)     Netflix, concurrency-limits, ``Gradient2Limit``
    limit    = limit · gradient                               where it is below 1
             = limit · 2, after a decrease limit + 1          where it is 1 and the limit was reached within the window:
                                                              slow start and congestion avoidance of TCP, RFC 5681 section 3.1

A timeout is a *drop*, at once and without waiting for the window's end:

    limit    = limit · (1 - lost / 2)                         Data Center TCP, RFC 8257 section 3.3

with ``lost`` the share of timeouts among the last answers and timeouts (each decides ``1 / WINDOW`` of it). Where everything times out it
is halved, as TCP does; one that hangs among many that answer hardly moves it. Those that began before a drop cannot know of it and belong
to it (the "recover" mark of RFC 6582): a burst of timeouts, however many, is one drop, and lowers the limit by half at most.

Where this departs from its sources, and why:

* *The baseline never learns the queueing it causes.* Gradient2 compares with a long average of all samples, which under lasting load
  creeps up to the queue. Here company says nothing about being alone. TCP Vegas and Envoy have the same idea: a minimum, which one lucky
  2 ms among answers of 2 s spoils, and a minimum measured by holding traffic back every minute. A mean, because Little's law speaks of
  means, and because chats on a fast and on a slow lane have one that stays where it is, while their median jumps.
* *It cannot go blind.* Where a target becomes slower for good, windows lower the limit to ``min_concurrent``. There everybody is alone,
  so the baseline learns the new time (within some thirty answers, however much slower) and the limit doubles its way back. For the
  same reason a target that was busy from the first chat on, so that nobody was ever alone, is measured by going down there once.
  Where it becomes faster, company that is faster than being alone was shows that the baseline is old, and pulls it down.
* *One long answer decides nothing.* An answer counts for at most ``OUTLIER`` baselines, in both means: one in a window of ten adds
  30 % to it and 15 % to the baseline. Of the first ten, from which the baseline begins, the longest is left out. It begins from as few as
  five where a window has to be judged before: a long answer keeps those that come meanwhile from being alone.
* *Idle is no evidence.* Samples count in a window only if there was company and at least half of the limit in use in their course
  (Netflix ignores samples below half as well), and the limit rises only if it was reached (TCP: RFC 7661). Nothing decays with time.

The limit starts at ``max_concurrent``: until there is evidence the policy holds as it would without ``adaptive``, and thin traffic, which
measures the baseline by the way, never pays for the search. Slots are the limit, rounded.
"""

from __future__ import annotations

from math import inf

from sidecar.policy.model import LimiterPolicy

WINDOW, LEAST_SECONDS, BASELINES = 10, 1.0, 2  # samples, seconds and baselines that a window has at least
OUTLIER = 4.0  # baselines that one answer counts for at most
FIRST = 10  # answers alone from which the baseline begins
FEW = 5  # from which it does where a window is over before there are ten
SHARE = 1 / 20  # of the baseline, that each further one decides
SLOWEST = 0.5  # the least gradient


class Gradient:
    """``see`` how many are under way whenever that changes; then tell what came of each attempt, after its ``see``.

    ``baseline`` is seconds, None before it was measured; ``drops`` counts bursts of timeouts that lowered the limit.
    """

    def __init__(self, policy: LimiterPolicy) -> None:
        self._least, self._most = policy.min_concurrent, policy.max_concurrent
        self._tolerance = policy.tolerance
        self.limit = float(self._most)
        self.baseline: float | None = None
        self.drops = 0
        self._doubles = True  # until a decrease has shown where too many begin
        self._alone, self._sum, self._longest = 0, 0.0, 0.0  # of the first answers alone
        self._since = -inf  # the window: when it began, its answers and their seconds
        self._count, self._total = 0, 0.0
        self._lost = 0.0  # share of timeouts
        self._dropped, self._left = -inf, 1.0  # the last drop: when it began, and what it left of the limit
        # When last more than the least, half of the limit, all of it were under way.
        self._crowded = self._pressed = self._full = -inf

    @property
    def slots(self) -> int:
        return int(self.limit + 0.5)

    @property
    def bounds(self) -> tuple[int, int]:
        return self._least, self._most

    def adopt(self, policy: LimiterPolicy) -> None:
        """Take new bounds: what was learnt stays, within them. A limit at its upper bound, of which nothing else is known, stays there."""
        unbounded = self._doubles and self.limit == self._most
        self._least, self._most, self._tolerance = policy.min_concurrent, policy.max_concurrent, policy.tolerance
        self.limit = float(self._most) if unbounded else min(max(self.limit, self._least), self._most)

    def see(self, now: float, in_flight: int) -> None:
        """So many are under way: after one was let in, before one leaves."""
        slots = int(self.limit + 0.5)
        if in_flight > self._least:
            self._crowded = now
        if in_flight * 2 >= slots and (in_flight > self._least or slots == self._least):
            self._pressed = now
        if in_flight >= slots:
            self._full = now

    def answered(self, now: float, began: float) -> str | None:
        """An attempt was answered that began then. Why the limit moved: room, latency or unmeasured; None: it did not."""
        seconds = now - began
        if self.baseline is not None:
            seconds = min(seconds, OUTLIER * self.baseline)
        if self._crowded < began:
            self._learn(seconds)
        if self._pressed < began:
            return None
        self._lost -= self._lost / WINDOW
        if began < self._since:
            return None
        self._count += 1
        self._total += seconds
        if self._count < max(WINDOW, 2 * self.slots) or now - self._since < max(
            LEAST_SECONDS, BASELINES * (self.baseline or 0.0)
        ):
            return None
        return self._judge(now, self._total / self._count)

    def timed_out(self, now: float, began: float) -> str | None:
        """An attempt that began then was given up, silent. "timeout" where that lowers the limit."""
        if self._pressed < began:
            return None
        self._lost += (1 - self._lost) / WINDOW
        if self.limit <= self._least:
            return None
        if began >= self._dropped:
            self.drops += 1
            self._dropped, self._left = now, 1.0
        left = min(1 - self._lost / 2, self._left)
        self._lower(now, self.limit * left / self._left)
        self._left = left
        return "timeout"

    def _learn(self, seconds: float) -> None:
        if self.baseline is not None:
            self.baseline += (seconds - self.baseline) * SHARE
            return
        self._alone += 1
        self._sum += seconds
        self._longest = max(self._longest, seconds)
        if self._alone == FIRST:
            self._measure()

    def _measure(self) -> None:
        """Begin the baseline with the answers alone there are."""
        self.baseline = (self._sum - self._longest) / (self._alone - 1)

    def _judge(self, now: float, mean: float) -> str | None:
        if self.baseline is None and self._alone >= FEW:
            self._measure()
        baseline, reached = self.baseline, self._full > self._since
        if baseline is None:
            before = self.limit
            self._lower(now, 0.0)
            return "unmeasured" if self.limit < before else None
        if mean * self._tolerance < baseline:  # as much as if each of its answers had been one alone
            self.baseline = mean + (baseline - mean) * (1 - SHARE) ** WINDOW
        if mean > self._tolerance * baseline:
            self._lower(now, self.limit * max(self._tolerance * baseline / mean, SLOWEST))
            return "latency"
        self._begin(now)
        if not reached or self.limit >= self._most:
            return None
        self.limit = min(self.limit * 2 if self._doubles else self.limit + 1, self._most)
        return "room"

    def _lower(self, now: float, limit: float) -> None:
        self.limit = max(limit, self._least)
        self._doubles = self.limit == self._least  # down there all is open again
        self._begin(now)

    def _begin(self, now: float) -> None:
        self._since, self._count, self._total = now, 0, 0.0
