"""Scripts: a test reads as lines of ``(now, what happened, the step the plan answers with)``, each short enough to compare as text."""

from __future__ import annotations

from sidecar.core.engine import Engine
from sidecar.core.fact import EventHeard
from sidecar.core.scene import Call
from sidecar.core.vocabulary import (
    Abandoned,
    Answered,
    Attempt,
    Backoff,
    ErrorKind,
    Event,
    Finish,
    Outcome,
    Queue,
    Race,
    Verdict,
    Woke,
)
from sidecar.policy.model import Policy

PATIENCE = 4.75  # the default deadline of 5 s less its margin

BEGIN = "begin"
LEFT = "the client left"
WOKE = "woke"
GOOD = Outcome(status=200, body={"status": "ok"}, text=True)
WAITING = Outcome(status=200, body={"status": "WAITING"}, text=True)
REFUSED = Outcome(error=ErrorKind.CONNECT)
SILENT = Outcome(error=ErrorKind.TIMEOUT)
RESET = Outcome(error=ErrorKind.RESET)


def status(code: int, *, retry_after: float | None = None) -> Outcome:
    """An HTTP error with nothing to show."""
    return Outcome(status=code, retry_after=retry_after)


def policy(data: dict | None = None, **sections) -> Policy:
    """A policy that states only what its test is about."""
    return Policy.model_validate({**(data or {}), **sections})


def targets(switch: dict | None = None, madre: dict | None = None) -> list[dict]:
    """The usual ladder with something of its own for each target."""
    return [{"name": "switch", **(switch or {})}, {"name": "madre", **(madre or {})}, {"name": "local"}]


def shown(step: object) -> str:
    """A step in one short line."""
    match step:
        case Attempt(target, number, timeout, _, binding):
            return f"{target} #{number} within {timeout:.3g} ({binding})"
        case Race(attempts, wake):
            late = "" if wake is None else f", late after {wake:.3g}"
            return f"race {attempts[0].target} {' and '.join(f'#{each.number}' for each in attempts)}{late}"
        case Backoff(target, delay):
            return f"back off {target} {delay:.3g}"
        case Queue(target, _, timeout):
            return f"queue for {target} within {timeout:.3g}"
        case Finish(provider, attempt, degraded, reason, abandoned):
            by = provider if attempt is None else f"{provider} #{attempt}"
            return f"finish {by}{' degraded' * degraded}{f' ({reason})' if reason else ''}{' abandoned' * abandoned}"
    raise AssertionError(step)


class Script:
    """One call of a ``World``, told its lines."""

    def __init__(self, world: World, number: int, patience: float, session: str) -> None:
        self.world = world
        self.call = Call(number, patience, f"call-{number}", session)
        self.plan = None
        self.step = None

    def tell(self, now: float, what: object) -> str:
        """The step that ``what`` leads to; of a race it is the number of the attempt with what came of it."""
        if what == BEGIN:
            self.plan = self.world.engine.begin(now, self.call)
            self.step = self.plan.start()
        else:
            self.step = self.plan.send(_event(now, what))
        return shown(self.step)

    def play(self, *lines: tuple[float, object, str]) -> Script:
        """Tell every line and compare all steps at once, so that a failure shows where the story turned."""
        told = [(now, what, self.tell(now, what)) for now, what, _ in lines]
        assert told == list(lines)
        return self


def _event(now: float, what: object) -> Event:
    if isinstance(what, str):
        return {LEFT: Abandoned, WOKE: Woke}[what](now)
    return Answered(now, what[1], what[0]) if isinstance(what, tuple) else Answered(now, what)


class World:
    """An engine and everything it said."""

    def __init__(self, rules: Policy | None = None, *, seed: int = 7, now: float = 0.0) -> None:
        self.facts: list = []
        self.engine = Engine(now, rules or policy(), revision="r1", source="test", seed=seed, emit=self.facts.append)
        self._calls = 0

    def call(self, patience: float = PATIENCE, session: str = "") -> Script:
        self._calls += 1
        return Script(self, self._calls, patience, session)

    def play(self, *lines: tuple[float, object, str], patience: float = PATIENCE, session: str = "") -> Script:
        return self.call(patience, session).play(*lines)

    def adopt(self, now: float, rules: Policy, revision: str = "r2") -> None:
        self.engine.adopt(now, rules, revision=revision, source="test")

    def machines(self, target: str = "switch"):
        return self.engine._machines[target]

    def heard(self, kind: type) -> list:
        """The facts of one kind, in order."""
        return [fact for fact in self.facts if isinstance(fact, kind)]

    def story(self, *kinds: type) -> list[str]:
        """The names of what happened, without what the plan was told."""
        return [
            type(f).__name__
            for f in self.facts
            if not isinstance(f, EventHeard) and (not kinds or isinstance(f, kinds))
        ]

    def at_rest(self, now: float) -> bool:
        """Whether nothing is held any more: no slot, no place in a queue, no permit."""
        return all(
            m.limiter.in_flight == m.limiter.queued == m.breaker.outstanding(now) == 0
            for m in self.engine._machines.values()
        )

    def trip(self, now: float, target: str = "switch") -> None:
        """Open a breaker as failures would."""
        breaker = self.machines(target).breaker
        while breaker.state == "closed":
            breaker.settle(now, breaker.admit(now), Verdict.FATAL)
