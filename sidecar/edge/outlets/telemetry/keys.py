"""Idempotency-Keys: what became of those that clients sent, how much is remembered, and which ones targets got."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, get_args

from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from sidecar.core import fact as facts
from sidecar.core.idempotency import Held
from sidecar.edge.outlets.telemetry.family import TARGETS, Families

REFUSED = {f"key_{word}": word for word in ("running", "mismatch", "repeated", "invalid")}
"""By the reason of the rejection."""
RESULTS = (*get_args(facts.KeyUse), "replayed", *REFUSED.values())


class KeyMetrics(Collector):
    """What is remembered is read at the scrape: it ends by itself."""

    def __init__(self, families: Families) -> None:
        self.read: Callable[[], Held | None] = lambda: None
        self._used = families.counters(
            "idempotency_keys_total",
            "What became of Idempotency-Keys: claimed by a new chat, or not because too many are under way (full); the answer kept, or "
            "the key freed because there was none worth keeping; an answer gone early to make room (evicted); and of repetitions: "
            "replayed, or refused because the first is running, because the body is another (mismatch), because there were too many "
            "(repeated); invalid is no key at all",
            result=RESULTS,
        )
        self._sent = families.counters(
            "idempotency_keys_sent_total",
            "Chats with which a target that honours keys (effects dedup) got one, by whether the client had sent it or we made it; "
            "further attempts have the same",
            target=TARGETS,
            origin=("client", "made"),
        )
        self._keys = families.declare("idempotency_remembered", "gauge", _KEYS, state=Held._fields[:2])
        self._bytes = families.declare("idempotency_bytes", "gauge", _BYTES)
        families.registry.register(self)
        self.takes: Mapping[type, Callable[[Any], None]] = {
            facts.KeyUsed: lambda fact: self._used[fact.use,].inc(),
            facts.KeySent: lambda fact: self._sent[fact.target, "made" if fact.made else "client"].inc(),
            facts.ChatReplayed: lambda _: self._used["replayed",].inc(),
            facts.ChatRejected: self._rejected,
        }

    def _rejected(self, fact: facts.ChatRejected) -> None:
        word = REFUSED.get(fact.reason)
        if word is not None:
            self._used[word,].inc()

    def collect(self) -> Iterator[Metric]:
        held = self.read() or Held(0, 0, 0)
        keys = GaugeMetricFamily(self._keys, _KEYS, labels=("state",))
        for state in Held._fields[:2]:
            keys.add_metric((state,), getattr(held, state))
        yield keys
        yield GaugeMetricFamily(self._bytes, _BYTES, value=held.size)


_KEYS = "Idempotency-Keys remembered now: of chats under way (running), and with an answer (kept); 0 while idempotency.mode is off"
_BYTES = "Bytes of the answers kept for repetitions now, with what is kept around them"
