"""A candidate policy beside the one in force, on the same facts: what it would have made of every call, where that can be decided.

``Shadow`` takes the facts of the live engine and drives a second engine, with machines of its own, by them. Nobody is asked for it:
an attempt of the candidate is answered by the call's own attempt on the same target, if that began at the same moment (within
``SAME``). Theory:

* *Mirrored.* As long as both wait for the same thing since the same moment, what the one hears the other hears. If the candidate would
  stop waiting first, it stops at that moment, whatever comes later: that it heard nothing until then is known. If the record stops
  first (its timeout was shorter), nobody knows what the candidate would have heard: undecided from there on.
* *Undecided.* A candidate that asks whom the call did not ask then is undecided from there on. What it holds (slot, permit) is given back
  as if its client had left, so that its machines stay sane; they lack the evidence of that call, and hold it against nobody.
* *Exact until then.* Up to the first undecided call the candidate's facts are those of a run of the candidate on the same calls. After it
  they are those of a candidate that lacks the evidence of the undecided ones.
* *Time.* Facts come in the order of time. What the candidate does on its own (timeouts, ends of waits) stands on a heap and happens
  before the fact that comes after it. ``advance`` does the same without a fact.

What is assumed: targets answer as they did, however much more or less they are asked; a client that got its answer would have stayed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from sidecar.core.actual import Actual, Terms, patience_of, terms_of
from sidecar.core.agenda import Agenda
from sidecar.core.comparison import Compared, Tallies, crowded
from sidecar.core.engine import Engine
from sidecar.core.fact import (
    AttemptStarted,
    CallBegan,
    CallEnded,
    DormancyHeard,
    Emit,
    EventHeard,
    Fact,
    FellBack,
    HealthHeard,
    Hedged,
    Overridden,
    PolicyAdopted,
    Retried,
)
from sidecar.core.followed import Followed
from sidecar.core.record import LatencyRecord
from sidecar.core.scene import Call
from sidecar.policy.model import Policy

SAME = 0.01
"""Seconds within which two moments are the same: timers of an event loop are a few milliseconds late."""
MOST_CALLS = 4096
"""Calls under way that are followed at once."""


class Beside(NamedTuple):
    """The candidate as it stands: the states of its breakers by target."""

    revision: str
    source: str
    states: Mapping[str, str]


class Shadow:
    """One candidate since it began. ``take`` every fact of the live engine; each comparison is told once."""

    def __init__(
        self,
        now: float,
        candidate: Policy,
        *,
        revision: str,
        source: str,
        seed: int,
        tell: Callable[[Compared], None],
        emit: Emit = lambda _: None,
        same: float = SAME,
        most: int = MOST_CALLS,
    ) -> None:
        """``seed`` is that of the live engine, so that both draw the same luck; ``emit`` gets the facts of the candidate's engine."""
        self._source = source
        self._tell = tell
        self._emit = emit
        self._same = same
        self._most = most
        self._since = now
        self._agenda = Agenda(now)
        self._terms: Terms | None = None  # of the policy in force
        self._calls: dict[int, Followed] = {}
        self._tallies = Tallies()
        self._engine = Engine(now, candidate, revision=revision, source=source, seed=seed, emit=self._note)

    def take(self, fact: Fact) -> None:
        """A fact of the live engine, in the order of time. What comes before the first ``PolicyAdopted`` says nothing."""
        taken = _TAKES.get(type(fact))
        if taken is not None:
            self._agenda.advance(fact.at)
            taken(self, fact)

    def advance(self, now: float) -> None:
        """Whatever the candidate does by itself up to ``now``."""
        self._agenda.advance(now)

    def learn(self, live: Engine) -> None:
        """Take over how long targets took so far: that is what they did, whatever the policy."""
        known: dict[str, LatencyRecord] = {rung.target.name: rung.machines.latency for rung in live.scene.ladder}
        for rung in self._engine.scene.ladder:
            for seconds in known.get(rung.target.name, ()):
                rung.machines.latency.observe(seconds)

    def view(self, now: float) -> dict[str, object]:
        """The candidate and what became of its calls, for people."""
        return {
            "revision": self._engine.revision,
            "source": self._source,
            "for_seconds": round(now - self._since, 1),
            **self._tallies.view(now),
            "under_way": len(self._calls),
            "targets": self._engine.view(now),
        }

    def beside(self) -> Beside:
        states: dict[str, str] = {
            rung.target.name: rung.machines.breaker.state.value for rung in self._engine.scene.ladder
        }
        return Beside(self._engine.revision, self._source, states)

    # -- what the live engine says ----------------------------------------------------------------------------------

    def _adopted(self, fact: PolicyAdopted) -> None:
        scene = self._engine.scene
        self._terms = terms_of(fact.policy, scene.policy, scene.ladder)

    def _dormancy(self, fact: DormancyHeard) -> None:
        self._engine.hear_dormancy(fact.at, fact.active)

    def _health(self, fact: HealthHeard) -> None:
        self._engine.hear_health(fact.at, fact.target, fact.outcome, busy=fact.busy, seconds=fact.seconds)

    def _overridden(self, fact: Overridden) -> None:
        if fact.target in self._engine.targets:
            self._engine.override(fact.at, fact.target, fact.override)

    def _began(self, fact: CallBegan) -> None:
        terms, who = self._terms, fact.correlation_id
        if terms is None:
            return
        if len(self._calls) >= self._most:
            self._compared(crowded(fact))
            return
        patience = patience_of(fact.patience, terms.deadline, self._engine.scene.policy.deadline)
        plan = self._engine.begin(fact.at, Call(fact.call, patience, who, fact.session))
        actual = Actual(terms, fact.at, self._same)
        followed = Followed(plan, actual, self._agenda, self._compared, who=who, same=self._same)
        self._calls[fact.call] = followed
        followed.begin()

    def _attempted(self, fact: AttemptStarted) -> None:
        if followed := self._calls.get(fact.call):
            followed.attempted(fact)

    def _retried(self, fact: Retried) -> None:
        if followed := self._calls.get(fact.call):
            followed.actual.backs_off(fact)

    def _hedged(self, fact: Hedged) -> None:
        if followed := self._calls.get(fact.call):
            followed.hedged()

    def _fell(self, fact: FellBack) -> None:
        if followed := self._calls.get(fact.call):
            followed.actual.falls(fact)

    def _heard(self, fact: EventHeard) -> None:
        if followed := self._calls.get(fact.call):
            followed.heard(fact)

    def _ended(self, fact: CallEnded) -> None:
        if followed := self._calls.get(fact.call):
            followed.ended(fact)

    # -- what the candidate says ------------------------------------------------------------------------------------

    def _note(self, fact: Fact) -> None:
        """A fact of the candidate's engine."""
        self._emit(fact)
        if isinstance(fact, CallEnded):
            self._calls[fact.call].would_end = fact

    def _compared(self, told: Compared) -> None:
        self._calls.pop(told.call, None)  # a call that nobody followed is not there
        self._tallies.add(told)
        self._tell(told)


_TAKES: Mapping[type[Fact], Callable[[Shadow, Any], None]] = {
    PolicyAdopted: Shadow._adopted,  # noqa: SLF001 - its own table
    DormancyHeard: Shadow._dormancy,  # noqa: SLF001
    HealthHeard: Shadow._health,  # noqa: SLF001
    Overridden: Shadow._overridden,  # noqa: SLF001
    CallBegan: Shadow._began,  # noqa: SLF001
    AttemptStarted: Shadow._attempted,  # noqa: SLF001
    Retried: Shadow._retried,  # noqa: SLF001
    Hedged: Shadow._hedged,  # noqa: SLF001
    FellBack: Shadow._fell,  # noqa: SLF001
    EventHeard: Shadow._heard,  # noqa: SLF001
    CallEnded: Shadow._ended,  # noqa: SLF001
}
