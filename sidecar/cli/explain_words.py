"""The words for what one fact was decided by: why a target was refused, not asked again, and what its breaker counted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sidecar.cli.status_text import clean


class Part:
    """A JSON object read with doubt: what is not there, or of another type, is None or empty, and text is safe for a terminal."""

    clean = staticmethod(clean)

    def __init__(self, fields: object) -> None:
        self.there = isinstance(fields, Mapping)
        self._fields: Mapping[str, Any] = fields if isinstance(fields, Mapping) else {}

    @property
    def name(self) -> str:
        return self.word("fact") or "?"

    def number(self, key: str) -> float | None:
        value = self._fields.get(key)
        return value if isinstance(value, int | float) and not isinstance(value, bool) else None

    def word(self, key: str) -> str | None:
        value = self._fields.get(key)
        return None if value is None else clean(value)

    def words(self, key: str) -> list[str]:
        value = self._fields.get(key)
        return [clean(each) for each in value] if isinstance(value, list | tuple) else []

    def true(self, key: str, *, default: bool = False) -> bool:
        return self._fields.get(key, default) is True

    def part(self, key: str) -> Part:
        return Part(self._fields.get(key))

    def items(self) -> list[tuple[str, str]]:
        return [(clean(key), clean(value)) for key, value in self._fields.items()]


def seconds(value: float | None) -> str:
    return "? s" if value is None else f"{value:.3f} s"


def plural(count: float | None, what: str) -> str:
    return f"{count or 0:.0f} {what}{'' if count == 1 else 's'}"


def share(value: float | None) -> str:
    return "?" if value is None else f"{value * 100:.3g} %"


# -- what came of an attempt --------------------------------------------------------------------------------------------


def result(part: Part) -> str:
    """An error kind, a status with the words of the body that rules look at, or that the client left."""
    outcome = part.part("outcome")
    if not outcome.there:
        return "cancelled" if part.word("rule") == "lost the race" else "client left"
    error, status = outcome.word("error"), outcome.word("status")
    if error is not None:
        return error
    body = ", ".join(f"{key} {value}" for key, value in outcome.part("body").items())
    return f"HTTP {status}" + (f" ({body})" if body else "")


def breaker_of(part: Part) -> str:
    """What the attempt meant to the breaker of its target, with the counts that there are now against their thresholds."""
    counts, verdict = part.part("counts"), part.word("verdict")
    if not counts.there:
        return ""
    if not part.true("heeded", default=True):
        return "; not counted: its breaker moved, or its permit ran out, since it was asked"
    limits = counts.part("thresholds")
    took, long = part.number("seconds"), limits.number("slow_seconds")
    slow = took is not None and long is not None and took >= long
    if verdict in {"ignored", "caller_error", "misconfigured"} and not slow:
        return "; does not count for its breaker"
    marked = f"; slow (from {seconds(long)} on)" if slow else ""
    return f"{marked}; breaker {counted(counts)}"


def counted(counts: Part) -> str:
    """A breaker's counts against its thresholds, for the state it was in."""
    limits, state = counts.part("thresholds"), counts.word("state")
    if state == "half_open":
        good, enough = counts.number("good_probes"), limits.number("close_after")
        return f"half open: {plural(good, 'good probe')} of {enough or 0:.0f}"
    calls = counts.number("calls")
    row = plural(counts.number("failures_in_row"), "failure")
    most = limits.number("consecutive")
    of = f" of {most:.0f}" if most else ""
    failed, slow, least = counts.number("failures"), counts.number("slow"), limits.number("min_calls")
    rates = f"{share(limits.number('failure_rate'))} failed or {share(limits.number('slow_rate'))} slow"
    window = f"{failed or 0:.0f} failed and {slow or 0:.0f} slow of {plural(calls, 'call')}"
    return f"{_state(state)}: {row} in a row{of}, {window} (opens at {rates} of at least {least or 0:.0f})"


def _state(state: str | None) -> str:
    return {"forced_closed": "held closed", "forced_open": "held open"}.get(state or "", state or "?")


# -- moves of a breaker -------------------------------------------------------------------------------------------------


def move(part: Part) -> str:
    target, after = part.word("target"), part.word("after")
    how = {"open": "opens", "half_open": "is half open now", "closed": "closes"}.get(after or "", f"is {after}")
    if part.number("open_for") is not None:
        how += f" for {seconds(part.number('open_for'))}"
    return f"breaker of {target} {how}: {cause(part)}"


def cause(part: Part) -> str:
    """Why a breaker moved, with the counts that made it."""
    why, counts = part.word("why"), part.part("counts")
    limits, probing = counts.part("thresholds"), counts.word("state") == "half_open"
    calls = plural(counts.number("calls"), "call")
    told = {
        "consecutive": f"{plural(counts.number('failures_in_row'), 'failure')} in a row, {limits.number('consecutive') or 0:.0f} open it",
        "failure_rate": f"{counts.number('failures') or 0:.0f} of {calls} failed, {share(limits.number('failure_rate'))} open it",
        "slow_rate": f"{counts.number('slow') or 0:.0f} of {calls} slow, {share(limits.number('slow_rate'))} open it",
        "recovered": f"{plural(counts.number('good_probes'), 'good probe')} in a row",
    }.get(why or "")
    if why == "slow_rate" and probing:
        told = "the probe was slow"
    if not counts.there or told is None:
        told = _MOVES.get(why or "")
    return f"{why}" if told is None else f"{why} ({told})"


_MOVES = {
    "probe_failed": "the probe failed",
    "timer": "its open time is over",
    "window_opened": "the power window of the target opened",
    "health": "its health probes succeed again",
    "override": "an operator's decision",
    "override_ended": "an operator's decision ended",
}


# -- hedges ------------------------------------------------------------------------------------------------------------


def hedged(part: Part) -> str:
    load, balance = part.number("load"), part.number("balance")
    paid = f"paid with 1 of {load or 0:.3g} hedges saved up and 1 of {balance or 0:.3g} retries in the budget"
    return f"{part.word('target')} is late after {seconds(part.number('waited'))}: a second request goes out beside the first, {paid}"


def no_hedge(part: Part) -> str:
    """Why a late attempt got no second one beside it."""
    why = part.word("why")
    told = {
        "open": "its breaker is not closed, and a probe is asked alone",
        "deadline": "too little time is left",
        "load": "hedges have used up their share of the calls (hedge.max_extra_load)",
        "limited": "no slot is free",
        "budget": "the retry budget is empty",
    }.get(why or "")
    late = f"{part.word('target')} is late after {seconds(part.number('waited'))} and gets no second request: {why}"
    return late + (f" ({told})" if told else "")


def raced(part: Part) -> str:
    told = {
        "first": "the first request won",
        "hedge": "the hedge won",
        "none": "both failed",
        "left": "the client left",
    }
    won = part.word("won")
    return f"race on {part.word('target')} over: {told.get(won or '', won)}"


# -- broken on purpose --------------------------------------------------------------------------------------------------

_FAULTS = {
    "delay": "it is held back first, within its timeout",
    "abort": "it is not asked, the attempt fails by itself",
    "body": "the body of its answer is replaced",
    "cut": "its answer is taken as cut off",
}


def fault(part: Part) -> str:
    """What was done to an attempt on purpose, and by which rule."""
    word = part.word("fault")
    return f"{part.word('target')} broken on purpose by chaos rule {part.word('rule')}: {_FAULTS.get(word or '', word)}"


def broken_by(parts: Iterable[Part]) -> str:
    """The chaos rules that took part in a call, for its headline."""
    rules = dict.fromkeys(part.word("rule") or "?" for part in parts if part.name == "FaultInjected")
    return f"; broken on purpose (chaos: {', '.join(rules)})" if rules else ""


# -- not asked, not asked again -----------------------------------------------------------------------------------------


def refusal(part: Part) -> str:
    target, reason, waited = part.word("target"), part.word("reason"), part.number("waited")
    told = {"open": _open, "limited": _limited, "timeout": _no_time, "unhealthy": _unhealthy}.get(
        reason or "", _closed_word
    )(part)
    queued = f"; waited {seconds(waited)} for a slot before" if waited and reason != "limited" else ""
    return f"{target} not asked: {told}{queued}"


def _open(part: Part) -> str:
    state, again, moved = part.word("breaker"), part.number("retry_after"), part.part("moved")
    if state == "forced_open":
        return "open: an operator holds its breaker open"
    since = ""
    if moved.there:
        at, then = part.number("after_seconds"), moved.number("after_seconds")
        ago = "" if at is None or then is None else f" since {seconds(at - then)}"
        since = f"{ago}, {cause(moved)}"
    if state == "half_open":
        return f"open: its breaker is half open{since}, and as many probes as may be are under way"
    return f"open: its breaker is open{since}, for another {seconds(again)}"


def _limited(part: Part) -> str:
    waited, (slots, places) = part.number("waited"), (*part.words("limits"), "?", "?")[:2]
    busy = f"{part.word('in_flight')} of {slots} slots taken"
    if waited:
        return f"limited: no slot within {seconds(waited)}, {busy}"
    return f"limited: {busy}, {part.word('queued')} of {places} places in the queue"


def _no_time(part: Part) -> str:
    return f"timeout: {seconds(part.number('left'))} left for it, too little to ask"


def _unhealthy(part: Part) -> str:
    moved = part.part("health")
    if not moved.there:
        return "unhealthy: its health probes fail"
    at, then = part.number("after_seconds"), moved.number("after_seconds")
    ago = "" if at is None or then is None else f" since {seconds(at - then)}"
    return f"unhealthy: down{ago} by its health probes, {plural(moved.number('failures'), 'failure')} in a row (health.fall)"


def health_move(part: Part) -> str:
    """What health probes say of a target has changed in the course of a call."""
    why = {"answered": "it has answered a chat"}.get(part.word("why") or "", part.word("why"))
    return f"health of {part.word('target')} is {part.word('after')} now: {why}"


def _closed_word(part: Part) -> str:
    told = {
        "off": "an operator switched it off",
        "affinity": f"its session stays where it fell back, for another {seconds(part.number('retry_after'))} (affinity.stick)",
        "dormant": "off by madre's power state, which the policy obeys (dormant.mode)",
    }.get(part.word("reason") or "")
    return f"{part.word('reason')}" + (f": {told}" if told else "")


def why_denied(part: Part) -> str:
    """Why a retryable failure was not retried, with what forbade it."""
    why, inputs = part.word("why"), part.part("inputs")
    left, delay, burst = inputs.number("left"), seconds(inputs.number("delay")), inputs.number("burst")
    if not inputs.there:
        return f"{why}"
    told = {
        "attempts": f"asked {inputs.word('asked')} of at most {inputs.word('most')} times (retry.max_attempts)",
        "effects": "it may have acted on what was sent (effects unsafe, retry.only_if_unsent)",
        "open": f"its breaker refuses for {seconds(inputs.number('refuses_for'))}, and the wait would be {delay}",
        "deadline": f"{seconds(left)} left for it, and the wait would be {delay}",
        "budget": f"{inputs.number('balance') or 0:.3g} of at most {burst or 0:.3g} retries in the budget, and one costs 1",
    }.get(why or "")
    return f"{why}" + (f": {told}" if told else "")


def why_left(ended: Part) -> str | None:
    """Why nobody even thought of a retry after the attempt that ended so; None after an answer, or where it is not known."""
    verdict, rule = ended.word("verdict"), ended.word("rule")
    if verdict == "fatal" and ended.part("outcome").word("error") == "timeout":
        return "a silent target is left for the next one (retry.on_timeout is off)"
    if verdict == "ignored" and rule == "dormant":
        return "madre's power state says that it is off (dormant.mode)"
    return {
        "fatal": "fatal, for retry.on does not name that",
        "misconfigured": "misconfigured, and would be again",
        "caller_error": "caller_error, for the request itself is wrong",
        "ignored": "its silence says nothing, for the client has less patience than the policy gives",
    }.get(verdict or "")
