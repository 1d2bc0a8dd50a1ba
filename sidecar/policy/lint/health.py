"""Health probes: those that take somebody else's chat for death, and those that nobody obeys."""

from __future__ import annotations

from collections.abc import Iterator

from sidecar.policy.lint.finding import Found, Rung
from sidecar.policy.units import duration_text as t

MADRE_SLOWEST = 2.1  # seconds its /health takes while the switch hangs, which it asks


def of_a_target(rung: Rung) -> Iterator[Found]:
    policy = rung.target.health
    if policy.mode == "off":
        return
    silent = round((policy.fall - 1) * policy.interval * (1 - policy.jitter) + policy.timeout, 6)
    longest = rung.policy.deadline.client
    if silent < longest:
        yield rung.found(
            "health-falls-on-busy",
            f"{policy.fall} probes can fail within {t(silent)}, and a chat of somebody else's keeps {rung.name} silent for longer: "
            f"one that is merely busy would be taken away; write a longer interval or a larger fall, for {t(longest)} or more",
            "health.fall",
            "health.interval",
            "health.timeout",
            "health.jitter",
            "deadline.client",
        )
    if rung.name == "madre" and policy.path == "/health" and policy.timeout <= MADRE_SLOWEST:
        yield rung.found(
            "health-madre-slow",
            f"madre's own health takes {t(MADRE_SLOWEST)} while the switch hangs, so with {t(policy.timeout)} a switch that hangs "
            "takes madre away, too: leave it out (3s are built in), or write 3s",
            "health.timeout",
        )
    if len(rung.policy.ladder) == 1:
        yield rung.found(
            "health-nobody-else",
            f"{rung.name} is the only target, and where no other is left probes are not obeyed: all they do is let an open breaker try "
            "sooner; write off, or name another target",
            "health.mode",
        )
