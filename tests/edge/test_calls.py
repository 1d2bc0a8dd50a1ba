"""The last calls are remembered fact by fact, and no more of them than fit."""

from __future__ import annotations

import orjson

from sidecar.core.engine import Engine
from sidecar.core.plan import Call
from sidecar.core.vocabulary import Answered, ErrorKind, Outcome
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
