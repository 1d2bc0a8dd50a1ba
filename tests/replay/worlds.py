"""Generated worlds: a policy, targets that go through phases, clients that come and leave, reloads and power windows in the middle."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson

from sidecar.core.engine import Engine
from sidecar.core.fact import Fact
from sidecar.core.line import SCHEMA, to_line
from sidecar.core.scene import Call
from sidecar.core.vocabulary import ErrorKind, Outcome
from sidecar.policy.model import Policy
from sidecar.replay.simulate import Arrival, Simulation
from sidecar.replay.simulate import World as Answers
from sidecar.replay.world import Behaviour, Synthetic
from sidecar.replay.worlds.injected import Injected

KINDS = [kind for kind in ErrorKind if kind is not ErrorKind.NO_SOCKET]  # that is no answer of a target
FAILURES = (
    *(Outcome(error=kind) for kind in KINDS if kind is not ErrorKind.TIMEOUT),  # which silence alone leads to
    Outcome(status=200, body={"status": "error"}),
    Outcome(status=200, body={"status": "WAITING"}, text=True),
    Outcome(status=503, retry_after=0.5),
    Outcome(status=502),
    Outcome(status=401),
    Outcome(status=413),
)
UNSENT = (Outcome(error=ErrorKind.CONNECT), Outcome(error=ErrorKind.DNS), Outcome(error=ErrorKind.CONNECT_TIMEOUT))
PROBED = (*(Outcome(error=kind) for kind in KINDS), *(Outcome(status=code) for code in (404, 500, 503)))
UNTIL = {"percentage": "3%", "expires_at": "2030-01-01T00:00:00Z"}
BROKEN = [
    {"name": "slow", "target": "switch", "delay": "411ms", **UNTIL},
    {"name": "gone", "target": "any", "delay": "7ms", "abort": "reset", **UNTIL},
    {"name": "empty", "target": "madre", "body": "empty", **UNTIL},
    {"name": "cut", "target": "any", "cut": True, **UNTIL},
]
ASKED_TWICE = {"effects": "dedup"}
HEALTHY = Behaviour(median=0.05, sigma=0.4)
SLOW = Behaviour(median=2.5, sigma=0.5)
HANGING = Behaviour(median=0.05, sigma=0.4, hanging=0.9)
FAILING = Behaviour(median=0.03, sigma=0.6, failing=0.9, failures=FAILURES)
REFUSING = Behaviour(median=0.003, sigma=0.2, failing=1.0, failures=UNSENT)
MIXED = Behaviour(median=0.4, sigma=1.0, failing=0.4, failures=FAILURES, hanging=0.1)
BAD = (SLOW, HANGING, FAILING, REFUSING, MIXED)


def policy(**sections: Any) -> Policy:
    """A policy that states only what its test is about."""
    return Policy.model_validate(sections)


class World:
    """Everything that happens to an engine, decided by ``number`` alone. In a benign one the targets are well and have room.

    With ``grid`` times are multiples of a tenth of a second, so that many things happen at the very same moment. Two
    calls never arrive in one: which of them comes first, and whether before a slot granted then, nobody could say. Nor is there a race in
    it, whose tasks take a loop more turns. ``hedged``: whether there may be races otherwise. In a ``complete`` one everything is on that a
    policy can turn on.
    """

    def __init__(
        self,
        number: int,
        calls: int = 100,
        *,
        benign: bool = False,
        grid: bool = False,
        hedged: bool = True,
        complete: bool = False,
    ) -> None:
        luck = random.Random(number)
        self.complete = complete
        self.seed = luck.getrandbits(63)
        self.benign, self.grid, self.hedged = benign, grid, hedged and not grid
        moving = random.Random(self.seed)  # draws of its own, for limits that move
        self.policies = [self._policy(luck, moving) for _ in range(1 if benign else luck.randint(1, 3))]
        gap = luck.choice((0.4, 1.0)) if benign else luck.choice((0.05, 0.3, 0.8))
        self.arrivals = []
        at = 10.0
        for call in range(1, calls + 1):
            at = round(at + luck.choice((0.1, 0.2)), 1) if grid else at + luck.expovariate(1 / gap)
            patience = luck.choice((4.75, 4.75, 4.75, 1.0, 0.3))
            leaves = None
            if luck.random() < (0.02 if benign else 0.15):
                leaves = luck.randint(1, 30) / 10 if grid else luck.uniform(0.001, 4.0)
            session = luck.choice(("", "a", "b", "c"))
            self.arrivals.append(Arrival(at, Call(call, patience, f"c{call}", session), leaves))
        self.end = at
        self.phases = {name: self._phases(luck) for name in ("switch", "madre")}
        self.reloads = [(self._when(luck), rules) for rules in self.policies[1:]]
        powers = (None, frozenset({"madre"}), frozenset({"madre", "switch"}))
        self.probes = [] if benign else self._probes(luck)
        self.powers = [] if benign else [(self._when(luck), luck.choice(powers)) for _ in range(luck.randint(0, 6))]

    def _when(self, luck: random.Random) -> float:
        return round(luck.uniform(10, self.end), 1) if self.grid else luck.uniform(10, self.end)

    def _policy(self, luck: random.Random, moving: random.Random) -> Policy:
        if self.benign:
            return policy()
        rules: dict[str, Any] = {
            "targets": [
                {"name": "switch", "effects": luck.choice(("unsafe", "none", "none"))},
                {
                    "name": "madre",
                    "effects": luck.choice(("unsafe", "none", "none")),
                    "reserve": luck.choice(("auto", "1s")),
                },
                {"name": "local"},
            ],
            "timeouts": {"attempt": luck.choice(("auto", "auto", "800ms"))},
            "retry": {
                "max_attempts": luck.randint(1, 5),
                "on_timeout": luck.random() < 0.2,
                "backoff": {"base": f"{luck.randint(1, 300)}ms", "max": "400ms"},
            },
            "retry_budget": {"burst": luck.choice((0, 3, 50, 50)), "ratio": luck.choice(("0%", "20%", "100%"))},
            "limiter": {
                "max_concurrent": luck.choice((1, 2, 4, 8)),
                "queue": luck.randint(0, 4),
                "queue_timeout": luck.choice(("0s", "100ms", "900ms")),
            },
            "breaker": {
                "consecutive": luck.choice((0, 0, 3, 5)),
                "min_calls": luck.choice((3, 10, 20)),
                "failure_rate": luck.choice(("50%", "100%", "100%")),
                "window": luck.choice(({"type": "count"}, {"type": "time", "duration": "2s"})),
                "open": {"base": "500ms", "max": "2s"},
                "half_open": {"permits": luck.randint(1, 2), "close_after": luck.randint(1, 2)},
            },
            "hedge": {
                "enabled": luck.random() < 0.7 and self.hedged,
                "delay": luck.choice(
                    ("p50", "p90", "23ms", "317ms")
                ),  # no difference of other times: nothing ends with it
                "max_extra_load": luck.choice(("10%", "50%", "100%")),
            },
            "affinity": {"stick": luck.choice((0, 0, "5s", "30s"))},
            "health": {
                "mode": luck.choice(("off", "probe", "probe")),
                "interval": luck.choice(("200ms", "1s")),
                "timeout": "200ms",
                "rise": luck.randint(1, 3),
                "fall": luck.randint(1, 3),
            },
            "dormant": {"mode": luck.choice(("explain", "obey", "ignore"))},
            "fallback": {
                "on": luck.choice(
                    (["failure"], ["open", "failure", "timeout", "budget", "limited", "dormant", "unhealthy"])
                ),
                "local": luck.choice(("answer", "error")),
            },
        }
        rules["limiter"] |= {
            "adaptive": moving.choice(("off", "gradient", "gradient")),
            "slow_start": moving.choice((0, "500ms", "3s")),
            "tolerance": moving.choice((1, 1.5)),
        }
        if self.complete:
            rules["targets"] = [{**target, **ASKED_TWICE} for target in rules["targets"][:2]]
            rules["hedge"]["enabled"], rules["health"]["mode"] = True, "probe"
            rules["limiter"] |= {"max_concurrent": 8, "adaptive": "gradient", "slow_start": "3s"}
            rules["affinity"] = {"stick": moving.choice(("2s", "30s"))}
        return policy(**rules)

    def _phases(self, luck: random.Random) -> list[tuple[float, Behaviour]]:
        if self.benign:
            return [(0.0, HEALTHY)]
        if luck.random() < 0.3:  # flapping
            bad, every = luck.choice(BAD), luck.choice((0.5, 2.0))
            listed = [(n * every, HEALTHY if n % 2 else bad) for n in range(int(self.end / every) + 1)]
        else:
            times = [0.0, *sorted(luck.uniform(10, self.end) for _ in range(luck.randint(1, 4)))]
            listed = [(at, luck.choice((HEALTHY, *BAD))) for at in times]
        if self.grid:
            listed = [(at, kind._replace(median=luck.choice((0.1, 0.2, 1.0)), sigma=0.0)) for at, kind in listed]
        return listed

    def _probes(self, luck: random.Random) -> list[tuple[float, str, Outcome, bool]]:
        """Health probes that found whatever they found, with streaks, so that targets do go down and come back."""
        found: list[tuple[float, str, Outcome, bool]] = []
        for name in ("switch", "madre"):
            at, outcome = 10.0, Outcome(status=200)
            while at < self.end:
                if luck.random() < 0.3:
                    outcome = luck.choice((*[Outcome(status=200)] * 6, *PROBED))
                found.append((at, name, outcome, luck.random() < 0.3))
                at = round(at + luck.choice((0.2, 1.0)), 1) if self.grid else at + luck.uniform(0.1, 1.2)
        return found

    def answers(self) -> Answers:
        made = Synthetic(self.phases, self.seed)
        return Injected(made, policy(chaos=BROKEN).chaos, self.seed) if self.complete else made

    def engine(self, emit: Callable[[Fact], None]) -> Engine:
        return Engine(9.5, self.policies[0], revision="r0", source="s", seed=self.seed, emit=emit)

    def happenings(self, engine: Engine) -> list[tuple[float, Callable[[float], None]]]:
        """Reloads, power states and health probes, with their times."""
        reloads = [(at, _reload(engine, rules, f"r{n}")) for n, (at, rules) in enumerate(self.reloads, 1)]
        powers = [(at, _power(engine, active)) for at, active in self.powers]
        probes = [(at, _probe(engine, *probe)) for at, *probe in self.probes]
        return [*reloads, *powers, *probes]

    def simulate(self, emit: Callable[[Fact], None]) -> None:
        engine = self.engine(emit)
        simulation = Simulation(engine, self.answers())
        for at, happening in self.happenings(engine):
            simulation.at(at, happening)
        simulation.run(self.arrivals)


def _reload(engine: Engine, rules: Policy, revision: str) -> Callable[[float], None]:
    return lambda now: engine.adopt(now, rules, revision=revision, source="s")


def _power(engine: Engine, active: frozenset[str] | None) -> Callable[[float], None]:
    return lambda now: engine.hear_dormancy(now, active)


def _probe(engine: Engine, target: str, outcome: Outcome, busy: bool) -> Callable[[float], None]:
    return lambda now: engine.hear_health(now, target, outcome, busy=busy, seconds=0.05)


# -- journals ---------------------------------------------------------------------------------------------------------


def start_line(seed: int) -> bytes:
    return orjson.dumps({"in": "start", "schema": SCHEMA, "version": "0.1.0", "seed": seed}) + b"\n"


def journal_of(facts: list[Fact], seed: int) -> list[bytes]:
    """The lines of a run, as they are written."""
    lines = [line for line in map(to_line, facts) if line is not None]
    return [start_line(seed), *(orjson.dumps(line) + b"\n" for line in lines)]


def recorded(number: int = 1, calls: int = 60, **kind: Any) -> list[bytes]:
    """The journal of one generated world."""
    world = World(number, calls, **kind)
    facts: list[Fact] = []
    world.simulate(facts.append)
    return journal_of(facts, world.seed)


def write(path: Path, lines: list[bytes]) -> Path:
    path.write_bytes(b"".join(lines))
    return path


def line(**fields: Any) -> bytes:
    """One line with ``in`` written as ``kind``."""
    return json.dumps({"in" if key == "kind" else key: value for key, value in fields.items()}).encode() + b"\n"
