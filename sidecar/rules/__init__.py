"""Rules for Prometheus, made from a policy: what is recorded and what alerts. Pure: a policy in, text out.

``build`` gives rule groups as plain mappings in the form of a Prometheus rule file, ``text`` the file itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sidecar.policy.model import Policy
from sidecar.rules import alerts, slo
from sidecar.rules.alert import Alert, Clock, Labelling
from sidecar.rules.document import text

__all__ = ["Clock", "Group", "Labelling", "alerts_of", "build", "text"]

Group = dict[str, Any]
EVERY = 30  # seconds between two evaluations
EVERY_PERIOD = 120  # of what looks at the whole period: a lot of samples, and nothing in it moves fast


def build(policy: Policy, clock: Clock = Clock(), labelling: Labelling = Labelling()) -> list[Group]:  # noqa: B008 - constants
    """Rule groups for ``policy``, in the order in which a file should hold them."""
    interval, period_interval = clock.interval(EVERY), clock.interval(EVERY_PERIOD)
    groups: list[Group] = []
    for objective in slo.objectives(policy.slo):
        name = f"vx11-sidecar-slo-{objective.name}"
        groups += [
            {"name": f"{name}-sli", "interval": interval, "rules": slo.measured(objective, clock)},
            {"name": f"{name}-period", "interval": period_interval, "rules": slo.over_the_period(objective, clock)},
            {"name": f"{name}-meta", "interval": interval, "rules": slo.described(objective)},
        ]
    burning = [alert.rule(clock, labelling) for alert in slo.alerts(policy.slo)]
    further = [alert.rule(clock, labelling) for alert in alerts.alerts(policy, labelling.job)]
    groups.append({"name": "vx11-sidecar-slo-alerts", "interval": interval, "rules": burning})
    groups.append({"name": "vx11-sidecar-alerts", "interval": interval, "rules": further})
    return groups


def alerts_of(policy: Policy) -> Sequence[Alert]:
    """Every alert that ``policy`` leads to, before windows and labels are filled in."""
    return (*slo.alerts(policy.slo), *alerts.alerts(policy, Labelling().job))
