"""Facts to Prometheus. This room alone knows metric names, and it alone knows the library.

    family      how a family is declared: closed labels, every child there from the start, reference text
    chaos       what is broken on purpose
    chat        who answered chats, and how long that took
    ladder      requests to targets, retries, refusals, breakers' moves, overrides
    health      probes of targets
    keys        Idempotency-Keys used, remembered and sent
    machines    limiter, breaker window, budget and health, read at the scrape
    relay       the data port: relayed and refused requests, connections, routes used
    policy      the thresholds in force, reloads
    observed    chat under mode: shadow, and what the gateway makes of it
    shadow      what a candidate policy would have made of it
    shared      what replicas keep together
    process     build, event loop, lost lines
    exposition  the answer to a scrape; the admin port alone imports it
    mounted     the same for an application's own server; negotiation: which format is asked for

Nothing a client sends ever becomes a label. A word that is in no closed set counts as ``other``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from prometheus_client.metrics import disable_created_metrics
from prometheus_client.registry import CollectorRegistry

from sidecar.core.comparison import Compared
from sidecar.core.engine import Gauges
from sidecar.core.fact import ReloadEnded
from sidecar.core.idempotency import Held
from sidecar.core.shadow import Beside
from sidecar.edge.outlets.sink import Sink, together
from sidecar.edge.outlets.telemetry.chaos import ChaosMetrics
from sidecar.edge.outlets.telemetry.chat import OUTCOMES, ChatMetrics
from sidecar.edge.outlets.telemetry.family import PREFIX, TARGETS, Declared, Families
from sidecar.edge.outlets.telemetry.health import HealthMetrics
from sidecar.edge.outlets.telemetry.keys import KeyMetrics
from sidecar.edge.outlets.telemetry.ladder import LadderMetrics
from sidecar.edge.outlets.telemetry.machines import MachineMetrics
from sidecar.edge.outlets.telemetry.observed import ObservedMetrics
from sidecar.edge.outlets.telemetry.policy import PolicyMetrics
from sidecar.edge.outlets.telemetry.process import ProcessMetrics
from sidecar.edge.outlets.telemetry.relay import KINDS, RelayMetrics
from sidecar.edge.outlets.telemetry.shadow import ShadowMetrics
from sidecar.edge.outlets.telemetry.shared import SharedMetrics

__all__ = ["OUTCOMES", "PREFIX", "TARGETS", "Declared", "Registry", "Telemetry"]

Registry = CollectorRegistry


class Telemetry(Sink):
    """``registry`` is what the admin port serves, ``declared`` what the reference is made from."""

    def __init__(self, now: Callable[[], float]) -> None:
        """``now`` is monotonic seconds."""
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry: Registry = CollectorRegistry()
        families = Families(self.registry)
        self.declared: list[Declared] = families.declared
        self._relay = RelayMetrics(families)
        chat, ladder, policy = ChatMetrics(families, now), LadderMetrics(families), PolicyMetrics(families)
        observed, health = ObservedMetrics(families), HealthMetrics(families)
        self._keys = KeyMetrics(families)
        self._machines = MachineMetrics(families)
        self._shadow = ShadowMetrics(families)
        self._process = ProcessMetrics(families)
        chaos, shared = ChaosMetrics(families), SharedMetrics(families)
        takes = (
            chat.takes,
            ladder.takes,
            self._relay.takes,
            policy.takes,
            observed.takes,
            health.takes,
            self._keys.takes,
            chaos.takes,
            shared.takes,
        )
        self.takes = together(*takes)

    def lagged(self, seconds: float) -> bool:
        """Note by how much the event loop was late; whether that was a stall."""
        return self._process.lagged(seconds)

    def exhausted(self, none_left: bool) -> None:  # noqa: FBT001 - a gauge of 0 or 1
        """Note whether the process can have no further descriptor."""
        self._process.exhausted.set(none_left)

    def started_before(self, times: int) -> None:
        """Note how often a worker of this number was started before this one."""
        self._process.restarts.inc(times)

    def watch_engine(self, gauges: Callable[[], Mapping[str, Gauges]]) -> None:
        """Let the figures of limiters, breakers and budgets be read from ``gauges`` at each scrape."""
        self._machines.read = gauges

    def watch_keys(self, held: Callable[[], Held | None]) -> None:
        """The same for what is remembered of Idempotency-Keys, None while that is off."""
        self._keys.read = held

    def compared(self, told: Compared) -> None:
        """Note what a candidate would have made of a chat."""
        self._shadow.compared(told)

    def candidate_reloaded(self, fact: ReloadEnded) -> None:
        """Note whether the candidate's files could be used."""
        self._shadow.reloaded(fact)

    def watch_shadow(self, beside: Callable[[], Beside | None]) -> None:
        """Let it be read at each scrape how the candidate stands."""
        self._shadow.read = beside

    def watch_port(self, connections: Callable[[], int], under_way: Callable[[str], int]) -> None:
        """The same for the data port: open connections, and how much of a kind (chat, relay, tunnel) is under way."""
        self._relay.connections.set_function(connections)
        self._relay.websockets.set_function(partial(under_way, "tunnel"))
        for kind in KINDS:
            self._relay.inflight[kind,].set_function(partial(under_way, kind))

    def watch_lines(self, kind: str, count: Callable[[], int]) -> None:
        """The same for ``log_dropped``, ``log_suppressed`` or ``journal_dropped``."""
        self._process.lines.read[f"{kind}_total"] = count
