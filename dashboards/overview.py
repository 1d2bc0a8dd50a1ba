"""Overview: is chat answered, by whom, in time, and if not well, why."""

from __future__ import annotations

from dashboards.board import UIDS, WINDOW, board
from dashboards.colours import BAD, GOOD, LIMIT, NEUTRAL, OUTCOMES, OVERRIDES, PERCENTILES, REASONS, WARN
from dashboards.expressions import (
    ALERT_SCOPE,
    ANSWERED,
    RATE,
    budget_left,
    counted_if_seen,
    good_share,
    increase,
    metric,
    objective,
    quantile,
    rate_if_seen,
    total,
)
from dashboards.panels import Query, bars, figure, lead, listing, series, shares

_MET, _MISSED, _PROMISED = "measured", "measured (missed)", "objective"
_LATELY = "2m"  # two scrapes at least, for whoever scrapes once a minute
_EPISODE = "1d"  # how far back the begin of an episode is looked for


def made() -> str:
    panels = [
        lead(_who(), "Upstreams and breakers", UIDS["upstreams"]),
        lead(_since(), "Upstreams and breakers", UIDS["upstreams"]),
        _against(
            "availability", "Available", "Chats answered by the switch or madre, of all that were answered or failed."
        ),
        _against(
            "undegraded", "Undegraded", "Chats answered by the switch itself, of all that were answered or failed."
        ),
        _alerts(),
        _budget(),
        _overrides(),
        lead(_outcomes(), "Runtime", UIDS["runtime"]),
        lead(_latency(), "Policy tuning", UIDS["tuning"]),
        lead(_why(), "Upstreams and breakers", UIDS["upstreams"]),
        _over_time(),
        lead(_policy(), "Policy tuning", UIDS["tuning"]),
    ]
    text = "Is chat answered, by whom, in time, and if not well, why. Objectives come from the policy in force."
    return board("overview", "Overview", text, panels, slo_window=True)


def _who() -> object:
    def lately(matcher: str, over: str) -> str:
        return f"{total(increase('chat_requests_total', matcher, over=over), 'outcome')} > 0"

    def instead(over: str) -> str:
        others = lately('outcome=~"fallback|local|failed"', over)
        return f"topk(1, {others} and on () {degraded} == 1)"

    degraded = f"max({metric('degraded')})"
    primary = lately('outcome="primary"', _LATELY)
    first = f"{primary} and on () {degraded} == 0"
    text = (
        "Who answers: primary is the switch. Once an answer was not by the switch, it is who gave most of those of the "
        "last minute instead (of the last two, if there was none in that): fallback is madre, local the sidecar's own "
        "text, failed a 503. Anything but primary: see why below, and the breakers on the next board."
    )
    query = Query(f"{first} or on () {instead('1m')} or on () {instead(_LATELY)}", "{{outcome}}", instant=True)
    empty = "no chat in 2 minutes"
    return figure("Who answers now", text, "none", query, empty=empty, colours=OUTCOMES, name_only=True, height=4)


def _since() -> object:
    degraded = metric("degraded")
    begin = f"max by (job, instance) (max_over_time(timestamp({degraded} == 0)[{_EPISODE}:15s]))"
    running = f"({begin} * -1 + time()) and on (job, instance) ({degraded} == 1)"
    up = f"clamp_max(time() - {metric('process_start_time_seconds')}, 86400)"
    longer = f"{up} and on (job, instance) ({degraded} == 1)"  # ever since the start, or for longer than is looked back
    never = f"{degraded} == 0"
    expr = f"max(({running}) or on (job, instance) ({longer}) or on (job, instance) ({never}))"
    text = (
        "How long the last answers were not by the switch, to about 15 s, and a day at most: the episode goes on "
        "until the switch answers again. With no traffic it stands, for nobody has tried. If it grows, look at why, "
        "then at the switch."
    )
    return figure(
        "Degraded since",
        text,
        "dtdurations",
        Query(expr, "degraded for", instant=True),
        empty="no sidecar is scraped",
        means={"0": ("not degraded", GOOD)},
        steps=((None, GOOD), (0.001, "orange"), (3600, BAD)),
        height=4,
    )


def _against(name: str, title: str, counted: str) -> object:
    share, promised = good_share(name, WINDOW), objective(name)
    text = (
        f"{counted} Green while it keeps what the policy in force promises (slo.{name}, shown beside it), red when it "
        "does not; the objective alone while nobody chatted. Rejected chats and clients that left count neither way. "
        "Red: see why degraded; a budget that shrinks fast alerts by itself."
    )
    return figure(
        f"{title} (SLO)",
        text,
        "percentunit",
        Query(f"({share}) >= {promised}", _MET, instant=True),
        Query(f"({share}) < {promised}", _MISSED, instant=True),
        Query(promised, _PROMISED, instant=True),
        empty="no chat in the SLO window",
        colours={_MET: GOOD, _MISSED: BAD, _PROMISED: NEUTRAL},
        height=4,
        decimals=2,
    )


def _budget() -> object:
    text = (
        "The share of each SLO's error budget that is left in the window: 100 % is untouched, 0 % spent, -100 % twice "
        "spent or worse. Below a quarter, hold back risky changes of policy; spent, mend before anything else. "
        "Measured against the objectives of the policy in force."
    )
    return shares(
        "Error budget left (SLO)",
        text,
        "percentunit",
        *(
            Query(f"clamp_min({budget_left(name, WINDOW)}, -1)", name, instant=True)
            for name in ("availability", "undegraded")
        ),
        empty="no chat in the SLO window",
        steps=((None, BAD), (0, "orange"), (0.25, WARN), (0.5, GOOD)),
        width=6,
        height=7,
    )


def _alerts() -> object:
    text = (
        "Alerts that fire for the chosen sidecars, and those that speak of all of them together. Each has a "
        "runbook: start there."
    )
    firing = f'max by (alertname, severity) (ALERTS{{alertstate="firing",{ALERT_SCOPE}}})'
    return listing(
        "Alerts firing",
        text,
        "none",
        Query(firing, "{{alertname}}", instant=True),
        empty="nothing fires",
        columns={"alertname": "alert", "severity": "severity"},
        widths={"severity": 100},
        sort="severity",
        height=7,
    )


def _outcomes() -> object:
    text = (
        "Chats per second by how they ended. rejected are 4xx of ours (token, size, rate limit); client_gone left "
        "before the answer; failed are 503, those that were shed included. A rise of local or failed is what the "
        "availability SLO counts."
    )
    query = Query(rate_if_seen("chat_requests_total", by="outcome"), "{{outcome}}")
    empty = "no chat in this range"
    return series("Chats by outcome", text, "reqps", query, empty=empty, colours=OUTCOMES, stacked=True)


def _latency() -> object:
    slo = f"scalar({objective('latency_quantile')})"
    text = (
        "What clients waited for an answer. The dashed lines are the latency objective (blue, as the quantile it is "
        "about) and the deadline by which every answer leaves (dark red). Near the deadline chats end as local: look "
        "at attempts by target, and at tuning."
    )
    name, promised, deadline = "chat_request_duration_seconds", "objective (SLO)", "deadline"
    return series(
        "Latency, against SLO and deadline",
        text,
        "s",
        Query(quantile(0.5, name, ANSWERED), "p50"),
        Query(quantile(slo, name, ANSWERED), "quantile of the SLO"),
        Query(quantile(0.99, name, ANSWERED), "p99"),
        Query(objective("latency_seconds"), promised),
        Query(f"min({metric('policy_deadline_seconds')})", deadline),
        empty="no chat in this range",
        colours={"p50": PERCENTILES["p50"], "quantile of the SLO": PERCENTILES["p95"], "p99": PERCENTILES["p99"]},
        dashed={promised: PERCENTILES["p95"], deadline: LIMIT},
        beside=True,
    )


def _why() -> object:
    text = (
        "Chats that the switch did not answer, by the reason of the first thing that went wrong. open: its breaker "
        "refuses; timeout: it is silent; failure: it answers with errors; limited: too many at once; misconfigured: "
        "our token or address; dormant: off by power policy, no fault; off: an operator's override; waiting: madre "
        "wants a confirmation."
    )
    query = Query(counted_if_seen("fallbacks_total", by="reason"), "{{reason}}")
    return bars("Why degraded", text, query, empty="nothing degraded in this range", colours=REASONS)


def _over_time() -> object:
    text = (
        "Both objectives over time, with what is promised as dashed lines of the same colour. Gaps are times without chats. With thin "
        "traffic a single bad answer is a deep notch: judge by the budget."
    )
    lines = {"available": "availability", "undegraded": "undegraded"}
    promises = {f"objective: {name}": slo for name, slo in lines.items()}
    return series(
        "Good answers over time, against the SLOs",
        text,
        "percentunit",
        *(Query(good_share(slo, RATE), name) for name, slo in lines.items()),
        *(Query(objective(slo), name) for name, slo in promises.items()),
        empty="no chat in this range",
        colours={"available": GOOD, "undegraded": WARN},
        dashed=dict(zip(promises, (GOOD, WARN), strict=True)),
        most=1,
        beside=True,
    )


def _policy() -> object:
    info, taken = metric("policy_info"), metric("policy_last_reload_successful")
    state = f"{info} * on (job, instance) group_left () {taken}"
    text = (
        "The policy in force on each sidecar. More than one revision for long: a file did not reach everybody. "
        "refused: the files as they are now cannot be used and the old policy goes on; /readyz?verbose and the log "
        "say where the mistake is."
    )
    return listing(
        "Policy in force",
        text,
        "none",
        Query(f'label_replace({state}, "file", "$1", "source", "(?:.*/)?([^/]*)")', "{{revision}}", instant=True),
        empty="no sidecar is scraped",
        columns={"instance": "sidecar", "revision": "revision", "file": "file", "Value": "last reload"},
        means={"1": ("taken", GOOD), "0": ("refused", BAD)},
        width=24,
        height=4,
    )


def _overrides() -> object:
    text = (
        "Targets that an operator holds by hand: forced_open refuses, forced_closed lets everybody pass, off is not "
        "asked. Each ends by its own time; GET /state says who set it and why. chaos counts the sidecars that break attempts on purpose."
    )
    return figure(
        "Overrides",
        text,
        "short",
        Query(f"{total(metric('override_active'), 'kind')} > 0", "{{kind}}", instant=True),
        Query(f"{total(metric('chaos_active'))} > 0", "chaos", instant=True),
        empty="none active",
        colours=OVERRIDES,
        height=7,
        size=48,
    )
