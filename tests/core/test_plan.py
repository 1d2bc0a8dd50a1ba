"""The plan: how one chat is answered, as scripts of ``(now, what happened, the step that follows)``."""

from __future__ import annotations

import pytest
from script import BEGIN, GOOD, LEFT, PATIENCE, REFUSED, RESET, SILENT, WAITING, WOKE, World, policy, status, targets

from sidecar.core.breaker import State
from sidecar.core.fact import (
    AttemptEnded,
    AttemptStarted,
    BreakerMoved,
    CallEnded,
    EventHeard,
    FellBack,
    Refused,
    Retried,
    RetryDenied,
)
from sidecar.core.value import astuple
from sidecar.core.vocabulary import ErrorKind, Outcome, Override, Reason, Verdict

SWITCH = "switch #1 within 3.25 (deadline)"
LOCAL = "finish local degraded"
DEDUP = {"effects": "dedup"}
NOW = {"backoff": {"base": "1ms", "max": "1ms"}}  # a backoff too short to matter
NO_SOCKET = Outcome(error=ErrorKind.NO_SOCKET)
OFF, ON = frozenset({"madre"}), frozenset({"madre", "switch"})


def world(switch: dict | None = None, madre: dict | None = None, **sections) -> World:
    return World(policy(targets=targets(switch, madre), **sections))


def denied(w: World) -> list[str]:
    """Why, of calls and targets that were asked."""
    facts, asked = w.heard(RetryDenied), {(fact.call, fact.target) for fact in w.heard(AttemptStarted)}
    assert {(fact.call, fact.target) for fact in facts} <= asked
    return [fact.why for fact in facts]


def refused(w: World) -> list[tuple[str, Reason]]:
    return [(fact.target, fact.reason) for fact in w.heard(Refused)]


# -- answers ----------------------------------------------------------------------------------------------------


def test_the_primary_answers():
    w = World()
    w.play((0.0, BEGIN, SWITCH), (0.2, GOOD, "finish switch #1"))
    assert w.story() == ["PolicyAdopted", "CallBegan", "AttemptStarted", "AttemptEnded", "CallEnded"]
    assert w.heard(CallEnded)[0].seconds == 0.2
    assert w.heard(CallEnded)[0].first_reason is None
    assert w.at_rest(0.2)


def test_after_the_finish_there_is_nothing_more_to_be_told():
    call = World().play((0.0, BEGIN, SWITCH), (0.2, GOOD, "finish switch #1"))
    assert call.plan.finish is call.step
    with pytest.raises(StopIteration):
        call.plan.send(call.world.heard(EventHeard)[0].event)


@pytest.mark.parametrize(
    ("outcome", "reason"),
    [
        (status(500), "failure"),
        (status(503), "failure"),
        (status(429), "failure"),
        (RESET, "failure"),
        (Outcome(error=ErrorKind.TRUNCATED), "failure"),
        (Outcome(error=ErrorKind.PROTOCOL), "failure"),
        (Outcome(error=ErrorKind.TOO_LARGE), "failure"),
        (Outcome(error=ErrorKind.NOT_JSON), "failure"),
        (Outcome(status=200, body={"status": "partial"}, text=True), "failure"),
        (Outcome(status=200, body={"status": "error"}, text=True), "failure"),
        (Outcome(status=200, body={"status": "ok"}, text=False), "failure"),
        (SILENT, "timeout"),
        (status(401), "misconfigured"),
        (status(422), "misconfigured"),
    ],
)
def test_whatever_is_wrong_with_the_switch_madre_is_asked_and_the_reason_is_told(outcome, reason):
    w = World()
    w.play(
        (0.0, BEGIN, SWITCH),
        (1.0, outcome, "madre #2 within 3.75 (deadline)"),
        (1.5, GOOD, f"finish madre #2 degraded ({reason})"),
    )
    assert w.heard(FellBack) == [FellBack(1.0, 1, "switch", Reason(reason))]
    assert w.at_rest(1.5)


def test_that_we_had_no_socket_is_no_fault_of_a_target_and_not_that_it_sleeps():
    """The reason is a failure, ours: nothing is asked again, no breaker minds, and a power state that says off explains nothing."""
    w = World()
    w.engine.hear_dormancy(0.0, OFF)
    for number in range(10):
        w.play(
            (float(number), BEGIN, SWITCH),
            (float(number), NO_SOCKET, "madre #2 within 4.75 (deadline)"),
            (float(number), NO_SOCKET, f"{LOCAL} (failure)"),
        )
    assert {fact.verdict for fact in w.heard(AttemptEnded)} == {Verdict.IGNORED}
    assert w.machines("switch").breaker.state == w.machines("madre").breaker.state == State.CLOSED
    assert w.machines().budget.balance(10.0) == w.machines().budget.burst
    assert w.at_rest(10.0)


def test_both_down_the_own_answer_names_why_the_primary_did_not_answer():
    w = World()
    w.play(
        (0.0, BEGIN, SWITCH),
        (3.25, SILENT, "madre #2 within 1.5 (deadline)"),
        (3.3, status(500), f"{LOCAL} (timeout)"),
    )
    assert [(f.target, f.reason) for f in w.heard(FellBack)] == [("switch", "timeout"), ("madre", "failure")]
    assert w.heard(CallEnded)[0].first_reason is Reason.TIMEOUT


def test_the_last_rung_may_be_an_error_by_policy():
    world(fallback={"local": "error"}).play(
        (0.0, BEGIN, SWITCH),
        (1.0, status(500), "madre #2 within 3.75 (deadline)"),
        (2.0, status(500), "finish None degraded (failure)"),
    )


def test_an_answer_that_waits_for_a_confirmation_is_shown_as_such():
    World().play(
        (0.0, BEGIN, SWITCH),
        (1.0, status(500), "madre #2 within 3.75 (deadline)"),
        (1.5, WAITING, "finish madre #2 degraded (waiting)"),
    )


def test_a_request_that_is_itself_wrong_is_shown_to_nobody_else():
    w = World()
    w.play((0.0, BEGIN, SWITCH), (0.1, status(400), f"{LOCAL} (caller_error)"))
    assert w.machines().breaker.view(0.1)["calls"] == 0


@pytest.mark.parametrize("outcome", [status(401), status(400)])
def test_what_is_not_the_targets_fault_never_opens_its_breaker(outcome):
    w = World()
    for n in range(30):
        call = w.call()
        call.tell(float(n), BEGIN)
        call.tell(n + 0.1, outcome)
        if call.plan.finish is None:
            call.tell(n + 0.2, GOOD)
    assert w.machines().breaker.state is State.CLOSED
    assert not w.heard(BreakerMoved)


@pytest.mark.parametrize(
    ("cause", "outcome"), [("failure", status(500)), ("timeout", SILENT), ("misconfigured", status(401))]
)
def test_a_cause_the_policy_does_not_name_ends_the_ladder(cause, outcome):
    causes = {"open", "failure", "timeout", "budget", "limited", "dormant", "misconfigured"} - {cause}
    w = world(fallback={"on": sorted(causes)})
    w.play((0.0, BEGIN, SWITCH), (1.0, outcome, f"{LOCAL} ({cause})"))


@pytest.mark.parametrize("cause", ["open", "limited", "dormant"])
def test_a_refusal_the_policy_does_not_name_ends_the_ladder(cause):
    causes = {"open", "failure", "timeout", "budget", "limited", "dormant", "misconfigured"} - {cause}
    w = world({"limiter": {"max_concurrent": 1, "queue": 0}}, fallback={"on": sorted(causes)}, dormant={"mode": "obey"})
    if cause == "open":
        w.trip(0.0)
    elif cause == "limited":
        w.call().tell(0.0, BEGIN)
    else:
        w.engine.hear_dormancy(0.0, OFF)
    w.play((0.0, BEGIN, f"{LOCAL} ({cause})"))


def test_a_ladder_of_one_keeps_nothing_back():
    w = World(policy(targets=[{"name": "madre"}, {"name": "local"}]))
    w.play((0.0, BEGIN, "madre #1 within 4.75 (deadline)"), (1.0, GOOD, "finish madre #1"))
    w.play((2.0, BEGIN, "madre #1 within 4.75 (deadline)"), (6.75, SILENT, f"{LOCAL} (timeout)"))


def test_without_a_ladder_the_own_answer_is_the_answer():
    World(policy(targets=[{"name": "local"}])).play((0.0, BEGIN, LOCAL))


def test_without_any_time_nobody_is_asked():
    w = World()
    w.play((0.0, BEGIN, f"{LOCAL} (timeout)"), patience=0.04)
    assert refused(w) == [("switch", "timeout"), ("madre", "timeout")]
    w.play((0.0, BEGIN, f"{LOCAL} (timeout)"), patience=-1.0)


def test_of_a_target_that_there_is_no_time_for_it_does_not_matter_how_it_is():
    w = World()
    w.trip(1000.0, "madre")
    w.play((1000.0, BEGIN, f"{LOCAL} (timeout)"), patience=0.04)
    assert refused(w) == [("switch", "timeout"), ("madre", "timeout")]


# -- time -------------------------------------------------------------------------------------------------------


def test_a_fixed_reserve_is_kept_back():
    world(madre={"reserve": "2s"}).play((0.0, BEGIN, "switch #1 within 2.75 (deadline)"))


def test_the_rungs_below_keep_back_at_most_half_of_little_patience():
    World().play(
        (0.0, BEGIN, "switch #1 within 0.5 (deadline)"), (0.5, SILENT, "madre #2 within 0.5 (deadline)"), patience=1.0
    )


def test_an_attempt_timeout_of_its_own_binds_where_it_is_shorter():
    world({"timeouts": {"attempt": "1s", "connect": "200ms"}}).play(
        (0.0, BEGIN, "switch #1 within 1 (attempt)"), (1.0, SILENT, "madre #2 within 3.75 (deadline)")
    )


def test_a_very_short_attempt_timeout_is_the_operators_to_choose():
    world({"timeouts": {"attempt": "30ms"}}).play((0.0, BEGIN, "switch #1 within 0.03 (attempt)"))


def test_an_automatic_reserve_follows_what_is_observed_within_its_bounds():
    for seconds, reserve in [(0.1, 0.3), (0.8, 0.8), (9.0, 1.5)]:
        w = World()
        for _ in range(20):
            w.machines("madre").latency.observe(seconds)
        w.play((0.0, BEGIN, f"switch #1 within {4.75 - reserve:.3g} (deadline)"))


def test_answers_of_a_target_teach_its_reserve_and_failures_do_not():
    w = World(policy(targets=[{"name": "madre"}, {"name": "local"}]))
    for n in range(20):
        w.play((10.0 * n, BEGIN, "madre #1 within 4.75 (deadline)"), (10.0 * n + 0.7, GOOD, "finish madre #1"))
    for outcome in (status(500), LEFT):
        call = w.call()
        call.tell(300.0, BEGIN)
        call.tell(301.0, outcome)
    assert len(w.machines("madre").latency) == 20
    assert w.engine.scene.ladder[0].reserve() == pytest.approx(0.7)


def test_a_target_cut_off_by_a_small_reserve_does_not_look_as_if_that_were_enough():
    """It was given 0.3 s and needed longer: recorded as 0.3 s its reserve would stay at 0.3 s, and it would be cut off for ever."""
    w = world({"breaker": {"consecutive": 0, "min_calls": 20}}, {"breaker": {"consecutive": 0, "min_calls": 20}})
    for _ in range(20):
        w.machines("madre").latency.observe(0.1)
    for n in range(2):
        w.play(
            (10.0 * n, BEGIN, "switch #1 within 4.45 (deadline)"),
            (10.0 * n + 4.45, SILENT, "madre #2 within 0.3 (deadline)"),
            (10.0 * n + 4.75, SILENT, f"{LOCAL} (timeout)"),
        )
    assert w.engine.scene.ladder[1].reserve() == 1.5


# -- retries ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [ErrorKind.CONNECT, ErrorKind.DNS, ErrorKind.CONNECT_TIMEOUT])
def test_what_was_never_sent_is_sent_again_to_an_unsafe_target(kind):
    w = World()
    call = w.play((0.0, BEGIN, SWITCH))
    assert call.tell(0.01, Outcome(error=kind)).startswith("back off switch 0.0")
    call.play((0.03, WOKE, "switch #2 within 3.22 (deadline)"), (0.5, GOOD, "finish switch #2"))
    assert astuple(w.heard(Retried)[0])[2:6] == ("switch", call.world.heard(Retried)[0].delay, kind.value, 2.0)
    assert w.at_rest(0.5)


@pytest.mark.parametrize("outcome", [status(503), status(429), RESET])
def test_what_was_sent_is_not_sent_again_to_an_unsafe_target(outcome):
    w = World()
    w.play((0.0, BEGIN, SWITCH), (0.1, outcome, "madre #2 within 4.65 (deadline)"))
    assert denied(w) == ["effects"]


@pytest.mark.parametrize("own", [DEDUP, {"effects": "none"}, {"retry": {"only_if_unsent": False}}])
@pytest.mark.parametrize("outcome", [status(503), status(429), RESET])
def test_what_was_sent_is_sent_again_where_the_policy_allows_it(own, outcome):
    w = world(own)
    call = w.play((0.0, BEGIN, SWITCH))
    assert call.tell(0.1, outcome).startswith("back off switch")
    assert w.heard(Retried)[0].cause == (outcome.error or str(outcome.status))


def test_a_silent_target_is_left_for_the_next_one():
    w = world(DEDUP)
    w.play((0.0, BEGIN, SWITCH), (3.25, SILENT, "madre #2 within 1.5 (deadline)"))
    assert denied(w) == []


def test_a_silent_target_is_asked_again_where_the_policy_says_so():
    w = world({**DEDUP, "timeouts": {"attempt": "1s"}, "retry": {**NOW, "on_timeout": True}})
    call = w.play((0.0, BEGIN, "switch #1 within 1 (attempt)"))
    assert call.tell(1.0, SILENT).startswith("back off switch")
    call.play((1.001, WOKE, "switch #2 within 1 (attempt)"), (2.001, SILENT, "madre #3 within 2.75 (deadline)"))
    assert denied(w) == ["attempts"]


def test_attempts_are_counted_with_the_first():
    w = world({"retry": {"max_attempts": 3, **NOW}, "breaker": {"consecutive": 0}})
    call = w.play((0.0, BEGIN, SWITCH))
    for _ in range(2):
        assert call.tell(0.1, REFUSED).startswith("back off switch")
        assert call.tell(0.1, WOKE).startswith("switch #")
    call.play((0.1, REFUSED, "madre #4 within 4.65 (deadline)"), (0.2, GOOD, "finish madre #4 degraded (failure)"))
    assert denied(w) == ["attempts"]


def test_a_policy_of_one_attempt_never_retries():
    w = world({"retry": {"max_attempts": 1}})
    w.play((0.0, BEGIN, SWITCH), (0.1, REFUSED, "madre #2 within 4.65 (deadline)"))


def test_a_wait_the_target_asked_for_is_kept_where_it_fits():
    world({**DEDUP, "retry": NOW}).play(
        (0.0, BEGIN, SWITCH),
        (0.1, status(503, retry_after=1.0), "back off switch 1"),
        (1.1, WOKE, "switch #2 within 2.15 (deadline)"),
    )


@pytest.mark.parametrize("seconds", [3.2, 4.0, 60.0])
def test_a_wait_that_does_not_fit_leaves_the_target_for_the_next_one(seconds):
    w = world(DEDUP)
    w.play((0.0, BEGIN, SWITCH), (0.1, status(503, retry_after=seconds), "madre #2 within 4.65 (deadline)"))
    assert denied(w) == ["deadline"]


def test_a_wait_after_which_an_attempt_would_not_fit_any_more_leaves_the_target_too():
    """3.25 s are the switch's, 0.1 s are over, and 0.05 s is the least that an attempt is given."""
    w = world({**DEDUP, "retry": NOW})
    w.play((0.0, BEGIN, SWITCH), (0.1, status(503, retry_after=3.12), "madre #2 within 4.65 (deadline)"))
    assert denied(w) == ["deadline"]


def waits(seed: int, calls: int = 1, retries: int = 1) -> list[float]:
    """What the switch's refusals lead to, at most 100 ms each: of every call so many."""
    again = {"max_attempts": retries + 1, "backoff": {"base": "100ms", "max": "100ms"}}
    w = World(policy(targets=targets({"retry": again, "breaker": {"consecutive": 0}})), seed=seed)
    for _ in range(calls):
        call = w.play((0.0, BEGIN, SWITCH))
        for _ in range(retries):
            call.tell(0.0, REFUSED)
            call.tell(0.0, WOKE)
        call.tell(0.0, GOOD)
    return [fact.delay for fact in w.heard(Retried)]


def test_the_waits_of_replicas_of_calls_and_of_retries_are_not_the_same():
    assert len({delay for seed in range(8) for delay in waits(seed)}) == 8
    assert len(set(waits(1, calls=2))) == 2
    assert len(set(waits(1, retries=2))) == 2


def test_waiting_for_one_target_never_takes_the_time_kept_back_for_the_next():
    w = world({**DEDUP, "retry": NOW})
    call = w.play((0.0, BEGIN, SWITCH), (0.1, status(503, retry_after=3.09), "back off switch 3.09"))
    call.play((3.19, WOKE, "switch #2 within 0.06 (deadline)"), (3.25, SILENT, "madre #3 within 1.5 (deadline)"))


def test_with_the_budget_empty_the_reason_is_the_budget():
    w = world(retry_budget={"ratio": "0%", "burst": 0})
    w.play(
        (0.0, BEGIN, SWITCH),
        (0.1, REFUSED, "madre #2 within 4.65 (deadline)"),
        (0.2, GOOD, "finish madre #2 degraded (budget)"),
    )
    assert denied(w) == ["budget"]


def test_an_empty_budget_ends_the_ladder_where_the_policy_says_so():
    w = world(retry_budget={"ratio": "0%", "burst": 0}, fallback={"on": ["failure"]})
    w.play((0.0, BEGIN, SWITCH), (0.1, REFUSED, f"{LOCAL} (budget)"))


def test_each_call_pays_in_once_and_each_retry_is_paid_for_once():
    w = world({"retry": NOW, "retry_budget": {"ratio": "20%", "burst": 3}})
    call = w.call()
    for now, what in [(0.0, BEGIN), (0.1, REFUSED), (0.2, WOKE), (0.3, GOOD)]:
        call.tell(now, what)
    assert w.machines().budget.balance(1.0) == 2.0
    w.play((1.0, BEGIN, SWITCH), (1.1, GOOD, "finish switch #1"))
    assert w.machines().budget.balance(2.0) == 2.2


def test_a_call_pays_in_at_every_target_that_it_asks():
    w = world({"retry": {"max_attempts": 1}}, {"retry": NOW}, retry_budget={"ratio": "20%", "burst": 3})
    call = w.call()
    for now, what in [(0.0, BEGIN), (0.0, REFUSED), (0.0, REFUSED), (0.1, WOKE), (0.2, GOOD)]:
        call.tell(now, what)
    assert w.machines("madre").budget.balance(1.0) == 2.0
    w.play((1.0, BEGIN, SWITCH)).play(
        (1.0, REFUSED, "madre #2 within 4.75 (deadline)"), (1.1, GOOD, "finish madre #2 degraded (failure)")
    )
    assert w.machines("madre").budget.balance(2.0) == pytest.approx(2.2)


def test_who_is_never_asked_is_paid_nothing():
    w = World()
    w.machines().budget.withdraw(0.0)
    w.trip(0.0)
    w.play((0.0, BEGIN, "madre #1 within 4.75 (deadline)"))
    assert w.machines().budget.balance(0.0) == 2.0


def test_a_retry_that_was_never_sent_is_paid_back_when_the_client_leaves():
    w = World()
    call = w.play((0.0, BEGIN, SWITCH))
    call.tell(0.01, REFUSED)
    assert w.machines().budget.balance(0.01) == 2.0
    call.play((0.02, LEFT, "finish None abandoned"))
    assert w.machines().budget.balance(0.02) == 3.0
    assert w.at_rest(0.02)


def test_a_retry_that_was_sent_is_not_paid_back_when_the_client_leaves():
    w = World()
    call = w.play((0.0, BEGIN, SWITCH))
    call.tell(0.01, REFUSED)
    call.tell(0.02, WOKE)
    call.play((0.03, LEFT, "finish None abandoned"))
    assert w.machines().budget.balance(0.03) == 2.0


def test_a_retry_the_breaker_refuses_is_paid_back_and_the_reason_stays_the_failure():
    w = World()
    call = w.play((0.0, BEGIN, SWITCH))
    assert call.tell(0.01, REFUSED).startswith("back off switch")
    w.trip(0.02)
    call.play((0.03, WOKE, "madre #2 within 4.72 (deadline)"), (0.1, GOOD, "finish madre #2 degraded (failure)"))
    assert refused(w) == [("switch", "open")]
    assert w.machines().budget.balance(0.1) == 3.0


@pytest.mark.parametrize("outcome", [REFUSED, status(503, retry_after=2.0)])
def test_nobody_waits_for_a_target_whose_breaker_this_failure_opened(outcome):
    w = world({**DEDUP, "breaker": {"consecutive": 1}})
    w.play(
        (0.0, BEGIN, SWITCH),
        (0.1, outcome, "madre #2 within 4.65 (deadline)"),
        (0.2, GOOD, "finish madre #2 degraded (failure)"),
    )
    assert denied(w) == ["open"]
    assert not w.heard(Retried)
    assert w.machines().budget.balance(0.2) == 3.0


def test_a_wait_that_outlasts_the_open_time_is_still_worth_it():
    w = world({**DEDUP, "retry": NOW, "breaker": {"consecutive": 1, "open": {"base": "500ms", "jitter": 0.0}}})
    call = w.play((0.0, BEGIN, SWITCH), (0.1, status(503, retry_after=1.0), "back off switch 1"))
    call.play((1.1, WOKE, "switch #2 within 2.15 (deadline)"))
    assert [m.after for m in w.heard(BreakerMoved)] == ["open", "half_open"]


def test_a_retry_woken_too_late_is_paid_back_and_not_sent():
    w = World()
    call = w.play((0.0, BEGIN, SWITCH))
    call.tell(0.01, REFUSED)
    call.play((4.73, WOKE, f"{LOCAL} (failure)"))
    assert w.machines().budget.balance(4.73) == 3.0


def test_the_last_attempt_of_a_target_names_the_reason():
    w = world({**DEDUP, "retry": NOW})
    call = w.play((0.0, BEGIN, SWITCH))
    call.tell(0.1, status(503))
    call.tell(0.2, WOKE)
    call.play(
        (0.3, status(401), "madre #3 within 4.45 (deadline)"), (0.4, GOOD, "finish madre #3 degraded (misconfigured)")
    )


# -- breaker ----------------------------------------------------------------------------------------------------


def test_an_open_breaker_sends_the_call_on_at_once():
    w = World()
    w.trip(0.0)
    w.play((1.0, BEGIN, "madre #1 within 4.75 (deadline)"), (1.1, GOOD, "finish madre #1 degraded (open)"))
    until = w.machines().breaker.until
    assert [astuple(fact)[:5] for fact in w.heard(Refused)] == [(1.0, 1, "switch", Reason.OPEN, until - 1.0)]


def test_half_open_one_call_probes_and_others_are_refused_meanwhile():
    w = World()
    w.trip(0.0)
    probe = w.play((10.0, BEGIN, SWITCH))
    w.play((10.1, BEGIN, "madre #1 within 4.75 (deadline)"), (10.2, GOOD, "finish madre #1 degraded (open)"))
    probe.play((10.3, GOOD, "finish switch #1"))
    second = w.play((10.4, BEGIN, SWITCH))
    second.play((10.5, GOOD, "finish switch #1"))
    assert [(m.before, m.after, m.why) for m in w.heard(BreakerMoved)] == [
        ("open", "half_open", "timer"),
        ("half_open", "closed", "recovered"),
    ]


def test_a_probe_whose_client_leaves_frees_its_place_and_decides_nothing():
    w = World()
    w.trip(0.0)
    w.play((10.0, BEGIN, SWITCH), (10.5, LEFT, "finish None abandoned"))
    assert w.machines().breaker.state is State.HALF_OPEN
    w.play((10.6, BEGIN, SWITCH))


def test_clients_that_leave_early_never_open_the_breaker_and_those_that_waited_long_do():
    w = World()
    for n in range(20):
        w.play((5.0 * n, BEGIN, SWITCH), (5.0 * n + 2.9, LEFT, "finish None abandoned"))
    assert w.machines().breaker.state is State.CLOSED
    for n in range(20, 25):
        w.play((5.0 * n, BEGIN, SWITCH), (5.0 * n + 3.1, LEFT, "finish None abandoned"))
    assert w.machines().breaker.state is State.OPEN
    assert w.heard(BreakerMoved)[0].why == "slow_rate"


def test_a_straggler_from_before_the_trip_is_told_and_decides_nothing():
    w = World()
    straggler = w.play((0.0, BEGIN, SWITCH))
    w.trip(0.1)
    w.engine.hear_dormancy(0.1, OFF)
    w.engine.hear_dormancy(0.2, ON)
    assert w.machines().breaker.state is State.HALF_OPEN
    straggler.play((1.0, status(500), "madre #2 within 3.75 (deadline)"))
    assert w.machines().breaker.state is State.HALF_OPEN
    assert w.heard(AttemptEnded)[-1].verdict is Verdict.FATAL


def test_the_move_follows_the_attempt_that_caused_it():
    w = World(policy(breaker={"consecutive": 1}))
    w.play((0.0, BEGIN, SWITCH), (0.1, status(500), "madre #2 within 4.65 (deadline)"))
    assert w.story()[-5:] == ["AttemptStarted", "AttemptEnded", "BreakerMoved", "FellBack", "AttemptStarted"]


# -- queue ------------------------------------------------------------------------------------------------------

ONE = {"limiter": {"max_concurrent": 1, "queue": 1}}
WAIT = "queue for switch within 0.2"


def test_a_call_waits_for_a_slot_and_gets_it():
    w = world(ONE)
    first, woken = w.play((0.0, BEGIN, SWITCH)), []
    second = w.play((0.0, BEGIN, WAIT))
    second.step.ticket.wake = lambda: woken.append(1)
    first.play((0.1, GOOD, "finish switch #1"))
    assert woken == [1]
    second.play((0.1, WOKE, "switch #1 within 3.15 (deadline)"), (0.2, GOOD, "finish switch #1"))
    assert w.at_rest(0.2)


def test_a_call_that_waited_long_enough_goes_to_the_next_target():
    w = world(ONE)
    w.play((0.0, BEGIN, SWITCH))
    w.play(
        (0.0, BEGIN, WAIT),
        (0.2, WOKE, "madre #1 within 4.55 (deadline)"),
        (0.3, GOOD, "finish madre #1 degraded (limited)"),
    )
    assert w.machines().limiter.queued == 0
    w.play((1.0, BEGIN, WAIT), (1.2, WOKE, "madre #1 within 4.55 (deadline)"))
    assert [fact.waited for fact in w.heard(Refused)] == [pytest.approx(0.2), pytest.approx(0.2)]


def test_where_the_queue_is_full_a_call_is_turned_away_at_once():
    w = world(ONE)
    w.play((0.0, BEGIN, SWITCH))
    w.play((0.0, BEGIN, WAIT))
    w.play((0.0, BEGIN, "madre #1 within 4.75 (deadline)"))
    assert refused(w) == [("switch", "limited")]


def test_a_client_that_leaves_the_queue_leaves_nothing_behind():
    w = world(ONE)
    first = w.play((0.0, BEGIN, SWITCH))
    w.play((0.0, BEGIN, WAIT), (0.1, LEFT, "finish None abandoned"))
    first.play((0.2, GOOD, "finish switch #1"))
    assert w.at_rest(0.2)
    assert "AttemptStarted" not in w.story()[-3:]


def test_a_client_that_leaves_just_as_its_slot_is_granted_gives_it_back():
    w = world(ONE)
    first, second = w.play((0.0, BEGIN, SWITCH)), w.play((0.0, BEGIN, WAIT))
    first.play((0.1, GOOD, "finish switch #1"))
    assert second.step.ticket.granted
    second.play((0.1, LEFT, "finish None abandoned"))
    assert w.at_rest(0.1)


def test_a_breaker_that_opened_meanwhile_refuses_who_waited_and_the_slot_goes_on():
    w = world({**ONE, "breaker": {"consecutive": 1}})
    first, second = w.play((0.0, BEGIN, SWITCH)), w.play((0.0, BEGIN, WAIT))
    first.tell(0.1, status(500))
    second.play((0.1, WOKE, "madre #1 within 4.65 (deadline)"))
    assert refused(w) == [("switch", "open")]
    assert w.machines().limiter.in_flight == 0


def test_a_breaker_whose_open_time_ended_while_a_call_waited_lets_it_probe():
    w = world(
        {
            "limiter": {"max_concurrent": 1, "queue": 1, "queue_timeout": "2s"},
            "breaker": {"open": {"base": "500ms", "jitter": 0.0}},
        }
    )
    first, second = w.play((0.0, BEGIN, SWITCH)), w.play((0.0, BEGIN, "queue for switch within 2"))
    w.trip(0.1)
    first.tell(1.0, GOOD)
    second.play((1.0, WOKE, "switch #1 within 2.25 (deadline)"))
    assert [m.why for m in w.heard(BreakerMoved)] == ["timer"]


def test_two_calls_that_pass_a_half_open_breaker_into_the_queue_probe_one_after_the_other():
    w = world(ONE)
    straggler = w.play((0.0, BEGIN, SWITCH))
    w.trip(0.0)
    waiting = w.play((10.0, BEGIN, WAIT))
    straggler.tell(10.1, LEFT)
    probe = waiting
    probe.play((10.1, WOKE, "switch #1 within 3.15 (deadline)"))
    w.play((10.1, BEGIN, "madre #1 within 4.75 (deadline)"))


def test_waiting_for_a_slot_ends_before_the_clients_patience_does():
    w = world(ONE)
    w.play((0.0, BEGIN, SWITCH))
    w.play((0.0, BEGIN, "queue for switch within 0.05"), patience=0.1)


def test_waiting_for_a_slot_never_takes_the_time_kept_back_for_the_next_target():
    w = world({"limiter": {"max_concurrent": 1, "queue": 1, "queue_timeout": "10s"}})
    w.play((0.0, BEGIN, SWITCH))
    w.play((0.0, BEGIN, "queue for switch within 3.25"), (3.25, WOKE, "madre #1 within 1.5 (deadline)"))


def test_a_slot_granted_too_late_to_be_of_use_is_given_back():
    w = world(ONE)
    first, second = w.play((0.0, BEGIN, SWITCH)), w.call(patience=0.3)
    second.play((0.0, BEGIN, "queue for switch within 0.15"))
    first.tell(0.1, GOOD)
    second.play((0.28, WOKE, f"{LOCAL} (timeout)"))  # the driver was late
    assert refused(w) == [("switch", "timeout"), ("madre", "timeout")]
    assert w.at_rest(0.28)


def test_a_call_without_the_time_to_ask_does_not_queue_first():
    w = world(ONE)
    w.play((0.0, BEGIN, SWITCH))
    w.play((0.0, BEGIN, "madre #1 within 0.08 (deadline)"), patience=0.08)
    assert refused(w) == [("switch", "timeout")]


# -- the client -------------------------------------------------------------------------------------------------


def test_a_client_that_leaves_an_attempt_gives_everything_back():
    w = World()
    w.play((0.0, BEGIN, SWITCH), (0.5, LEFT, "finish None abandoned"))
    ended = w.heard(AttemptEnded)[0]
    assert (ended.outcome, ended.verdict, ended.seconds) == (None, Verdict.IGNORED, 0.5)
    assert w.at_rest(0.5)
    assert w.story()[-2:] == ["AttemptEnded", "CallEnded"]


def test_a_client_that_leaves_on_the_second_rung_is_told_of_with_its_first_reason():
    w = World()
    w.play(
        (0.0, BEGIN, SWITCH),
        (0.5, status(500), "madre #2 within 4.25 (deadline)"),
        (0.6, LEFT, "finish None abandoned"),
    )
    assert w.heard(CallEnded)[0].first_reason is Reason.FAILURE
    assert w.at_rest(0.6)


def test_patience_the_client_shortened_does_not_open_the_breaker_for_everybody_else():
    w = World()
    for n in range(20):
        w.play(
            (float(n), BEGIN, "switch #1 within 0.25 (deadline)"),
            (n + 0.25, SILENT, "madre #2 within 0.25 (deadline)"),
            (n + 0.3, GOOD, "finish madre #2 degraded (timeout)"),
            patience=0.5,
        )
    assert w.machines().breaker.view(20.0)["calls"] == 0
    assert len(w.machines().latency) == 0


def test_full_patience_that_ran_out_does_open_it():
    w = World()
    for n in range(3):
        w.play(
            (5.0 * n, BEGIN, SWITCH),
            (5.0 * n + 3.25, SILENT, "madre #2 within 1.5 (deadline)"),
            (5.0 * n + 3.5, GOOD, "finish madre #2 degraded (timeout)"),
        )
    assert w.machines().breaker.state is State.OPEN


def test_the_milliseconds_that_reading_a_request_takes_are_no_shortened_patience():
    w = World(policy(deadline={"client": "1500ms"}))
    for n in range(3):
        w.play(
            (2.0 * n, BEGIN, "switch #1 within 0.623 (deadline)"),
            (2.0 * n + 0.623, SILENT, "madre #2 within 0.623 (deadline)"),
            (2.0 * n + 0.7, GOOD, "finish madre #2 degraded (timeout)"),
            patience=1.246,
        )
    assert w.machines().breaker.state is State.OPEN


def test_shortened_patience_excuses_no_target_that_missed_its_own_timeout():
    w = world({"timeouts": {"attempt": "1s"}})
    for n in range(3):
        w.play(
            (5.0 * n, BEGIN, "switch #1 within 1 (attempt)"),
            (5.0 * n + 1.0, SILENT, "madre #2 within 3 (deadline)"),
            (5.0 * n + 1.1, GOOD, "finish madre #2 degraded (timeout)"),
            patience=4.0,
        )
    assert w.machines().breaker.state is State.OPEN


def test_shortened_patience_excuses_no_target_that_was_slow_by_anybodys_measure():
    w = World()
    for n in range(3):
        w.play(
            (5.0 * n, BEGIN, "switch #1 within 3.1 (deadline)"),
            (5.0 * n + 3.1, SILENT, "madre #2 within 1.5 (deadline)"),
            (5.0 * n + 3.2, GOOD, "finish madre #2 degraded (timeout)"),
            patience=4.6,
        )
    assert w.machines().breaker.state is State.OPEN


def test_shortened_patience_excuses_no_target_that_was_just_slow():
    w = World()
    w.play((0.0, BEGIN, "switch #1 within 3 (deadline)"), (3.0, SILENT, "madre #2 within 1.5 (deadline)"), patience=4.5)
    assert w.machines().breaker.view(3.0)["failures"] == 1


def test_shortened_patience_excuses_no_error():
    w = World()
    for n in range(3):
        call = w.call(patience=1.0)
        for now, what in [(0.0, BEGIN), (0.1, status(500)), (0.2, GOOD)]:
            call.tell(n + now, what)
    assert w.machines().breaker.state is State.OPEN


# -- dormancy ---------------------------------------------------------------------------------------------------


def test_a_switch_that_is_off_and_cannot_be_reached_is_dormant_without_retry_or_penalty():
    w = World()
    w.engine.hear_dormancy(0.0, OFF)
    for n in range(20):
        w.play(
            (float(n), BEGIN, SWITCH),
            (n + 0.01, REFUSED, "madre #2 within 4.74 (deadline)"),
            (n + 0.1, GOOD, "finish madre #2 degraded (dormant)"),
        )
    assert w.machines().breaker.view(20.0)["calls"] == 0
    assert not w.heard(Retried)
    assert not w.heard(RetryDenied)


def test_a_switch_that_is_said_to_be_off_and_answers_is_believed():
    w = World()
    w.engine.hear_dormancy(0.0, OFF)
    w.play((0.0, BEGIN, SWITCH), (0.1, GOOD, "finish switch #1"))


def test_being_off_explains_no_failure_of_a_switch_that_can_be_reached():
    w = World()
    w.engine.hear_dormancy(0.0, OFF)
    w.play(
        (0.0, BEGIN, SWITCH),
        (0.1, status(500), "madre #2 within 4.65 (deadline)"),
        (0.2, GOOD, "finish madre #2 degraded (failure)"),
    )


def test_a_target_that_an_operator_switched_off_is_not_asked_whatever_fallback_says():
    w = world(fallback={"on": ["failure"]})
    w.engine.override(0.0, "switch", Override.OFF)
    w.play((0.0, BEGIN, "madre #1 within 4.75 (deadline)"), (0.1, GOOD, "finish madre #1 degraded (off)"))
    assert refused(w) == [("switch", "off")]
    w.engine.override(1.0, "switch", None)
    w.play((1.0, BEGIN, SWITCH), (1.1, GOOD, "finish switch #1"))


def test_a_breaker_that_an_operator_holds_open_sends_calls_on():
    w = world()
    w.engine.override(0.0, "switch", Override.FORCED_OPEN)
    w.play((0.0, BEGIN, "madre #1 within 4.75 (deadline)"), (0.1, GOOD, "finish madre #1 degraded (open)"))
    w.engine.override(1.0, "switch", Override.OFF)  # replaces the other: its breaker is free again
    w.engine.override(2.0, "switch", None)
    w.play((2.0, BEGIN, "switch #1 within 3.25 (deadline)"), (2.1, GOOD, "finish switch #1"))


def test_a_breaker_that_an_operator_holds_closed_lets_every_failure_through():
    w = world(retry={"max_attempts": 1})
    w.engine.override(0.0, "switch", Override.FORCED_CLOSED)
    for n in range(10):
        w.play(
            (n, BEGIN, "switch #1 within 3.25 (deadline)"),
            (n + 0.1, REFUSED, "madre #2 within 4.65 (deadline)"),
            (n + 0.2, GOOD, "finish madre #2 degraded (failure)"),
        )


def test_nobody_can_override_a_target_there_is_not():
    w = world()
    with pytest.raises(KeyError):
        w.engine.override(0.0, "nobody", Override.OFF)


def test_a_policy_that_obeys_does_not_ask_a_dormant_switch():
    w = world(dormant={"mode": "obey"})
    w.engine.hear_dormancy(0.0, OFF)
    w.play((0.0, BEGIN, "madre #1 within 4.75 (deadline)"), (0.1, GOOD, "finish madre #1 degraded (dormant)"))
    assert refused(w) == [("switch", "dormant")]
    w.engine.hear_dormancy(1.0, ON)
    w.play((1.0, BEGIN, SWITCH))


def test_a_policy_that_ignores_the_power_state_sees_a_failure():
    w = world(dormant={"mode": "ignore"}, retry={"max_attempts": 1})
    w.engine.hear_dormancy(0.0, OFF)
    w.play(
        (0.0, BEGIN, SWITCH),
        (0.1, REFUSED, "madre #2 within 4.65 (deadline)"),
        (0.2, GOOD, "finish madre #2 degraded (failure)"),
    )
    w.trip(0.3)
    w.engine.hear_dormancy(0.4, ON)
    assert w.machines().breaker.state is State.OPEN


@pytest.mark.parametrize("between", [(), (None,)])
def test_a_window_that_opens_lets_the_next_call_probe_at_once(between):
    w = World()
    w.trip(0.0)
    for state in (OFF, *between, ON):
        w.engine.hear_dormancy(1.0, state)
    assert [(m.at, m.before, m.after, m.why) for m in w.heard(BreakerMoved)] == [
        (1.0, "open", "half_open", "window_opened")
    ]
    w.play((1.0, BEGIN, SWITCH))


def test_a_switch_that_goes_to_sleep_before_its_retry_is_not_asked_again():
    w = world(dormant={"mode": "obey"})
    call = w.play((0.0, BEGIN, SWITCH))
    call.tell(0.1, REFUSED)
    w.engine.hear_dormancy(0.1, OFF)
    call.play((0.12, WOKE, "madre #2 within 4.63 (deadline)"), (0.2, GOOD, "finish madre #2 degraded (failure)"))
    assert w.machines().budget.balance(0.2) == 3.0


# -- a new policy while a plan runs -----------------------------------------------------------------------------


def test_a_running_plan_keeps_the_policy_it_began_with():
    w = World()
    running = w.play((0.0, BEGIN, SWITCH))
    w.adopt(0.1, policy(targets=[{"name": "switch", "timeouts": {"attempt": "1s"}}, {"name": "local"}]))
    w.play((0.2, BEGIN, "switch #1 within 1 (attempt)"), (0.3, status(500), f"{LOCAL} (failure)"))
    running.play(
        (0.5, status(500), "madre #2 within 4.25 (deadline)"), (0.6, GOOD, "finish madre #2 degraded (failure)")
    )
    assert w.at_rest(0.6)


def test_what_was_learned_survives_a_new_policy():
    w = World()
    w.trip(0.0)
    w.machines().budget.withdraw(0.0)
    w.adopt(0.1, policy(deadline={"client": "4s"}))
    assert w.machines().breaker.state is State.OPEN
    assert w.machines().budget.balance(0.1) == 2.0


def test_a_permit_outlives_the_attempt_of_a_plan_with_the_longer_patience_of_an_older_policy():
    w = World(policy(deadline={"client": "60s"}))
    w.trip(0.0)
    w.machines().breaker.hint(0.0)
    w.adopt(0.0, policy(deadline={"client": "60s"}))
    running = w.call(patience=59.75)
    begun = w.engine.begin(0.0, running.call)
    w.adopt(0.0, policy(deadline={"client": "5s"}))
    running.plan, running.step = begun, begun.start()
    w.play((30.0, BEGIN, "madre #1 within 4.75 (deadline)"))  # the probe is still under way
    running.tell(50.0, GOOD)
    assert w.heard(BreakerMoved)[-1].why == "slow_rate"  # and its verdict counts


def test_those_who_wait_are_let_in_by_a_policy_with_more_room():
    w = world(ONE)
    w.play((0.0, BEGIN, SWITCH))
    waiting = w.play((0.0, BEGIN, WAIT))
    w.adopt(0.1, policy(targets=targets({"limiter": {"max_concurrent": 2, "queue": 1}})))
    assert waiting.step.ticket.granted
    waiting.play((0.1, WOKE, "switch #1 within 3.15 (deadline)"))


def test_full_patience_is_that_of_the_policy():
    assert policy().deadline.client - policy().deadline.margin == PATIENCE


def test_every_attempt_says_what_it_was_given_and_what_bound_it():
    w = World()
    w.play((0.0, BEGIN, SWITCH), (0.2, GOOD, "finish switch #1"))
    assert [astuple(fact)[:6] for fact in w.heard(AttemptStarted)] == [(0.0, 1, "switch", 1, 3.25, "deadline")]
    assert [astuple(fact)[:8] for fact in w.heard(AttemptEnded)] == [
        (0.2, 1, "switch", 1, 0.2, GOOD, "success", "deadline")
    ]
