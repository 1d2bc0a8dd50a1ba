"""What a chat gets that is sent again under its Idempotency-Key."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from sidecar.policy.difference.change import Change
from sidecar.policy.units import duration_text as t
from sidecar.policy.units import size_text


def _mode(change: Change) -> str:
    header = change.b.policy.idempotency.header
    if change.new == "off":
        return "a chat that is sent again is a new chat, whatever key it has; what was remembered is forgotten"
    return (
        f"a chat that is sent again under its {header} is not carried out again: it gets the first answer, a 409 while that is under "
        "way, or a 422 if it says something else"
    )


def _off(words: Callable[[Change], str]) -> Callable[[Change], str]:
    """Nothing is remembered, so nothing about it can change."""

    def said(change: Change) -> str:
        off = change.b.policy.idempotency.mode == "off"
        return "nothing while idempotency.mode is off" if off else words(change)

    return said


def _header(change: Change) -> str:
    policy = change.b.policy
    honoured = [target.name for target in policy.ladder if target.effects == "dedup"]
    if policy.idempotency.mode == "off" and not honoured:
        return "nothing while idempotency.mode is off and no target has effects dedup"
    return f"a client's key is read from {change.new}; one in {change.old} is not seen"


def _ttl(change: Change) -> str:
    later = "longer" if change.up else "shorter"
    return f"the first answer is there for {t(change.new)} instead of {t(change.old)}, those kept already too: {later}"


def _degraded(change: Change) -> str:
    if not change.new:
        return f"a degraded answer is not kept, until now {t(change.old)}: who asks again is answered anew, and perhaps better"
    old = t(change.old) if change.old else "not at all"
    return f"a degraded answer is kept for {t(change.new)} instead of {old}: who asks again gets it without anybody being asked"


def _most(change: Change) -> str:
    more = "older ones are still there" if change.up else "older ones go sooner"
    return f"{change.new} answers are kept instead of {change.old}, and as many keys may be under way: {more}"


def _size(change: Change) -> str:
    more = "older ones are still there" if change.up else "older ones go sooner"
    return f"answers have {size_text(change.new)} of memory instead of {size_text(change.old)}: {more}"


def _repeats(change: Change) -> str:
    old, new = change.old, change.new
    more = new.calls * old.per > old.calls * new.per
    return f"one key may be repeated {new} instead of {old}: {'fewer' if more else 'more'} repetitions are refused with 429"


WORDS: Mapping[str, Callable[[Change], str]] = MappingProxyType(
    {
        "idempotency.mode": _mode,
        "idempotency.header": _header,
        "idempotency.ttl": _off(_ttl),
        "idempotency.degraded_ttl": _off(_degraded),
        "idempotency.max": _off(_most),
        "idempotency.max_size": _off(_size),
        "idempotency.repeats": _off(_repeats),
    }
)
