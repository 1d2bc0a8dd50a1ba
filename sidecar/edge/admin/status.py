"""What the admin port shows of the whole: who answers, since when, and why."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, Protocol

from sidecar import __version__
from sidecar.core.engine import Engine
from sidecar.core.fact import BreakerMoved, CallEnded, ChatObserved, StoreMoved
from sidecar.core.idempotency import Held
from sidecar.edge.admin.advice import advice
from sidecar.edge.admin.observed import Observed
from sidecar.edge.chaos import Chaos
from sidecar.edge.outlets.sink import Sink
from sidecar.edge.settings import Address
from sidecar.edge.snapshot import InForce, Snapshot
from sidecar.edge.token import Open


class Readiness(NamedTuple):
    """Why the sidecar is not ready (None: it is), and what else an operator should know."""

    blocked_by: str | None
    notes: tuple[str, ...] = ()


class Placed(Protocol):
    """Where we stand: what we had at the start, who the gateway is, and whether others reach the admin port."""

    @property
    def snapshot(self) -> Snapshot: ...
    @property
    def gateway(self) -> object: ...
    @property
    def exposed(self) -> bool: ...


class Traffic(Protocol):
    """What comes through: open connections, and how much of a kind (chat, relay, tunnel) is under way."""

    def __len__(self) -> int: ...
    def under_way(self, kind: str, /) -> int: ...


class Watched(NamedTuple):
    """The parts that are looked at."""

    settings: Placed
    in_force: InForce
    engine: Engine
    port: Traffic
    overrides: Callable[[], list[dict[str, object]]] = list
    problems: Callable[[], tuple[str, ...]] = tuple
    shadow: Callable[[], Mapping[str, object] | None] = lambda: None
    keys: Callable[[], Held | None] = lambda: None
    chaos: Chaos | None = None
    log_level: Callable[[], str] = lambda: "info"


class Status(Sink):
    """Takes facts to know who answered last; shows the rest as it is when asked."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._started = now()
        self._last: tuple[float, CallEnded] | None = None
        self._degraded_since: float | None = None
        self._moves: dict[str, BreakerMoved] = {}
        self._observed = Observed()
        self._store: StoreMoved | None = None  # what replicas share, as last heard of
        self.blocked_by: str | None = "starting"
        self.takes = {
            BreakerMoved: (self._moved,), ChatObserved: (self._observed,), CallEnded: (self._ended,),
            StoreMoved: (self._store_moved,),
        }  # fmt: skip

    def _moved(self, fact: BreakerMoved) -> None:
        self._moves[fact.target] = fact

    def _store_moved(self, fact: StoreMoved) -> None:
        self._store = fact

    def _ended(self, fact: CallEnded) -> None:
        if not fact.finish.abandoned:
            self._last = (fact.at, fact)
            if not fact.finish.degraded:
                self._degraded_since = None
            elif self._degraded_since is None:
                self._degraded_since = fact.at

    def readiness(self, watched: Watched, admin: Address | None) -> Readiness:
        said = "the policy's files cannot be used, the one before stays in force"
        problems = tuple(f"{said}: {problem}" for problem in watched.problems())
        return Readiness(self.blocked_by, problems + self._notes(watched, admin))

    def _notes(self, watched: Watched, admin: Address | None) -> tuple[str, ...]:
        """What an operator should know beside problems of the policy."""
        settings, snapshot = watched.settings, watched.in_force.current
        notes = list(watched.chaos.notes()) if watched.chaos else []
        if snapshot.policy.journal != settings.snapshot.policy.journal:
            notes.append("what the policy says of the journal has changed: that takes effect at the next start")
        notes += _of_candidate(watched.shadow())
        if self._store is not None and not self._store.up:
            notes.append(f"what replicas share is away ({self._store.why}): limits and keys hold for each alone")
        if snapshot.policy.mode == "shadow":
            notes.append("mode shadow: the gateway answers chat, the sidecar only looks on")
        if isinstance(snapshot.tokens, Open):
            notes.append("authentication is off: everybody may chat")
        if settings.exposed:  # as it was found at the start: to look the name up again would hold up the loop
            notes.append(f"the admin port {admin} can be reached from other machines")
        return tuple(notes)

    def state(self, watched: Watched, admin: Address | None) -> dict[str, object]:
        """Everything an operator asks first, as JSON."""
        snapshot, now = watched.in_force.current, self._now()
        return {
            "status": self.blocked_by or "serving",
            "answering": self._answering(now),
            "targets": watched.engine.view(now),
            "breaker_moves": {target: _told(move, now) for target, move in self._moves.items()},
            "policy": {
                "revision": snapshot.revision,
                "source": snapshot.source,
                "mode": snapshot.policy.mode,
                "deadline_seconds": snapshot.policy.deadline.client - snapshot.policy.deadline.margin,
                "latency_objective_seconds": snapshot.policy.slo.latency.threshold,
            },
            "notes": self._notes(watched, admin),
            "policy_problems": watched.problems(),
            "shadow": watched.shadow(),
            "observed": self._observed.view(),
            "overrides": watched.overrides(),
            "idempotency": _of_keys(watched.keys()),
            "shared": self._shared(now),
            "chaos": watched.chaos.view() if watched.chaos else None,
            "connections": len(watched.port),
            "under_way": {kind: watched.port.under_way(kind) for kind in ("chat", "relay", "tunnel")},
            "gateway": str(watched.settings.gateway),
            "destinations": {name: place.origin for name, place in snapshot.destinations.items()},
            "log_level": watched.log_level(),
            "version": __version__,
            "pid": os.getpid(),
            "up_seconds": round(now - self._started, 1),
        }

    def _shared(self, now: float) -> dict[str, object] | None:
        """How what replicas share is, and since when; None where nobody has looked."""
        moved = self._store
        if moved is None:
            return None
        return {"store": "up" if moved.up else "away", "why": moved.why, "for_seconds": round(now - moved.at, 1)}

    def _answering(self, now: float) -> dict[str, object] | None:
        """Who gave the last answer and how long ago; None before the first."""
        if self._last is None:
            return None
        at, ended = self._last
        since = self._degraded_since
        said = advice(ended.first_reason or ended.finish.reason)
        return {
            "provider": ended.finish.provider,
            "degraded": ended.finish.degraded,
            "reason": ended.finish.reason,
            "first_reason": ended.first_reason,
            "seconds_ago": round(now - at, 1),
            "degraded_for_seconds": None if since is None else round(now - since, 1),
            "means": said and said.means,
            "do": said and said.do,
        }


def _of_candidate(shadow: Mapping[str, Any] | None) -> Iterator[str]:
    """What an operator should know of the candidate that runs beside the policy, or does not."""
    if shadow is None:
        return
    for problem in shadow["problems"]:
        yield f"the candidate's files cannot be used, the candidate before goes on: {problem}"
    if shadow["fault"]:
        yield f"a fault of the sidecar, {shadow['fault']}, has ended the candidate and nothing else: please report it"


def _of_keys(held: Held | None) -> dict[str, int] | None:
    """How much is remembered of chats with keys; None where the policy has that off."""
    return None if held is None else {"running": held.running, "kept": held.kept, "bytes": held.size}


def _told(move: BreakerMoved, now: float) -> dict[str, object]:
    """A breaker's last move."""
    return {"before": move.before, "after": move.after, "why": move.why, "seconds_ago": round(now - move.at, 1)}
