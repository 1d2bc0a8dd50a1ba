"""Switch and madre as they are in a drill: so many chats at a time, first come first served, and what befalls them when.

One model for both ways to play: on virtual time it is the world, live a server does as it says. Times are seconds from the begin of the
drill. Luck is drawn by (seed, chat, how often this target was sent it), so that a chat meets the same live and on virtual time, and under
every policy.

A request that nobody waits for any more is worked on all the same: VX11's services do not notice that a caller has left. So what was given
up stays in the queue before those who still wait, and that is what a storm of retries lives on.
"""

from __future__ import annotations

import math
from collections import Counter
from heapq import heapreplace
from statistics import NormalDist
from typing import Literal, NamedTuple

from sidecar.core.draw import draw
from sidecar.core.vocabulary import ErrorKind, Outcome

AT_ONCE = 0.0005  # seconds after which a refusal comes
GOOD = Outcome(status=200, body={"status": "ok"}, text=True)
UNAVAILABLE = Outcome(status=503)
REFUSED = Outcome(error=ErrorKind.CONNECT)
RESET = Outcome(error=ErrorKind.RESET)
_WORK, _TROUBLE = 0x51, 0x52  # what draws are for
_LEAST = 2.0**-54  # of a uniform draw, whose normal number exists


class Capacity(NamedTuple):
    """Works on ``at_once`` chats at a time, for a lognormal time: ``median`` seconds, ``sigma`` of its logarithm."""

    at_once: int
    median: float
    sigma: float = 0.3

    @property
    def rate(self) -> float:
        """Chats a second that it can do."""
        return self.at_once / (self.median * math.exp(self.sigma**2 / 2))


class Trouble(NamedTuple):
    """What befalls a target from ``since`` to ``until``.

    hung        takes requests and is silent; at the end it is restarted, and whoever waits is reset
    refusing    it is gone: whoever waits is reset as that begins, connections are refused; it comes back with nothing to do, and cold:
                a chat takes ``cold`` times as long at first, and each of the next ``warms`` chats a little less
    stalled     it takes requests and does nothing; at the end it goes on where it was
    brownout    a share ``failing`` of the chats is answered with 503, a share ``slow`` takes ``slower`` seconds more
    """

    kind: Literal["hung", "refusing", "stalled", "brownout"]
    since: float
    until: float
    failing: float = 0.0
    slow: float = 0.0
    slower: float = 0.0
    cold: float = 1.0
    warms: int = 0

    def holds(self, at: float) -> bool:
        return self.since <= at < self.until


class Sent(NamedTuple):
    """A request of ``chat`` that came at ``at``, and how long it waited for its turn."""

    at: float
    chat: int
    waited: float = 0.0


class Upstream:
    def __init__(self, capacity: Capacity, trouble: Trouble | None, seed: int) -> None:
        self.trouble = trouble
        self.sent: list[Sent] = []
        """Everything that reached it, in order; and where it was gone, what would have."""
        self._capacity = capacity
        self._seed = seed
        self._free = [0.0] * capacity.at_once  # a heap: from when on each worker is
        self._times = Counter[int]()
        self._restarted = False
        self._warmed = 0  # chats since then

    def answer(self, now: float, chat: int) -> tuple[float, Outcome]:
        """Seconds from now, and what comes of a request. Called in the order of time."""
        self._times[chat] += 1
        trouble = self.trouble
        if trouble is not None and trouble.kind in ("hung", "refusing"):
            if trouble.holds(now):
                self.sent.append(Sent(now, chat))
                return (AT_ONCE, REFUSED) if trouble.kind == "refusing" else (trouble.until - now, RESET)
            if now >= trouble.until and not self._restarted:
                self._restarted = True
                self._free = [now] * self._capacity.at_once
        begins = max(now, self._free[0])
        seconds, outcome = self._work(begins, chat)
        begins, ends = self._done(begins, seconds)
        heapreplace(self._free, ends)
        self.sent.append(Sent(now, chat, begins - now))
        return self._cut(now, ends, outcome)

    def _work(self, at: float, chat: int) -> tuple[float, Outcome]:
        """How long it takes, and whether it is an answer."""
        nth = self._times[chat]
        u = max(draw(self._seed, chat, nth, _WORK), _LEAST)
        seconds = self._capacity.median * math.exp(self._capacity.sigma * NormalDist().inv_cdf(u))
        trouble = self.trouble
        if trouble is None or trouble.kind != "brownout" or not trouble.holds(at):
            return seconds * self._coldness(), GOOD
        luck = draw(self._seed, chat, nth, _TROUBLE)
        if luck < trouble.failing:
            return seconds, UNAVAILABLE
        return seconds + (trouble.slower if luck < trouble.failing + trouble.slow else 0.0), GOOD

    def _coldness(self) -> float:
        """Times as long as when it is warm. One more chat has come to it."""
        trouble = self.trouble
        if trouble is None or not self._restarted or self._warmed >= trouble.warms:
            return 1.0
        self._warmed += 1
        return trouble.cold - (trouble.cold - 1.0) * (self._warmed - 1) / trouble.warms

    def _done(self, begins: float, seconds: float) -> tuple[float, float]:
        """When work begins and ends that could begin at ``begins``: none is done while it is stalled."""
        trouble = self.trouble
        if trouble is None or trouble.kind != "stalled" or begins >= trouble.until:
            return begins, begins + seconds
        if begins >= trouble.since:
            return trouble.until, trouble.until + seconds
        left = begins + seconds - trouble.since
        return begins, begins + seconds if left <= 0 else trouble.until + left

    def _cut(self, now: float, ends: float, outcome: Outcome) -> tuple[float, Outcome]:
        """What was under way, or waited, when it hung or went."""
        trouble = self.trouble
        if trouble is None or trouble.kind not in ("hung", "refusing") or not now < trouble.since < ends:
            return ends - now, outcome
        return (trouble.until if trouble.kind == "hung" else trouble.since) - now, RESET
