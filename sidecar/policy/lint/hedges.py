"""Hedges that are never sent, or too many of them; and sessions that have nowhere to stay."""

from __future__ import annotations

from collections.abc import Iterator

from sidecar.policy.lint.finding import Found, Rung
from sidecar.policy.model import Policy
from sidecar.policy.units import duration_text as t
from sidecar.policy.units import share_text

_HIGH = 0.1  # share of calls; Dean and Barroso's hedges added a twentieth to the load


def of_the_policy(policy: Policy) -> Iterator[Found]:
    if policy.affinity.stick and len(policy.ladder) < 2:
        who = f"nobody stands below {policy.ladder[0].name}" if policy.ladder else "nobody is asked"
        yield Found("affinity-unused", f"{who}, so no session ever falls back: write 0", ("affinity.stick", "targets"))


def of_a_target(rung: Rung) -> Iterator[Found]:
    hedge = rung.target.hedge
    if not hedge.enabled:
        return
    why = _never(rung)
    if why is not None:
        message, field = why
        yield rung.found("hedge-never-sent", f"{message}, or write enabled: false", "hedge.enabled", field)
    elif hedge.max_extra_load > _HIGH:
        yield rung.found(
            "hedge-load-high",
            f"where {rung.name} is late because it is overloaded, up to {share_text(hedge.max_extra_load)} more requests make it "
            f"later: write {share_text(_HIGH)} or less",
            "hedge.max_extra_load",
        )


def _never(rung: Rung) -> tuple[str, str] | None:
    """Why no hedge of the target is ever sent, and the field that decides it."""
    target, name, own = rung.target, rung.name, rung.target.timeouts.attempt
    delay = target.hedge.delay
    if target.effects == "unsafe":
        return f"{name} is unsafe, and a hedge is a second request: write the effects it really has", "effects"
    if target.hedge.max_extra_load == 0:
        return f"no hedge of {name} is ever paid for: write a max_extra_load above 0%", "hedge.max_extra_load"
    if target.retry_budget.burst < 1:
        return (
            f"a hedge of {name} costs a retry, and the budget never holds one: write a burst of 1 or more",
            "retry_budget.burst",
        )
    if target.limiter.max_concurrent == 1:
        return (
            f"{name} has one slot, which the first request holds: write a max_concurrent of 2 or more",
            "limiter.max_concurrent",
        )
    if own is not None and not isinstance(delay, str) and delay >= own:
        late = f"a request to {name} is given up after {t(own)}, before it is late: write a delay below that"
        return late, "hedge.delay"
    return None
