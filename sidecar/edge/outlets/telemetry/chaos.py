"""Fault injection: whether it is on, and what was broken on purpose."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, get_args

from sidecar.core import fact as facts
from sidecar.edge.outlets.telemetry.family import TARGETS, Families


class ChaosMetrics:
    def __init__(self, families: Families) -> None:
        self._active = families.gauge(
            "chaos_active", "1 while rules of the policy's chaos break attempts on purpose, 0 while none does"
        )
        self._faults = families.counters(
            "chaos_faults_total",
            "Faults injected into attempts: delay, abort (the target was not asked), body or cut (its answer was spoiled); an attempt "
            "that is delayed and then spoiled counts twice",
            target=TARGETS,
            fault=get_args(facts.Fault),
        )
        self.takes: Mapping[type, Callable[[Any], None]] = {
            facts.ChaosSwitched: lambda fact: self._active.set(fact.active),
            facts.FaultInjected: lambda fact: self._faults[fact.target, fact.fault].inc(),
        }
