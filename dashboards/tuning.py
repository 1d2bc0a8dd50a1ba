"""Policy tuning: how close the traffic comes to each threshold of the policy in force, and what a candidate would make of it."""

from __future__ import annotations

from dashboards import limits, repetitions, shared
from dashboards.board import board
from dashboards.colours import (
    BAD,
    COMPARED,
    ENDED,
    GOOD,
    PERCENTILES,
    REJECTED,
    STATES,
    TARGETS,
    UNDECIDED,
    WARN,
    bounds,
)
from dashboards.expressions import ANSWERED, counted, counted_if_seen, limit, metric, quantile, rate, total, worst
from dashboards.panels import Query, bars, listing, series, shares, timeline


def made() -> str:
    panels = [
        "How close",
        _closeness(),
        _headroom(),
        "Breakers",
        _window("failure", "failure_rate", "Failure rate", "Trips by failure_rate"),
        _window("slow", "slow_rate", "Slow-call rate", "Trips by slow_rate"),
        _consecutive(),
        _calls(),
        *limits.row(),
        "Retries",
        _amplification(),
        _balance(),
        "Time",
        _timeouts(),
        _overhead(),
        "Guards",
        _rejections(),
        _tokens(),
        *shared.row(),
        *repetitions.row(),
        "Shadow",
        _compared(),
        _differences(),
        _undecided(),
        _shift(),
        _shadow_breakers(),
        _candidate(),
    ]
    text = (
        "How close the traffic comes to each threshold of the policy in force, and what a candidate beside it would have "
        "made of the same chats. Thresholds are read from the sidecars themselves."
    )
    return board("tuning", "Policy tuning", text, panels)


def _closeness() -> object:
    text = (
        "Each measure as a share of its threshold, now, the worst of the chosen sidecars. At 100 % the breaker "
        "trips (the rates only once the window has min_calls), chats queue or are turned away. Often above 75 % in "
        "good times: the threshold is too tight. Never above 10 % in bad ones: it protects nothing."
    )

    def share(measured: str, threshold: str) -> str:
        return f"{measured} / ({limit(threshold)} > 0)"

    failing = worst("breaker_window_ratio", 'kind="failure"', by="target")
    slow = worst("breaker_window_ratio", 'kind="slow"', by="target")
    measures = (
        ("failure rate", share(failing, "failure_rate")),
        ("slow-call rate", share(slow, "slow_rate")),
        ("failures in a row", share(worst("breaker_consecutive_failures", by="target"), "consecutive")),
        ("slots", share(worst("limiter_inflight", by="target"), "max_concurrent")),
        ("queue", share(worst("limiter_queued", by="target"), "queue")),
    )
    return shares(
        "How close to each threshold",
        text,
        "percentunit",
        *(Query(expr, f"{{{{target}}}}: {name}", instant=True) for name, expr in measures),
        empty="no sidecar is scraped",
        steps=((None, GOOD), (0.75, WARN), (1, BAD)),
        height=10,
    )


def _headroom() -> object:
    name, deadline = "chat_request_duration_seconds", f"scalar(min({metric('policy_deadline_seconds')}))"
    text = (
        "How much of the deadline an answer takes: deadline.client minus deadline.margin is 100 %. Above 80 % the "
        "last rungs have no time left: shorten the attempt timeout of the switch, or lower its slow-call duration, "
        "so that madre gets its turn."
    )
    return series(
        "Share of the deadline used",
        text,
        "percentunit",
        Query(f"{quantile(0.5, name, ANSWERED)} / {deadline}", "p50"),
        Query(f"{quantile(0.95, name, ANSWERED)} / {deadline}", "p95"),
        Query(f"{quantile(0.99, name, ANSWERED)} / {deadline}", "p99"),
        empty="no chat in this range",
        colours=PERCENTILES,
        steps=((None, "transparent"), (0.8, WARN), (1, BAD)),
    ).height(10)


def _window(kind: str, threshold: str, title: str, trips: str) -> object:
    text = (
        f"The share of {kind} calls in each breaker's window, and the share that trips it (dashed). {trips} need at "
        "least min_calls in the window: see calls below. A line that lives just under its threshold is a target "
        "that is half broken: lower it, or mend the target."
    )
    return series(
        f"{title} in the window, against its threshold",
        text,
        "percentunit",
        Query(worst("breaker_window_ratio", f'kind="{kind}"', by="target"), "{{target}}"),
        Query(limit(threshold), "{{target}} trips at"),
        empty="no sidecar is scraped",
        colours=TARGETS,
        dashed=bounds("trips at"),
        most=1,
    )


def _consecutive() -> object:
    text = (
        "Failures in a row, and the number that trips the breaker (dashed; 0 means never). With thin traffic this "
        "is what trips first: the rates need min_calls."
    )
    return series(
        "Failures in a row, against their threshold",
        text,
        "short",
        Query(worst("breaker_consecutive_failures", by="target"), "{{target}}"),
        Query(limit("consecutive"), "{{target}} trips at"),
        empty="no sidecar is scraped",
        colours=TARGETS,
        dashed=bounds("trips at"),
    )


def _calls() -> object:
    text = (
        "Outcomes in each breaker's window, with min_calls and the size of the window (dashed; a window of time has "
        "no size). Below min_calls the rates decide nothing: a breaker that never gets there can only trip on "
        "failures in a row."
    )
    return series(
        "Calls in the window",
        text,
        "short",
        Query(f"min by (target) ({metric('breaker_window_calls')})", "{{target}}"),
        Query(limit("min_calls"), "{{target}} min_calls"),
        Query(limit("window_calls"), "{{target}} window"),
        empty="no sidecar is scraped",
        colours=TARGETS,
        dashed=bounds("min_calls") | bounds("window"),
        beside=True,
    )


def _amplification() -> object:
    attempts = total(rate("upstream_attempts_total"), "target")
    retries = f"({total(rate('retries_total'), 'target')} or {attempts} * 0)"
    text = (
        "Attempts per call that reached the target: 1 means nothing was asked twice. The budget holds it at 1 + "
        "retry_budget.ratio over time (dashed; burst on top for short). Well below under faults: retries help "
        "little here; on the line: the budget is what protects the target."
    )
    return series(
        "Retry amplification",
        text,
        "short",
        Query(f"{attempts} / ({attempts} - {retries})", "{{target}}"),
        Query(f"1 + {limit('budget_ratio')}", "{{target}} bound"),
        empty="no attempt in this range",
        colours=TARGETS,
        dashed=bounds("bound"),
    )


def _balance() -> object:
    text = (
        "What is left of each retry budget, the lowest of the chosen sidecars, as a share of its burst. At 0 % "
        "retries are denied. A budget that is never touched may be smaller; one that is empty whenever something "
        "fails may be larger, if the target can take it."
    )
    return series(
        "Retry budget left",
        text,
        "percentunit",
        Query(f"min by (target) ({metric('retry_budget_balance')}) / ({limit('budget_burst')} > 0)", "{{target}}"),
        empty="no sidecar is scraped, or retry_budget.burst is 0",
        colours=TARGETS,
        most=1,
    )


def _timeouts() -> object:
    text = (
        "Attempts that ran out of time, by what set the time. attempt: the target's own timeouts.attempt; deadline: "
        "the client's patience less the reserves below. deadline at the switch is normal with attempt: auto; a "
        "growing attempt says that its limit is too short."
    )
    query = Query(counted("deadline_exceeded_total", by="binding"), "{{binding}}")
    colours = {"attempt": "orange", "deadline": "red"}
    return bars("Timeouts by what bound them", text, query, empty="no sidecar is scraped", colours=colours)


def _overhead() -> object:
    text = (
        "Time a chat spent in the sidecar itself: no target, no queue, no backoff. Milliseconds. Growing together "
        "with the loop's lag on the runtime board, it is a lack of CPU, not of policy."
    )
    return series(
        "Our own part of a chat",
        text,
        "s",
        Query(quantile(0.5, "overhead_seconds"), "p50"),
        Query(quantile(0.99, "overhead_seconds"), "p99"),
        empty="no chat in this range",
        colours={name: PERCENTILES[name] for name in ("p50", "p99")},
    )


def _rejections() -> object:
    text = (
        "Chats turned away before any target was asked, by status. 429: more than guards.rate_limit in one session, "
        "which people do not reach and scripts do; 413: message or body too large; 401 and 403: no token, or a "
        "wrong one; 409: sent again while the first was under way."
    )
    rejected = counted_if_seen("chat_requests_total", 'outcome="rejected"', by="code")
    query = Query(rejected, "{{code}}")
    empty = "no chat was rejected in this range"
    return bars("Chats rejected, by status", text, query, empty=empty, colours=REJECTED)


def _tokens() -> object:
    text = (
        "Requests without a token that passes. missing: a client that was never told; wrong: one with an old token. "
        "After a rotation, keep the old one in VX11_SIDECAR_TOKENS until this is quiet. elsewhere: another proxy asked (forward auth)."
    )
    chats = Query(counted("auth_rejections_total", by="reason"), "{{reason}}")
    asked = Query(counted("forward_auth_total", 'result!="passed"'), "elsewhere")
    colours = {"missing": "orange", "wrong": "red", "elsewhere": "purple"}
    return bars("Tokens refused", text, chats, asked, empty="no sidecar is scraped", colours=colours)


def _compared() -> object:
    text = (
        "Chats held beside a candidate policy (--shadow). agrees: the same target would have answered for the same reason; "
        "differs: it would not; not_primary: only that the candidate's primary would not have answered is decided; "
        "undecided: the candidate would have asked what nobody did. Much undecided: use replay for this candidate."
    )
    query = Query(counted("shadow_calls_total", by="result"), "{{result}}")
    return bars("Candidate beside the policy", text, query, empty="no sidecar is scraped", colours=COMPARED)


def _differences() -> object:
    text = (
        "How chats ended, and how they would have ended with the candidate, coloured by the latter; only what is decided. "
        "The same word twice is another target or another reason. primary to anything else is what the candidate "
        "costs, anything else to primary what it gains."
    )
    seen = counted_if_seen("shadow_differences_total", by="active, candidate")
    colours = {f"{active} to {candidate}": ENDED[candidate] for active in ENDED for candidate in ENDED}
    query = Query(seen, "{{active}} to {{candidate}}")
    return bars("Would have ended otherwise", text, query, empty="no difference in this range", colours=colours)


def _undecided() -> object:
    text = (
        "Why chats are not decided to their end. not_asked, other_moment: the candidate asks whom nobody asked, or not "
        "then; cut_off: it waits longer than the policy in force; other_request, unread, connecting: it sends, reads or "
        "connects otherwise; hedged: one of the two asks a late target a second time; crowded: too many chats at once to follow this one."
    )
    query = Query(counted_if_seen("shadow_undecided_total", by="why"), "{{why}}")
    return bars("Why undecided", text, query, empty="all was decided in this range", colours=UNDECIDED)


def _shift() -> object:
    text = (
        "How much earlier and later answers would have come with the candidate: seconds, spread over all chats held "
        "beside it. Only decided ones shift anything. Earlier and degraded is a trade: read it with the differences."
    )
    by = total(rate("shadow_shift_seconds_sum"), "direction")
    query = Query(f"{by} / on () group_left () {total(rate('shadow_calls_total'))}", "{{direction}}")
    colours = {"earlier": GOOD, "later": WARN}
    return series("Earlier or later, per chat", text, "s", query, empty="no chat in this range", colours=colours)


def _shadow_breakers() -> object:
    numbered = " or ".join(
        metric("shadow_breaker_state", f'state="{state}"') + f" * {number}" for state, (number, _) in STATES.items()
    )
    text = (
        "The state of each of the candidate's breakers. It learns only from attempts that were really made when it "
        "would have made them: open longer than the real one means that the real one was not asked either."
    )
    return timeline(
        "The candidate's breakers",
        text,
        Query(f"max by (target, instance) ({numbered})", "{{target}} ({{instance}})"),
        empty="no candidate runs",
        means={str(number): (state, colour) for state, (number, colour) in STATES.items()},
        width=12,
    )


def _candidate() -> object:
    info, taken = metric("shadow_policy_info"), metric("shadow_last_reload_successful")
    state = f"{info} * on (job, instance) group_left () {taken}"
    text = (
        "The candidate on each sidecar. refused: its file as it is now cannot be used and the candidate before goes on; "
        "/state says where the mistake is. Missing although it was asked for: a fault of the sidecar has ended it, see the log."
    )
    return listing(
        "Candidate",
        text,
        "none",
        Query(f'label_replace({state}, "file", "$1", "source", "(?:.*/)?([^/]*)")', "{{revision}}", instant=True),
        empty="no candidate runs",
        columns={"instance": "sidecar", "revision": "revision", "file": "file", "Value": "last reload"},
        means={"1": ("taken", GOOD), "0": ("refused", BAD)},
        height=7,
        sort="sidecar",
    )
