"""A case, played: the engine and the replay driver that are used everywhere, in a world that does what the case gives.

Times are exact: an answer that is given after two seconds arrives two seconds after its attempt began. What is left to chance (backoff,
jitter of open times, answers given as a range) is drawn from the seed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import NamedTuple

from sidecar.core.draw import draw
from sidecar.core.engine import Engine
from sidecar.core.fact import AttemptEnded, BreakerMoved, CallEnded, Fact, Refused
from sidecar.core.scene import Call
from sidecar.core.vocabulary import UNSENT, Attempt, ErrorKind, Finish, Outcome
from sidecar.policy.load import Loaded
from sidecar.policy.model import DeadlinePolicy
from sidecar.replay.cases.case import Case, Event, Overriding, Phase, Power, Reload
from sidecar.replay.cases.given import well
from sidecar.replay.simulate import Arrival, Simulation

UNCONNECTED = Outcome(error=ErrorKind.CONNECT_TIMEOUT)


class Told(NamedTuple):
    """What became of one chat. ``course`` is every attempt and every refusal to make one, in order."""

    at: float
    seconds: float
    finish: Finish
    course: tuple[AttemptEnded | Refused, ...]

    @property
    def attempts(self) -> tuple[AttemptEnded, ...]:
        return tuple(fact for fact in self.course if isinstance(fact, AttemptEnded))


class Played(NamedTuple):
    """What came of a case with one seed. ``missed`` are overrides of a target that was not on the ladder."""

    chats: tuple[Told, ...]
    moves: tuple[BreakerMoved, ...]
    missed: tuple[Overriding, ...]


def play(case: Case, loaded: Loaded, seed: int) -> Played:
    """Every chat of ``case`` to its end, from closed breakers and full budgets on."""
    record = _Record()
    engine = Engine(0.0, loaded.policy, revision=loaded.revision, source=loaded.source, seed=seed, emit=record)
    simulation = Simulation(engine, _Scripted(case.given, seed))
    missed: list[Overriding] = []
    for event in case.events:  # before the chats: of what happens at one moment events are first
        simulation.at(event.at, _happening(engine, event, missed))
    simulation.run(_arrivals(case, loaded))
    chats = (record.told(number, chat.at) for number, chat in enumerate(case.chats, 1))
    return Played(tuple(chats), tuple(record.moves), tuple(missed))


def _happening(engine: Engine, event: Event, missed: list[Overriding]) -> Callable[[float], None]:
    def happen(now: float) -> None:
        if isinstance(event, Reload):
            loaded = event.loaded
            engine.adopt(now, loaded.policy, revision=loaded.revision, source=loaded.source)
        elif isinstance(event, Power):
            engine.hear_dormancy(now, event.active)
        elif event.target in engine.targets:
            engine.override(now, event.target, event.override)
        else:
            missed.append(event)

    return happen


def _arrivals(case: Case, loaded: Loaded) -> list[Arrival]:
    """The chats as they reach the engine, each with the patience that the policy then in force gives it."""
    reloads = [event for event in case.events if isinstance(event, Reload)]
    arrivals = []
    for number, chat in enumerate(case.chats, 1):
        in_force = next((event.loaded for event in reversed(reloads) if event.at <= chat.at), loaded)
        call = Call(number, patience(chat.patience, in_force.policy.deadline))
        arrivals.append(Arrival(chat.at, call, chat.leaves_after))
    return arrivals


def patience(said: float | None, policy: DeadlinePolicy) -> float:
    """Seconds until the answer must leave, for a client that says it waits ``said`` seconds; as the live sidecar has it."""
    total = policy.client if said is None else min(said, policy.client)
    return max(total - policy.margin, total / 2)


class _Record:
    """Takes the facts of one play."""

    def __init__(self) -> None:
        self.moves: list[BreakerMoved] = []
        self._courses: dict[int, list[AttemptEnded | Refused]] = {}
        self._ends: dict[int, CallEnded] = {}

    def __call__(self, fact: Fact) -> None:
        if isinstance(fact, AttemptEnded | Refused):
            self._courses.setdefault(fact.call, []).append(fact)
        elif isinstance(fact, CallEnded):
            self._ends[fact.call] = fact
        elif isinstance(fact, BreakerMoved):
            self.moves.append(fact)

    def told(self, call: int, at: float) -> Told:
        end = self._ends[call]
        return Told(at, end.seconds, end.finish, tuple(self._courses.get(call, ())))


class _Scripted:
    """The world of a case. It counts attempts, so it is made anew for each play."""

    def __init__(self, given: Mapping[str, tuple[Phase, ...]], seed: int) -> None:
        self._given = given
        self._seed = seed
        self._asked: Counter[str] = Counter()

    def answer(self, now: float, call: int, step: Attempt) -> tuple[float, Outcome]:
        phases = self._given.get(step.target) or well(step.target)
        phase = next(phase for phase in reversed(phases) if phase.start <= now)
        least, most, outcome = phase.answers[min(self._asked[step.target], len(phase.answers) - 1)]
        self._asked[step.target] += 1
        seconds = least
        if least < most:
            seconds += (most - least) * draw(self._seed, int.from_bytes(step.target.encode(), "big"), call, step.number)
        if outcome.error in UNSENT and seconds >= step.connect_timeout:
            return step.connect_timeout, UNCONNECTED  # there was no connection by then, whatever would have come of it
        return seconds, outcome
