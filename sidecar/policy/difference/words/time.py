"""How long it takes: the deadline, what it leaves to each target, and waits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from sidecar.policy.difference.change import BEFORE_SENDING, Change, times
from sidecar.policy.figures import resends
from sidecar.policy.units import duration_text as t


def _answer_by(change: Change) -> str:
    return times(change.a.figures.answer_by, change.b.figures.answer_by, " at the latest")


def _client(change: Change) -> str:
    said = f"a client is taken to wait {t(change.new)}, so the answer leaves after {_answer_by(change)}"
    primary = change.b.names[:1]
    if primary and primary == change.a.names[:1]:
        before, after = (side.figures.targets[0].share.most for side in (change.a, change.b))
        said += f", and {primary[0]} has {times(before, after)} of that"
    if change.up:
        return f"{said}; a client that leaves sooner never reads what comes later"
    return f"{said}; what takes longer is left to the next of the ladder, and at its end to {change.b.last_rung}"


def _header(change: Change) -> str:
    return f"a client in a hurry says so in {change.new}; {change.old} is not read any more"


def _margin(change: Change) -> str:
    for_whom = "more time to arrive, less for targets" if change.up else "less time to arrive, more for targets"
    return (
        f"an answer leaves {t(change.new)} before the client gives up instead of {t(change.old)}, after {_answer_by(change)}: "
        f"{for_whom}"
    )


def _reserve(change: Change) -> str:
    name, names = change.name, change.b.names
    depth = names.index(name)
    if not depth:
        return f"nothing: no target stands above {name} that could keep time back for it"
    above = names[depth - 1]
    said = f"what is kept back for {name} is {times(change.before.reserve, change.after.reserve)}"
    if change.new is None:
        said += ", and from 20 answers on what 95 of 100 of them took"
    elif change.old is None:
        said += ", however long its answers take"
    if above in change.a.names:
        most = times(change.a.worked_out[above].share.most, change.b.worked_out[above].share.most)
        said += f"; {above} above it has {most}"
    return said


def _connect(change: Change) -> str:
    name, most = change.name, change.after.attempt.most
    if change.new >= most:
        return f"an attempt on {name} is over after {t(most)}, so this never applies and a host that is gone looks like a silent one"
    again = change.after.attempts > 1 and BEFORE_SENDING in change.now.retry.on
    then = "before it is tried again" if again else f"then {change.b.then(name, 'failure')}"
    before = min(change.old, change.before.attempt.most)
    return f"where {name} cannot be reached it is given up after {times(before, change.new)}, {then}"


def _attempt(change: Change) -> str:
    name, before, after = change.name, change.before.attempt.most, change.after.attempt.most
    again = change.now.retry.on_timeout and resends(change.now) and change.after.attempts > 1
    left = times(before, after, " at most")
    if again:
        return f"an attempt on a silent {name} is over after {left}, and it is asked again if there is time"
    said = f"a silent {name} is left after {left}"
    who = change.b.after(name, "timeout")
    if after == before:
        return f"{said}, which is all the time it has" if after == change.after.share.most else said
    if who not in change.b.names:
        return f"{said}, then {change.b.then(name, 'timeout')}"
    if after < before:
        return f"{said}, and what is left goes to {who}"
    least = change.b.worked_out[who].share.least
    known = change.a.worked_out.get(who)
    return f"{said}, then {who} has {t(least) if known is None else times(known.share.least, least)} at least"


def _first_wait(change: Change) -> str:
    return _never_again(change) or _wait(change, 0, "the first retry")


def _longest_wait(change: Change) -> str:
    return _never_again(change) or _wait(change, change.after.attempts - 2, "the last retry")


def _wait(change: Change, doubled: int, which: str) -> str:
    before, after = (min(of.retry.backoff.max, of.retry.backoff.base * 2.0**doubled) for of in (change.was, change.now))
    return f"the wait before {which} of {change.name} is drawn from 0 to {times(before, after)}"


def _never_again(change: Change) -> str | None:
    return f"nothing: a chat asks {change.name} once" if change.after.attempts == 1 else None


def _retry_after(change: Change) -> str:
    if _never_again(change):
        return str(_never_again(change))
    if not resends(change.now) or not any(isinstance(cause, int) for cause in change.now.retry.on):
        return f"nothing: only failures without an answer are tried again on {change.name}, and they ask for no time"
    if change.new:
        return f"{change.name} is asked again when its Retry-After says, if that fits the time left, else left for the next"
    return f"{change.name} is asked again after the drawn wait, whatever its Retry-After says"


def _queue_timeout(change: Change) -> str:
    if not change.now.limiter.queue:
        return f"nothing: no chat waits for a slot of {change.name}"
    then = change.b.then(change.name, "limited")
    if not change.new:
        return f"a chat that finds no slot of {change.name} free does not wait for one: {then}"
    before = t(change.old) if change.old else "not at all"
    return f"a chat waits for a slot of {change.name} for {t(change.new)} at most instead of {before}, then {then}"


WORDS: Mapping[str, Callable[[Change], str]] = MappingProxyType(
    {
        "deadline.client": _client,
        "deadline.header": _header,
        "deadline.margin": _margin,
        "targets[].reserve": _reserve,
        "targets[].timeouts.connect": _connect,
        "targets[].timeouts.attempt": _attempt,
        "targets[].retry.backoff.base": _first_wait,
        "targets[].retry.backoff.max": _longest_wait,
        "targets[].retry.backoff.respect_retry_after": _retry_after,
        "targets[].limiter.queue_timeout": _queue_timeout,
    }
)
