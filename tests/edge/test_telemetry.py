"""Facts to metrics: every kind of fact has its place, names and labels are a closed catalogue, and time spent degraded runs on."""

from __future__ import annotations

import ast
import random
import re
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse

from sidecar.core import fact as facts
from sidecar.core.engine import Engine
from sidecar.core.scene import Call
from sidecar.core.shadow import Beside
from sidecar.core.value import names
from sidecar.core.vocabulary import Binding, ErrorKind, Finish, Outcome, Override, Reason, Verdict
from sidecar.edge.outlets.telemetry import OUTCOMES, TARGETS, Telemetry
from sidecar.edge.outlets.telemetry.health import RESULTS as HEALTH_RESULTS
from sidecar.edge.outlets.telemetry.relay import ERRORS, REFUSALS
from sidecar.policy.model import Policy
from sidecar.wire.inventory import CLIENTS, ROUTES, client, template

IGNORED = {  # and why
    facts.CallBegan,  # its CallEnded and ChatServed are counted
    facts.EventHeard,  # for the journal
    facts.AttemptStarted,  # its AttemptEnded is counted
    facts.FellBack,  # CallEnded has the first reason, which is what is counted
    facts.HealthMoved,  # the state is read at the scrape
    facts.RateLimited,  # its ChatRejected is counted
    facts.Hedged,  # its HedgeEnded is counted
}

CATALOGUE = {  # every family of ours, with its labels: a rename must be meant
    "auth_rejections_total": {"reason"},
    "breaker_consecutive_failures": {"target"},
    "breaker_state": {"target", "state"},
    "breaker_transitions_total": {"target", "to", "reason"},
    "breaker_window_calls": {"target"},
    "breaker_window_ratio": {"target", "kind"},
    "build_info": {"version", "python", "code"},
    "chat_request_duration_seconds": {"outcome"},
    "chat_requests_total": {"outcome", "code"},
    "client_connections": set(),
    "deadline_exceeded_total": {"binding"},
    "degraded": set(),
    "degraded_seconds_total": set(),
    "descriptors_exhausted": set(),
    "dormant": set(),
    "event_loop_lag_seconds": set(),
    "event_loop_stalls_total": set(),
    "fallbacks_total": {"reason"},
    "forward_auth_total": {"result"},
    "idempotency_bytes": set(),
    "idempotency_keys_sent_total": {"target", "origin"},
    "idempotency_keys_total": {"result"},
    "idempotency_remembered": {"state"},
    "health_probe_duration_seconds": {"target"},
    "health_probes_total": {"target", "result"},
    "health_state": {"target", "state"},
    "shared_asked_total": {"told"},
    "shared_lost_total": {"why"},
    "shared_store": {"state"},
    "inflight_requests": {"kind"},
    "journal_dropped_total": set(),
    "worker_restarts_total": set(),
    "limiter_baseline_seconds": {"target"},
    "limiter_drops_total": {"target"},
    "limiter_inflight": {"target"},
    "limiter_limit": {"target"},
    "limiter_moves_total": {"target", "reason"},
    "limiter_queued": {"target"},
    "log_dropped_total": set(),
    "log_suppressed_total": set(),
    "messages_refused_total": {"why"},
    "misconfigured_total": {"target", "kind"},
    "observed_chat_seconds": set(),
    "observed_chats_late_total": {"gateway"},
    "observed_chats_total": {"would", "gateway"},
    "observed_lookalikes_total": {"route", "would"},
    "overhead_seconds": set(),
    "override_active": {"kind"},
    "policy_deadline_seconds": set(),
    "policy_info": {"revision", "version", "source"},
    "policy_last_reload_success_timestamp_seconds": set(),
    "policy_last_reload_successful": set(),
    "policy_limit": {"target", "limit"},
    "policy_reloads_total": {"result"},
    "policy_slo": {"objective"},
    "relay_bytes_total": {"direction"},
    "relay_duration_seconds": set(),
    "relay_errors_total": {"error"},
    "relay_requests_total": {"kind", "method", "status_class"},
    "retries_denied_total": {"target", "reason"},
    "hedges_total": {"target", "won"},
    "hedges_denied_total": {"target", "reason"},
    "chaos_active": set(),
    "chaos_faults_total": {"target", "fault"},
    "retries_total": {"target", "reason"},
    "retry_budget_balance": {"target"},
    "shadow_breaker_state": {"target", "state"},
    "shadow_calls_total": {"result"},
    "shadow_differences_total": {"active", "candidate"},
    "shadow_last_reload_successful": set(),
    "shadow_policy_info": {"revision", "source"},
    "shadow_running": set(),
    "shadow_shift_seconds": {"direction"},
    "shadow_undecided_total": {"why"},
    "shed_requests_total": {"why"},
    "target_refusals_total": {"target", "reason"},
    "upstream_attempt_duration_seconds": {"target"},
    "upstream_attempts_total": {"target", "result"},
    "usage_requests_total": {"route"},
    "websocket_connections": set(),
}
ROOT = Path(__file__).parents[2]
POLICY = Policy()


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def telemetry(clock):
    return Telemetry(clock)


def value(telemetry, name, **labels):
    return telemetry.registry.get_sample_value(f"vx11_sidecar_{name}", labels)


def finish(provider="switch", *, degraded=False, reason=None, abandoned=False):
    return Finish(provider, 1, degraded, reason, abandoned)


def ended(at=0.0, first_reason=None, **how):
    return facts.CallEnded(at, 1, 0.1, finish(**how), first_reason, 1)


def attempt(outcome, verdict, binding=Binding.ATTEMPT, target="switch"):
    return facts.AttemptEnded(0.0, 1, target, 1, 0.1, outcome, verdict, binding)


ONE_OF_EACH = (
    facts.ChatServed(0.0, 1, "c", "primary", 200, 0.1, 0.001),
    facts.ChatRejected(0.0, 401, "auth_required", 0.1),
    ended(),
    attempt(Outcome(status=200, text=True), Verdict.SUCCESS),
    attempt(Outcome(status=401), Verdict.MISCONFIGURED),
    attempt(None, Verdict.IGNORED),
    facts.Retried(0.0, 1, "switch", 0.1, "connect", 2.0),
    facts.RetryDenied(0.0, 1, "switch", "effects"),
    facts.HedgeEnded(0.0, 1, "switch", "hedge"),
    facts.HedgeDenied(0.0, 1, "switch", "load", 0.5),
    facts.Refused(0.0, 1, "switch", Reason.OPEN, 1.0),
    facts.BreakerMoved(0.0, "switch", "closed", "open", "consecutive", 5.0),
    facts.LimitMoved(0.0, "switch", 4, 2, "timeout"),
    facts.RelayEnded(0.0, "http", "GET", 200, 0.1, 1, 2, None),
    facts.RelayEnded(0.0, "http", "GET", None, 0.1, 1, 2, "connect"),
    facts.MessageRefused(0.0, 400, "host"),
    facts.DormancyHeard(0.0, None),
    facts.HealthHeard(0.0, "switch", Outcome(status=200), False, 0.01, Verdict.SUCCESS),
    facts.RequestShed(0.0, "lag"),
    facts.ChatObserved(0.0, "chat", "pass", "degraded", 200, 0.1, late=True),
    facts.PolicyAdopted(0.0, "r1", "built-in", POLICY),
    facts.TokenJudged(0.0, "passed"),
)


def watch(telemetry, policy=POLICY):
    """Let ``telemetry`` read an engine, as the composition root does; the engine."""
    engine = Engine(0.0, policy, revision="r1", source="built-in", seed=1, emit=telemetry)
    telemetry.watch_engine(lambda: engine.gauges(0.0))
    telemetry.watch_shadow(lambda: Beside("c1", "candidate.yaml", {"switch": "closed", "madre": "open"}))
    return engine


def test_every_kind_of_fact_is_either_taken_or_left_on_purpose(telemetry):
    assert set(telemetry.takes) | IGNORED == set(facts.Fact.__args__)
    assert not set(telemetry.takes) & IGNORED


@pytest.mark.usefixtures("of_sources")
@pytest.mark.parametrize("kind", sorted(IGNORED, key=lambda kind: kind.__name__))
def test_a_fact_that_is_left_changes_nothing(telemetry, kind):
    def ours():
        return [line for line in generate_latest(telemetry.registry).splitlines() if line.startswith(b"vx11_sidecar_")]

    before = ours()
    telemetry(kind(*[None] * len(names(kind))))
    assert ours() == before


def test_names_and_labels_are_those_of_the_catalogue(telemetry):
    watch(telemetry)
    found = {}
    for family in parse(generate_latest(telemetry.registry).decode()):
        if not family.name.startswith("vx11_sidecar_"):
            continue
        name = family.name.removeprefix("vx11_sidecar_") + ("_total" if family.type == "counter" else "")
        assert family.documentation
        for sample in family.samples:
            found.setdefault(name, set()).update(set(sample.labels) - {"le"})
    assert found == CATALOGUE
    assert {family.name.removeprefix("vx11_sidecar_"): set(family.labels) for family in telemetry.declared} == CATALOGUE


def test_every_child_that_is_declared_is_there_from_the_start(telemetry):
    watch(telemetry)
    seen = {}
    for family in parse(generate_latest(telemetry.registry).decode()):
        for sample in family.samples:
            for label, found in sample.labels.items():
                seen.setdefault((family.name, label), set()).add(found)
    open_labels = 0
    for family in telemetry.declared:
        for label, values in family.labels.items():
            if isinstance(values, str):
                open_labels += 1
            else:
                assert seen[family.name.removesuffix("_total"), label] == set(values), (family.name, label)
    assert open_labels == 8  # of policy_info, build_info and shadow_policy_info


def test_every_text_can_stand_as_reference(telemetry):
    for family in telemetry.declared:
        assert family.text[:1].isupper() or family.text[:1].isdigit(), family.name
        assert len(family.text.split()) >= 5, family.name
        assert not family.text.endswith("."), family.name
        assert "|" not in family.text, family.name


def test_the_families_an_operator_asks_first_are_there_from_the_start_with_zeros(telemetry):
    for outcome, codes in OUTCOMES.items():
        for code in codes:
            assert value(telemetry, "chat_requests_total", outcome=outcome, code=str(code)) == 0
        assert value(telemetry, "chat_request_duration_seconds_count", outcome=outcome) == 0
    for reason in Reason:
        assert value(telemetry, "fallbacks_total", reason=reason.value) == 0
    for binding in Binding:
        assert value(telemetry, "deadline_exceeded_total", binding=binding.value) == 0
    for target in ("switch", "madre"):
        assert value(telemetry, "breaker_state", target=target, state="closed") == 1
        assert value(telemetry, "breaker_state", target=target, state="open") == 0
        assert value(telemetry, "breaker_transitions_total", target=target, to="open", reason="failure_rate") == 0
    for reason in ("missing", "wrong"):
        assert value(telemetry, "auth_rejections_total", reason=reason) == 0
    for kind in ("log", "journal"):
        assert value(telemetry, f"{kind}_dropped_total") == 0
    assert value(telemetry, "degraded") == value(telemetry, "degraded_seconds_total") == 0


def test_buckets_have_edges_at_what_clients_wait(telemetry):
    for edge in ("1.0", "2.0", "3.0", "4.0", "5.0", "6.0", "10.0", "30.0", "60.0", "0.005"):
        assert value(telemetry, "chat_request_duration_seconds_bucket", outcome="primary", le=edge) == 0


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_a_chat_is_counted_under_its_outcome_and_status(telemetry, outcome):
    for status in OUTCOMES[outcome]:
        if outcome == "rejected":
            telemetry(facts.ChatRejected(0.0, status, "invalid", 0.2))
        else:
            telemetry(facts.ChatServed(0.0, 1, "c", outcome, status, 0.2, 0.001))
        assert value(telemetry, "chat_requests_total", outcome=outcome, code=str(status)) == 1
    assert value(telemetry, "chat_request_duration_seconds_count", outcome=outcome) == len(OUTCOMES[outcome])
    assert value(telemetry, "overhead_seconds_count") == (0 if outcome == "rejected" else len(OUTCOMES[outcome]))


@pytest.mark.parametrize(("status", "outcome"), [(500, "failed"), (499, "client_gone")])
def test_a_request_that_ended_before_it_was_judged_is_not_called_rejected(telemetry, status, outcome):
    telemetry(facts.ChatRejected(0.0, status, outcome, 0.2))
    assert value(telemetry, "chat_requests_total", outcome=outcome, code=str(status)) == 1
    assert value(telemetry, "chat_request_duration_seconds_count", outcome="rejected") == 0


def test_rejections_for_want_of_a_token_are_counted_by_how(telemetry):
    telemetry(facts.ChatRejected(0.0, 401, "auth_required", 0.1))
    telemetry(facts.ChatRejected(0.0, 403, "forbidden", 0.1))
    telemetry(facts.ChatRejected(0.0, 429, "rate_limited", 0.1))
    assert value(telemetry, "auth_rejections_total", reason="missing") == 1
    assert value(telemetry, "auth_rejections_total", reason="wrong") == 1


def test_time_degraded_runs_from_the_first_answer_not_by_the_primary_to_the_next_by_it(telemetry, clock):
    telemetry(ended())
    assert value(telemetry, "degraded") == 0
    clock.now = 110.0
    telemetry(ended(provider="madre", degraded=True, first_reason=Reason.FAILURE))
    clock.now = 113.0
    assert (value(telemetry, "degraded"), value(telemetry, "degraded_seconds_total")) == (1, 3.0)
    telemetry(ended(provider=None, abandoned=True))
    telemetry(ended(provider="local", degraded=True, first_reason=Reason.OPEN))
    clock.now = 115.0
    telemetry(ended())
    clock.now = 200.0
    assert (value(telemetry, "degraded"), value(telemetry, "degraded_seconds_total")) == (0, 5.0)
    telemetry(ended(provider=None, degraded=True, reason=Reason.FAILURE))
    clock.now = 201.0
    assert (value(telemetry, "degraded"), value(telemetry, "degraded_seconds_total")) == (1, 6.0)
    assert value(telemetry, "fallbacks_total", reason="failure") == 1
    assert value(telemetry, "fallbacks_total", reason="open") == 1


@pytest.mark.parametrize(
    ("outcome", "verdict", "result"),
    [
        (Outcome(status=200), Verdict.SUCCESS, "success"),
        (Outcome(status=500), Verdict.FATAL, "fatal"),
        (Outcome(error=ErrorKind.CONNECT), Verdict.RETRYABLE, "connect"),
        (Outcome(error=ErrorKind.CONNECT), Verdict.IGNORED, "connect"),
        (None, Verdict.IGNORED, "client_gone"),
    ],
)
def test_an_attempt_is_counted_by_how_it_ended(telemetry, outcome, verdict, result):
    telemetry(attempt(outcome, verdict))
    assert value(telemetry, "upstream_attempts_total", target="switch", result=result) == 1
    assert value(telemetry, "upstream_attempt_duration_seconds_count", target="switch") == 1


@pytest.mark.parametrize("binding", Binding)
def test_an_attempt_that_ran_out_of_time_is_counted_by_what_set_its_time(telemetry, binding):
    telemetry(attempt(Outcome(error=ErrorKind.TIMEOUT), Verdict.FATAL, binding))
    telemetry(attempt(Outcome(error=ErrorKind.CONNECT_TIMEOUT), Verdict.FATAL, binding))
    assert value(telemetry, "deadline_exceeded_total", binding=binding.value) == 1


@pytest.mark.parametrize(
    ("outcome", "kind"),
    [(Outcome(status=401), "401"), (Outcome(status=422), "422"), (Outcome(error=ErrorKind.NOT_JSON), "not-json")],
)
def test_a_set_up_that_is_wrong_is_counted_by_what_said_so(telemetry, outcome, kind):
    telemetry(attempt(outcome, Verdict.MISCONFIGURED, target="madre"))
    assert value(telemetry, "misconfigured_total", target="madre", kind=kind) == 1


def test_the_breaker_is_in_exactly_one_state(telemetry):
    telemetry(facts.BreakerMoved(0.0, "switch", "closed", "open", "consecutive", 5.0))
    states = {
        state: value(telemetry, "breaker_state", target="switch", state=state)
        for state in ("closed", "open", "half_open")
    }
    assert states == {"closed": 0, "open": 1, "half_open": 0}
    assert value(telemetry, "breaker_transitions_total", target="switch", to="open", reason="consecutive") == 1
    assert value(telemetry, "breaker_state", target="madre", state="closed") == 1


@pytest.mark.parametrize(
    ("outcome", "busy", "verdict", "result"),
    [
        (Outcome(status=204), False, Verdict.SUCCESS, "2xx"),
        (Outcome(status=503), True, Verdict.FATAL, "5xx"),
        (Outcome(status=404), False, Verdict.IGNORED, "other"),
        (Outcome(error=ErrorKind.TIMEOUT), True, Verdict.IGNORED, "busy"),
        (Outcome(error=ErrorKind.NO_SOCKET), False, Verdict.IGNORED, "no-socket"),
        (Outcome(error=ErrorKind.TIMEOUT), False, Verdict.FATAL, "timeout"),
        (Outcome(error=ErrorKind.CONNECT), False, Verdict.IGNORED, "dormant"),
        (Outcome(error=ErrorKind.CONNECT), False, Verdict.FATAL, "connect"),
    ],
)
def test_a_health_probe_is_counted_by_what_came_of_it(telemetry, outcome, busy, verdict, result):
    telemetry(facts.HealthHeard(1.0, "madre", outcome, busy, 0.2, verdict))
    assert value(telemetry, "health_probes_total", target="madre", result=result) == 1
    assert value(telemetry, "health_probe_duration_seconds_sum", target="madre") == 0.2
    assert sum(value(telemetry, "health_probes_total", target="madre", result=each) for each in HEALTH_RESULTS) == 1


def test_the_state_of_health_is_read_at_the_scrape_and_is_none_of_a_target_that_is_not_probed(telemetry):
    states = ("unknown", "up", "down")
    engine = watch(
        telemetry,
        Policy.model_validate(
            {"targets": [{"name": "switch", "health": {"mode": "probe", "fall": 1}}, {"name": "madre"}]}
        ),
    )
    engine.hear_health(0.0, "switch", Outcome(status=500), busy=False, seconds=0.1)
    assert [value(telemetry, "health_state", target="switch", state=state) for state in states] == [0, 0, 1]
    assert [value(telemetry, "health_state", target="madre", state=state) for state in states] == [0, 0, 0]
    telemetry.watch_engine(lambda: engine.gauges(60.0))
    assert [value(telemetry, "health_state", target="switch", state=state) for state in states] == [1, 0, 0]


@pytest.mark.parametrize(
    ("active", "dormant"), [(None, 0), (frozenset(), 1), (frozenset({"madre"}), 1), (frozenset({"switch"}), 0)]
)
def test_dormant_is_said_only_of_a_switch_known_to_be_off(telemetry, active, dormant):
    telemetry(facts.DormancyHeard(0.0, active))
    assert value(telemetry, "dormant") == dormant


def test_only_the_policy_in_force_is_shown(telemetry):
    telemetry(facts.PolicyAdopted(0.0, "r1", "a.yaml", POLICY))
    telemetry(facts.PolicyAdopted(0.0, "r2", "b.yaml", POLICY))
    assert value(telemetry, "policy_info", revision="r1", version="1", source="a.yaml") is None
    assert value(telemetry, "policy_info", revision="r2", version="1", source="b.yaml") == 1


def test_a_reload_that_failed_is_seen_until_one_succeeds(telemetry, monkeypatch):
    monkeypatch.setattr("time.time", lambda: 5000.0)
    seen = []
    for result in ("changed", "failed", "failed", "unchanged"):
        telemetry(facts.ReloadEnded(0.0, "file", result))
        seen.append(value(telemetry, "policy_last_reload_successful"))
        monkeypatch.setattr("time.time", lambda: 6000.0)
        if result == "failed":
            assert value(telemetry, "policy_last_reload_success_timestamp_seconds") == 5000.0
    assert seen == [1, 0, 0, 1]
    assert value(telemetry, "policy_last_reload_success_timestamp_seconds") == 6000.0
    assert [
        value(telemetry, "policy_reloads_total", result=result) for result in ("changed", "unchanged", "failed")
    ] == [1, 1, 2]


def test_overrides_are_shown_by_kind_while_they_last(telemetry):
    def active():
        return [value(telemetry, "override_active", kind=kind.value) for kind in Override]

    seen = [active()]
    for target, override in (
        ("switch", "off"),
        ("madre", "off"),
        ("switch", "forced_open"),
        ("madre", None),
        ("switch", None),
    ):
        telemetry(facts.Overridden(0.0, target, None if override is None else Override(override)))
        seen.append(active())
    assert seen == [[0, 0, 0], [0, 0, 1], [0, 0, 2], [1, 0, 1], [1, 0, 0], [0, 0, 0]]


def test_relayed_bytes_are_counted_by_direction(telemetry):
    telemetry(facts.RelayEnded(0.0, "sse", "GET", 200, 0.1, 10, 2000, "client-gone"))
    assert value(telemetry, "relay_bytes_total", direction="to_gateway") == 10
    assert value(telemetry, "relay_bytes_total", direction="to_client") == 2000
    assert value(telemetry, "relay_errors_total", error="client-gone") == 1
    assert value(telemetry, "relay_requests_total", kind="sse", method="GET", status_class="2xx") == 1


def test_only_ordinary_answers_count_in_the_relay_s_duration_for_a_stream_lasts_as_long_as_its_client(telemetry):
    for kind in ("sse", "websocket", "http"):
        telemetry(facts.RelayEnded(0.0, kind, "GET", 200, 60.0 if kind != "http" else 0.25, 1, 2, None))
    assert value(telemetry, "relay_duration_seconds_count") == 1
    assert value(telemetry, "relay_duration_seconds_sum") == 0.25


def series(telemetry):
    return sum(1 for line in generate_latest(telemetry.registry).splitlines() if not line.startswith(b"#"))


def random_text(luck, longest=40):
    return "".join(
        chr(luck.choice((luck.randint(1, 126), 0xDCFF, 0x2028, 0x1F600))) for _ in range(luck.randint(0, longest))
    )


def test_ten_thousand_random_paths_methods_and_sessions_add_no_series(telemetry):
    watch(telemetry)
    before = series(telemetry)
    luck = random.Random(7)
    for number in range(10_000):
        path = ("/" + random_text(luck)).encode("utf-8", "surrogateescape")
        agent = random_text(luck).encode("utf-8", "surrogateescape")
        used = (template(path), client(agent))
        text = random_text(luck)
        telemetry(facts.RelayEnded(0.0, "http", text[:5], luck.randint(100, 599), 0.1, 0, 0, None, *used))
        telemetry(facts.ChatServed(0.0, number, f"\udcff{text}", "primary", 200, 0.1, 0.0, *used))
        telemetry(facts.CallBegan(0.0, number, 4.75, f"\udcff{text}", "r1"))
        assert used[0] in ROUTES
        assert used[1] in CLIENTS
    # A class of status that no answer of its kind can have is made when it is seen: of a closed set all the same.
    assert series(telemetry) - before <= 9
    generate_latest(telemetry.registry).decode()


words = st.text(st.characters(), max_size=20)  # surrogates included


@settings(max_examples=30, deadline=None)
@given(words, words, words, st.integers(100, 999))
def test_no_word_that_gets_into_a_fact_by_mistake_breaks_a_scrape_or_becomes_a_label(one, two, three, status):
    telemetry = Telemetry(Clock())
    for fact in (
        facts.RelayEnded(0.0, one, two, status, 0.1, 0, 0, three, one, two),
        facts.ChatServed(0.0, 1, one, two, status, 0.1, 0.0, three, one),
        facts.ChatRejected(0.0, status, one, 0.1, two, three),
        facts.MessageRefused(0.0, status, one),
        facts.RequestShed(0.0, one),
        facts.Retried(0.0, 1, two, 0.1, one, 1.0),
        facts.RetryDenied(0.0, 1, one, two),
        facts.HedgeEnded(0.0, 1, one, two),
        facts.HedgeDenied(0.0, 1, one, two, 0.5),
        facts.BreakerMoved(0.0, one, two, three, two, None),
        facts.ReloadEnded(0.0, one, two),
        facts.PolicyAdopted(0.0, "r", "a\udcff.yaml", POLICY),
    ):
        telemetry(fact)
    allowed = {value for family in telemetry.declared for values in family.labels.values() for value in values}
    for family in parse(generate_latest(telemetry.registry).decode()):
        if family.name.startswith("vx11_sidecar_") and not family.name.endswith("_info"):
            for sample in family.samples:
                assert {value for label, value in sample.labels.items() if label != "le"} <= allowed | {"other"}


def test_with_every_label_that_there_can_be_a_scrape_stays_below_twelve_hundred_lines(telemetry):
    engine = watch(telemetry)
    for number, patience in enumerate((4.75, 1.0)):
        engine.begin(0.0, Call(number, patience)).start()
    for fact in ONE_OF_EACH:
        telemetry(fact)
    assert len(generate_latest(telemetry.registry).splitlines()) < 1200
    assert len(generate_openmetrics(telemetry.registry).splitlines()) < 1200


def test_every_word_that_a_refusal_can_have_is_a_label():
    said = set()
    for path in (*(ROOT / "sidecar/wire").glob("*.py"), *(ROOT / "sidecar/edge/data").glob("*.py")):
        if path.name != "response.py":  # of the gateway's answers: those are errors, not refusals
            said |= set(re.findall(r'Refused\(\d+, "(\w+)"', path.read_text()))
    assert len(said) > 20
    assert said - {"loop"} <= set(REFUSALS)  # a loop is a relay error


def test_every_word_that_an_error_of_the_relay_can_have_is_a_label():
    said = set()
    for path in (ROOT / "sidecar/edge/data").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call):
                continue
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            place = {"fail": 1, "abandon": 0, "_break": 0, "_not_relayed": 1, "RelayEnded": 7}.get(name)
            if place is not None and len(node.args) > place:
                said |= {part.value for part in ast.walk(node.args[place]) if isinstance(part, ast.Constant)}
    assert len(said) > 6
    assert {word for word in said if isinstance(word, str)} <= set(ERRORS)


def test_an_exemplar_names_the_trace_where_there_is_one_and_somebody_keeps_it(telemetry):
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    for number, (trace_id, sampled) in enumerate(((trace, True), ("f" * 32, False), (None, False))):
        telemetry(facts.ChatServed(0.0, number, "c", "primary", 200, 0.04, 0.0, trace_id=trace_id, sampled=sampled))
    shown = [line for line in generate_openmetrics(telemetry.registry).decode().splitlines() if " # {" in line]
    assert len(shown) == 1
    assert f'# {{trace_id="{trace}"}} 0.04' in shown[0]
    assert 'chat_request_duration_seconds_bucket{le="0.05",outcome="primary"}' in shown[0]
    assert b" # {" not in generate_latest(telemetry.registry)


def test_both_formats_parse(telemetry):
    for fact in ONE_OF_EACH:
        telemetry(fact)
    plain = {family.name for family in parse(generate_latest(telemetry.registry).decode())}
    assert plain == {family.name for family in parse_openmetrics(generate_openmetrics(telemetry.registry).decode())}


def test_what_is_watched_is_read_at_the_scrape(telemetry):
    levels = {"chat": 3, "relay": 0, "tunnel": 2}
    telemetry.watch_port(lambda: sum(levels.values()), levels.__getitem__)
    telemetry.watch_lines("log_dropped", lambda: 5)
    telemetry.watch_lines("log_suppressed", lambda: 6)
    levels["relay"] = 9
    assert value(telemetry, "inflight_requests", kind="relay") == 9
    assert value(telemetry, "websocket_connections") == 2
    assert value(telemetry, "client_connections") == 14
    assert [value(telemetry, f"{kind}_total") for kind in ("log_dropped", "log_suppressed", "journal_dropped")] == [
        5,
        6,
        0,
    ]


def test_the_state_of_limiter_breaker_and_budget_is_that_of_the_engine_at_the_scrape(telemetry):
    engine = watch(telemetry)
    assert value(telemetry, "limiter_inflight", target="switch") == 0
    engine.begin(0.0, Call(1, 4.75)).start()
    breaker = engine.scene.ladder[0].machines.breaker
    for seconds, verdict in ((0.0, Verdict.FATAL), (0.0, Verdict.FATAL), (3.5, Verdict.SUCCESS), (0.0, Verdict.FATAL)):
        breaker.settle(seconds, breaker.admit(0.0), verdict)
    engine.scene.ladder[1].machines.budget.withdraw(0.0)
    assert value(telemetry, "limiter_inflight", target="switch") == 1
    assert value(telemetry, "limiter_inflight", target="madre") == 0
    assert value(telemetry, "limiter_queued", target="switch") == 0
    assert value(telemetry, "breaker_window_calls", target="switch") == 4
    assert value(telemetry, "breaker_window_ratio", target="switch", kind="failure") == 0.75
    assert value(telemetry, "breaker_window_ratio", target="switch", kind="slow") == 0.25
    assert value(telemetry, "breaker_window_ratio", target="madre", kind="slow") == 0
    assert value(telemetry, "breaker_consecutive_failures", target="switch") == 1
    assert value(telemetry, "retry_budget_balance", target="madre") == 2


def test_a_limit_that_moves_is_shown_with_what_moved_it(telemetry):
    engine = watch(telemetry, Policy.model_validate({"limiter": {"adaptive": "gradient", "max_concurrent": 8}}))
    names = ("limiter_limit", "limiter_baseline_seconds", "limiter_drops_total")
    assert [value(telemetry, name, target="switch") for name in names] == [8, 0, 0]
    limiter = engine.scene.ladder[0].machines.limiter
    for seconds in range(10):
        limiter.leave(seconds + 0.5, limiter.enter(seconds))
        assert limiter.observe(seconds + 0.5, seconds, Verdict.SUCCESS, Outcome(status=200, text=True)) is None
    assert value(telemetry, "limiter_baseline_seconds", target="switch") == 0.5
    for began in (20.0, 30.0):
        for ticket in [limiter.enter(began) for _ in range(limiter.limits[0])]:
            limiter.leave(began + 3.0, ticket)
            moved = limiter.observe(began + 3.0, began, Verdict.FATAL, Outcome(error=ErrorKind.TIMEOUT))
            if moved:
                telemetry(moved)
    assert value(telemetry, "limiter_limit", target="switch") < 5
    assert value(telemetry, "limiter_drops_total", target="switch") == 2
    assert value(telemetry, "limiter_moves_total", target="switch", reason="timeout") >= 3
    assert value(telemetry, "limiter_moves_total", target="madre", reason="timeout") == 0


def test_thresholds_and_objectives_are_those_of_the_policy_in_force(telemetry):
    telemetry(facts.PolicyAdopted(0.0, "r1", "a.yaml", POLICY))
    assert value(telemetry, "policy_deadline_seconds") == 4.75
    assert value(telemetry, "policy_slo", objective="availability") == POLICY.slo.availability
    assert value(telemetry, "policy_slo", objective="latency_quantile") == POLICY.slo.latency.quantile
    assert value(telemetry, "policy_slo", objective="latency_seconds") == POLICY.slo.latency.threshold
    shown = {
        name: value(telemetry, "policy_limit", target="switch", limit=name)
        for name in (
            "failure_rate",
            "slow_rate",
            "consecutive",
            "min_calls",
            "window_calls",
            "max_concurrent",
            "min_concurrent",
            "queue",
            "budget_burst",
        )
    }
    assert shown == {
        "failure_rate": 0.5, "slow_rate": 0.8, "consecutive": 3, "min_calls": 5, "window_calls": 20, "max_concurrent": 4,
        "min_concurrent": 1, "queue": 8,
        "budget_burst": 3,
    }  # fmt: skip
    changed = {
        "targets": [{"name": "madre"}],
        "deadline": {"client": "9s", "margin": "1s"},
        "slo": {"undegraded": "90%"},
    }
    telemetry(facts.PolicyAdopted(0.0, "r2", "a.yaml", Policy.model_validate(changed)))
    assert value(telemetry, "policy_limit", target="switch", limit="queue") is None
    assert value(telemetry, "policy_limit", target="madre", limit="max_concurrent") == 2
    assert value(telemetry, "policy_deadline_seconds") == 8
    assert value(telemetry, "policy_slo", objective="undegraded") == 0.9


def test_a_target_that_is_not_in_the_ladder_has_no_machine_to_show(telemetry):
    watch(telemetry, Policy.model_validate({"targets": [{"name": "madre"}]}))
    assert [value(telemetry, "limiter_inflight", target=target) for target in TARGETS] == [None, 0]


@pytest.mark.parametrize(("late", "stalls"), [(0.0, 0), (0.25, 0), (0.2501, 1), (4.0, 1)])
def test_a_tick_that_comes_more_than_a_quarter_of_a_second_late_is_a_stall(telemetry, late, stalls):
    assert telemetry.lagged(late) is bool(stalls)
    assert value(telemetry, "event_loop_lag_seconds") == late
    assert value(telemetry, "event_loop_stalls_total") == stalls


def test_chats_and_relayed_requests_are_counted_by_the_route_they_ask_for(telemetry):
    telemetry(facts.RelayEnded(0.0, "http", "GET", 200, 0.1, 1, 2, None, "/health", "curl"))
    telemetry(facts.RelayEnded(0.0, "http", "GET", 200, 0.1, 1, 2, None))
    telemetry(facts.ChatServed(0.0, 1, "c", "primary", 200, 0.1, 0.001, "/operator/api/chat", "browser"))
    telemetry(facts.ChatRejected(0.0, 401, "auth_required", 0.1, "/operator/api/chat", "none"))
    used = {route: value(telemetry, "usage_requests_total", route=route) for route in ROUTES}
    assert {route: count for route, count in used.items() if count} == {
        "/health": 1,
        "other": 1,
        "/operator/api/chat": 2,
    }


@pytest.mark.parametrize("why", ["chats", "lag"])
def test_a_request_turned_away_for_too_much_to_do_is_counted_by_what_there_was_too_much_of(telemetry, why):
    telemetry(facts.RequestShed(0.0, why))
    assert value(telemetry, "shed_requests_total", why=why) == 1


@pytest.mark.parametrize("fact", [
    facts.Retried(0.0, 1, "switch", 0.1, "418", 2.0),
    attempt(Outcome(status=451), Verdict.MISCONFIGURED),
    facts.MessageRefused(0.0, 400, "unheard"),
    facts.RelayEnded(0.0, "http", "GET", 200, 0.1, 1, 2, "unheard"),
])  # fmt: skip
def test_a_word_that_is_in_no_closed_set_counts_as_other(telemetry, fact):
    before = series(telemetry)
    telemetry(fact)
    assert series(telemetry) == before
    counted = [
        line
        for line in generate_latest(telemetry.registry).decode().splitlines()
        if '"other"' in line and line.endswith(" 1.0")
    ]
    assert counted


# -- chats that are observed --------------------------------------------------------------------------------------------


def test_an_observed_chat_counts_by_what_we_would_have_said_and_what_the_gateway_gave(telemetry):
    for would, gateway, seconds, late in (
        ("pass", "degraded", 0.1, False),
        ("pass", "degraded", 6.0, True),
        ("forbidden", "rejected", 0.1, False),
        ("undecided", "client_gone", 5.5, True),
    ):
        telemetry(facts.ChatObserved(0.0, "chat", would, gateway, None, seconds, late))
    assert value(telemetry, "observed_chats_total", would="pass", gateway="degraded") == 2
    assert value(telemetry, "observed_chats_total", would="forbidden", gateway="rejected") == 1
    assert value(telemetry, "observed_chats_late_total", gateway="degraded") == 1
    assert value(telemetry, "observed_chats_late_total", gateway="client_gone") == 1
    assert value(telemetry, "observed_chat_seconds_count") == 3
    assert value(telemetry, "observed_chat_seconds_sum") == pytest.approx(6.2)


@pytest.mark.parametrize(
    ("route", "would"),
    [
        ("alias", "pass"),
        ("alias", "forbidden"),
        ("commands", "auth_required"),
        ("reject", "target"),
    ],
)
def test_what_only_looks_like_chat_is_counted_apart(telemetry, route, would):
    telemetry(facts.ChatObserved(0.0, route, would, "unreadable", 200, 9.0, late=True))
    assert value(telemetry, "observed_lookalikes_total", route=route, would=would) == 1
    assert value(telemetry, "observed_chat_seconds_count") == 0
    assert value(telemetry, "observed_chats_late_total", gateway="unreadable") == 0


def test_every_word_that_an_observation_can_have_is_a_label(telemetry):
    for would in get_args(facts.Would):
        for gateway in get_args(facts.Gave):
            if would != "target":
                assert value(telemetry, "observed_chats_total", would=would, gateway=gateway) == 0


def test_the_store_of_replicas_is_off_until_it_is_heard_of_and_each_question_counts():
    telemetry = Telemetry(lambda: 0.0)
    value = telemetry.registry.get_sample_value

    def state():
        name = "vx11_sidecar_shared_store"
        return [each for each in ("off", "away", "up") if value(name, {"state": each})]

    assert state() == ["off"]
    telemetry(facts.StoreMoved(1.0, up=True))
    assert state() == ["up"]
    for told in ("answered", "answered", "late", "away"):
        telemetry(facts.StoreAsked(1.0, told))
    telemetry(facts.StoreMoved(2.0, up=False, why="timeout"))
    assert state() == ["away"]
    name = "vx11_sidecar_shared_asked_total"
    assert [value(name, {"told": told}) for told in ("answered", "late", "away")] == [2, 1, 1]
    assert value("vx11_sidecar_shared_lost_total", {"why": "timeout"}) == 1
