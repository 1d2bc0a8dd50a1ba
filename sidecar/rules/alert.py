"""One alert: when, how bad, and what is told. And what is filled in late: windows and where runbooks are."""

from __future__ import annotations

import re
from math import ceil
from typing import Any, Literal, NamedTuple

SERVICE = "vx11-sidecar"
Severity = Literal["page", "ticket", "info"]

_UNITS = (("d", 86400), ("h", 3600), ("m", 60), ("s", 1))
_WINDOW = re.compile(r"<([0-9]+)([smhd])>")


class Clock(NamedTuple):
    """Windows and waits, all of them divided by ``scale``: an incident of hours can then be played in minutes.

    Only times shrink. Counts (of chats, of refusals) stay what they are, so the traffic of a scaled run has to be denser.
    """

    scale: float = 1.0
    least_window: int = 10
    """Seconds. A rate needs several scrapes in its window, and nobody scrapes much faster than every two seconds."""

    def window(self, seconds: float) -> str:
        """A range as PromQL writes it, of whole seconds and not below the least."""
        return duration(max(ceil(seconds / self.scale), min(self.least_window, ceil(seconds))))

    def wait(self, seconds: float) -> str:
        """A ``for:``; whole seconds, and one at least where any were asked for."""
        return duration(ceil(seconds / self.scale))

    def interval(self, seconds: float) -> str:
        """How often a group is evaluated; a second at least."""
        return duration(max(1, int(seconds / self.scale)))

    def fill(self, text: str) -> str:
        """Replace every ``<5m>`` in ``text`` by the window it is on this clock."""
        return _WINDOW.sub(lambda match: self.window(int(match[1]) * dict(_UNITS)[match[2]]), text)


class Labelling(NamedTuple):
    """What an installation chooses: the base of runbook addresses, and the job under which Prometheus scrapes sidecars."""

    runbooks: str = "docs/runbooks"
    job: str = "vx11-sidecar"


class Alert(NamedTuple):
    """``expr``, ``summary`` and ``description`` may hold windows as ``<5m>``; ``wait`` is seconds before it fires."""

    name: str
    severity: Severity
    expr: str
    wait: int
    summary: str
    description: str
    labels: tuple[tuple[str, str], ...] = ()

    def rule(self, clock: Clock, labelling: Labelling) -> dict[str, Any]:
        """The alert as Prometheus takes it."""
        rule: dict[str, Any] = {"alert": self.name, "expr": clock.fill(self.expr)}
        if self.wait:
            rule["for"] = clock.wait(self.wait)
        rule["labels"] = {"severity": self.severity, "service": SERVICE, **dict(self.labels)}
        rule["annotations"] = {
            "summary": clock.fill(self.summary),
            "description": clock.fill(self.description),
            "runbook_url": f"{labelling.runbooks.rstrip('/')}/{self.name}.md",
        }
        return rule


def duration(seconds: int) -> str:
    """``seconds`` in the largest unit that divides them: 300 is ``5m``, 0 is ``0s``."""
    unit, size = next((unit, size) for unit, size in _UNITS if seconds % size == 0 and (seconds or size == 1))
    return f"{seconds // size}{unit}"
