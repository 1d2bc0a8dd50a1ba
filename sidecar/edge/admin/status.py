"""What the admin port shows of the whole: who answers, since when, and why."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from sidecar import __version__
from sidecar.core.engine import Engine
from sidecar.core.fact import BreakerMoved, CallEnded, ChatObserved
from sidecar.edge.admin.advice import advice
from sidecar.edge.admin.observed import Observed
from sidecar.edge.data.port import DataPort
from sidecar.edge.outlets.sink import Sink
from sidecar.edge.settings import Address, Settings
from sidecar.edge.snapshot import InForce
from sidecar.edge.token import Open


class Readiness(NamedTuple):
    """Why the sidecar is not ready (None: it is), and what else an operator should know."""

    blocked_by: str | None
    notes: tuple[str, ...] = ()


class Watched(NamedTuple):
    """The parts that are looked at."""

    settings: Settings
    in_force: InForce
    engine: Engine
    port: DataPort
    overrides: Callable[[], list[dict[str, object]]] = list
    problems: Callable[[], tuple[str, ...]] = tuple
    shadow: Callable[[], Mapping[str, object] | None] = lambda: None


class Status(Sink):
    """Takes facts to know who answered last; shows the rest as it is when asked."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._started = now()
        self._last: tuple[float, CallEnded] | None = None
        self._degraded_since: float | None = None
        self._moves: dict[str, BreakerMoved] = {}
        self._observed = Observed()
        self.blocked_by: str | None = "starting"
        self.takes = {
            BreakerMoved: (self._moved,), ChatObserved: (self._observed,), CallEnded: (self._ended,),
        }  # fmt: skip

    def _moved(self, fact: BreakerMoved) -> None:
        self._moves[fact.target] = fact

    def _ended(self, fact: CallEnded) -> None:
        if not fact.finish.abandoned:
            self._last = (fact.at, fact)
            if not fact.finish.degraded:
                self._degraded_since = None
            elif self._degraded_since is None:
                self._degraded_since = fact.at

    def readiness(self, watched: Watched, admin: Address) -> Readiness:
        said = "the policy's files cannot be used, the one before stays in force"
        problems = tuple(f"{said}: {problem}" for problem in watched.problems())
        return Readiness(self.blocked_by, problems + self._notes(watched, admin))

    def _notes(self, watched: Watched, admin: Address) -> tuple[str, ...]:
        """What an operator should know beside problems of the policy."""
        settings, snapshot = watched.settings, watched.in_force.current
        notes = []
        if snapshot.policy.journal != settings.snapshot.policy.journal:
            notes.append("what the policy says of the journal has changed: that takes effect at the next start")
        notes += _of_candidate(watched.shadow())
        if snapshot.policy.mode == "shadow":
            notes.append("mode shadow: the gateway answers chat, the sidecar only looks on")
        if isinstance(snapshot.tokens, Open):
            notes.append("authentication is off: everybody may chat")
        if settings.admin_token is not None:  # None is loopback; to look the name up again would hold up the loop
            notes.append(f"the admin port {admin} can be reached from other machines")
        return tuple(notes)

    def state(self, watched: Watched, admin: Address) -> dict[str, object]:
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
            "connections": len(watched.port),
            "under_way": {kind: watched.port.under_way(kind) for kind in ("chat", "relay", "tunnel")},
            "gateway": str(watched.settings.gateway),
            "destinations": {name: place.origin for name, place in snapshot.destinations.items()},
            "version": __version__,
            "up_seconds": round(now - self._started, 1),
        }

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


def _told(move: BreakerMoved, now: float) -> dict[str, object]:
    """A breaker's last move."""
    return {"before": move.before, "after": move.after, "why": move.why, "seconds_ago": round(now - move.at, 1)}
