"""The objectives: what is measured of each, and when its error budget is spent too fast.

Series are recorded under the names that Sloth uses (``slo:sli_error:ratio_rate5m`` and so on, told apart by ``sloth_id``). A
window in which no chat came has no ratio at all, neither 0 nor 1. The whole period is counted in chats, not in minutes: an hour
of the night weighs as much as the chats that came in it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from sidecar.policy.model import Slo
from sidecar.policy.objectives import BURNS, CHAT_EDGES, PERIOD_DAYS, Burn
from sidecar.policy.units import duration_text, share_text
from sidecar.rules.alert import SERVICE, Alert, Clock, duration

ANSWERED = "primary|fallback|local"
COUNTED = f"{ANSWERED}|failed"  # what was rejected, and what nobody waited for, says nothing about us
PERIOD = PERIOD_DAYS * 86400
WINDOWS = sorted({window for burn in BURNS for window in (burn.long, burn.short)})
LONG = sorted({burn.long for burn in BURNS})

Counting = Callable[[str, str], str]  # of a function (rate, increase) and a window: an expression


class Objective(NamedTuple):
    """``bad`` and ``total`` count chats; what is neither served nor failed by us is in none of them."""

    name: str
    target: float
    title: str
    bad: Counting
    total: Counting

    @property
    def id(self) -> str:
        return f"{SERVICE}-{self.name}"

    @property
    def budget(self) -> float:
        return round(1 - self.target, 9)

    @property
    def labels(self) -> dict[str, str]:
        return {"sloth_id": self.id, "sloth_service": SERVICE, "sloth_slo": self.name}


def objectives(slo: Slo) -> tuple[Objective, ...]:
    """The three objectives of a policy."""
    edge = max((each for each in CHAT_EDGES if each <= slo.latency.threshold), default=CHAT_EDGES[0])
    return (
        Objective("availability", slo.availability, "not answered by a target", _unanswered, _chats),
        Objective("undegraded", slo.undegraded, "not answered by the primary", _missed, _awake),
        Objective(
            "latency",
            slo.latency.quantile,
            f"answered later than {duration_text(edge)}",
            lambda function, window: f"({_timed(function, window)} - {_fast(edge, function, window)})",
            _timed,
        ),
    )


def measured(objective: Objective, clock: Clock) -> list[dict[str, Any]]:
    """Share of bad chats in each window that an alert looks at, and how many chats the long ones saw."""
    rules = [
        _recorded(f"slo:sli_error:ratio_rate{duration(window)}", _ratio(objective, clock, window), objective, window)
        for window in WINDOWS
    ]
    for window in LONG:
        expr = objective.total("increase", clock.window(window))
        rules.append(_recorded(f"slo:sli_total:increase{duration(window)}", expr, objective, window))
    return rules


def over_the_period(objective: Objective, clock: Clock) -> list[dict[str, Any]]:
    """Share of bad chats in the whole period."""
    name = f"slo:sli_error:ratio_rate{duration(PERIOD)}"
    return [_recorded(name, _ratio(objective, clock, PERIOD), objective, PERIOD)]


def described(objective: Objective) -> list[dict[str, Any]]:
    """The objective itself as series, and what is left of its budget."""
    of = f'{{sloth_id="{objective.id}"}}'
    period = duration(PERIOD)
    exprs = {
        "slo:objective:ratio": f"vector({objective.target:.10g})",
        "slo:error_budget:ratio": f"vector({objective.budget:.10g})",
        "slo:time_period:days": f"vector({PERIOD_DAYS})",
        "slo:current_burn_rate:ratio": _over_budget("slo:sli_error:ratio_rate5m", of),
        "slo:period_burn_rate:ratio": _over_budget(f"slo:sli_error:ratio_rate{period}", of),
        "slo:period_error_budget_remaining:ratio": f"1 - slo:period_burn_rate:ratio{of}",
    }
    return [{"record": name, "expr": expr, "labels": objective.labels} for name, expr in exprs.items()]


def alerts(slo: Slo) -> list[Alert]:
    """Burn-rate alerts: pages and tickets, of the undegraded objective tickets alone, since its users are answered."""
    found = []
    for objective in objectives(slo):
        for severity, speed in (("page", "Fast"), ("ticket", "Slow")):
            if (objective.name, severity) != ("undegraded", "page"):
                burns = [burn for burn in BURNS if burn.severity == severity]
                found.append(_alert(objective, burns, speed, slo))
    return found


def _alert(objective: Objective, burns: list[Burn], speed: str, slo: Slo) -> Alert:
    longest = " or ".join(f"<{duration(burn.long)}>" for burn in burns)
    rates = " or ".join(f"{burn.rate:g}" for burn in burns)
    return Alert(
        f"VX11Sidecar{objective.name.capitalize()}Burn{speed}",
        burns[0].severity,
        "\nor\n".join(_burning(objective, burn, slo) for burn in burns),
        0,  # the short window is what makes it wait, and what makes it end
        f"{{{{ $value | humanizePercentage }}}} of the chats were {objective.title}",
        f"The objective is {share_text(objective.target)} over {PERIOD_DAYS} days, and its error budget is spent {rates} times too "
        f"fast over {longest} (at least {slo.min_calls} chats, {slo.min_bad} of them bad) and still is.",
        (("sloth_id", objective.id), ("sloth_service", SERVICE), ("sloth_slo", objective.name)),
    )


def _burning(objective: Objective, burn: Burn, slo: Slo) -> str:
    """The value is the share of bad chats in the long window."""
    of, limit = f'{{sloth_id="{objective.id}"}}', f"({burn.rate:g} * {objective.budget:.10g})"
    long, short = duration(burn.long), duration(burn.short)
    ratio, total = f"slo:sli_error:ratio_rate{long}{of}", f"slo:sli_total:increase{long}{of}"
    return (
        "(\n"
        f"  max without (sloth_window) ({ratio} > {limit})\n"
        f"  and max without (sloth_window) (slo:sli_error:ratio_rate{short}{of} > {limit})\n"
        f"  and max without (sloth_window) ({total} >= {slo.min_calls})\n"
        f"  and max without (sloth_window) (round({ratio} * {total}) >= {slo.min_bad})\n"
        ")"
    )


def _recorded(name: str, expr: str, objective: Objective, window: int) -> dict[str, Any]:
    return {"record": name, "expr": expr, "labels": {**objective.labels, "sloth_window": duration(window)}}


def _ratio(objective: Objective, clock: Clock, seconds: int) -> str:
    window = clock.window(seconds)
    return f"clamp_min(\n  {objective.bad('rate', window)}\n, 0)\n/\n({objective.total('rate', window)} > 0)"


def _over_budget(name: str, of: str) -> str:
    on = "on (sloth_id, sloth_slo, sloth_service)"
    return f"max without (sloth_window) ({name}{of})\n/ {on}\nslo:error_budget:ratio{of}"


# -- what is counted -----------------------------------------------------------------------------------------------------


def _requests(outcomes: str, function: str, window: str) -> str:
    return f'sum({function}(vx11_sidecar_chat_requests_total{{outcome=~"{outcomes}"}}[{window}]))'


def _chats(function: str, window: str) -> str:
    return _requests(COUNTED, function, window)


def _unanswered(function: str, window: str) -> str:
    return _requests("local|failed", function, window)


def _dormant(function: str, window: str) -> str:
    """What the primary did not answer because it is off on purpose."""
    return f'sum({function}(vx11_sidecar_fallbacks_total{{reason="dormant"}}[{window}]))'


def _missed(function: str, window: str) -> str:
    return f"({_requests('fallback|local|failed', function, window)} - {_dormant(function, window)})"


def _awake(function: str, window: str) -> str:
    return f"({_chats(function, window)} - {_dormant(function, window)})"


def _timed(function: str, window: str) -> str:
    """Answers alone: a crowd that gets a 503 at once would make them look fast. Availability has it already."""
    return f'sum({function}(vx11_sidecar_chat_request_duration_seconds_count{{outcome=~"{ANSWERED}"}}[{window}]))'


def _fast(edge: float, function: str, window: str) -> str:
    le = f'le="{edge}"'  # as the exposition writes it: 3.0
    return f'sum({function}(vx11_sidecar_chat_request_duration_seconds_bucket{{outcome=~"{ANSWERED}",{le}}}[{window}]))'
