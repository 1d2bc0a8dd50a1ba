"""Facts to metrics: every kind of fact has its place, names and labels are a closed catalogue, and time spent degraded runs on."""

from __future__ import annotations

import random

import pytest
from prometheus_client import generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse

from sidecar.core import fact as facts
from sidecar.core.vocabulary import Binding, ErrorKind, Finish, Outcome, Override, Reason, Verdict
from sidecar.edge.outlets.telemetry import OUTCOMES, Telemetry
from sidecar.policy.model import Policy

IGNORED = {  # and why
    facts.CallBegan,  # its CallEnded and ChatServed are counted
    facts.EventHeard,  # for the journal
    facts.AttemptStarted,  # its AttemptEnded is counted
    facts.FellBack,  # CallEnded has the first reason, which is what is counted
    facts.RateLimited,  # its ChatRejected is counted
}

CATALOGUE = {  # every family of ours, with its labels: a rename must be meant
    "auth_rejections_total": {"reason"},
    "breaker_state": {"target", "state"},
    "breaker_transitions_total": {"target", "to", "reason"},
    "build_info": {"version", "python"},
    "chat_request_duration_seconds": {"outcome"},
    "chat_requests_total": {"outcome", "code"},
    "deadline_exceeded_total": {"binding"},
    "degraded": set(),
    "degraded_seconds_total": set(),
    "dormant": set(),
    "event_loop_lag_seconds": set(),
    "fallbacks_total": {"reason"},
    "inflight_requests": {"kind"},
    "journal_dropped_total": set(),
    "log_dropped_total": set(),
    "messages_refused_total": {"why"},
    "misconfigured_total": {"target", "kind"},
    "overhead_seconds": set(),
    "override_active": {"kind"},
    "policy_info": {"revision", "version", "source"},
    "policy_last_reload_success_timestamp_seconds": set(),
    "policy_last_reload_successful": set(),
    "policy_reloads_total": {"result"},
    "relay_bytes_total": {"direction"},
    "relay_duration_seconds": set(),
    "relay_errors_total": {"error"},
    "relay_requests_total": {"kind", "method", "status_class"},
    "retries_denied_total": {"target", "reason"},
    "retries_total": {"target", "reason"},
    "retry_budget_balance": {"target"},
    "target_refusals_total": {"target", "reason"},
    "upstream_attempt_duration_seconds": {"target"},
    "upstream_attempts_total": {"target", "result"},
    "websocket_connections": set(),
}
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
    facts.Refused(0.0, 1, "switch", Reason.OPEN, 1.0),
    facts.BreakerMoved(0.0, "switch", "closed", "open", "consecutive", 5.0),
    facts.RelayEnded(0.0, "http", "GET", 200, 0.1, 1, 2, None),
    facts.RelayEnded(0.0, "http", "GET", None, 0.1, 1, 2, "connect"),
    facts.MessageRefused(0.0, 400, "host"),
    facts.DormancyHeard(0.0, None),
    facts.PolicyAdopted(0.0, "r1", "built-in", POLICY),
)


def test_every_kind_of_fact_is_either_taken_or_left_on_purpose(telemetry):
    assert set(telemetry._take) | IGNORED == set(facts.Fact.__args__)
    assert not set(telemetry._take) & IGNORED


@pytest.mark.parametrize("kind", sorted(IGNORED, key=lambda kind: kind.__name__))
def test_a_fact_that_is_left_changes_nothing(telemetry, kind):
    def ours():
        return [line for line in generate_latest(telemetry.registry).splitlines() if line.startswith(b"vx11_sidecar_")]

    before = ours()
    telemetry(kind(*[None] * len(kind._fields)))
    assert ours() == before


def test_names_and_labels_are_those_of_the_catalogue(telemetry):
    for fact in ONE_OF_EACH:
        telemetry(fact)
    telemetry.watch_each("inflight_requests", ["chat"], lambda _: 0)
    telemetry.watch_each("retry_budget_balance", ["switch"], lambda _: 0)
    found = {}
    for family in parse(generate_latest(telemetry.registry).decode()):
        if not family.name.startswith("vx11_sidecar_"):
            continue
        name = family.name.removeprefix("vx11_sidecar_") + ("_total" if family.type == "counter" else "")
        assert family.documentation
        for sample in family.samples:
            found.setdefault(name, set()).update(set(sample.labels) - {"le"})
    missing = {name: labels for name, labels in CATALOGUE.items() if found.get(name) != labels}
    assert not missing
    assert set(found) >= set(CATALOGUE)


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


def series(telemetry):
    return sum(1 for line in generate_latest(telemetry.registry).splitlines() if not line.startswith(b"#"))


def test_what_clients_send_adds_no_series_and_a_scrape_stays_small(telemetry):
    for fact in ONE_OF_EACH:
        telemetry(fact)
    telemetry(facts.RelayEnded(0.0, "http", "FROB", 404, 0.1, 0, 0, None))
    before = series(telemetry)
    luck = random.Random(7)
    for number in range(10_000):
        method = "".join(chr(luck.choice((luck.randint(33, 126), 0xDCFF, 0x2028))) for _ in range(5))
        telemetry(facts.RelayEnded(0.0, "http", method, 404, 0.1, 0, 0, None))
        telemetry(facts.ChatServed(0.0, number, f"\udcff{number}", "primary", 200, 0.1, 0.0))
        telemetry(facts.CallBegan(0.0, number, 4.75, f"\udcff{number}", "r1"))
    assert series(telemetry) == before
    generate_latest(telemetry.registry).decode()


def test_with_every_label_that_there_can_be_a_scrape_stays_below_a_thousand_lines(telemetry):
    for target in ("switch", "madre"):
        for kind in ErrorKind:
            telemetry(attempt(Outcome(error=kind), Verdict.FATAL, target=target))
            telemetry(facts.Retried(0.0, 1, target, 0.1, kind.value, 1.0))
        for verdict in Verdict:
            telemetry(attempt(Outcome(status=200), verdict, target=target))
        for status in (401, 403, 404, 405, 415, 422):
            telemetry(attempt(Outcome(status=status), Verdict.MISCONFIGURED, target=target))
        for reason in Reason:
            telemetry(facts.Refused(0.0, 1, target, reason, None))
    for kind in ("http", "sse", "websocket"):
        for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "x"):
            for status in (None, 101, 200, 301, 404, 500):
                telemetry(facts.RelayEnded(0.0, kind, method, status, 0.1, 0, 0, None))
    assert len(generate_latest(telemetry.registry).splitlines()) < 1000


def test_both_formats_parse(telemetry):
    for fact in ONE_OF_EACH:
        telemetry(fact)
    plain = {family.name for family in parse(generate_latest(telemetry.registry).decode())}
    assert plain == {family.name for family in parse_openmetrics(generate_openmetrics(telemetry.registry).decode())}


def test_watched_gauges_are_read_at_the_scrape(telemetry):
    levels = {"chat": 3, "relay": 0}
    telemetry.watch_each("inflight_requests", levels, levels.__getitem__)
    telemetry.watch("websocket_connections", lambda: 2)
    telemetry.watch_lost("log", lambda: 5)
    levels["relay"] = 9
    assert value(telemetry, "inflight_requests", kind="relay") == 9
    assert value(telemetry, "websocket_connections") == 2
    assert value(telemetry, "log_dropped_total") == 5
