"""The last calls and what was decided about each: the facts, in order, for ``/calls/{correlation_id}``, and a line each for ``/calls``.

Memory is bounded twice: so many calls, so many facts each. What is not there any more is in the journal. Of the lines, those of
degraded and failed calls are kept apart, because good ones would soon push them out.
"""

from __future__ import annotations

from collections import deque
from typing import Any, get_args

from sidecar.core.fact import CallBegan, ChatServed, EventHeard, Fact, as_json
from sidecar.core.value import names
from sidecar.edge.admin.timeline import summary
from sidecar.edge.outlets.sink import Sink

MOST_CALLS = 1_000
MOST_FACTS = 100  # a call with every retry and every target has about thirty
MOST_LINES = 20

# What a plan was told stands in the facts that follow from it.
_OF_CALLS = tuple(kind for kind in get_args(Fact) if "call" in names(kind) and kind is not EventHeard)
_WELL = frozenset({"primary", "client_gone"})  # outcomes that are no fault of anybody behind us


class Calls(Sink):
    """Keeps the facts of calls."""

    def __init__(self, most: int = MOST_CALLS) -> None:
        self._most = most
        self._facts: dict[int, list[Fact]] = {}
        self._began: deque[int] = deque()  # in their order; to ask the dict for its first is to pass all that have gone
        self._by_correlation: dict[str, int] = {}
        self._last: deque[tuple[ChatServed, list[Fact]]] = deque(maxlen=MOST_LINES)
        self._last_degraded: deque[tuple[ChatServed, list[Fact]]] = deque(maxlen=MOST_LINES)
        self.takes = {
            **dict.fromkeys(_OF_CALLS, (self._keep,)),
            CallBegan: (self._begin,),
            ChatServed: (self._keep, self._served),
        }

    def __len__(self) -> int:
        return len(self._facts)

    def _keep(self, fact: Any) -> None:
        """A fact that may be of a call."""
        known = self._facts.get(fact.call)
        if known is not None and len(known) < MOST_FACTS:
            known.append(fact)

    def explain(self, correlation_id: str) -> list[dict[str, Any]] | None:
        """The facts of the latest call of this id, each with its name and its seconds since the call began."""
        call = self._by_correlation.get(correlation_id)
        known = self._facts.get(call) if call is not None else None
        if not known:
            return None
        began = known[0].at
        return [as_json(fact, began) for fact in known]

    def view(self, now: float) -> dict[str, list[dict[str, Any]]]:
        """The last calls and the last degraded or failed ones, newest first."""
        return {
            "degraded": [summary(served, facts, now) for served, facts in reversed(self._last_degraded)],
            "last": [summary(served, facts, now) for served, facts in reversed(self._last)],
        }

    def _served(self, served: ChatServed) -> None:
        facts = self._facts.get(served.call)
        if not facts:
            return
        self._last.append((served, facts))
        if served.outcome not in _WELL:
            self._last_degraded.append((served, facts))

    def _begin(self, fact: CallBegan) -> None:
        self._facts[fact.call] = [fact]
        self._began.append(fact.call)
        self._by_correlation[fact.correlation_id] = fact.call
        if len(self._facts) > self._most:
            forgotten = self._began.popleft()
            first = self._facts.pop(forgotten)[0]
            if isinstance(first, CallBegan) and self._by_correlation.get(first.correlation_id) == forgotten:
                del self._by_correlation[first.correlation_id]
