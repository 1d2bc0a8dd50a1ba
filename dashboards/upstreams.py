"""Upstreams and breakers: who was asked, what came of it, and who is left alone."""

from __future__ import annotations

from dashboards.board import board
from dashboards.colours import (
    DENIED,
    FAULTS,
    GOOD,
    HEALTH,
    HEDGES,
    HEDGES_DENIED,
    MISCONFIGURED,
    MOVES,
    OUTCOMES,
    PROBES,
    REASONS,
    RESULTS,
    RETRIED,
    STATES,
    TARGETS,
    by_target,
)
from dashboards.expressions import (
    ANSWERED,
    counted,
    counted_if_seen,
    limit,
    metric,
    quantile,
    rate,
    rate_if_seen,
    total,
    worst,
)
from dashboards.panels import Query, bars, series, timeline

_GOOD_RESULTS = 'result=~"success|degraded"'
_COUNTED_RESULTS = 'result!~"client_gone|lost_race|ignored"'  # say nothing about the target


def made() -> str:
    panels = [
        "Now and before",
        _breakers(),
        _who_answered(),
        _degraded_share(),
        _dormant(),
        "What was asked, and what came of it",
        _attempts("switch"),
        _attempts("madre"),
        _latency(),
        _success(),
        _faults(),
        "Who was not asked, and why",
        _refusals(),
        _transitions(),
        _limiter(),
        _misconfigured(),
        "Health probes, where a policy has them",
        _health(),
        _probes(),
        _probe_latency(),
        "Asked again",
        _retries(),
        _denied(),
        _balance(),
        "Asked a second time beside the first",
        _hedges(),
        _hedges_denied(),
    ]
    text = "Who was asked, what came of it, who was left alone and why. Switch and madre, by attempt."
    return board("upstreams", "Upstreams and breakers", text, panels)


def _breakers() -> object:
    numbered = " or ".join(
        metric("breaker_state", f'state="{state}"') + f" * {number}" for state, (number, _) in STATES.items()
    )
    text = (
        "The state of each breaker. open: the target is not asked, chats go straight to the next one; half_open: "
        "one chat at a time tries it; forced_open and forced_closed: an operator's override. Open for long: the "
        "target is sick, mend it; flapping: it fails right after it was let in, see the limits on the tuning board."
    )
    return timeline(
        "Breakers",
        text,
        Query(f"max by (target, instance) ({numbered})", "{{target}} ({{instance}})"),
        empty="no sidecar is scraped",
        means={str(number): (state, colour) for state, (number, colour) in STATES.items()},
    )


def _who_answered() -> object:
    text = (
        "Chats by who answered: primary is the switch, fallback madre, local the sidecar's own text, failed a 503. "
        "Compare with the breakers above: yellow or orange under a closed breaker means single failures, not an "
        "outage."
    )
    query = Query(counted("chat_requests_total", ANSWERED, by="outcome"), "{{outcome}}")
    return bars("Who answered", text, query, empty="no sidecar is scraped", colours=OUTCOMES)


def _degraded_share() -> object:
    text = (
        "The share of time spent degraded: from an answer not by the switch until the next one by it, whatever the "
        "traffic. Long plateaus at 100 % with no chats mean only that nobody has tried since."
    )
    query = Query(f"clamp_max(max by (instance) ({rate('degraded_seconds_total')}), 1)", "{{instance}}")
    empty = "no sidecar is scraped"
    return series("Time spent degraded", text, "percentunit", query, empty=empty, most=1, shades="orange")


def _dormant() -> object:
    text = (
        "Whether madre's power state says that the switch is off on purpose. Dormant is no fault: open a power "
        "window, or use a policy without the switch. A switch that answers while it is called dormant is as common "
        "as the other way round."
    )
    return timeline(
        "Dormant by power policy",
        text,
        Query(worst("dormant", by="instance"), "switch ({{instance}})"),
        empty="no sidecar is scraped",
        means={"0": ("on, or not known", GOOD), "1": ("dormant", "blue")},
        height=4,
    )


def _attempts(target: str) -> object:
    text = (
        f"Requests sent to {target} per second, by how they ended. timeout: silent for its time; connect and dns: "
        "nothing was sent; retryable and fatal: an answer that is a failure; misconfigured: our token, address or "
        "path; ignored: says nothing about the target; client_gone: the client left first; lost_race: the other of two answered first."
    )
    query = Query(rate_if_seen("upstream_attempts_total", f'target="{target}"', by="result"), "{{result}}")
    empty = f"{target} was not asked in this range"
    return series(f"Attempts on {target}", text, "reqps", query, empty=empty, colours=RESULTS, stacked=True)


def _latency() -> object:
    name = "upstream_attempt_duration_seconds"
    text = (
        "How long one attempt took, timeouts included at their full length: p50, and p95 dashed. The p95 is what the "
        "automatic reserve follows (0.3 s to 1.5 s). A p95 near the attempt timeout means the target is cut off: see timeouts on the "
        "tuning board."
    )
    return series(
        "Attempt latency by target",
        text,
        "s",
        Query(quantile(0.5, name, by="target"), "{{target}} p50"),
        Query(quantile(0.95, name, by="target"), "{{target}} p95"),
        empty="no attempt in this range",
        colours={f"{target} p50": colour for target, colour in TARGETS.items()},
        dashed={f"{target} p95": colour for target, colour in TARGETS.items()},
    )


def _success() -> object:
    good = total(rate("upstream_attempts_total", _GOOD_RESULTS), "target")
    counted = total(rate("upstream_attempts_total", _COUNTED_RESULTS), "target")
    text = (
        "Attempts that brought an answer, of those that say anything about the target. Low at madre while the "
        "switch hangs is by design: madre asks the switch itself."
    )
    query = Query(f"{good} / {counted}", "{{target}}")
    return series(
        "Success by target", text, "percentunit", query, empty="no attempt in this range", colours=TARGETS, most=1
    )


def _faults() -> object:
    text = (
        "Attempts broken on purpose by the chaos rules of the policy, by what was done: delay: held back first; abort: the target was not "
        "asked; body and cut: its answer was spoiled. All other graphs have them in. None while chaos is off."
    )
    query = Query(counted_if_seen("chaos_faults_total", by="target, fault"), "{{target}}: {{fault}}")
    empty = "nothing broken on purpose in this range"
    return bars("Broken on purpose", text, query, empty=empty, colours=by_target(FAULTS), width=24)


def _refusals() -> object:
    text = (
        "Times a target was not asked at all: its breaker is open, its slots and queue are full (limited), no time "
        "was left (timeout), it is dormant, its health probes fail, an operator switched it off, or the session stays where it "
        "fell back (affinity). limited on a healthy switch: more chats at once than it answers."
    )
    query = Query(counted_if_seen("target_refusals_total", by="target, reason"), "{{target}}: {{reason}}")
    empty = "nobody was refused in this range"
    return bars("Refusals", text, query, empty=empty, colours=by_target(REASONS), height=10)


def _transitions() -> object:
    moves = counted_if_seen("breaker_transitions_total", by="target, to, reason")
    text = (
        "Moves of the breakers and what caused them. open by consecutive, failure_rate or slow_rate is a trip; by "
        "probe_failed the target was tried and is still sick. Many trips with few recoveries: lengthen the open "
        "time or mend the target."
    )
    query = Query(moves, "{{target}} {{to}}: {{reason}}")
    empty = "no breaker moved in this range"
    return bars("Breaker transitions", text, query, empty=empty, colours=by_target(MOVES, " "), height=10)


def _limiter() -> object:
    text = (
        "Attempts under way and calls that wait for a slot, the busiest sidecar of the chosen. Queues that stand "
        "are latency: switch and madre answer one chat at a time, so more slots do not help. The limits are on the "
        "tuning board."
    )
    return series(
        "Slots in use and queue",
        text,
        "short",
        Query(worst("limiter_inflight", by="target"), "{{target}} in use"),
        Query(worst("limiter_queued", by="target"), "{{target}} waiting"),
        empty="no sidecar is scraped",
        colours={
            "switch in use": "green",
            "madre in use": "yellow",
            "switch waiting": "orange",
            "madre waiting": "red",
        },
    )


def _misconfigured() -> object:
    text = (
        "Answers that say our own set-up is wrong. 401, 403: the token we send is not the one it expects; 404, 422: "
        "not the service we think it is. No retry and no breaker helps: correct token, address or path."
    )
    query = Query(counted_if_seen("misconfigured_total", by="target, kind"), "{{target}}: {{kind}}")
    empty = "nothing was misconfigured in this range"
    return bars("Misconfigured", text, query, empty=empty, colours=by_target(MISCONFIGURED))


def _health() -> object:
    numbered = " or ".join(
        metric("health_state", f'state="{state}"') + f" * {number}" for state, (number, _) in HEALTH.items()
    )
    text = (
        "What health probes say of a target. down: chats leave it out, unless no other is left to ask; unknown: no probe "
        "counted lately, it is asked as if it were up. Down while the breaker was closed: found by probes before chats had to. "
        "Down for long while the service answers: look at its health path."
    )
    return timeline(
        "Health",
        text,
        Query(f"max by (target, instance) ({numbered})", "{{target}} ({{instance}})"),
        empty="no sidecar is scraped",
        means={"0": ("not probed", "#606060"), **{str(n): (state, colour) for state, (n, colour) in HEALTH.items()}},
    )


def _probes() -> object:
    text = (
        "Health probes by what came of them. busy: silent while a chat was in flight, as a switch at work is; dormant: off on "
        "purpose; other: neither 2xx nor 5xx, look at health.path. These say nothing. Probes cost no attempt, slot or retry."
    )
    query = Query(counted_if_seen("health_probes_total", by="target, result"), "{{target}}: {{result}}")
    empty = "no target was probed in this range"
    return bars("Health probes", text, query, empty=empty, colours=by_target(PROBES))


def _probe_latency() -> object:
    name = "health_probe_duration_seconds"
    text = (
        "How long a health probe took: p50, and p95 dashed. The switch answers within milliseconds when it is idle; madre's own "
        "health asks three services and takes 2.1 s while the switch hangs. A p95 near health.timeout: probes are cut off."
    )
    return series(
        "Health probe latency",
        text,
        "s",
        Query(quantile(0.5, name, by="target"), "{{target}} p50"),
        Query(quantile(0.95, name, by="target"), "{{target}} p95"),
        empty="no target was probed in this range",
        colours={f"{target} p50": colour for target, colour in TARGETS.items()},
        dashed={f"{target} p95": colour for target, colour in TARGETS.items()},
    )


def _retries() -> object:
    text = (
        "Retries on the same target, by what had failed. Only what was never sent is tried again, unless the "
        "target's effects allow more. Steady retries are a name or port that comes and goes."
    )
    query = Query(counted_if_seen("retries_total", by="target, reason"), "{{target}}: {{reason}}")
    return bars("Retries", text, query, empty="no retry in this range", colours=by_target(RETRIED), width=8)


def _denied() -> object:
    text = (
        "Failures that could have been retried and were not: attempts used up, effects unsafe (the request may have "
        "been seen), breaker open, deadline too near, or budget empty. budget for long: the target is down and the "
        "budget does its work."
    )
    query = Query(counted_if_seen("retries_denied_total", by="target, reason"), "{{target}}: {{reason}}")
    empty = "no retry denied in this range"
    return bars("Retries denied", text, query, empty=empty, colours=by_target(DENIED), width=8)


def _balance() -> object:
    text = (
        "Retries that could be paid for now, the lowest of the chosen sidecars. Each call deposits a part of a "
        "retry, each retry takes one; the dashed lines are the burst, the most it can hold. At 0 nothing is retried: "
        "no harm, as long as the next target answers."
    )
    burst = "{{target}} burst"
    return series(
        "Retry budget",
        text,
        "short",
        Query(f"min by (target) ({metric('retry_budget_balance')})", "{{target}}"),
        Query(limit("budget_burst"), burst),
        empty="no sidecar is scraped",
        colours=TARGETS,
        dashed={f"{target} burst": colour for target, colour in TARGETS.items()},
        width=8,
    )


def _hedges() -> object:
    text = (
        "Second requests beside a late first one, by who answered. hedge: the second was worth it. first: it was not late for "
        "long; a longer hedge.delay sends fewer. none: both failed, the target is sick and not unlucky. Nothing here unless a "
        "policy hedges a target that may be asked twice."
    )
    query = Query(counted_if_seen("hedges_total", by="target, won"), "{{target}}: {{won}}")
    return bars("Hedges", text, query, empty="no hedge in this range", colours=by_target(HEDGES))


def _hedges_denied() -> object:
    text = (
        "Late requests that got no second one. load: hedge.max_extra_load does its work, and steady load means that more is late "
        "than bad luck explains; limited: the target is full, a hedge would only wait; budget: the retry budget is empty."
    )
    query = Query(counted_if_seen("hedges_denied_total", by="target, reason"), "{{target}}: {{reason}}")
    empty = "no hedge denied in this range"
    return bars("Hedges denied", text, query, empty=empty, colours=by_target(HEDGES_DENIED))
