"""Chats told to an engine by hand, for whoever explains them: each gives its facts as an admin port would."""

from __future__ import annotations

import json
from typing import Any

from sidecar.core.engine import Engine
from sidecar.core.fact import EventHeard, as_json
from sidecar.core.scene import Call
from sidecar.core.vocabulary import Abandoned, Answered, ErrorKind, Finish, Outcome, Verdict, Woke
from sidecar.policy.model import Policy

GOOD = Outcome(status=200, body={"status": "ok"}, text=True)
BROKEN = Outcome(status=500)
SILENT = Outcome(error=ErrorKind.TIMEOUT)
REFUSED = Outcome(error=ErrorKind.CONNECT)


class Stage:
    """An engine without jitter in its open times, and everything it said."""

    def __init__(self, **sections: Any) -> None:
        switch, madre = sections.pop("switch", {}), sections.pop("madre", {})
        ladder = [{"name": "switch", **switch}, {"name": "madre", **madre}, {"name": "local"}]
        steady = {"open": {"jitter": 0.0}, **sections.pop("breaker", {})}
        self.facts: list[Any] = []
        rules = Policy.model_validate({"targets": ladder, "breaker": steady, **sections})
        self.engine = Engine(0.0, rules, revision="r1", source="test", seed=7, emit=self.facts.append)
        self._calls = 0

    def call(
        self, at: float, *events: tuple[float, object], patience: float = 4.75, name: str = "mine", session: str = ""
    ) -> int:
        """A chat and what it is told: an outcome (in a race behind its number), "woke" or "left", by seconds since it began; its number."""
        self._calls += 1
        plan = self.engine.begin(at, Call(self._calls, patience, name, session))
        plan.start()
        for after, what in events:
            now = at + after
            number, outcome = what if isinstance(what, tuple) else (None, what)
            plan.send(
                Woke(now) if what == "woke" else Abandoned(now) if what == "left" else Answered(now, outcome, number)
            )
        if events:
            assert isinstance(plan.finish, Finish) or events[-1][1] != GOOD
        return self._calls

    def trip(self, at: float, target: str = "switch") -> None:
        breaker = self.engine._machines[target].breaker
        while breaker.state == "closed":
            breaker.settle(at, breaker.admit(at), Verdict.FATAL)

    def told(self, call: int) -> list[dict[str, Any]]:
        mine = [fact for fact in self.facts if getattr(fact, "call", None) == call and not isinstance(fact, EventHeard)]
        told = json.loads(json.dumps([as_json(fact, mine[0].at) for fact in mine]))
        assert isinstance(told, list)
        return told
