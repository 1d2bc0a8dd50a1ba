"""The engine: the policy in force, and what is remembered from call to call.

Synchronous and without locks: every method runs from start to end on one thread, so each is atomic. A running plan keeps the policy it
began with; the machines (breakers, limiters, budgets, latencies) are shared by old and new plans and survive a change of policy unless
their own numbers changed.
"""

from __future__ import annotations

from typing import NamedTuple

from sidecar.core import probing
from sidecar.core.affinity import Affinity
from sidecar.core.breaker import Breaker, State
from sidecar.core.budget import HedgeBudget, RetryBudget
from sidecar.core.dormancy import GOVERNED, Dormancy
from sidecar.core.fact import CallBegan, DormancyHeard, Emit, EventHeard, Overridden, PolicyAdopted, RateLimited
from sidecar.core.health import Health, HealthState
from sidecar.core.limiter import Limiter
from sidecar.core.plan import plan_call
from sidecar.core.rate import SlidingWindows
from sidecar.core.record import LatencyRecord
from sidecar.core.scene import Call, Machines, Rung, Scene
from sidecar.core.vocabulary import Event, Finish, Outcome, Override, Step
from sidecar.policy.model import Policy, Target

LEASE_MARGIN = 1.0  # seconds a breaker's permit outlives the client's patience


class Plan:
    """One call's plan with its funnel: everything it is told passes through ``send``, and is a fact."""

    __slots__ = ("_call", "_emit", "_generator", "finish")

    def __init__(self, now: float, call: Call, scene: Scene, emit: Emit) -> None:
        self._call = call.number
        self._emit = emit
        self._generator = plan_call(now, call, scene, emit)
        self.finish: Finish | None = None

    def start(self) -> Step:
        """The first step. Called once, before ``send``."""
        step = next(self._generator)
        if type(step) is Finish:
            self.finish = step
        return step

    def send(self, event: Event) -> Step:
        """The step after ``event``. Raises StopIteration after the ``Finish``: there is nothing left to be told."""
        self._emit(EventHeard(event.now, self._call, event))
        step = self._generator.send(event)
        if type(step) is Finish:
            self.finish = step
        return step


class Gauges(NamedTuple):
    """How one target's machines stand: slots in use, in force and waited for, the breaker's window and count, retries affordable.

    ``baseline`` in seconds and ``drops`` are those of an adaptive limit; None and 0 where there is none, or none yet.
    """

    in_flight: int
    queued: int
    calls: int
    failure_ratio: float
    slow_ratio: float
    failures_in_row: int
    balance: float
    slots: int
    baseline: float | None
    drops: int
    health: HealthState | None = None  # None: it is not probed


class Engine:
    def __init__(self, now: float, policy: Policy, *, revision: str, source: str, seed: int, emit: Emit) -> None:
        """``seed`` decides every draw; ``revision`` and ``source`` say which policy and where it came from."""
        self._emit = emit
        self._seed = seed
        self._machines: dict[str, Machines] = {}
        self._lease = 0.0  # the longest so far: a plan that began under a more patient policy may still be running
        self._sessions = SlidingWindows(policy.guards.max_sessions)
        self._affinity = Affinity(policy.guards.max_sessions)
        self._dormancy = Dormancy()
        self._off: set[str] = set()  # targets that an override has switched off
        self._shut: set[str] = set()  # these, and targets that probes hold back
        self.scene: Scene
        self.adopt(now, policy, revision=revision, source=source)

    def adopt(self, now: float, policy: Policy, *, revision: str, source: str) -> None:
        """Put a policy in force for every call that begins from now on."""
        self._lease = max(self._lease, policy.deadline.client + LEASE_MARGIN)
        ladder = tuple(Rung.of(target, self._machines_for(now, target)) for target in policy.ladder)
        self.targets = tuple(rung.name for rung in ladder)
        """The names of the ladder in force."""
        guards = policy.guards
        self._rates = (guards.rate_limit, guards.anonymous_rate_limit)  # of a session, and of a peer without one
        self._sessions.max_keys = self._affinity.most = policy.guards.max_sessions
        dormancy, off, shut, affinity = self._dormancy, self._off, self._shut, self._affinity
        self.scene = Scene.of(policy, ladder, dormancy=dormancy, off=off, shut=shut, affinity=affinity, seed=self._seed)
        self.revision = revision
        self._emit(PolicyAdopted(now, revision, source, policy))
        for name, machines in self._machines.items():
            if not any(rung.name == name and rung.health is not None for rung in ladder):
                probing.forget(now, self.scene, name, machines.health, why="off", emit=self._emit)

    def admit(self, now: float, key: bytes, *, anonymous: bool) -> float | None:
        """The rate guard: None if the chat may pass, else seconds until one of this key may."""
        retry_after = self._sessions.admit(now, key, self._rates[anonymous])
        if retry_after is not None:
            self._emit(RateLimited(now, retry_after, anonymous))
        return retry_after

    def note(self, now: float, key: bytes, *, anonymous: bool) -> None:
        """A chat that passed a guard shared with other replicas: counted here too, for when that one cannot be asked."""
        self._sessions.note(now, key, self._rates[anonymous])

    def begin(self, now: float, call: Call) -> Plan:
        """The plan of a call that was admitted."""
        number, patience, who, session = call.number, call.patience, call.correlation_id, call.session
        self._emit(CallBegan(now, number, patience, who, self.revision, self.targets, session))
        return Plan(now, call, self.scene, self._emit)

    def hear_dormancy(self, now: float, active: frozenset[str] | None) -> None:
        """Take madre's power state: the active services, or None where it could not be read."""
        self._emit(DormancyHeard(now, active))
        if self._dormancy.hear(active) and self.scene.policy.dormant.mode != "ignore" and GOVERNED in self._machines:
            machines = self._machines[GOVERNED]
            moved = machines.breaker.hint(now)
            if moved:
                self._emit(moved)
            probing.forget(now, self.scene, GOVERNED, machines.health, why="window_opened", emit=self._emit)

    def hear_health(self, now: float, target: str, outcome: Outcome, *, busy: bool, seconds: float) -> None:
        """Take the outcome of a health probe; of a target that the policy in force does not probe it says nothing.

        ``busy``: a chat was in flight on the target at any time while it was under way.
        """
        rung = next((rung for rung in self.scene.ladder if rung.name == target and rung.health is not None), None)
        if rung is not None:
            probing.hear(now, self.scene, rung, outcome, busy=busy, seconds=seconds, emit=self._emit)

    def traffic(self, target: str) -> tuple[int, int]:
        """Attempts in flight on a target of any ladder so far, and those begun since the start. KeyError for an unknown one."""
        machines = self._machines[target]
        return machines.limiter.in_flight, machines.breaker.admitted

    def override(self, now: float, target: str, override: Override | None) -> None:
        """Let an operator's decision about a target hold until the next one; None ends it. KeyError for an unknown target."""
        machines = self._machines[target]
        self._emit(Overridden(now, target, override))
        if override is Override.OFF:
            self._off.add(target)
        else:
            self._off.discard(target)
        probing.hold(now, self.scene, target, machines.health)
        moved = machines.breaker.force(now, None if override in (None, Override.OFF) else State(override))
        if moved:
            self._emit(moved)

    def gauges(self, now: float) -> dict[str, Gauges]:
        """The state of every target of the ladder in force, as figures."""
        return {rung.name: _gauges(now, rung) for rung in self.scene.ladder}

    def view(self, now: float) -> dict[str, object]:
        """The state of every target, for people."""
        return {rung.name: self._view(now, rung) for rung in self.scene.ladder}

    def _view(self, now: float, rung: Rung) -> dict[str, object]:
        machines = rung.machines
        return {
            "breaker": machines.breaker.view(now),
            "limiter": machines.limiter.view(now),
            "retry_budget": [round(machines.budget.balance(now), 3), rung.target.retry_budget.burst],
            "latency_p95_seconds": machines.latency.quantile(0.95),
            "reserve_seconds": rung.reserve(),
            "dormant": self._dormancy.off(rung.name),
            "off": rung.name in self._off,
            "health": None if rung.health is None else rung.health.view(now),
        }

    def _machines_for(self, now: float, target: Target) -> Machines:
        known = self._machines.get(target.name)
        if known is not None:
            known.breaker.adopt(target.breaker, lease=self._lease)
            moved = known.limiter.adopt(now, target.limiter)
            if moved:
                self._emit(moved)
            known.budget.adopt(target.retry_budget)
            known.hedges.adopt(target.hedge)
            known.health.adopt(target.health)
            return known
        seed = self._seed ^ int.from_bytes(target.name.encode(), "big")
        machines = Machines(
            Breaker(target.breaker, target.name, lease=self._lease, seed=seed),
            Limiter(target.limiter, target.name),
            RetryBudget(target.retry_budget),
            LatencyRecord(),
            HedgeBudget(target.hedge),
            Health(target.health, target.name),
        )
        self._machines[target.name] = machines
        return machines


def _gauges(now: float, rung: Rung) -> Gauges:
    machines = rung.machines
    breaker, limiter = machines.breaker, machines.limiter
    gradient = limiter.gradient
    tally = breaker.tally(now)
    calls = max(tally.calls, 1)
    return Gauges(
        in_flight=limiter.in_flight,
        queued=limiter.queued,
        calls=tally.calls,
        failure_ratio=tally.failures / calls,
        slow_ratio=tally.slow / calls,
        failures_in_row=breaker.failures_in_row,
        balance=machines.budget.balance(now),
        slots=limiter.limits[0],
        baseline=gradient.baseline if gradient else None,
        drops=gradient.drops if gradient else 0,
        health=None if rung.health is None else rung.health.stands(now),
    )
