"""A candidate beside the live engine, as a sink: it knows what was so before it began, and no fault of it reaches anybody."""

from __future__ import annotations

import pytest

from sidecar.core.engine import Engine
from sidecar.core.fact import AttemptEnded, RequestShed
from sidecar.core.scene import Call
from sidecar.core.vocabulary import Answered, Outcome, Override
from sidecar.edge.outlets import shadow as module
from sidecar.edge.outlets.shadow import ShadowSink
from sidecar.policy.model import Policy

GOOD = Outcome(status=200, body={"status": "ok"}, text=True)


class Quiet:
    def __init__(self):
        self.lines = []

    def info(self, event, **fields):
        self.lines.append((event, fields))

    error = info


class Stage:
    """A live engine, a sink that takes its facts, and a clock."""

    def __init__(self):
        self.now, self.told, self.log, self.facts, self.calls = 0.0, [], Quiet(), [], 0
        self.sink = ShadowSink(seed=7, now=lambda: self.now, log=self.log, tell=self.told.append)
        self.engine = Engine(0.0, Policy(), revision="r1", source="test", seed=7, emit=self.emit)

    def emit(self, fact):
        self.facts.append(fact)
        self.sink(fact)

    def begin(self, revision="c1", **sections):
        self.sink.begin(Policy.model_validate(sections), revision, "candidate.yaml", self.engine)

    def chat(self, seconds=0.1):
        self.calls += 1
        plan = self.engine.begin(self.now, Call(self.calls, 4.75, f"call-{self.calls}"))
        plan.start()
        self.now += seconds
        plan.send(Answered(self.now, GOOD))

    def results(self):
        return [told.result for told in self.told]


@pytest.fixture
def stage():
    return Stage()


def test_without_a_candidate_nothing_is_compared(stage):
    stage.chat()
    stage.sink.tick()
    assert stage.told == []
    assert stage.sink.beside() is None
    assert stage.sink.view() == {"revision": None, "source": None, "fault": None}


def test_a_candidate_that_begins_knows_the_policy_the_power_state_the_overrides_and_the_latencies(stage):
    for _ in range(25):
        stage.chat()
    stage.engine.hear_dormancy(stage.now, frozenset({"madre"}))
    stage.engine.override(stage.now, "madre", Override.FORCED_OPEN)
    stage.engine.override(stage.now, "switch", Override.OFF)
    stage.engine.override(stage.now, "switch", None)
    stage.begin(dormant={"mode": "obey"})
    view = stage.sink.view()
    assert view["targets"]["madre"]["breaker"]["state"] == "forced_open"
    assert view["targets"]["switch"]["dormant"]
    assert not view["targets"]["switch"]["off"]
    assert view["targets"]["switch"]["latency_p95_seconds"] == pytest.approx(0.1)
    stage.chat()
    assert stage.results() == ["differs"]
    assert (stage.told[0].active, stage.told[0].candidate) == ("primary", "local")
    assert stage.log.lines == [("shadow_began", {"revision": "c1", "source": "candidate.yaml"})]


def test_the_same_candidate_goes_on_and_another_one_begins_anew(stage):
    stage.begin()
    stage.chat()
    stage.begin()
    assert stage.sink.view()["calls"] == 1
    stage.begin("c2", targets=[{"name": "switch"}])
    assert (stage.sink.view()["calls"], stage.sink.view()["revision"]) == (0, "c2")
    assert stage.sink.beside().states == {"switch": "closed"}


def test_time_passes_for_it_when_nothing_happens(stage):
    stage.begin(timeouts={"attempt": "1s"}, targets=[{"name": "switch"}])
    plan = stage.engine.begin(0.0, Call(1, 4.75, "call-1"))
    plan.start()
    stage.now = 1.5
    stage.sink.tick()
    assert stage.sink.view()["targets"]["switch"]["breaker"]["failures_in_row"] == [1, 3]


def test_a_fault_ends_the_candidate_and_reaches_nobody(stage, monkeypatch):
    stage.begin()
    stage.chat()

    def broken(_shadow, _fact):
        raise KeyError("what a user said")

    monkeypatch.setattr(module.Shadow, "take", broken)
    stage.chat()
    stage.chat()
    assert len([fact for fact in stage.facts if isinstance(fact, AttemptEnded)]) == 3
    assert stage.results() == ["agrees"]
    assert stage.log.lines[1:] == [("shadow_failed", {"error": "KeyError"})]
    assert stage.sink.beside() is None
    assert stage.sink.view() == {"revision": "c1", "source": "candidate.yaml", "fault": "KeyError"}
    monkeypatch.undo()
    stage.begin()  # the same again, once somebody asks for it
    stage.chat()
    assert stage.results() == ["agrees", "agrees"]
    assert stage.sink.view()["fault"] is None


def test_a_fault_of_whoever_is_told_or_of_time_is_no_other(stage, monkeypatch):
    stage.begin()
    monkeypatch.setattr(module.Shadow, "advance", lambda _shadow, _now: 1 / 0)
    stage.sink.tick()
    stage.sink.tick()
    assert stage.sink.fault == "ZeroDivisionError"
    stage.begin("c2")
    stage.sink._shadow._tell = lambda _: 1 / 0
    stage.chat()
    assert stage.sink.fault == "ZeroDivisionError"
    assert [event for event, _ in stage.log.lines].count("shadow_failed") == 2


def test_a_fault_at_the_beginning_is_one_as_well(stage, monkeypatch):
    monkeypatch.setattr(module.Shadow, "learn", lambda _shadow, _live: 1 / 0)
    stage.begin()
    assert stage.sink.fault == "ZeroDivisionError"
    assert stage.sink.beside() is None


def test_facts_of_the_edge_are_nothing_to_it(stage):
    stage.begin()
    stage.sink(RequestShed(0.0, "lag"))
    assert stage.sink.fault is None
