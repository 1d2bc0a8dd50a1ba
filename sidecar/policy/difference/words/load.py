"""How hard targets are asked: retries, what pays for them, and how much at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from sidecar.policy.difference.change import BEFORE_SENDING, Change, instead, listed, many
from sidecar.policy.figures import resends
from sidecar.policy.model import Target
from sidecar.policy.units import duration_text as t
from sidecar.policy.units import share_text


def _attempts(change: Change) -> str:
    before, after = change.before.attempts, change.after.attempts
    most = f"a chat leads to {many(after, 'attempt')} on {change.name} at most"
    return f"{most}, as before" if before == after else f"{most} instead of {before}"


def _effects(change: Change) -> str:
    """Whether a request may be sent again, and whether it has a key by which that is seen."""
    said = _sent_again(change)
    if change.new == "dedup":
        return f"{said.removeprefix('nothing: ')}; {change.name} gets an Idempotency-Key with every request"
    if change.old == "dedup":
        return f"{said.removeprefix('nothing: ')}; {change.name} gets no Idempotency-Key any more"
    return said


def _sent_again(change: Change) -> str:
    name, now = change.name, resends(change.now)
    if change.before.hedges != change.after.hedges:
        sends = "gets a second request where the first is late" if change.after.hedges else "gets no hedge any more"
        return f"{name} {sends}; {_attempts(change)}, hedges not counted"
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
    most = "" if change.now.limiter.adaptive == "off" else " at most"
    return f"{name} gets {many(change.new, 'chat')} at once{most} instead of {change.old}; {beyond}"


def _queue(change: Change) -> str:
    name, then = change.name, change.b.then(change.name, "limited")
    if not change.new:
        return f"a chat that finds no slot of {name} free does not wait for one: {then}"
    return f"{many(change.new, 'chat')} may wait for a slot of {name} instead of {change.old}; beyond, {then}"


def _why_no_hedge(change: Change) -> str | None:
    name, now = change.name, change.now
    if not now.hedge.enabled:
        return f"nothing: {name} is not hedged"
    if change.after.hedges:
        return None
    if now.effects == "unsafe":
        return f"nothing: {name} is unsafe, and never gets a second request beside the first"
    return f"nothing: no hedge of {name} is ever sent, for want of a share, a whole retry in the budget, a second slot or time"


def _late(target: Target) -> str:
    delay = target.hedge.delay
    return f"the {delay} of its last answers" if isinstance(delay, str) else t(delay)


def _hedge(change: Change) -> str:
    if change.new:
        load = f"for {share_text(change.now.hedge.max_extra_load)} of the chats at most"
        sent = f"{change.name} gets a second request where the first takes longer than {_late(change.now)}, {load}"
        return _why_no_hedge(change) or sent
    sent = f"{change.name} gets no second request any more where the first is late"
    return sent if change.before.hedges else f"nothing: {change.name} was never hedged"


def _hedge_delay(change: Change) -> str:
    late = f"a request to {change.name} is late after {_late(change.now)} instead of {_late(change.was)}"
    return _why_no_hedge(change) or late


def _hedge_load(change: Change) -> str:
    load = instead(share_text(change.old), share_text(change.new), " at most")
    return _why_no_hedge(change) or f"hedges on {change.name} as a share of the chats: {load}"


def _adaptive(change: Change) -> str:
    name, limits = change.name, change.now.limiter
    if change.new == "off":
        return f"{name} gets {many(limits.max_concurrent, 'chat')} at once, however long they then wait there for each other"
    between = f"{limits.min_concurrent} to {limits.max_concurrent}"
    return f"{name} gets as many chats at once as it answers without making them wait for each other, {between}"


def _not_adaptive(change: Change) -> str | None:
    return f"nothing: the limit of {change.name} does not adapt" if change.now.limiter.adaptive == "off" else None


def _least(change: Change) -> str:
    falls = f"the limit of {change.name} falls to {many(change.new, 'chat')} at once and no further, instead of {change.old}"
    return _not_adaptive(change) or falls


def _tolerance(change: Change) -> str:
    when = "later, and more wait there" if change.up else "sooner, and sometimes by chance"
    falls = f"the limit of {change.name} falls where answers take {change.new:g} times what they take alone instead of {change.old:g}"
    return _not_adaptive(change) or f"{falls}: {when}"


def _slow_start(change: Change) -> str:
    name, most = change.name, change.now.limiter.max_concurrent
    if most == 1:
        return f"nothing: {name} has one slot"
    if not change.new:
        return f"when {name} has recovered it gets all its slots at once, instead of over {t(change.old)}"
    before = f"over {t(change.old)}" if change.old else "at once"
    return f"when {name} has recovered its slots grow from 1 to {most} over {t(change.new)}, instead of {before}"


WORDS: Mapping[str, Callable[[Change], str]] = MappingProxyType(
    {
        "targets[].effects": _effects,
        "targets[].retry.max_attempts": _max_attempts,
        "targets[].retry.on": _on,
        "targets[].retry.on_timeout": _on_timeout,
        "targets[].retry.only_if_unsent": _only_if_unsent,
        "targets[].retry_budget.ratio": _ratio,
        "targets[].retry_budget.burst": _burst,
        "targets[].hedge.enabled": _hedge,
        "targets[].hedge.delay": _hedge_delay,
        "targets[].hedge.max_extra_load": _hedge_load,
        "targets[].limiter.max_concurrent": _concurrent,
        "targets[].limiter.queue": _queue,
        "targets[].limiter.adaptive": _adaptive,
        "targets[].limiter.min_concurrent": _least,
        "targets[].limiter.tolerance": _tolerance,
        "targets[].limiter.slow_start": _slow_start,
    }
)
