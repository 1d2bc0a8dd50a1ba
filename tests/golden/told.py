"""Facts as lines for a diff, in the words of ``sidecar explain``, less what would change everywhere when one figure does.

What an attempt might have taken, and what a breaker's counts are held against, is left out where it decided nothing: so a line differs
where the call it tells of came out otherwise. Calls stand in the order in which they came, each with all of its lines together, and each
line says which call it is of. Times are seconds: of a call since it came, of everything else since the first call.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from operator import itemgetter

from sidecar.cli.explain_text import _Story
from sidecar.cli.explain_words import Part, breaker_of, move, result, seconds
from sidecar.core.fact import (
    AttemptEnded,
    BreakerMoved,
    CallBegan,
    CallEnded,
    DormancyHeard,
    EventHeard,
    Fact,
    Overridden,
    as_json,
)


def lines(facts: Iterable[Fact]) -> list[str]:
    """One for each fact but inputs that say nothing of their own, and one about all."""
    calls: dict[int, list[Fact]] = defaultdict(list)
    outside: list[Fact] = []
    for fact in facts:
        call = getattr(fact, "call", None)
        if call is not None and not isinstance(fact, EventHeard):
            calls[call].append(fact)
        elif isinstance(fact, DormancyHeard | Overridden | BreakerMoved):
            outside.append(fact)
    zero = min(listed[0].at for listed in calls.values())
    told = [(listed[0].at, list(_of_call(listed, zero))) for listed in calls.values()]
    told += [(fact.at, [f"outside   {fact.at - zero:+.3f}  {_of_outside(fact)}"]) for fact in outside]
    every = [line for _, listed in sorted(told, key=itemgetter(0)) for line in listed]
    return [*every, _in_all(fact for listed in calls.values() for fact in listed)]


def _of_call(facts: list[Fact], zero: float) -> Iterator[str]:
    began = facts[0]
    assert isinstance(began, CallBegan)
    story = _Brief([Part(as_json(fact, began.at)) for fact in facts], began.at - zero)
    for part, line in story.lines():
        yield f"call {began.call:>3}  {part.number('after_seconds') or 0.0:+.3f}  {line}"


def _of_outside(fact: Fact) -> str:
    if isinstance(fact, DormancyHeard):
        return f"madre's power state: {'not to be read' if fact.active is None else ', '.join(sorted(fact.active)) or 'nothing on'}"
    if isinstance(fact, Overridden):
        return f"an operator decides about {fact.target}: {fact.override or 'nothing any more'}"
    return move(Part(as_json(fact, fact.at)))


def _in_all(facts: Iterable[Fact]) -> str:
    providers: Counter[str] = Counter()
    attempts: Counter[str] = Counter()
    opened: Counter[str] = Counter()
    for fact in facts:
        if isinstance(fact, CallEnded):
            providers["client left" if fact.finish.abandoned else fact.finish.provider or "nobody"] += 1
        elif isinstance(fact, AttemptEnded):
            attempts[fact.target] += 1
        elif isinstance(fact, BreakerMoved) and fact.after == "open":
            opened[fact.target] += 1
    answered = f"in all    {providers.total()} calls: {_counted(providers)}; attempts: {_counted(attempts)}"
    return f"{answered}; breakers opened: {_counted(opened)}"


def _counted(counter: Counter[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counter.items())) or "none"


class _Brief(_Story):
    """The story of one call as ``sidecar explain`` tells it, without inputs that decided nothing."""

    def __init__(self, parts: list[Part], came: float) -> None:
        super().__init__(parts)
        self._came_at = came

    def _began(self, part: Part) -> Iterator[str]:
        yield f"comes at {self._came_at:.3f} s, {seconds(part.number('patience'))} to answer in"

    def _asked(self, part: Part) -> Iterator[str]:
        number, waited = part.number("number"), part.number("waited")
        again = f", attempt {number:.0f}" if number != 1 else ""
        probe = ", a probe" if part.word("breaker") == "half_open" else ""
        queued = f", after {seconds(waited)} in the queue" if waited else ""
        yield f"{part.word('target')} asked{again}{probe}{queued}"

    def _came(self, part: Part) -> Iterator[str]:
        self._attempts[part.word("target")] = part
        bound = {"attempt": ", bound by timeouts.attempt", "deadline": ", bound by the deadline"}
        by = bound.get(part.word("binding") or "", "") if part.part("outcome").word("error") == "timeout" else ""
        yield f"{part.word('target')} {result(part)} → {part.word('verdict')} ({part.word('rule')}{by}){_for_breaker(part)}"


def _for_breaker(part: Part) -> str:
    """Whether it was slow, and whether its breaker did not count it."""
    told = breaker_of(part)
    if not part.true("heeded", default=True):
        return told
    return told[: told.index("; breaker")] if told.startswith("; slow") else ""
