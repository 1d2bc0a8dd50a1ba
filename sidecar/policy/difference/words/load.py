"""How hard targets are asked: retries, what pays for them, and how much at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from sidecar.policy.difference.change import BEFORE_SENDING, Change, instead, listed, many
from sidecar.policy.figures import resends


def _attempts(change: Change) -> str:
    before, after = change.before.attempts, change.after.attempts
    most = f"a chat leads to {many(after, 'attempt')} on {change.name} at most"
    return f"{most}, as before" if before == after else f"{most} instead of {before}"


def _effects(change: Change) -> str:
    name, now = change.name, resends(change.now)
    if change.before.attempts == change.after.attempts == 1:
        return f"nothing: {_attempts(change)}"
    if now == resends(change.was):
        return f"nothing: what reached {name} may be sent again, as before"
    if now:
        return f"a request that reached {name} may be sent to it again; {_attempts(change)}"
    return f"only a request of which nothing was sent goes to {name} again; {_attempts(change)}"


def _max_attempts(change: Change) -> str:
    before, after = change.before.attempts, change.after.attempts
    if before == after:
        return f"nothing: {_attempts(change)}"
    if after == 1:
        return (
            f"{change.name} is asked once: what fails goes down the ladder at once, instead of after {before} attempts"
        )
    return f"{_attempts(change)}, where a failure may be tried again"


def _once(change: Change) -> str | None:
    if change.now.retry.max_attempts == 1:
        return f"nothing: retry.max_attempts of {change.name} is 1"
    if change.now.retry_budget.burst < 1:
        return f"nothing: the budget of {change.name} never holds a whole retry"
    return None


def _on(change: Change) -> str:
    if _once(change):
        return str(_once(change))
    name, said = change.name, []
    added, removed = change.lists()
    if not resends(change.now):
        idle = [cause for cause in (*added, *removed) if cause != BEFORE_SENDING]
        added, removed = ([cause for cause in causes if cause == BEFORE_SENDING] for causes in (added, removed))
        if idle:
            said.append(f"nothing for {listed(idle)}: then something was sent, and {name} is unsafe")
    if removed:
        said.insert(0, f"not tried again on {name}: {listed(removed)}, after which {change.b.then(name, 'failure')}")
    if added:
        said.insert(0, f"tried again on {name}, {many(change.after.attempts, 'attempt')} in all: {listed(added)}")
    return "; ".join(said)


def _on_timeout(change: Change) -> str:
    if _once(change):
        return str(_once(change))
    if not resends(change.now):
        return f"nothing: what timed out was sent, and {change.name} is unsafe"
    if change.new:
        attempts = many(change.after.attempts, "attempt")
        return f"a silent {change.name} is asked again, {attempts} in all, though it may still be at work"
    return f"a silent {change.name} is not asked again: {change.b.then(change.name, 'timeout')}"


def _only_if_unsent(change: Change) -> str:
    if change.now.effects != "unsafe":
        return f"nothing: it speaks of unsafe targets, and effects of {change.name} are {change.now.effects}"
    if _once(change):
        return str(_once(change))
    if change.new:
        return f"{change.name} never gets a chat twice: only what was not sent is tried again; {_attempts(change)}"
    return f"{change.name} may get the same chat twice, with whatever that does; {_attempts(change)}"


def _ratio(change: Change) -> str:
    if change.after.attempts == 1:
        return f"nothing: a chat asks {change.name} once"
    before, after = (min(1 + of.ratio, of.attempts) for of in (change.before, change.after))
    return f"attempts on {change.name} per chat in the long run: {instead(f'{before:.4g}', f'{after:.4g}', ' at most')}"


def _burst(change: Change) -> str:
    name, retries = change.name, int(change.new)
    if change.now.retry.max_attempts == 1:
        return f"nothing: a chat asks {name} once"
    if not retries:
        return f"no retry of {name} is ever paid for: one costs 1 and the budget never holds it"
    return f"retries of {name} in a row, out of a full budget: {instead(int(change.old), retries, ' at most')}"


def _concurrent(change: Change) -> str:
    name, queue = change.name, change.now.limiter.queue
    beyond = f"{queue} more may wait for a slot" if queue else f"beyond, {change.b.then(name, 'limited')}"
    return f"{name} gets {many(change.new, 'chat')} at once instead of {change.old}; {beyond}"


def _queue(change: Change) -> str:
    name, then = change.name, change.b.then(change.name, "limited")
    if not change.new:
        return f"a chat that finds no slot of {name} free does not wait for one: {then}"
    return f"{many(change.new, 'chat')} may wait for a slot of {name} instead of {change.old}; beyond, {then}"


WORDS: Mapping[str, Callable[[Change], str]] = MappingProxyType(
    {
        "targets[].effects": _effects,
        "targets[].retry.max_attempts": _max_attempts,
        "targets[].retry.on": _on,
        "targets[].retry.on_timeout": _on_timeout,
        "targets[].retry.only_if_unsent": _only_if_unsent,
        "targets[].retry_budget.ratio": _ratio,
        "targets[].retry_budget.burst": _burst,
        "targets[].limiter.max_concurrent": _concurrent,
        "targets[].limiter.queue": _queue,
    }
)
