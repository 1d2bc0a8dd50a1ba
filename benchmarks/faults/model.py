"""Who must answer, and why: the ladder, retries of what was not sent, and the breaker of the suite's policy, in a few lines.

Written from ``policies/default.yaml`` and not from the engine, for chats one after the other: what it says and what came must be equal.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from benchmarks.faults.catalogue import Fault

ATTEMPTS, IN_A_ROW, LEAST, RATE = 2, 3, 5, 0.5  # retry.max_attempts, breaker.consecutive, min_calls, failure_rate
_REASONS = {"timeout": "timeout", "misconfigured": "misconfigured", "caller_error": "caller_error"}
_BAD = ("failure", "unsent", "timeout")


class Must(NamedTuple):
    """What a client must get. ``reason`` is empty where the primary answered."""

    provider: str
    degraded: bool
    reason: str


class _Target:
    def __init__(self, fault: Fault) -> None:
        self._fault = fault
        self.asked = self._row = 0
        self._seen: list[bool] = []
        self.open = False

    def chat(self) -> str:
        """Ask as often as may be; ``answer``, ``waiting``, or why there is none."""
        for attempt in range(1, ATTEMPTS + 1):
            verdict = self._fault.comes(self.asked).verdict
            self.asked += 1
            self._settle(verdict)
            if verdict != "unsent" or attempt == ATTEMPTS or self.open:
                break
        return verdict if verdict in ("answer", "waiting") else _REASONS.get(verdict, "failure")

    def _settle(self, verdict: str) -> None:
        if verdict in ("misconfigured", "caller_error"):
            return
        self._row = self._row + 1 if verdict in _BAD else 0
        self._seen.append(verdict in _BAD)
        self.open = self._row >= IN_A_ROW or (len(self._seen) >= LEAST and sum(self._seen) / len(self._seen) >= RATE)


class Model:
    """A ladder of two targets with their faults; chats one after the other."""

    def __init__(self, faults: Mapping[str, Fault]) -> None:
        self._targets = {name: _Target(fault) for name, fault in faults.items()}

    def chat(self) -> Must:
        first = ""
        for name, target in self._targets.items():
            came = "open" if target.open else target.chat()
            if came == "answer":
                return Must(name, degraded=bool(first), reason=first)
            if came == "waiting":
                return Must(name, degraded=True, reason="waiting")
            first = first or came
            if came == "caller_error":
                break
        return Must("local", degraded=True, reason=first)

    @property
    def asked(self) -> dict[str, int]:
        """Attempts by target."""
        return {name: target.asked for name, target in self._targets.items()}

    @property
    def open(self) -> dict[str, bool]:
        return {name: target.open for name, target in self._targets.items()}
