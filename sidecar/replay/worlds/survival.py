"""How long a target takes, from attempts of which some were cut off: Kaplan and Meier's estimate, and a stated tail.

An attempt that was stopped after 2 s says that the answer takes longer than 2 s, and no more. Leaving it out would make the target look
fast, counting it as 2 s as well. The product-limit estimate (Kaplan and Meier, "Nonparametric estimation from incomplete observations",
1958) uses what is known: at each time at which answers came, the share of those still waited for that got one. What came is part of the
answer: an error after 2 ms and a reply after 1 s are events of one distribution.

Beyond the last answer on record nothing is known, and something must be assumed. Two tails are weighed against each other by likelihood:

* *lognormal*: answers would have gone on as those that were seen, a lognormal distribution fitted by maximum likelihood to the answers
  and to what was cut off (expectation and maximisation over the logarithms of the times);
* *plateau*: a share of the attempts never gets an answer at all (it hangs), and the rest is lognormal: the cure model of Boag, 1949,
  turned round. It needs one parameter more and is taken only where it explains the record better by ``PLATEAU`` nats: there was time
  enough in which answers should have come, and none did.

With fewer than ``ENOUGH`` answers nothing is fitted: what is silent stays so.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from math import erfc, exp, inf, log, pi, sqrt
from statistics import NormalDist
from typing import NamedTuple

from sidecar.core.vocabulary import Outcome
from sidecar.replay.record import Attempted

ENOUGH = 8  # answers from which on a tail is fitted
PLATEAU = (
    3.0  # nats that a plateau must gain: what one parameter more gains by chance is 0.5 on average, 3 in one of 70
)
MOST_FITTED = 400  # times that a tail is fitted to; of more, evenly many over their order
STEPS = 60  # of expectation and maximisation at most
SHORTEST = 1e-4  # seconds, below which times are not told apart: their logarithms would decide everything
_NARROWEST = 0.02  # of a fitted sigma
_STANDARD = NormalDist()


class Tail(NamedTuple):
    """Lognormal with ``mu`` and ``sigma`` of the logarithm of seconds; ``never`` is the share that gets no answer whatever its time."""

    mu: float
    sigma: float
    never: float = 0.0

    def beyond(self, seconds: float) -> float:
        """The share of all attempts that has no answer after ``seconds``."""
        return self.never + (1 - self.never) * _above((log(max(seconds, SHORTEST)) - self.mu) / self.sigma)

    def after(self, seconds: float, share: float) -> float:
        """The time by which ``share`` (0..1) of those that are still waited for after ``seconds`` got their answer; inf: never."""
        wanted = (1 - share) * self.beyond(seconds)
        if wanted <= self.never or self.never >= 1:
            return inf
        quantile = min(max((wanted - self.never) / (1 - self.never), 1e-12), 1 - 1e-12)
        return max(exp(self.mu - self.sigma * _STANDARD.inv_cdf(quantile)), seconds)


class Survival:
    """The distribution of one target's answers within one period."""

    def __init__(self, attempts: Iterable[Attempted]) -> None:
        observed = sorted(((a.seconds, a.cut, a.outcome) for a in attempts), key=_by_time)
        self._times: list[float] = []
        self._left: list[float] = []  # share still waited for after each time, below zero: a search wants what ascends
        self._outcomes: list[Outcome] = []
        self._observed = [(seconds, cut, _shows(outcome)) for seconds, cut, outcome in observed]
        self.cut = sum(cut for _, cut, _ in observed)
        share, waiting = 1.0, len(observed)
        for seconds, cut, outcome in observed:
            if not cut and outcome is not None:
                share *= 1 - 1 / waiting
                self._times.append(seconds)
                self._left.append(-share)
                self._outcomes.append(outcome)
            waiting -= 1
        self._tail: Tail | None = None
        self._fitted = False

    @property
    def answers(self) -> int:
        return len(self._times)

    @property
    def tail(self) -> Tail | None:
        """What is assumed beyond the last answer; None: nothing comes there. Fitted when it is first asked for."""
        if not self._fitted:
            self._fitted = True
            self._tail = _fit(self._observed) if self.cut else None
        return self._tail

    def beyond(self, seconds: float) -> float:
        """The share that has no answer after ``seconds``, by the record alone."""
        index = bisect_right(self._times, seconds)
        return -self._left[index - 1] if index else 1.0

    def draw(self, u: float, v: Callable[[], float], after: float = 0.0) -> tuple[float, Outcome | None]:
        """Seconds and outcome of an attempt that has had none after ``after`` seconds; inf and None: there is none.

        ``u`` and ``v`` in [0, 1) decide: a larger ``u`` never takes less time. ``v`` says which answer it is in the tail, if asked.
        """
        wanted = (1 - u) * self.beyond(after)
        index = bisect_right(self._left, -wanted)
        if index < len(self._times):
            return max(self._times[index], after), self._outcomes[index]
        tail = self.tail
        if tail is None or not self._times:
            return inf, None
        last = max(self._times[-1], after)
        left = self.beyond(last)
        share = 1 - wanted / left if left else u  # nothing left: it was silent for longer than anything on record
        seconds = tail.after(last, min(max(share, 0.0), 1.0))
        return seconds, None if seconds == inf else self._shown(v())

    def _shown(self, v: float) -> Outcome:
        """An outcome of the slower half: what takes long is more often a reply than a refusal."""
        slower = self._outcomes[len(self._outcomes) // 2 :]
        return slower[int(v * len(slower))]


def _by_time(observed: tuple[float, bool, Outcome | None]) -> tuple[float, bool]:
    """Of the same time, those that got an answer come before those that were cut off: these were waited for then."""
    return observed[0], observed[1]


def _shows(outcome: Outcome | None) -> bool:
    return outcome is not None and outcome.text


# -- the tail ----------------------------------------------------------------------------------------------------------


def _fit(observed: Sequence[tuple[float, bool, bool]]) -> Tail | None:
    """``observed`` as (seconds, cut off, shows a reply), by time. Replies are fitted where there are enough, else whatever came."""
    replies = sum(shows for _, _, shows in observed)
    used = [(log(max(s, SHORTEST)), cut) for s, cut, shows in observed if cut or shows or replies < ENOUGH]
    if sum(not cut for _, cut in used) < ENOUGH:
        return None
    if len(used) > MOST_FITTED:
        used = [used[index * len(used) // MOST_FITTED] for index in range(MOST_FITTED)]
    came = [x for x, cut in used if not cut]
    waited = [x for x, cut in used if cut]
    if not came:
        return None
    plain = _maximised(came, waited, 0.0)
    plateau = _maximised(came, waited, len(waited) / len(used) / 2)
    gained = _log_likelihood(plateau, came, waited) - _log_likelihood(plain, came, waited)
    return plateau if gained > PLATEAU else plain


def _maximised(came: Sequence[float], waited: Sequence[float], never: float) -> Tail:
    """Maximum likelihood, from a start with ``never``; 0 stays 0."""
    count, n = len(came), len(came) + len(waited)
    mu = sum(came) / count
    sigma = max(sqrt(sum((x - mu) ** 2 for x in came) / count), _NARROWEST)
    squares, total = sum(x * x for x in came), sum(came)
    for _ in range(STEPS):
        weight = sum_ = square = hanging = 0.0
        for x in waited:
            z = (x - mu) / sigma
            above = max(_above(z), 1e-300)
            alive = (1 - never) * above
            share = alive / (alive + never)
            # Moments of a normal variable of which only that it exceeds x is known.
            ratio = exp(-z * z / 2) / sqrt(2 * pi) / above if above > 1e-200 else z
            mean = mu + sigma * ratio
            weight += share
            hanging += 1 - share
            sum_ += share * mean
            square += share * (mu * mu + sigma * sigma + sigma * (x + mu) * ratio)
        before = mu, sigma, never
        mu = (total + sum_) / (count + weight)
        sigma = max(sqrt(max((squares + square) / (count + weight) - mu * mu, 0.0)), _NARROWEST)
        never = hanging / n
        if abs(mu - before[0]) + abs(sigma - before[1]) + abs(never - before[2]) < 1e-5:
            break
    return Tail(mu, sigma, never)


def _log_likelihood(tail: Tail, came: Sequence[float], waited: Sequence[float]) -> float:
    mu, sigma, never = tail
    of_answers = sum(-(((x - mu) / sigma) ** 2) / 2 for x in came) - len(came) * log(sigma * sqrt(2 * pi))
    of_answers += len(came) * log(max(1 - never, 1e-300))
    return of_answers + sum(log(max(never + (1 - never) * _above((x - mu) / sigma), 1e-300)) for x in waited)


def _above(z: float) -> float:
    """The share of a standard normal distribution above ``z``."""
    return erfc(z / sqrt(2)) / 2
