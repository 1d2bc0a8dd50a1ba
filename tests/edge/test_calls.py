"""The last calls are remembered fact by fact and shown as a line each, and no more of them than fit."""

from __future__ import annotations

import orjson

from sidecar.core.engine import Engine
from sidecar.core.fact import CallBegan, ChatServed
from sidecar.core.scene import Call
from sidecar.core.vocabulary import Abandoned, Answered, ErrorKind, Outcome, Override, Woke
from sidecar.edge.admin import calls as module
from sidecar.edge.admin.calls import Calls
from sidecar.policy.model import Policy

GOOD = Outcome(status=200, body={"status": "ok"}, text=True)
SILENT = Outcome(error=ErrorKind.TIMEOUT)


def play(engine, number, correlation, *outcomes, at=10.0):
    plan = engine.begin(at, Call(number, 4.75, correlation))
    plan.start()
    for moment, outcome in enumerate(outcomes, 1):
        plan.send(Answered(at + moment, outcome))


def stage(most=1_000):
    calls = Calls(most)
    return calls, Engine(0.0, Policy(), revision="r", source="s", seed=1, emit=calls)


def test_a_call_is_explained_in_order_with_the_time_since_it_began():
    calls, engine = stage()
    play(engine, 1, "mine", SILENT, GOOD)
    told = calls.explain("mine")
    assert [(fact["after_seconds"], fact["fact"]) for fact in told] == [
        (0, "CallBegan"),
        (0, "AttemptStarted"),
        (1, "AttemptEnded"),
        (1, "FellBack"),
        (1, "AttemptStarted"),
        (2, "AttemptEnded"),
        (2, "CallEnded"),
    ]
    assert told[2]["verdict"] == "fatal"
    assert told[3]["reason"] == "timeout"
    orjson.dumps(told)


def test_a_call_tells_what_it_was_decided_by_and_the_moves_of_breakers_in_its_course():
    calls, engine = stage()
    for number in (1, 2, 3):
        play(engine, number, f"c{number}", SILENT, GOOD, at=10.0 * number)
    told = calls.explain("c3")
    assert [fact["fact"] for fact in told][2:5] == ["AttemptEnded", "BreakerMoved", "FellBack"]
    assert (told[1]["left"], told[1]["reserved"]) == (4.75, 1.5)
    assert told[2]["rule"] == "error timeout"
    assert (told[2]["counts"]["failures_in_row"], told[2]["counts"]["thresholds"]["consecutive"]) == (3, 3)
    assert (told[3]["after_seconds"], told[3]["why"]) == (1, "consecutive")
    orjson.dumps(told)


def test_what_nobody_asked_for_is_unknown():
    calls, _ = stage()
    assert calls.explain("nobody") is None


def test_facts_that_belong_to_no_call_are_not_kept():
    calls, engine = stage()
    engine.hear_dormancy(0.0, frozenset())
    assert len(calls) == 0


def test_the_oldest_call_goes_first_and_takes_its_id_with_it():
    calls, engine = stage(most=2)
    for number in (1, 2, 3):
        play(engine, number, f"c{number}", GOOD)
    assert len(calls) == 2
    assert calls.explain("c1") is None
    assert calls.explain("c3") is not None
    assert len(calls._by_correlation) == 2


def test_an_id_used_twice_means_the_latest_call_and_outlives_the_first():
    calls, engine = stage(most=2)
    play(engine, 1, "same", SILENT, GOOD)
    play(engine, 2, "same", GOOD)
    play(engine, 3, "other", GOOD)
    assert calls.explain("same")[-1]["finish"]["provider"] == "switch"


def test_a_call_has_no_more_facts_than_fit(monkeypatch):
    monkeypatch.setattr(module, "MOST_FACTS", 3)
    calls, engine = stage()
    play(engine, 1, "mine", SILENT, GOOD)
    assert len(calls.explain("mine")) == 3


# -- the lines of the list ------------------------------------------------------------------------------------------------


def serve(calls, engine, number, *outcomes, said="primary", at=10.0):
    play(engine, number, f"c{number}", *outcomes, at=at)
    seconds = len(outcomes) + 0.25
    calls(ChatServed(at + seconds, number, f"c{number}", said, 200, seconds, 0.25))


def test_a_line_says_what_was_tried_when_and_what_came_of_it():
    calls, engine = stage()
    serve(calls, engine, 1, SILENT, GOOD, said="fallback")
    (line,) = calls.view(20.0)["degraded"]
    attempts = line.pop("attempts")
    assert line == {
        "call": 1, "correlation_id": "c1", "seconds_ago": 7.8, "outcome": "fallback", "status": 200, "provider": "madre", "reason": "timeout",
        "first_reason": "timeout", "seconds": 2.25, "not_asked": [], "waits": [],
    }  # fmt: skip
    told = [
        (each["target"], each["after_seconds"], each["seconds"], each["result"], each["verdict"]) for each in attempts
    ]
    assert told == [("switch", 0.0, 1.0, "timeout", "fatal"), ("madre", 1.0, 1.0, "HTTP 200", "success")]
    assert all(each["timeout"] > 0 for each in attempts)
    orjson.dumps(calls.view(20.0))


def test_a_target_that_was_not_asked_is_on_the_line_with_the_reason():
    calls, engine = stage()
    engine.override(9.0, "switch", Override.FORCED_OPEN)
    serve(calls, engine, 1, GOOD, said="fallback")
    (line,) = calls.view(20.0)["degraded"]
    assert line["not_asked"] == [{"target": "switch", "after_seconds": 0.0, "reason": "open"}]
    assert [each["target"] for each in line["attempts"]] == ["madre"]


def test_the_wait_before_a_retry_is_on_the_line():
    calls, engine = stage()
    plan = engine.begin(10.0, Call(1, 4.75, "c1"))
    plan.start()
    plan.send(Answered(10.1, Outcome(error=ErrorKind.CONNECT)))
    plan.send(Woke(10.2))
    plan.send(Answered(10.3, GOOD))
    calls(ChatServed(10.3, 1, "c1", "primary", 200, 0.3, 0.0))
    (line,) = calls.view(20.0)["last"]
    assert [(wait["target"], wait["after_seconds"]) for wait in line["waits"]] == [("switch", 0.1)]
    assert [(each["after_seconds"], each["result"]) for each in line["attempts"]] == [
        (0.0, "connect"),
        (0.2, "HTTP 200"),
    ]


def test_an_attempt_the_client_left_and_a_call_without_an_end_are_shown_as_far_as_they_went():
    calls, engine = stage()
    plan = engine.begin(10.0, Call(1, 4.75, "left"))
    plan.start()
    plan.send(Abandoned(10.5))
    calls(ChatServed(10.5, 1, "left", "client_gone", 499, 0.5, 0.0))
    calls(CallBegan(11.0, 2, 4.75, "broken", "r"))
    calls(ChatServed(11.5, 2, "broken", "failed", 500, 0.5, 0.0))
    broken, left = calls.view(20.0)["last"]
    assert [each["result"] for each in left["attempts"]] == ["client left"]
    assert (left["provider"], left["reason"]) == (None, None)
    assert (broken["outcome"], broken["attempts"], broken["provider"]) == ("failed", [], None)
    assert [line["correlation_id"] for line in calls.view(20.0)["degraded"]] == ["broken"]


def test_newest_come_first_and_no_more_than_fit():
    calls, engine = stage()
    for number in range(1, module.MOST_LINES + 6):
        serve(calls, engine, number, GOOD, at=10.0 * number)
    told = [line["call"] for line in calls.view(1000.0)["last"]]
    assert told == list(range(module.MOST_LINES + 5, 5, -1))


def test_good_calls_push_no_degraded_one_out():
    calls, engine = stage(most=3)
    serve(calls, engine, 1, SILENT, GOOD, said="fallback")
    for number in range(2, 60):
        serve(calls, engine, number, GOOD, at=10.0 * number)
    assert [line["correlation_id"] for line in calls.view(1000.0)["degraded"]] == ["c1"]
    assert calls.explain("c1") is None
    assert len(calls) == 3


def test_the_answer_to_a_call_nobody_saw_begin_is_no_line():
    calls, _ = stage()
    calls(ChatServed(10.0, 7, "x", "fallback", 200, 1.0, 0.0))
    assert calls.view(11.0) == {"degraded": [], "last": []}
