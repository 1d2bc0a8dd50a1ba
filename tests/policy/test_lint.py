"""Lint: each code with a policy that earns it and one that nearly does, where it points, and how it is silenced."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given

from sidecar.edge.chat import exchange
from sidecar.policy.lint import CODES, Finding, Observed, lint, repetition, silence
from sidecar.policy.load import Loaded, load, parse
from sidecar.policy.model import Intercept, Policy
from sidecar.policy.units import Rate

from .test_any_policy import POLICIES

SHIPPED = Path(__file__).parents[2] / "policies"
PER_COMMAND = {"never-reloads", "ignores-nothing"}  # found from the file and not from the policy


def found(text: str, observed: Observed | None = None) -> list[str]:
    """``line:column path [code]`` of each finding."""
    return [
        f"{f.line}:{f.column} {f.path} [{f.code}]" for f in lint(parse(text, "p"), *([observed] if observed else []))
    ]


SWITCH = "targets: [{name: switch, "
RARE = Observed(rate=Rate(1, 60.0))
SLOW = Observed(p95={"madre": 2.0})

KEYS = 'idempotency: {mode: "on", '
NOON, LATER = "2030-01-01T12:00:00Z", "expires_at: 2030-01-01T12:00:01Z"
AT_NOON = Observed(moment=1_893_499_200.0)

EARNED = [
    # repetitions
    ("idempotency: {ttl: 1h}", "1:20 idempotency.ttl [idempotency-idle]"),
    (KEYS + "ttl: 4999ms}", "1:32 idempotency.ttl [idempotency-forgets-early]"),
    (KEYS + "degraded_ttl: 5001ms}", "1:41 idempotency.degraded_ttl [idempotency-keeps-degraded]"),
    (KEYS + "max: 255}", "1:32 idempotency.max [idempotency-too-few]"),
    (KEYS[:-2] + "}\noverload: {chats: 1025}", "2:19 overload.chats [idempotency-too-few]"),
    (KEYS + "max_size: 2047KiB}", "1:37 idempotency.max_size [idempotency-too-small]"),
    (KEYS + "header: x-vx11-token}", "1:35 idempotency.header [idempotency-header-taken]"),
    (KEYS + "header: x-correlation-id}", "1:35 idempotency.header [idempotency-header-taken]"),
    # time
    ("timeouts: {attempt: 3s}", "1:21 timeouts.attempt [worst-case-over-deadline]"),
    ("timeouts: {attempt: 2s}\nretry: {on: [503]}\n" + SWITCH + "effects: none}, {name: madre}]", "1:21 timeouts.attempt [worst-case-over-deadline]"),
    (SWITCH + "timeouts: {attempt: 4s}}, {name: madre}]", "1:46 targets[0].timeouts.attempt [attempt-over-deadline]"),
    ("deadline: {margin: 4920ms}", "1:20 deadline.margin [no-time-left]"),
    ("targets: [{name: switch}, {name: madre, reserve: 40ms}]", "1:50 targets[1].reserve [no-time-left]"),
    ("deadline: {client: 5001ms}", "1:20 deadline.client [deadline-beyond-ui]"),
    ("timeouts: {connect: 5s}", "1:21 timeouts.connect [connect-never-in-force]"),
    ("breaker: {slow_call: {duration: 3251ms}}", "1:33 breaker.slow_call.duration [slow-call-never]"),
    (SWITCH + "timeouts: {attempt: 1s}}, {name: madre}]", "1:46 targets[0].timeouts.attempt [slow-call-never]"),
    ("targets: [{name: switch}, {name: madre, reserve: 2s}]", "1:50 targets[1].reserve [slow-call-never]"),
    (SWITCH + "reserve: 1s}]", "1:35 targets[0].reserve [reserve-unused]"),
    ("targets: [{name: switch}, {name: madre, reserve: 200ms}]", "1:50 targets[1].reserve [reserve-below-connect]"),
    ("targets: [{name: switch}, {name: madre, reserve: 2400ms}]", "1:50 targets[1].reserve [reserve-over-half]"),
    ("targets: [{name: switch}, {name: madre, reserve: 1s}]", "1:50 targets[1].reserve [reserve-below-p95]"),
    ("retry: {backoff: {max: 5s}}", "1:24 retry.backoff.max [backoff-over-deadline]"),
    ("retry: {backoff: {base: 1s}}", "1:25 retry.backoff.base [backoff-base-over-max]"),
    (SWITCH + "effects: none}, {name: madre}]", "1:35 targets[0].effects [retries-eat-reserve]"),
    ("timeouts: {connect: 2s}\nretry: {max_attempts: 3}", "1:21 timeouts.connect [retries-eat-reserve]"),
    ("limiter: {queue_timeout: 2s}", "1:26 limiter.queue_timeout [queue-over-time-left]"),
    # retries
    ("targets: [{name: madre, effects: none}]", "1:34 targets[0].effects [effects-contradicted]"),
    (SWITCH + "effects: dedup}]", "1:35 targets[0].effects [effects-unproven]"),
    (SWITCH + "effects: none, shield: false}]", "1:35 targets[0].effects [effects-contradicted]"),
    ("retry: {only_if_unsent: false}", "1:25 retry.only_if_unsent [retry-resends-unsafe]"),
    (SWITCH + "effects: none, retry: {only_if_unsent: true}}]", "1:65 targets[0].retry.only_if_unsent [only-if-unsent-unused]"),
    ("retry: {on_timeout: true}", "1:21 retry.on_timeout [on-timeout-unused]"),
    (SWITCH + "effects: none, retry: {on_timeout: true}}]", "1:61 targets[0].retry.on_timeout [on-timeout-without-time]"),
    ("retry_budget: {burst: 0.5}", "1:23 retry_budget.burst [retry-never-happens]"),
    ("retry: {on: [503]}", "1:13 retry.on [retry-never-happens]"),
    ("retry: {on: []}\n" + SWITCH + "effects: none}]", "1:13 retry.on [retry-never-happens]"),
    ("retry_budget: {ratio: 100%}", "1:23 retry_budget.ratio [retry-budget-doubles-load]"),
    # hedges
    ("hedge: {enabled: true}", "1:18 hedge.enabled [hedge-never-sent]"),
    (SWITCH + "effects: none, hedge: {enabled: true, max_extra_load: 0%}}]", "1:58 targets[0].hedge.enabled [hedge-never-sent]"),
    (SWITCH + "effects: none, hedge: {enabled: true, max_extra_load: 11%}}]", "1:80 targets[0].hedge.max_extra_load [hedge-load-high]"),
    (SWITCH + "}]\naffinity: {stick: 1m}", "2:19 affinity.stick [affinity-unused]"),
    # breakers
    ("breaker: {consecutive: 0, window: {type: time, duration: 1m}, min_calls: 90}", "1:58 breaker.window.duration [breaker-never-opens]"),
    ("breaker: {consecutive: 0, window: {type: time}}", "1:42 breaker.window.duration [breaker-never-opens]"),
    ("breaker: {consecutive: 0, min_calls: 9, window: {type: time, duration: 2s}}", "1:72 breaker.window.duration [breaker-never-opens]"),
    ("breaker: {window: {type: time, duration: 10s}}", "1:42 breaker.window.duration [breaker-window-too-short]"),
    ("breaker: {window: {type: time, duration: 2s}, min_calls: 9}", "1:42 breaker.window.duration [breaker-window-too-short]"),
    ("breaker: {consecutive: 0, min_calls: 6}", "1:38 breaker.min_calls [breaker-arms-late]"),
    ("breaker: {consecutive: 0, failure_rate: 100%}", "1:41 breaker.failure_rate [breaker-only-total]"),
    ("breaker: {consecutive: 1}", "1:24 breaker.consecutive [breaker-trips-on-one]"),
    ("breaker: {min_calls: 1}", "1:22 breaker.min_calls [breaker-trips-on-one]"),
    ("breaker: {failure_rate: 0%}", "1:25 breaker.failure_rate [breaker-trips-on-one]"),
    ("breaker: {slow_call: {rate: 0%}}", "1:29 breaker.slow_call.rate [breaker-trips-on-one]"),
    ("breaker: {open: {base: 4s}}", "1:24 breaker.open.base [open-shorter-than-probe]"),
    # limits
    ("limiter: {adaptive: gradient, min_concurrent: 2}\ntargets: [{name: madre}]", "1:47 limiter.min_concurrent [limit-never-moves]"),
    ("limiter: {adaptive: gradient, queue: 0}", "1:38 limiter.queue [adaptive-without-queue]"),
    ("limiter: {adaptive: gradient, queue_timeout: 0}", "1:46 limiter.queue_timeout [adaptive-without-queue]"),
    ("limiter: {min_concurrent: 2}", "1:27 limiter.min_concurrent [adaptive-unused]"),
    ("limiter: {tolerance: 2}", "1:22 limiter.tolerance [adaptive-unused]"),
    ("limiter: {max_concurrent: 1, slow_start: 5s}", "1:42 limiter.slow_start [slow-start-unused]"),
    # doors
    ("mode: shadow", "1:7 mode [mode-shadow]"),
    ("auth: {mode: off}", "1:14 auth.mode [auth-off]"),
    ("auth: {sources: [header, query]}", "1:26 auth.sources[1] [auth-in-query]"),
    ("auth: {sources: [bearer]}", "1:17 auth.sources [auth-without-header]"),
    (SWITCH + "shield: false}]", "1:34 targets[0].shield [shield-off]"),
    ("intercept: {paths: [/operator/api/chat]}", "1:20 intercept.paths [intercept-partial]"),
    ("guards: {rate_limit: 3 per 60s}", "1:22 guards.rate_limit [rate-limit-below-ui]"),
    ("guards: {anonymous_rate_limit: 1 per 16s}", "1:32 guards.anonymous_rate_limit [rate-limit-below-ui]"),
    ("guards: {anonymous_rate_limit: 9 per 60s}", "1:32 guards.anonymous_rate_limit [anonymous-below-session]"),
    ("guards: {max_body: 16KiB}", "1:20 guards.max_body [body-below-message]"),
    ("shared: {timeout: 600ms}", "1:19 shared.timeout [shared-eats-deadline]"),
    ("guards: {metadata_allow: [lang, task_type]}", "1:33 guards.metadata_allow[1] [metadata-steers]"),
    ("targets: [{name: local}]", "1:10 targets [no-target]"),
    ("fallback: {on: [failure, timeout, limited]}", "1:16 fallback.on [fallback-drops]"),
    ("fallback: {on: [open, failure]}", "1:16 fallback.on [fallback-drops]"),
    ("dormant: {mode: obey}\nfallback: {on: [open, failure, timeout]}", "2:16 fallback.on [fallback-drops]"),
    ("fallback: {local: error}", "1:19 fallback.local [fallback-local-error]"),
    ("relay: {deny: []}", "1:15 relay.deny [debug-relayed]"),
    ("relay: {deny: [/debug/x*, /debug]}", "1:15 relay.deny [debug-relayed]"),
    ("relay: {trusted_proxies: [10.0.0.0/8, 0.0.0.0/0]}", "1:39 relay.trusted_proxies[1] [proxies-everybody]"),
    ("relay: {trusted_proxies: ['::/0']}", "1:27 relay.trusted_proxies[0] [proxies-everybody]"),
    ("relay: {timeouts: {response_head: 21s}}", "1:35 relay.timeouts.response_head [relay-cuts-gateway]"),
    ("health: {mode: probe}\nfallback: {on: [open, failure, timeout]}", "2:16 fallback.on [fallback-drops]"),
    # health
    ("health: {mode: probe, fall: 1}", "1:29 health.fall [health-falls-on-busy]"),
    ("health: {mode: probe, interval: 2s}", "1:33 health.interval [health-falls-on-busy]"),
    ("health: {mode: probe, timeout: 2s}", "1:32 health.timeout [health-madre-slow]"),
    ("health: {mode: probe}\ntargets: [{name: switch}]", "1:16 health.mode [health-nobody-else]"),
    # objectives
    ("slo: {latency: {threshold: 2500ms}}", "1:28 slo.latency.threshold [slo-latency-without-bucket]"),
    ("slo: {latency: {threshold: 4ms}}", "1:28 slo.latency.threshold [slo-latency-without-bucket]"),
    ("slo: {latency: {threshold: 5s}}", "1:28 slo.latency.threshold [slo-latency-over-deadline]"),
    ("deadline: {client: 3s}", "1:20 deadline.client [slo-latency-over-deadline]"),
    ("slo: {availability: 93%}", "1:21 slo.availability [slo-never-alerts]"),
    ("slo: {latency: {quantile: 90%}}", "1:27 slo.latency.quantile [slo-never-alerts]"),
    ("slo: {undegraded: 66%}", "1:19 slo.undegraded [slo-never-alerts]"),
    ("slo: {min_bad: 21}", "1:16 slo.min_bad [slo-guard-hidden]"),
    ("slo: {min_calls: 2}", "1:18 slo.min_calls [slo-guard-hidden]"),
    # chaos
    (f"chaos: [{{name: a, target: any, percentage: 1%, cut: true, expires_at: {NOON}}}]", "1:71 chaos[0].expires_at [chaos-expired]"),
    ("chaos: [{name: a, target: any, percentage: 1%, cut: true, expires_at: 2030-01-08T12:00:01Z}]", "1:71 chaos[0].expires_at [chaos-far-end]"),
    (f"chaos: [{{name: a, target: any, percentage: 100%, cut: true, {LATER}}}]", "1:44 chaos[0].percentage [chaos-breaks-everything]"),
    (f"targets: [{{name: madre}}]\nchaos: [{{name: a, target: madre, percentage: 100%, cut: true, {LATER}}}]", "2:46 chaos[0].percentage [chaos-breaks-everything]"),
    (f"chaos: [{{name: a, target: any, percentage: 0%, cut: true, {LATER}}}]", "1:44 chaos[0].percentage [chaos-never-met]"),
    (f"targets: [{{name: madre}}]\nchaos: [{{name: a, target: switch, percentage: 1%, cut: true, {LATER}}}]", "2:27 chaos[0].target [chaos-never-met]"),
    (f"chaos:\n- {{name: a, target: switch, percentage: 100%, cut: true, {LATER}}}\n- {{name: b, target: switch, percentage: 1%, cut: true, {LATER}}}", "3:21 chaos[1].target [chaos-never-met]"),
    (f"chaos: [{{name: a, target: any, percentage: 1%, delay: 4750ms, {LATER}}}]", "1:55 chaos[0].delay [chaos-delay-is-timeout]"),
    (f"chaos: [{{name: a, target: switch, percentage: 1%, delay: 3250ms, {LATER}}}]", "1:58 chaos[0].delay [chaos-delay-is-timeout]"),
    (f"auth: {{mode: off}}\nchaos: [{{name: a, target: any, percentage: 1%, header: {{x-chaos: break}}, cut: true, {LATER}}}]", "1:14 auth.mode [chaos-header-open]"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "finding"), EARNED, ids=[finding for _, finding in EARNED])
def test_each_code_is_found_where_the_value_stands(text: str, finding: str) -> None:
    assert finding in found(text) + found(text, Observed(SLOW.p95, RARE.rate, AT_NOON.moment))


def test_every_code_has_a_policy_that_earns_it() -> None:
    assert {finding.rpartition("[")[2][:-1] for _, finding in EARNED} | PER_COMMAND == CODES.keys()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "slo: {availability: 93.1%, undegraded: 66.7%, latency: {quantile: 93.1%, threshold: 4s}, min_calls: 3}",
        "deadline: {client: 5s, margin: 200ms}",
        "timeouts: {attempt: 2s}\nbreaker: {slow_call: {duration: 2s}}",
        "breaker: {slow_call: {duration: 2s}}\ntargets: [{name: switch}, {name: madre, reserve: 2375ms}]",
        "targets: [{name: switch}, {name: madre, reserve: 300ms}]",
        "retry: {max_attempts: 1, on: [], only_if_unsent: false, on_timeout: true, backoff: {base: 1s, max: 9s}}",
        "retry: {only_if_unsent: true}\ntargets: [{name: switch, effects: none}]",
        "timeouts: {attempt: 1s}\nbreaker: {slow_call: {duration: 1s}}\ntargets: [{name: switch, effects: none, retry: {on_timeout: true}}]",
        "retry_budget: {burst: 1, ratio: 99.9%}",
        "breaker: {window: {type: time, duration: 60s}}",
        "breaker: {consecutive: 0, failure_rate: 99%}",
        "breaker: {consecutive: 2, failure_rate: 100%, min_calls: 2}",
        "breaker: {open: {base: 4750ms}}",
        "limiter: {queue: 0, queue_timeout: 5s}",
        "guards: {rate_limit: 4 per 60s}",
        "guards: {rate_limit: 1 per 1s}",
        "guards: {metadata_allow: [lang]}",
        "guards: {max_body: 17024B}",
        "targets: [{name: madre}]\nfallback: {on: []}",
        "fallback: {on: [open, failure, timeout]}",
        "health: {mode: probe}",
        "health: {mode: probe, interval: 2500ms}",
        "health: {fall: 1, timeout: 1s}",
        "health: {mode: probe, path: /livez}",
        "relay: {deny: ['/debug*', /x]}",
        "relay: {deny: ['/*']}",
        "relay: {trusted_proxies: [10.0.0.0/8, 'fc00::/7', 192.0.2.1]}",
        "mode: off",
        'idempotency: {mode: "on", ttl: 5s, degraded_ttl: 5s, max: 256, max_size: 2MiB, header: x-once}',
        "idempotency: {mode: off, header: x-once, ttl: 600s, max: 1024}",
        f"chaos: [{{name: a, target: any, percentage: 99%, delay: 4749ms, {LATER}}}, {{name: b, target: switch, percentage: 1%, cut: true, {LATER}}}]",
        f"chaos: [{{name: a, target: any, percentage: 100%, header: {{x-chaos: break}}, cut: true, {LATER}}}]",
        f"chaos: [{{name: a, target: madre, percentage: 100%, cut: true, {LATER}}}, {{name: b, target: any, percentage: 1%, cut: true, {LATER}}}]",
        "chaos: [{name: a, target: any, percentage: 1%, cut: true, expires_at: 2030-01-08T12:00:00Z}]",
    ],
)
def test_what_is_sound_has_no_finding(text: str) -> None:
    assert found(text) == []
    assert found(text, AT_NOON) == []


def test_where_nobody_knows_the_time_nothing_is_over() -> None:
    text = "chaos: [{name: a, target: any, percentage: 1%, cut: true, expires_at: 1999-12-31T23:59:59Z}]"
    assert found(text) == []
    assert found(text, AT_NOON) == ["1:71 chaos[0].expires_at [chaos-expired]"]


def test_without_a_target_no_time_of_a_breaker_speaks_against_keeping_what_is_degraded() -> None:
    assert found('idempotency: {mode: "on", degraded_ttl: 10m}\ntargets: [{name: local}]') == [
        "2:10 targets [no-target]"
    ]


def test_the_largest_answer_is_the_one_that_is_read() -> None:
    assert repetition.LARGEST_ANSWER == exchange.LARGEST_ANSWER


def test_numbers_are_in_the_words() -> None:
    texts = {
        "timeouts: {attempt: 3s}": "at worst switch 3.325s + madre 3.325s = 6.65s, attempts and backoff together, and the answer must leave after 4.75s",
        "targets: [{name: switch, timeouts: {attempt: 4s}}, {name: madre}]": "switch has 3.25s at most, 4.75s to answer minus the reserves below it, so 4s never applies: write less than that, or auto",
        "breaker: {open: {base: 4s}}": "a probe of madre may take 4.75s, so after 4s of open time it is asked again",
        "fallback: {on: [failure, limited]}": "without open, timeout a switch in that state means the local answer at once and madre is not asked: add open, timeout",
        "guards: {rate_limit: 3 per 60s}": "asks 4 times in 60s, more than 3 per 60s: its own polling would be refused; write 4 per 60s or more",
    }  # fmt: skip
    for text, words in texts.items():
        assert words in lint(parse(text, "p"))[0].message


def test_what_the_top_states_is_said_once_for_all_targets() -> None:
    assert found("breaker: {consecutive: 1}") == ["1:24 breaker.consecutive [breaker-trips-on-one]"]
    each = "targets:\n  - {name: switch, breaker: {consecutive: 1}}\n  - {name: madre, breaker: {consecutive: 1}}\n"
    assert [finding.split()[0] for finding in found(each)] == ["2:43", "3:42"]


def test_a_finding_prints_like_a_compiler_s() -> None:
    (finding,) = lint(parse("auth: {mode: off}", "p"))
    assert (
        str(finding)
        == "p:1:14: warning: auth.mode: everybody who reaches the port chats at your cost: write token [auth-off]"
    )
    assert finding.place == ("p", 1, 14)


def test_of_the_fields_that_disagree_the_file_s_own_is_pointed_at(tmp_path: Path) -> None:
    (tmp_path / "below.yaml").write_text("breaker: {slow_call: {duration: 3s}, open: {base: 5s}}\n")
    (tmp_path / "above.yaml").write_text(
        "extends: below.yaml\ndeadline: {client: 3s}\nslo: {latency: {threshold: 1s}}\n"
    )
    (finding,) = lint(load(tmp_path / "above.yaml"))
    assert (finding.code, finding.path, Path(finding.file).name, finding.line) == (
        "slow-call-never",
        "deadline.client",
        "above.yaml",
        2,
    )


def test_what_it_is_measured_against_is_named_if_another_field_is_pointed_at() -> None:
    (finding,) = lint(parse("deadline: {client: 3s}\nslo: {latency: {threshold: 1s}}", "p"))
    assert finding.path == "deadline.client"
    assert finding.message.startswith(
        "against breaker.slow_call.duration: no attempt on switch lasts longer than 1.375s"
    )


def test_a_value_that_is_built_in_is_shown_at_what_is_stated_nearest() -> None:
    assert found("# one\ndeadline: {margin: 100ms}\nbreaker:\n  open: {base: 1s}\n  window: {type: time}\n", RARE) == [
        "4:16 breaker.open.base [open-shorter-than-probe]",
        "5:18 breaker.window.duration [breaker-window-too-short]",
    ]
    assert found("mode: enforce\n", SLOW) == ["1:1 targets[1].reserve [reserve-below-p95]"]
    assert found("mode: enforce\ntargets:\n  - name: switch\n  - name: madre\n", SLOW) == [
        "4:11 targets[1].reserve [reserve-below-p95]"
    ]


def test_the_default_file_is_sound_and_so_is_the_built_in_policy() -> None:
    assert lint(load(SHIPPED / "default.yaml")) == ()
    assert lint(parse("", "built-in")) == ()


def test_the_other_shipped_files_are_sound_but_for_what_they_explain() -> None:
    for file in SHIPPED.glob("*.yaml"):
        loaded = load(file)
        assert silence(lint(loaded), {str(file): file.read_text(encoding="utf-8")}) == ()


def test_both_spellings_are_those_of_the_default() -> None:
    assert len(Intercept().paths) == 2


# ── silence ──


def _silenced(text: str) -> list[str]:
    loaded: Loaded = parse(text, "p")
    return [f"{f.line} {f.code}" for f in silence(lint(loaded), {"p": text})]


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("auth: {mode: off}  # lint: ignore auth-off", []),
        ("auth: {mode: off}  # lint: ignore auth-off (a lab)", []),
        ("# lint:ignore auth-off\nauth: {mode: off}", []),
        ("# lint: ignore auth-off\n\nauth: {mode: off}", ["3 auth-off"]),
        ("mode: enforce  # lint: ignore auth-off\nauth: {mode: off}", ["2 auth-off"]),
        ("auth: {mode: off}  # lint: ignore shield-off", ["1 auth-off"]),
        ("auth: {mode: off}  # lint: ignore shield-off, auth-off", []),
        ("auth: {mode: off}  # lint: ignore auth-of", ["1 ignores-nothing", "1 auth-off"]),
        ("# lint: ignore auth-of\nmode: enforce", ["1 ignores-nothing"]),
        ("auth: {mode: off}  # lint: ignore", ["1 auth-off"]),
    ],
)
def test_a_comment_silences_a_code_where_it_stands(text: str, left: list[str]) -> None:
    assert _silenced(text) == left


def test_a_comment_in_another_file_silences_nothing_here() -> None:
    finding = lint(parse("auth: {mode: off}", "p"))
    assert silence(finding, {"q": "# lint: ignore auth-off"}) == finding


# ── for all ──


@pytest.mark.uncounted
@given(POLICIES)
def test_any_policy_can_be_looked_at(stated: dict[str, Any]) -> None:
    text = Policy.model_validate(stated).model_dump_json()
    for finding in lint(parse(text, "p"), Observed({"madre": 0.9}, Rate(10, 60.0))):
        assert isinstance(finding, Finding)
        assert CODES[finding.code] == finding.severity
        assert (finding.file, finding.line) == ("p", 1)
        assert finding.column >= 1
        assert "\n" not in finding.message
        assert "None" not in finding.message
