"""Whether what is proposed would have been better than today's policy, in a sentence, or why not.

Better or worse is what the 95 % interval of a paired difference says: six figures are looked at, so one of them may say so by chance.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sidecar.replay.column import Comparison, Difference
from sidecar.replay.recommend.value import Missing

MAY_COST = {"availability": 0.001, "degraded_share": 0.01, "attempts_per_call": 0.5}  # for what a proposal makes better
SHARES = ("availability", "degraded_share")
EFFORT = "attempts_per_call"  # no user waits for it: by itself it is a price and no harm
LITTLE = 0.005  # share of degraded calls below which there is little to win


def hurts(differences: Sequence[Difference]) -> bool:
    """Whether one of ``differences`` to today's policy is worse with its whole interval, by more than it may be or while none is better."""
    signs = {_sign(one) for one in differences if one.figure != EFFORT}
    return _costs_too_much(differences) or (-1 in signs and 1 not in signs)


def verdict(comparison: Comparison, todays: Sequence[Difference], missing: Sequence[Missing], kept: bool) -> str:  # noqa: FBT001
    """``todays`` are the differences of what is proposed to today's policy; ``kept``: whether anything is proposed at all."""
    if not kept:
        return _nothing(missing)
    if not todays:
        return "Not enough data to say whether it is better: too few answered calls for an interval."
    better = [_worded(one) for one in todays if _sign(one) > 0]
    worse = [_worded(one) for one in todays if _sign(one) < 0]
    if _costs_too_much(todays):
        return f"Not to be used as it is: {', '.join(worse)}." + (f" Better: {', '.join(better)}." if better else "")
    if better:
        price = f"The price: {', '.join(worse)}." if worse else "Nothing is worse beyond chance."
        return f"Better: {', '.join(better)}. {price}"
    return _no_better(comparison.columns[1].figures, worse)


def _nothing(missing: Sequence[Missing]) -> str:
    if any(one.enough for one in missing):
        return "Nothing is proposed: where there is data enough, the policy has these values already, or others would make it worse."
    if missing:
        return "Nothing is proposed: not enough data."
    return "Nothing is proposed: what the data speak for would make things worse."


def _no_better(today: Mapping[str, Any], worse: Sequence[str]) -> str:
    degraded, p95 = today["degraded_share"], today["latency_seconds"]["p95"]
    state = f"under the policy of today {degraded:.2%} were degraded and 95 % answered within {p95:.3g} s"
    why = f"there was little to win, for {state}" if degraded < LITTLE else f"every gain may be chance; {state}"
    return f"No better in this traffic: {why}." + (f" Worse: {', '.join(worse)}." if worse else "")


def _costs_too_much(differences: Sequence[Difference]) -> bool:
    return any(
        one.interval.high < -MAY_COST[one.figure]
        if one.figure == "availability"
        else one.interval.low > MAY_COST[one.figure]
        for one in differences
        if one.figure in MAY_COST
    )


def _sign(one: Difference) -> int:
    """1 better, -1 worse, 0 nobody knows. More of anything but availability is worse."""
    if one.interval.low <= 0 <= one.interval.high:
        return 0
    return 1 if (one.interval.low > 0) == (one.figure == "availability") else -1


def _worded(one: Difference) -> str:
    name, (low, high) = one.figure.replace("_", " "), one.interval
    if one.figure in SHARES:
        return f"{name} {one.difference * 100:+.2f} points ({low * 100:+.2f} … {high * 100:+.2f})"
    if one.figure.startswith("p"):
        return f"{name} {one.difference * 1000:+.3g} ms ({low * 1000:+.3g} … {high * 1000:+.3g})"
    return f"{name} {one.difference:+.3g} ({low:+.3g} … {high:+.3g})"
