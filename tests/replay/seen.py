"""What was seen of a target, made up field by field."""

from __future__ import annotations

from typing import Any

from sidecar.replay.recommend.evidence import Seen
from sidecar.replay.recommend.quantiles import Times
from sidecar.replay.record import Attempted
from sidecar.replay.world import GOOD
from sidecar.replay.worlds.capacity import UNLIMITED
from sidecar.replay.worlds.crowding import ALONE


def times(n: int = 1000, seconds: float = 0.4, spread: float = 0.2) -> Times:
    """Evenly between ``seconds`` less and more ``spread``."""
    return Times([Attempted(k, float(k), seconds + spread * (2 * k / n - 1), GOOD) for k in range(n)])


def seen(**fields: Any) -> Seen:
    standard: dict[str, Any] = {
        "target": "switch", "times": times(), "asked": 1000, "failed": 0, "outages": (), "served": UNLIMITED, "crowding": ALONE, "service": Times([]),
        "together": (1,) * 1000, "calls_per_second": 1.0,
    }  # fmt: skip
    return Seen(**standard | fields)
