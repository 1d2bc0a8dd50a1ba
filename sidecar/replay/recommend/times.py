"""Times from quantiles: how long an attempt may take, what is kept back for a target below, and from when on a call is slow.

* ``timeouts.attempt``: the time within which 995 of 1 000 answers came while the target was well, or 99 of 100 where the record is short.
  More would only make its users wait longer for the next target when it is sick; less would take the primary's answer from too many when
  it is not. Where that is more than there is time, none (auto).
* ``reserve`` of a target below: the time within which 95 of 100 of its answers came, and never less than it may take to connect.
* ``breaker.slow_call.duration``: the time that 99 of 100 did not exceed, or half of what ``slo.latency`` promises if that is more: who is
  slower than usual and still fast is not sick. Below what an attempt may take, or it would never count; where that is what is proposed for
  it, both are one proposal.
"""

from __future__ import annotations

from math import inf

from sidecar.policy.figures import MAX_RESERVED, MIN_ATTEMPT, reserve_of
from sidecar.policy.model import Policy, Target
from sidecar.policy.units import duration_text, seconds
from sidecar.replay.recommend.evidence import Seen
from sidecar.replay.recommend.quantiles import Quantile
from sidecar.replay.recommend.value import FAIR, FEWEST, HIGH, LOW, Found, Missing, Proposal, too_few, unless_present

SHARES = (0.995, 0.99)
SLOW_SHARES = (0.99, 0.98, 0.95, 0.9)
NARROW, WIDE = 0.1, 0.3  # width of an interval against its value, up to which confidence is high, and fair
FEWEST_FOR_ATTEMPTS = 1_000  # of which 99 of 100 can be said
BELOW = 0.9  # of what an attempt may take, where a call is slow at the latest


def patience(policy: Policy) -> float:
    return policy.deadline.client - policy.deadline.margin


def reserve(seen: Seen, target: Target, policy: Policy) -> Found:
    path, found = "reserve", seen.times.quantile(0.95)
    if found is None:
        return _unknown(seen, path)
    most = patience(policy) * MAX_RESERVED
    if found.seconds > most:
        why = f"{within(found)}, and more than half of the patience cannot be kept back: auto is right"
        return Missing(seen.target, path, why, found.n, enough=True)
    return _time(seen, path, target.reserve, found, target.timeouts.connect, "it may take to connect")


def share_of(policy: Policy, place: int, reserves: dict[str, float]) -> float:
    """Seconds that the target at ``place`` may take when it is turned to at once; ``reserves`` are those that are proposed."""
    below = [reserves.get(target.name, reserve_of(target)) for target in policy.ladder[place + 1 :]]
    whole = patience(policy)
    return whole - min(sum(below), whole * MAX_RESERVED)


def attempt(seen: Seen, target: Target, most: float) -> Found:
    """``most`` is the time that the target may have at all."""
    path, found, own = "timeouts.attempt", seen.times.highest(SHARES), target.timeouts.attempt
    if found is None:
        return _unknown(seen, path, FEWEST_FOR_ATTEMPTS)
    if found.seconds < most:
        return _time(seen, path, own, found, MIN_ATTEMPT, "is the least that makes sense")
    why = f"{within(found)}, and it has {duration_text(_rounded(most))} at most: all the time there is is right"
    present = "auto" if own is None else duration_text(own)
    return unless_present(Proposal(seen.target, path, present, "auto", why, found.n, HIGH))


def share_given_up(seen: Seen, timeout: float) -> float:
    """The share of attempts while the target was well that a timeout of what was observed would cut off."""
    found = seen.times.highest(SHARES)
    return 1 - found.share if found is not None and timeout <= _rounded(found.seconds) else 0.0


def slow_call(seen: Seen, target: Target, policy: Policy, most: float) -> Found:
    """``most``: after how many seconds an attempt is given up."""
    path, found, present = (
        "breaker.slow_call.duration",
        seen.times.highest(SLOW_SHARES),
        target.breaker.slow_call.duration,
    )
    if found is None:
        return _unknown(seen, path, FEWEST // 2)
    half = policy.slo.latency.threshold / 2
    if max(found.seconds, half) < most:
        return _time(seen, path, present, found, half, "is half of what slo.latency promises")
    evidence = f"{within(found)}; an attempt is given up after {duration_text(_rounded(most))}: what is slow must be less to count"
    value = duration_text(_rounded(found.seconds if found.seconds < most else most * BELOW))
    return unless_present(Proposal(seen.target, path, duration_text(present), value, evidence, found.n, LOW))


def within(found: Quantile) -> str:
    high = "more than anybody waited" if found.high == inf else f"{found.high:.3g}"
    return f"{found.share * 100:g} % of {found.n} answers came within {found.seconds:.3g} s ({found.low:.3g} to {high})"


def _time(seen: Seen, path: str, present: float | None, found: Quantile, least: float, said: str) -> Found:  # noqa: PLR0917
    """A time that was observed, or the ``least`` that makes sense, which ``said`` explains; the present one if it is as good."""
    written = "auto" if present is None else duration_text(present)
    if found.seconds < least:
        evidence = f"{within(found)}; {duration_text(least)} {said}"
        return unless_present(Proposal(seen.target, path, written, duration_text(least), evidence, found.n, HIGH))
    if present is not None and found.low <= present <= found.high:
        return Missing(seen.target, path, f"{written} is as good: {within(found)}", found.n, enough=True)
    width = (found.high - found.low) / found.seconds
    confidence = HIGH if width <= NARROW else FAIR if width <= WIDE else LOW
    value = duration_text(_rounded(found.seconds))
    return unless_present(Proposal(seen.target, path, written, value, within(found), found.n, confidence))


def _unknown(seen: Seen, path: str, needed: int = FEWEST) -> Missing:
    if seen.times.n < needed:
        return too_few(seen.target, path, seen.times.n, needed)
    why = f"not enough data: too many of its {seen.times.n} attempts were cut off to say how long the others would have taken"
    return Missing(seen.target, path, why, seen.times.n)


def _rounded(time: float) -> float:
    """To three digits."""
    return float(f"{time:.3g}")


def seconds_of(found: Found) -> float | None:
    """The time that is proposed; None where none is, or auto."""
    return seconds(found.value) if isinstance(found, Proposal) and found.value != "auto" else None
