"""One call of a journal, explained: decided again as it was, with every decision's inputs.

A journal holds what came in and not why anything was decided, so the whole run is replayed exactly and the facts of the one call are kept.
Where the replay cannot be trusted for this call (what was remembered before is in no file, or lines are missing) that is said, and where
its results contradict the recorded ones, the recorded ones are told instead.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from sidecar.core.fact import AttemptEnded, CallBegan, CallEnded, EventHeard, Fact, FaultInjected, as_json
from sidecar.core.line import to_line
from sidecar.replay.exact import ExactReplay
from sidecar.replay.journal import Journal, read_journals
from sidecar.replay.told import tell

REMEMBERED = (
    "the run is incomplete (it begins in the middle, or is a sample): breaker counts, retry budgets, queues and reserves are "
    "what follows from these files alone, and may have been others"
)
FORGOTTEN = (
    "the run is incomplete (it begins in the middle, or is a sample), and decided again without what was remembered before, this "
    "call comes out otherwise: shown is what was recorded of it; why is not known"
)
OTHERWISE = (
    "decided again, this call comes out otherwise than it was recorded (lines were lost or edited, or another version wrote them): "
    "shown is what was recorded of it; why is not known"
)


class Explained(NamedTuple):
    """The facts of a call as JSON; none where no call has the id, or not so many.

    ``nth`` of ``calls`` with this id, from 1; ``run`` of ``runs``, from 1; ``began`` in monotonic seconds, as in its line of the
    journal. ``notes`` say what cannot be known.
    """

    facts: list[dict[str, Any]]
    calls: int
    nth: int = 0
    run: int = 0
    runs: int = 0
    call: int = 0
    began: float = 0.0
    notes: tuple[str, ...] = ()


def explain(paths: list[Path], correlation_id: str, nth: int | None = None) -> Explained:
    """The ``nth`` call that has this id, the last if None. Raises UnusableJournalError or OSError where there is nothing to replay."""
    journals = read_journals(paths)
    before, found, unread = 0, None, _Unread()
    for run, journal in enumerate(journals, 1):
        heard = _Heard(correlation_id, None if nth is None else nth - before)
        fidelity = ExactReplay(journal, heard).run()
        unread.add(journal)
        if heard.facts:
            facts, why = heard.facts, None
            if fidelity.differing or not journal.complete:
                facts, why = _held_against(journal, heard)
            place = before + heard.calls if nth is None else nth
            found = _explained(facts, why)._replace(nth=place, run=run, runs=len(journals))
        before += heard.calls
    if found is None:
        return Explained([], before, runs=len(journals), notes=unread.notes())
    return found._replace(calls=before, notes=(*found.notes, *unread.notes()))


class _Heard:
    """Takes the facts of a run, keeps those of one call: the ``wanted``-th of an id, or the last. ``calls``: so many had it."""

    def __init__(self, correlation_id: str, wanted: int | None) -> None:
        self.correlation_id = correlation_id
        self.calls = 0
        self.facts: list[Fact] = []
        self._wanted = wanted
        self._call: int | None = None

    def __call__(self, fact: Fact) -> None:
        if isinstance(fact, CallBegan) and fact.correlation_id == self.correlation_id:
            self.calls += 1
            if self._wanted is None or self.calls == self._wanted:
                self._call, self.facts = fact.call, []
        if self._call is not None and getattr(fact, "call", None) == self._call and not isinstance(fact, EventHeard):
            self.facts.append(fact)


class _Recorded:
    """Takes what the lines of a run say by themselves, keeps that of one call: an edited journal may use its number again."""

    def __init__(self, began: CallBegan) -> None:
        self._began = began
        self.facts: list[Fact] = []

    def __call__(self, fact: Fact) -> None:
        if isinstance(fact, CallBegan):
            if (fact.at, fact.call, fact.correlation_id) == (
                self._began.at,
                self._began.call,
                self._began.correlation_id,
            ):
                self.facts = [fact]
        elif (
            self.facts and isinstance(fact, AttemptEnded | CallEnded | FaultInjected) and fact.call == self._began.call
        ):
            self.facts.append(fact)


def _held_against(journal: Journal, heard: _Heard) -> tuple[list[Fact], str | None]:
    """What to show of a call in a run that came out otherwise somewhere, and what is to be said with it."""
    began = heard.facts[0]
    assert isinstance(began, CallBegan)  # noqa: S101 - what made us keep them
    recorded = _Recorded(began)
    tell(journal, recorded)
    results = _results(recorded.facts)
    if _results(heard.facts)[: len(results)] == results:  # or its end is not in the journal
        return heard.facts, None if journal.complete else REMEMBERED
    return recorded.facts, OTHERWISE if journal.complete else FORGOTTEN


def _results(facts: list[Fact]) -> list[dict[str, Any] | None]:
    return [to_line(fact) for fact in facts if isinstance(fact, AttemptEnded | CallEnded)]


def _explained(facts: list[Fact], why: str | None) -> Explained:
    began = facts[0]
    assert isinstance(began, CallBegan)  # noqa: S101 - the first of every call
    told = [as_json(fact, began.at) for fact in facts]
    if why in {OTHERWISE, FORGOTTEN}:
        told = [_without_guesses(fact) for fact in told]
    return Explained(told, 0, call=began.call, began=began.at, notes=() if why is None else (why,))


def _without_guesses(fact: dict[str, Any]) -> dict[str, Any]:
    """A fact told from the lines alone, without what these do not hold."""
    unknown = ("ladder", "binding", "rule", "counts", "heeded")
    kept = {name: value for name, value in fact.items() if name not in unknown}
    for name in ("session", "raced"):  # stand in a line only where there was one
        if not kept.get(name):
            kept.pop(name, None)
    if "finish" in kept:
        kept["finish"] = {name: value for name, value in kept["finish"].items() if name != "attempt"}
    return kept


class _Unread:
    """Lines that no replay could take."""

    def __init__(self) -> None:
        self._lines = 0
        self._first = ""

    def add(self, journal: Journal) -> None:
        self._lines += journal.skipped
        self._first = self._first or next(iter(journal.messages), "")

    def notes(self) -> tuple[str, ...]:
        if not self._lines:
            return ()
        lines = "1 line" if self._lines == 1 else f"{self._lines} lines"
        return (f"{lines} of the journal could not be taken; the first: {self._first}",)
