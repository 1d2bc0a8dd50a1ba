"""The alerts beside the objectives: a part that fails, is held by hand, or is about to run out of something.

Their thresholds are in chats and refusals, not in shares, where traffic may be too thin for a share to mean anything. They rely on
closed families that are there from the start with zeros: an increase never misses the first event.
"""

from __future__ import annotations

from sidecar.policy.model import Policy
from sidecar.rules.alert import Alert

P = "vx11_sidecar"
BY, BY_TARGET = "by (job, instance)", "by (job, instance, target)"
MINUTE, HOUR = 60, 3600

# A switch that is off on purpose is no trouble. The series stands for that switch, to be taken away from others.
_ASLEEP = f'label_replace({P}_dormant == 1, "target", "switch", "", "")'
_CLOSED = f'sum {BY_TARGET} ({P}_breaker_state{{state=~"closed|forced_closed"}})'
# A target that health probes hold back is not asked, so nothing moves its breaker. No series: it is not probed.
_DOWN = f'max {BY_TARGET} ({P}_health_state{{state="down"}}) == 1'
_USABLE = f"({_CLOSED} unless on (job, instance, target) ({_DOWN}) or ({_DOWN}) * 0)"


def alerts(policy: Policy, job: str) -> list[Alert]:
    """All of them; the ones that a policy makes impossible are left out."""
    targets = [target.name for target in policy.ladder]
    paid = [target.name for target in policy.ladder if target.retry_budget.burst >= 1 and target.retry.max_attempts > 1]
    found = [_down(job)]
    if targets:
        found += [_nobody_answers(policy.slo.min_bad), _target_down(), _misconfigured(), _flapping()]
    if paid:
        found.append(_retry_budget("|".join(paid)))
    return [*found, *_operators(), *_load(job), *_losses(), *_clients(), _gateway()]


def _down(job: str) -> Alert:
    of = f'{{job="{job}"}}'
    return Alert(
        "VX11SidecarDown",
        "page",
        f"up{of} == 0\nor\nabsent(up{of})",
        2 * MINUTE,
        "The sidecar {{ with $labels.instance }}{{ . }} {{ end }}cannot be scraped "
        "(up is 0, or the job has no target; value {{ $value }})",
        f"Either it is gone, and with it the whole data port, or Prometheus cannot reach its admin port, or the job is not called {job}.",
    )


def _nobody_answers(least: int) -> Alert:
    answered = f'sum {BY} (increase({P}_chat_requests_total{{outcome=~"primary|fallback"}}[<10m>])) > 0'
    hit = f'sum {BY} (increase({P}_chat_requests_total{{outcome=~"local|failed"}}[<30m>]))'
    return Alert(
        "VX11SidecarNobodyAnswers",
        "page",
        f"(\n  {hit} >= {least}\n  and on (job, instance)\n"
        f"  (max {BY} ({_USABLE} unless on (job, instance, target) {_ASLEEP}) == 0)\n)\n"
        f"unless on (job, instance) ({answered})",
        10 * MINUTE,
        'No target answers behind {{ $labels.instance }}: {{ printf "%.0f" $value }} chats in <30m> got the local answer or an error',
        "Every target has had an open breaker or failed its health probes for ten minutes, dormant ones left out. Where traffic is too "
        "thin for the availability objective to page, this does.",
    )


def _target_down() -> Alert:
    failed = 'result!~"success|degraded|client_gone|lost_race|ignored|caller_error"'
    good = 'result=~"success|degraded|caller_error"'
    attempts = f"{P}_upstream_attempts_total"
    moved = f"{P}_breaker_transitions_total"  # a breaker that nobody asks stays as it is: that says nothing
    return Alert(
        "VX11SidecarTargetDown",
        "ticket",
        f"(\n  1 - {_CLOSED} == 1 and on (job, instance, target) (sum {BY_TARGET} (increase({moved}[<30m>])) > 0)\n"
        f"  or\n  {_DOWN}\n"
        f'  or\n  max {BY_TARGET} ({P}_breaker_state{{state="forced_open"}}) == 1\n  or\n'
        f"  (sum {BY_TARGET} (increase({attempts}{{{failed}}}[<15m>])) >= 5\n"
        f"   unless sum {BY_TARGET} (increase({attempts}{{{good}}}[<15m>])) > 0)\n)\n"
        f"unless on (job, instance, target) {_ASLEEP}",
        10 * MINUTE,
        "{{ $labels.target }} is down for {{ $labels.instance }} "
        '(value {{ printf "%.0f" $value }}: 1 for an open breaker or failed health probes, else attempts that failed in <15m>)',
        "For ten minutes its breaker has been open or half-open although chats still try, or it is held open, or its health probes or "
        "every attempt failed.",
    )


def _misconfigured() -> Alert:
    return Alert(
        "VX11SidecarTargetMisconfigured",
        "ticket",
        f"sum by (job, instance, target, kind) (increase({P}_misconfigured_total[<15m>])) > 0",
        0,
        '{{ $labels.target }} refuses us as misconfigured ({{ $labels.kind }}): {{ printf "%.0f" $value }} answers in <15m>',
        "Our token, path or body is wrong for this target. No retry and no breaker will mend it; every such chat goes to the next target.",
    )


def _flapping() -> Alert:
    recovered = f'{P}_breaker_transitions_total{{to="closed",reason="recovered"}}'
    return Alert(
        "VX11SidecarBreakerFlapping",
        "ticket",
        f"sum {BY_TARGET} (increase({recovered}[<30m>])) >= 4",
        0,
        'The breaker of {{ $labels.target }} closed and tripped again {{ printf "%.0f" $value }} times in <30m>',
        "The target answers probes and then fails under real traffic, or its limits are set so that ordinary hiccups trip it.",
    )


def _retry_budget(targets: str) -> Alert:
    denied = f'{P}_retries_denied_total{{reason="budget",target=~"{targets}"}}'
    return Alert(
        "VX11SidecarRetryBudgetExhausted",
        "info",
        f"sum {BY_TARGET} (increase({denied}[<10m>])) > 0",
        5 * MINUTE,
        '{{ printf "%.0f" $value }} retries on {{ $labels.target }} were not paid for in <10m>',
        "Retries are bounded by traffic, and the bound is reached: failures that a retry would have hidden now reach the next target.",
    )


def _operators() -> list[Alert]:
    return [
        Alert(
            "VX11SidecarReloadFailed",
            "ticket",
            f"min {BY} ({P}_policy_last_reload_successful) == 0",
            5 * MINUTE,
            "A policy was refused by {{ $labels.instance }} and the one before it is still in force (value {{ $value }})",
            "What somebody saved has a mistake in it. Nothing is broken, but the change they meant to make is not there.",
        ),
        Alert(
            "VX11SidecarOverrideForgotten",
            "ticket",
            f"max by (job, instance, kind) ({P}_override_active) > 0",
            HOUR,
            "{{ $value }} target(s) held by an override ({{ $labels.kind }}) for more than an hour on {{ $labels.instance }}",
            "An operator decided by hand what the breaker should decide. That is meant for minutes; what is to last belongs in the policy.",
        ),
        Alert(
            "VX11SidecarChaosOn",
            "ticket",
            f"max {BY} ({P}_chaos_active) > 0",
            MINUTE,
            "{{ $labels.instance }} breaks attempts on targets on purpose (value {{ $value }})",
            "Chaos rules of its policy are in force: by --allow-chaos, or by an operator's order. What else alerts meanwhile may be that.",
        ),
    ]


def _load(job: str) -> list[Alert]:
    of = f'{{job="{job}"}}'
    return [
        Alert(
            "VX11SidecarEventLoopStalls",
            "ticket",
            f"sum {BY} (increase({P}_event_loop_stalls_total[<10m>])) > 5",
            5 * MINUTE,
            'The event loop of {{ $labels.instance }} stalled {{ printf "%.0f" $value }} times in <10m>',
            "Ticks came more than 250 ms late, and everything this process serves waited that long: too little processor time, or "
            "something in it blocks.",
        ),
        Alert(
            "VX11SidecarShedding",
            "ticket",
            f"sum by (job, instance, why) (increase({P}_shed_requests_total[<5m>])) > 0",
            2 * MINUTE,
            '{{ $labels.instance }} answered {{ printf "%.0f" $value }} requests with 503 at once in <5m> ({{ $labels.why }})',
            "There is more to do than it can do in time, so it refuses early what would come too late. Chats that are shed are bad ones "
            "for availability.",
        ),
        Alert(
            "VX11SidecarDescriptorsNearLimit",
            "ticket",
            f"process_open_fds{of} / process_max_fds{of} > 0.8 or {P}_descriptors_exhausted > 0",
            5 * MINUTE,
            "{{ $labels.instance }} has {{ $value | humanizePercentage }} of its file descriptors open",
            "Each connection takes one, and each relayed one a second. At the limit no new connection is accepted, and the process can no "
            "longer count them.",
        ),
    ]


def _losses() -> list[Alert]:
    return [
        Alert(
            "VX11SidecarJournalDrops",
            "ticket",
            f"sum {BY} (increase({P}_journal_dropped_total[<15m>])) > 0",
            0,
            '{{ printf "%.0f" $value }} lines of the journal of {{ $labels.instance }} were lost in <15m>',
            "The disk is full or too slow. Chat goes on; a replay of this time can no longer be exact.",
        ),
        Alert(
            "VX11SidecarLogDrops",
            "info",
            f"sum {BY} (increase({P}_log_dropped_total[<15m>])) > 0",
            0,
            '{{ printf "%.0f" $value }} log lines of {{ $labels.instance }} were lost in <15m>',
            "Whoever reads standard output does not read fast enough. Chat goes on; the log has holes.",
        ),
    ]


def _clients() -> list[Alert]:
    rejected = f"sum {BY} (increase({P}_auth_rejections_total[<10m>]))"
    chats = f"sum {BY} (increase({P}_chat_requests_total[<10m>]))"
    return [
        Alert(
            "VX11SidecarAuthRejections",
            "ticket",
            f"{rejected} >= 20\nand on (job, instance)\n({rejected} / {chats} > 0.5)",
            5 * MINUTE,
            '{{ printf "%.0f" $value }} chats without a token that passes in <10m> on {{ $labels.instance }}, more than half of all',
            "A token was rotated on one side only, a client lost its own, or somebody guesses.",
        ),
        Alert(
            "VX11SidecarMessagesRefused",
            "info",
            f"sum {BY} (increase({P}_messages_refused_total[<10m>])) > 50",
            5 * MINUTE,
            '{{ printf "%.0f" $value }} messages on the data port of {{ $labels.instance }} were no HTTP as we accept it in <10m>',
            "A scanner, or a client or proxy in front of us that writes what we read differently from the gateway.",
        ),
    ]


def _gateway() -> Alert:
    failed = f'sum {BY} (increase({P}_relay_errors_total{{error=~"connect|timeout|reset"}}[<10m>]))'
    relayed = f"sum {BY} (increase({P}_relay_requests_total[<10m>]))"
    return Alert(
        "VX11SidecarGatewayUnreachable",
        "page",
        f"({failed} / {relayed} > 0.5)\nand on (job, instance)\n({failed} >= 10)",
        5 * MINUTE,
        "{{ $value | humanizePercentage }} of the relayed requests fail: {{ $labels.instance }} does not reach the gateway",
        "Chat is still answered; everything else in the UI is not.",
    )
