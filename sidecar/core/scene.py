"""What a call meets: the targets of its policy with what is remembered of them, and what holds for the whole ladder."""

from __future__ import annotations

from collections.abc import Container

from sidecar.core.affinity import Affinity
from sidecar.core.breaker import Breaker
from sidecar.core.budget import HedgeBudget, RetryBudget
from sidecar.core.classify import Classifier
from sidecar.core.dormancy import Dormancy
from sidecar.core.health import Health
from sidecar.core.limiter import Limiter
from sidecar.core.record import LatencyRecord
from sidecar.core.value import Value
from sidecar.policy.model import QUANTILES, Dormant, HedgePolicy, Policy, Target

RESERVE_LEAST, RESERVE_MOST = 0.3, 1.5  # seconds: what `reserve: auto` stays within
SHORTENED = 0.9  # share of the policy's patience below which a client is impatient: reading a request takes some, too


class Call(Value):
    """One chat, as far as the core may know it.

    ``number`` is unique and seeds the call's draws; ``patience`` is seconds until the answer must leave;
    ``session`` a digest of what its client calls its session, empty where it names none or nobody asks.
    """

    number: int
    patience: float
    correlation_id: str = ""
    session: str = ""


class Machines(Value, gc=True):
    """What is remembered of a target from call to call. Survives a change of policy."""

    breaker: Breaker
    limiter: Limiter
    budget: RetryBudget
    latency: LatencyRecord
    hedges: HedgeBudget
    health: Health


class Rung(Value, gc=True):
    """One target under one policy. What every call asks for stands beside the target, because an attribute of a model is dear."""

    target: Target
    machines: Machines
    classify: Classifier
    name: str
    reserved: float | None
    timeout: float | None
    connect_timeout: float
    hedge: HedgePolicy | None  # None: there is none, or the target may not be asked twice
    health: Health | None  # None: it is not probed

    @classmethod
    def of(cls, target: Target, machines: Machines) -> Rung:
        own = target.timeouts
        hedge = target.hedge if target.hedge.enabled and target.effects != "unsafe" else None
        health = None if target.health.mode == "off" else machines.health
        patience = own.attempt, own.connect
        return cls(target, machines, Classifier(target), target.name, target.reserve, *patience, hedge, health)

    def hedge_delay(self) -> float | None:
        """Seconds after which an attempt is late enough for a second one; None: there is none, or too little is known."""
        if self.hedge is None:
            return None
        delay = self.hedge.delay
        return self.machines.latency.quantile(QUANTILES[delay]) if isinstance(delay, str) else delay

    def reserve(self) -> float:
        """Seconds that the rungs above keep back for this one."""
        if self.reserved is not None:
            return self.reserved
        observed = self.machines.latency.quantile(0.95)
        return RESERVE_MOST if observed is None else min(max(observed, RESERVE_LEAST), RESERVE_MOST)


class Scene(Value, gc=True):
    """What a call meets: the policy it began with, and the machines as they are."""

    policy: Policy
    ladder: tuple[Rung, ...]
    dormancy: Dormancy
    off: Container[str]  # targets an operator has switched off, as they are now
    shut: set[str]  # these, and those that probes hold back: whoever is not in it is asked without another look
    seed: int
    dormant: Dormant
    patient: float  # seconds below which a client is impatient
    affinity: Affinity | None  # None: sessions stay nowhere
    stick: float

    @classmethod
    def of(
        cls,
        policy: Policy,
        ladder: tuple[Rung, ...],
        *,
        dormancy: Dormancy,
        off: Container[str],
        shut: set[str],
        affinity: Affinity,
        seed: int,
    ) -> Scene:
        patience, stick = policy.deadline.client - policy.deadline.margin, policy.affinity.stick
        stays = affinity if stick else None
        return cls(policy, ladder, dormancy, off, shut, seed, policy.dormant, patience * SHORTENED, stays, stick)

    def rung(self, target: str) -> Rung:
        """Raises KeyError for who is not on the ladder."""
        for rung in self.ladder:
            if rung.name == target:
                return rung
        raise KeyError(target)
