"""All cases, in the order of the table."""

from __future__ import annotations

from benchmarks.losses.case import Case
from benchmarks.losses.cases import clock, disk, exhausted, idle, killed, log, policy, redis, stall, targets

CASES: tuple[Case, ...] = (
    *killed.CASES,
    *disk.CASES,
    *log.CASES,
    *idle.CASES,
    *exhausted.CASES,
    *stall.CASES,
    *clock.CASES,
    *policy.CASES,
    *redis.CASES,
    *targets.CASES,
)
