"""Every scene, feature by feature."""

from __future__ import annotations

from benchmarks.policies.scene import Scene
from benchmarks.policies.scenes import adaptive, affinity, chaos, health, hedge, idempotency, retry_budget, slow_start

SCENES: tuple[Scene, ...] = (
    *retry_budget.SCENES,
    *hedge.SCENES,
    *adaptive.SCENES,
    *slow_start.SCENES,
    *health.SCENES,
    *affinity.SCENES,
    *idempotency.SCENES,
    *chaos.SCENES,
)
