"""What ``explain`` prints: pure, from the facts of a call as JSON to a story of one decision a line.

The facts come from an admin port or from a replayed journal and are told in the same words. A field that is not there (another
version wrote it, or a journal does not hold it) leaves its words out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from sidecar.cli.explain_words import (
    Part,
    breaker_of,
    broken_by,
    fault,
    health_move,
    hedged,
    move,
    no_hedge,
    plural,
    raced,
    refusal,
    result,
    seconds,
    why_denied,
    why_left,
)

_ASCII = str.maketrans({"→": "->"})


def text(correlation_id: str, facts: Sequence[Mapping[str, Any]], *, plain: bool = False) -> list[str]:
    """``facts`` in order, their begin first. ``plain``: ASCII alone, for a terminal that knows no other."""
    parts = [Part(fact) for fact in facts]
    told = [(part.number("after_seconds"), line) for part, line in _Story(parts).lines()]
    stamps = ["" if at is None else f"{at:+.3f}" for at, _ in _shown(told)]
    room = max(map(len, stamps), default=0)
    lines = [f"call {Part.clean(correlation_id)}: {headline(parts)}{broken_by(parts)}"]
    lines += [f"{stamp:>{room}}  {line}" for stamp, (_, line) in zip(stamps, told, strict=True)]
    return [line.translate(_ASCII).encode("ascii", "replace").decode() for line in lines] if plain else lines


def headline(parts: Sequence[Part]) -> str:
    """Who answered, after how long, and why it was not the first target."""
    ended = next((part for part in parts if part.name == "CallEnded"), None)
    if ended is None:
        return f"not over{_under_way(parts)}"
    finish, took = ended.part("finish"), seconds(ended.number("seconds"))
    if finish.true("abandoned"):
        return f"the client left after {took}, before there was an answer"
    provider, reason, first = finish.word("provider"), finish.word("reason"), ended.word("first_reason")
    why = f": {reason}" if reason else ""
    if first and first != reason:
        why += f"; at first: {first}"
    if provider is None:
        return f"answered with a 503 after {took}, for no target did{why}"
    who = "the sidecar's own text" if provider == "local" else provider
    return f"answered by {who} after {took}" + (f", degraded{why}" if finish.true("degraded") else "")


def _under_way(parts: Sequence[Part]) -> str:
    last = parts[-1] if parts else None
    if last is not None and last.name in {"AttemptStarted", "HedgeDenied"}:
        return f": {last.word('target')} is being asked"
    if last is not None and last.name == "Retried":
        return f": {last.word('target')} is to be asked again"
    return ""


def _shown(told: Sequence[tuple[float | None, str]]) -> Iterator[tuple[float | None, str]]:
    """A time stands only where it is another than that of the line before."""
    before: float | None = None
    for at, line in told:
        yield (None if at == before else at), line
        before = at


class _Story:
    """The lines of one call. ``_attempts`` holds how the last attempt on a target ended, ``_refused`` why one was not asked."""

    def __init__(self, parts: Sequence[Part]) -> None:
        self._parts = parts
        self._ladder: list[str] = []
        self._attempts: dict[str | None, Part] = {}
        self._refused: dict[str | None, str | None] = {}
        self._tellers: Mapping[str, Callable[[Part], Iterator[str]]] = {
            "CallBegan": self._began,
            "AttemptStarted": self._asked,
            "AttemptEnded": self._came,
            "KeySent": self._key,
            "BreakerMoved": lambda part: iter((move(part),)),
            "HealthMoved": lambda part: iter((health_move(part),)),
            "FaultInjected": lambda part: iter((fault(part),)),
            "Retried": self._retried,
            "RetryDenied": self._denied,
            "Hedged": lambda part: iter((hedged(part),)),
            "HedgeDenied": lambda part: iter((no_hedge(part),)),
            "HedgeEnded": lambda part: iter((raced(part),)),
            "Refused": self._not_asked,
            "FellBack": self._left,
            "CallEnded": self._ended,
        }

    def lines(self) -> Iterator[tuple[Part, str]]:
        for part in self._parts:
            tell = self._tellers.get(part.name)
            for line in [part.name] if tell is None else tell(part):
                yield part, line

    def _began(self, part: Part) -> Iterator[str]:
        self._ladder = part.words("ladder")
        ladder = f"; ladder {', '.join([*self._ladder, 'local'])}" if self._ladder else ""
        yield f"began: {seconds(part.number('patience'))} to answer in{ladder}; policy {part.word('revision')}"

    def _asked(self, part: Part) -> Iterator[str]:
        target = part.word("target")
        number = f"attempt {part.word('number')}"
        probe = ", a probe: its breaker is half open" if part.word("breaker") == "half_open" else ""
        left, reserved, waited = part.number("left"), part.number("reserved"), part.number("waited")
        of = "" if left is None else f" of {seconds(left)} left"
        below = self._ladder[self._ladder.index(target) + 1 :] if target in self._ladder else []
        kept = f", {seconds(reserved)} kept back for {' and '.join(below) or 'those below'}" if reserved else ""
        bound = "its own timeout (timeouts.attempt)" if part.word("binding") == "attempt" else "the deadline"
        queued = f"; waited {seconds(waited)} for a slot" if waited else ""
        may = f"may take {seconds(part.number('timeout'))}{of}{kept}; bound by {bound}"
        yield f"{target} asked ({number}{probe}): {may}{queued}"

    def _key(self, part: Part) -> Iterator[str]:
        whose = "made here: the client sent none" if part.true("made") else "made from the client's"
        yield f"{part.word('target')} gets an Idempotency-Key, {whose}; further attempts have the same"

    def _came(self, part: Part) -> Iterator[str]:
        self._attempts[part.word("target")] = part
        rule = part.word("rule")
        by = "" if rule is None else f' by "{rule}"'
        verdict = f"{part.word('target')}: {result(part)} after {seconds(part.number('seconds'))} → {part.word('verdict')}{by}"
        yield verdict + breaker_of(part)

    def _retried(self, part: Part) -> Iterator[str]:
        inputs = part.part("inputs")
        left, had, burst = inputs.number("left"), inputs.number("balance"), inputs.number("burst")
        after = f"asked {inputs.word('asked')} of at most {inputs.word('most')} times, {seconds(left)} left for it"
        paid = f"paid with 1 of {had:.3g} retries in the budget (at most {burst:.3g})" if had and burst else "paid for"
        told = f"{after}; {paid}" if inputs.there else paid
        yield f"{part.word('target')} to be asked again in {seconds(part.number('delay'))}, for {part.word('cause')}: {told}"

    def _denied(self, part: Part) -> Iterator[str]:
        self._attempts.pop(part.word("target"), None)
        yield f"not asked again: {why_denied(part)}"

    def _not_asked(self, part: Part) -> Iterator[str]:
        self._refused[part.word("target")] = part.word("reason")
        self._attempts.pop(part.word("target"), None)
        yield refusal(part)

    def _left(self, part: Part) -> Iterator[str]:
        target, reason = part.word("target"), part.word("reason")
        ended = self._attempts.pop(target, None)
        if ended is not None and (why := why_left(ended)):
            yield f"not asked again: {why}"
        allowed = part.true("allowed", default=True)
        if allowed and reason == self._refused.get(target):
            return  # that it was not asked has been said
        stop = "" if allowed else "; fallback.on does not name that: nobody below is asked"
        yield f"{target} is left: {reason}{stop}"

    def _ended(self, part: Part) -> Iterator[str]:
        finish = part.part("finish")
        after = plural(part.number("attempts"), "attempt")
        if finish.true("abandoned"):
            yield f"ended after {after}: the client left"
            return
        provider, reason = finish.word("provider"), finish.word("reason")
        if provider is None:
            yield f"ended after {after}: nobody answers: {reason} (503, by fallback.local)"
            return
        yield f"ended after {after}: {provider} answers" + (f", degraded: {reason}" if finish.true("degraded") else "")
