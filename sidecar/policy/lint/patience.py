"""Time: what the deadline leaves to each target, and the numbers that do not fit into it."""

from __future__ import annotations

from collections.abc import Iterator

from sidecar.policy.figures import MIN_ATTEMPT, Figures, TargetFigures
from sidecar.policy.lint.finding import Found, Rung
from sidecar.policy.model import Policy, Target
from sidecar.policy.units import duration_text as t

UI_PATIENCE = 5.0  # the UI aborts a chat after this long


def of_the_policy(policy: Policy, figures: Figures) -> Iterator[Found]:
    """The deadline itself, and whether what is stated for the targets fits into it together."""
    if policy.deadline.client > UI_PATIENCE:
        yield Found(
            "deadline-beyond-ui",
            f"the UI leaves after {t(UI_PATIENCE)}, and an answer after that is work for nobody: write at most "
            f"{t(UI_PATIENCE)}, or, for other clients, a comment # lint: ignore deadline-beyond-ui",
            ("deadline.client",),
        )
    needs = [target.attempt.least if target.needs is None else target.needs for target in figures.targets]
    if any(_never_in_force(target.timeouts.attempt, of.share.most) for target, of in _pairs(policy, figures)):
        return  # said of that target
    total = round(sum(needs), 6)
    if total > figures.answer_by:
        sums = " + ".join(f"{of.name} {t(need)}" for of, need in zip(figures.targets, needs, strict=True))
        given = [index for index, of in enumerate(figures.targets) if of.needs is not None]
        yield Found(
            "worst-case-over-deadline",
            f"at worst {sums} = {t(total)}, attempts and backoff together, and the answer must leave after "
            f"{t(figures.answer_by)}, so the last attempts are cut: write auto, or times that add up to less",
            (*(f"targets[{index}].timeouts.attempt" for index in given), "deadline.client"),
        )


def of_a_target(rung: Rung) -> Iterator[Found]:
    """The times of one target against the time it has."""
    yield from _time_left(rung)
    yield from _attempt(rung)
    yield from _reserve(rung)
    yield from _backoff(rung)
    limits, least = rung.target.limiter, max(rung.figures.share.least, _kept(rung))
    if limits.queue and limits.queue_timeout >= least >= MIN_ATTEMPT:
        yield rung.found(
            "queue-over-time-left",
            f"a call may wait {t(limits.queue_timeout)} for {rung.name}, which then has no time left to answer it: it has "
            f"{t(least)} at worst, waiting included; write a fraction of that",
            "limiter.queue_timeout",
            "deadline.client",
        )


def _pairs(policy: Policy, figures: Figures) -> Iterator[tuple[Target, TargetFigures]]:
    return zip(policy.ladder, figures.targets, strict=True)


def _never_in_force(own: float | None, most: float) -> bool:
    return own is not None and own > most


def _time_left(rung: Rung) -> Iterator[Found]:
    least = rung.figures.share.least
    if least >= MIN_ATTEMPT:
        yield from _eaten(rung)
    elif rung.depth == 0:
        yield rung.found(
            "no-time-left",
            f"deadline.client less deadline.margin is {t(rung.patience)}, of which {rung.name} has {t(least)}, and with less "
            f"than {t(MIN_ATTEMPT)} no target is asked: write a longer deadline.client or a shorter margin",
            "deadline.margin",
            "deadline.client",
        )
    else:
        yield rung.found(
            "no-time-left",
            f"when the targets above took their time {t(least)} are left for {rung.name}, and with less than "
            f"{t(MIN_ATTEMPT)} it is not asked: write auto, or what {rung.name} needs to answer",
            "reserve",
        )


def _eaten(rung: Rung) -> Iterator[Found]:
    """Reserves keep back half of what is left at most, so a late retry above takes of them. A little of it is no matter."""
    least, above = rung.figures.share.least, rung.depth - 1
    if least < _kept(rung) / 2:
        yield Found(
            "retries-eat-reserve",
            f"when attempts above {rung.name} fail late, their retries go on in the time kept for it: {t(least)} of "
            f"{t(_kept(rung))} are left at worst; write attempt and connect timeouts that fit as often as they may be tried, "
            "or max_attempts: 1",
            tuple(
                f"targets[{above}].{field}"
                for field in ("timeouts.attempt", "timeouts.connect", "retry.max_attempts", "effects")
            ),
        )


def _kept(rung: Rung) -> float:
    """What is kept back for a target when the one above began: half of all the time at most."""
    return min(rung.figures.reserve, rung.patience / 2) if rung.depth else 0.0


def _attempt(rung: Rung) -> Iterator[Found]:
    own, share, connect = rung.target.timeouts.attempt, rung.figures.share.most, rung.target.timeouts.connect
    if _never_in_force(own, share):
        yield rung.found(
            "attempt-over-deadline",
            f"{rung.name} has {t(share)} at most, {t(rung.patience)} to answer minus the reserves below it, so "
            f"{t(own or 0)} never applies: write less than that, or auto",
            "timeouts.attempt",
            "deadline.client",
        )
    most = rung.figures.attempt.most
    if connect >= most:
        yield rung.found(
            "connect-never-in-force",
            f"an attempt on {rung.name} is over after {t(most)}, so {t(connect)} to connect never applies, and a target that "
            "cannot be reached looks like a silent one, which is not asked again: write much less",
            "timeouts.connect",
            "timeouts.attempt",
            "deadline.client",
        )
    slow = rung.target.breaker.slow_call.duration
    if slow > most:
        yield rung.found(
            "slow-call-never",
            f"no attempt on {rung.name} lasts longer than {t(most)}, so none is ever slow at {t(slow)}: write less than "
            f"{t(most)}",
            "breaker.slow_call.duration",
            "timeouts.attempt",
            "deadline.client",
        )


def _reserve(rung: Rung) -> Iterator[Found]:
    stated, kept, name = rung.target.reserve, rung.figures.reserve, rung.name
    if rung.depth == 0:
        if stated is not None:
            yield rung.found(
                "reserve-unused",
                f"nothing stands above {name} that could keep time back for it: leave it out",
                "reserve",
            )
        return
    if stated is not None and MIN_ATTEMPT <= stated < rung.target.timeouts.connect:
        yield rung.found(
            "reserve-below-connect",
            f"{t(stated)} kept back for {name} are less than the {t(rung.target.timeouts.connect)} it may take to connect: "
            "keep back enough to connect and to answer",
            "reserve",
            "timeouts.connect",
        )
    if stated is not None and stated > rung.patience / 2:
        yield rung.found(
            "reserve-over-half",
            f"reserves keep back half of what is left at most, here {t(rung.patience / 2)}, so {t(stated)} for {name} are not "
            "kept: write less, or a longer deadline.client",
            "reserve",
            "deadline.client",
        )
    observed = rung.observed.p95.get(name)
    if observed is not None and kept < observed:
        yield rung.found(
            "reserve-below-p95",
            f"{t(kept)} are kept back for {name}, and 5 in 100 of its answers take longer than {t(observed)}: keep back "
            f"{t(observed)} or more",
            "reserve",
        )


def _backoff(rung: Rung) -> Iterator[Found]:
    backoff = rung.target.retry.backoff
    if rung.figures.attempts == 1:
        return
    if backoff.max > rung.patience:
        yield rung.found(
            "backoff-over-deadline",
            f"a wait of up to {t(backoff.max)} never fits into the {t(rung.patience)} there are to answer: write a fraction of "
            "that",
            "retry.backoff.max",
            "deadline.client",
        )
    if backoff.base > backoff.max:
        yield rung.found(
            "backoff-base-over-max",
            f"retry.backoff.max of {t(backoff.max)} cuts a base of {t(backoff.base)} from the first retry on: write a base "
            "below it",
            "retry.backoff.base",
            "retry.backoff.max",
        )
