"""Retries: what may be sent twice, what is claimed about it, and retries that never come."""

from __future__ import annotations

from collections.abc import Iterator

from sidecar.policy.figures import attempts_of, resends
from sidecar.policy.lint.finding import Found, Rung


def of_a_target(rung: Rung) -> Iterator[Found]:
    yield from _effects(rung)
    yield from _unsent(rung)
    if rung.target.retry.max_attempts > 1:
        yield from _on_timeout(rung)
        yield from _never(rung)
    if rung.target.retry_budget.ratio >= 1:
        yield rung.found(
            "retry-budget-doubles-load",
            f"every call pays for a retry, so an outage of {rung.name} doubles its load: write 20% or less",
            "retry_budget.ratio",
        )


def _effects(rung: Rung) -> Iterator[Found]:
    effects, name = rung.target.effects, rung.name
    if effects == "dedup":
        yield rung.found(
            "effects-unproven",
            f"{name} gets an Idempotency-Key, and as VX11 ships it does not look at one: what is sent twice is done twice; write unsafe, "
            "unless yours was seen to keep keys",
            "effects",
        )
        return
    if effects == "none" and name == "madre":
        why = "every call queues a job and writes rows, so a request sent twice is done twice"
    elif effects == "none" and not rung.target.shield:
        why = "without the shield the switch runs a user's text as a command, twice if it is sent twice"
    else:
        return
    yield rung.found("effects-contradicted", f"{effects} is not true of {name}: {why}; write unsafe", "effects")


def _unsent(rung: Rung) -> Iterator[Found]:
    target, field = rung.target, "retry.only_if_unsent"
    if target.retry.max_attempts > 1 and target.effects == "unsafe" and not target.retry.only_if_unsent:
        yield rung.found(
            "retry-resends-unsafe",
            f"{rung.name} is unsafe and gets a request it may have begun a second time, with whatever that does: write true, "
            "or max_attempts: 1",
            field,
        )
    if target.effects != "unsafe" and rung.at(field) in rung.loaded.origins:
        yield rung.found(
            "only-if-unsent-unused",
            f"it speaks of unsafe targets alone, and effects of {rung.name} are {target.effects}: leave it out, or write "
            "effects: unsafe",
            field,
        )


def _on_timeout(rung: Rung) -> Iterator[Found]:
    target = rung.target
    if not target.retry.on_timeout:
        return
    if not resends(target):
        yield rung.found(
            "on-timeout-unused",
            f"{rung.name} is unsafe, and what timed out was sent, so it is never asked again: write false",
            "retry.on_timeout",
        )
    elif target.timeouts.attempt is None:
        yield rung.found(
            "on-timeout-without-time",
            f"with timeouts.attempt: auto the first attempt on {rung.name} takes all the time there is, and the second one that "
            "of the targets below: write an attempt timeout of less than half, or false",
            "retry.on_timeout",
            "timeouts.attempt",
        )


def _never(rung: Rung) -> Iterator[Found]:
    retry, burst = rung.target.retry, rung.target.retry_budget.burst
    if attempts_of(rung.target) > 1:
        return
    if burst < 1:
        why, field = (
            f"a retry costs 1 and the budget never holds more than {burst:g}: write a burst of 1 or more",
            "retry_budget.burst",
        )
    elif retry.on:
        why, field = (
            f"{rung.name} is unsafe, and only connect-failure is known before anything is sent: add it",
            "retry.on",
        )
    else:
        why, field = "nothing is named that may be tried again: name something", "retry.on"
    yield rung.found(
        "retry-never-happens",
        f"max_attempts is {retry.max_attempts}, but {why}, or write max_attempts: 1",
        field,
        "retry.max_attempts",
    )
