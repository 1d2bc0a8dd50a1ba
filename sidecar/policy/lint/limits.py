"""Limits that adapt: what leaves them no room, and what is stated for them and never in force."""

from __future__ import annotations

from collections.abc import Iterator

from sidecar.policy.lint.finding import Found, Rung


def of_a_target(rung: Rung) -> Iterator[Found]:
    limits = rung.target.limiter
    if limits.adaptive == "off":
        yield from _unused(rung)
    elif limits.min_concurrent == limits.max_concurrent:
        yield rung.found(
            "limit-never-moves",
            f"min_concurrent and max_concurrent of {rung.name} are both {limits.max_concurrent}, so an adaptive limit has nowhere to "
            "go: write bounds that are apart, or adaptive: off",
            "limiter.min_concurrent",
            "limiter.max_concurrent",
            "limiter.adaptive",
        )
    elif not (limits.queue and limits.queue_timeout):
        yield rung.found(
            "adaptive-without-queue",
            f"where the limit of {rung.name} falls, chats that waited for each other there now have nowhere to wait and go down the "
            "ladder at once: write a queue and a queue_timeout",
            "limiter.queue_timeout" if limits.queue else "limiter.queue",
            "limiter.adaptive",
        )
    if limits.slow_start and limits.max_concurrent == 1:
        yield rung.found(
            "slow-start-unused",
            f"{rung.name} has one slot, and a slow start begins with one: leave it out",
            "limiter.slow_start",
        )


def _unused(rung: Rung) -> Iterator[Found]:
    limits = rung.target.limiter
    for field, stated in (("min_concurrent", limits.min_concurrent != 1), ("tolerance", limits.tolerance != 1.5)):
        if stated:
            yield rung.found(
                "adaptive-unused",
                f"it speaks of an adaptive limit, and that of {rung.name} is fixed: leave it out, or write adaptive: gradient",
                f"limiter.{field}",
            )
