"""How the machines of a target moved, and what a breaker counts."""

from __future__ import annotations

from sidecar.core.value import Value


class Thresholds(Value):
    """What a breaker's counts are held against, as its policy has it; ``consecutive`` 0 means never."""

    consecutive: int
    min_calls: int
    failure_rate: float
    slow_rate: float
    slow_seconds: float
    close_after: int


class Counts(Value):
    """How a breaker stood when it decided: its state then, calls, failures and slow calls of its window, failures and probes in a row."""

    state: str
    calls: int
    failures: int
    slow: int
    failures_in_row: int
    good_probes: int
    thresholds: Thresholds


class BreakerMoved(Value):
    """A breaker changed its state.

    ``why`` is failure_rate, consecutive, slow_rate, probe_failed, recovered, timer, window_opened, health, override or override_ended;
    ``counts`` are those that it moved by. ``call`` is the chat in whose course it moved, None where there was none.
    """

    at: float
    target: str
    before: str
    after: str
    why: str
    open_for: float | None
    counts: Counts | None = None
    call: int | None = None


class HealthMoved(Value):
    """Health probes have come to another view of a target: ``before`` and ``after`` are unknown, up or down.

    ``why`` is failed, recovered, answered (a chat was), stale, window_opened or off. Decided by: ``failures`` and ``good`` probes in a
    row. ``call`` is the chat that was answered, else None.
    """

    at: float
    target: str
    before: str
    after: str
    why: str
    failures: int
    good: int
    call: int | None = None


class LimitMoved(Value):
    """The slots of a target's limiter became more or fewer, by an adaptive limit or a slow start.

    ``why`` is room, latency, timeout or unmeasured (of ``core/gradient``), slow_start, or policy. It belongs to no call: all that are under
    way had a part in it.
    """

    at: float
    target: str
    before: int
    after: int
    why: str
