"""Lines of a journal: what is written is read back as the same event, to the last bit; what is no line is refused."""

from __future__ import annotations

import json

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.core.fact import (
    AttemptEnded,
    AttemptStarted,
    BreakerMoved,
    CallBegan,
    CallEnded,
    DormancyHeard,
    EventHeard,
    FaultInjected,
    FellBack,
    HealthHeard,
    HealthMoved,
    Overridden,
    PolicyAdopted,
    RateLimited,
    Refused,
    RelayEnded,
    RequestShed,
    Retried,
    RetryDenied,
)
from sidecar.core.line import EVENTS, event_from, fault_from, policy_from, probe_from, run_id, to_line
from sidecar.core.vocabulary import (
    Abandoned,
    Answered,
    Binding,
    ErrorKind,
    Finish,
    Outcome,
    Override,
    Reason,
    Verdict,
    Woke,
)
from sidecar.policy.model import Policy

times = st.floats(allow_nan=False, allow_infinity=False)
words = st.text(
    st.characters(exclude_categories=["Cs"])
)  # orjson reads no lone surrogate, so none ever gets into an outcome
outcomes = st.builds(
    Outcome,
    error=st.none() | st.sampled_from(ErrorKind),
    status=st.none() | st.integers(100, 599),
    body=st.dictionaries(words, words, max_size=4),
    text=st.booleans(),
    retry_after=st.none() | times,
)
attempts = st.none() | st.integers(1, 2**31)
events = st.builds(Answered, times, outcomes, attempts) | st.builds(Woke, times) | st.builds(Abandoned, times)


@given(events, st.integers(1, 2**63 - 1))
def test_an_event_is_read_back_as_it_was(event, call):
    written = orjson.dumps(to_line(EventHeard(event.now, call, event)))
    for read in (orjson.loads(written), json.loads(written)):
        back = event_from(read)
        assert back == event
        assert type(back) is type(event)
        assert read["call"] == call
        assert read["in"] in EVENTS
        if isinstance(back, Answered):
            assert type(back.outcome.error) is type(event.outcome.error)


@given(times, st.none() | st.sets(st.sampled_from(["switch", "madre", "redis"])).map(frozenset))
def test_a_power_state_keeps_its_services(at, active):
    line = orjson.loads(orjson.dumps(to_line(DormancyHeard(at, active))))
    assert line["in"] == "dormancy"
    assert (line["at"], line["active"] if line["active"] is None else frozenset(line["active"])) == (at, active)


probed = st.builds(Outcome, error=st.sampled_from(ErrorKind)) | st.builds(Outcome, status=st.integers(100, 599))


@given(
    st.builds(
        HealthHeard, times, st.sampled_from(["switch", "madre"]), probed, st.booleans(), times, st.sampled_from(Verdict)
    )
)
def test_a_health_probe_is_read_back_as_it_was(fact):
    line = orjson.loads(orjson.dumps(to_line(fact)))
    assert line["in"] == "health"
    assert probe_from(line) == fact


PROBED = {
    "in": "health",
    "at": 1.5,
    "target": "switch",
    "error": None,
    "status": 200,
    "busy": False,
    "seconds": 0.1,
    "verdict": "success",
}


@pytest.mark.parametrize("key", [key for key in PROBED if key != "in"])
def test_a_probe_without_one_of_its_fields_is_refused(key):
    with pytest.raises(KeyError, match=key):
        probe_from({name: value for name, value in PROBED.items() if name != key})


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("at", "1.5"), ("target", 7), ("error", "no such error"), ("error", "reset"), ("status", None), ("status", "200"), ("busy", 0),
        ("busy", None), ("seconds", None), ("seconds", float("nan")), ("verdict", "fine"), ("verdict", None),
    ],
)  # fmt: skip
def test_a_probe_with_a_field_that_cannot_be_is_refused(key, value):
    with pytest.raises((TypeError, ValueError)) as raised:
        probe_from({**PROBED, key: value})
    assert str(value) in str(raised.value) or str(raised.value) == "a probe has either an error or a status"


def test_a_policy_is_read_back_as_it_was():
    policy = Policy.model_validate(
        {
            "targets": [
                {"name": "switch", "retry": {"on": [503, "connect-failure"]}},
                {"name": "madre", "reserve": "1s"},
            ],
            "outcome": {"failure": [{"body": {"a.b": ["c"]}}]},
            "fallback": {"local_text": {"es": "hola"}},
        }
    )
    line = orjson.loads(orjson.dumps(to_line(PolicyAdopted(1.5, "rev", "a.yaml", policy))))
    assert policy_from(line) == policy
    assert (line["in"], line["at"], line["revision"], line["source"]) == ("adopt", 1.5, "rev", "a.yaml")


def test_a_policy_is_written_as_plain_json():
    """Its types are not all JSON's: networks, and words of an enumeration."""
    policy = Policy.model_validate({"relay": {"trusted_proxies": ["10.0.0.0/8"]}})
    line = to_line(PolicyAdopted(1.5, "rev", "a.yaml", policy))
    assert json.loads(json.dumps(line)) == line


@pytest.mark.parametrize("override", [None, *Override])
def test_an_override_is_a_line(override):
    line = orjson.loads(orjson.dumps(to_line(Overridden(1.5, "madre", override))))
    assert line == {"in": "override", "at": 1.5, "target": "madre", "override": override and override.value}


FAULT = {"in": "fault", "at": 1.5, "call": 7, "target": "switch", "number": 2, "fault": "abort", "rule": "half of them"}


def test_an_injected_fault_is_read_back_as_it_was():
    fact = FaultInjected(1.5, 7, "switch", 2, "abort", "half of them")
    line = orjson.loads(orjson.dumps(to_line(fact)))
    assert line == FAULT
    assert fault_from(line) == fact


@pytest.mark.parametrize("key", [key for key in FAULT if key != "in"])
def test_a_fault_without_one_of_its_fields_is_refused(key):
    with pytest.raises(KeyError, match=key):
        fault_from({name: value for name, value in FAULT.items() if name != key})


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("at", "soon", "at must be a number, found 'soon'"),
        ("call", 7.0, "call must be a whole number, found 7.0"),
        ("target", 7, "target must be text, found 7"),
        ("number", True, "number must be a whole number, found True"),
        ("fault", "laziness", "'laziness' is no fault"),
        ("rule", None, "rule must be text, found None"),
    ],
)
def test_a_fault_that_cannot_be_says_what_it_is(key, value, says):
    with pytest.raises((TypeError, ValueError)) as raised:
        fault_from({**FAULT, key: value})
    assert str(raised.value) == says


def test_runs_are_told_apart_by_their_seeds():
    assert (run_id(255), run_id(2**63 - 1)) == ("ff", "7fffffffffffffff")


def test_what_a_call_came_to_is_a_line_to_check_a_replay_against():
    ended = CallEnded(9.0, 7, 1.0, Finish("madre", 2, degraded=True, reason=Reason.TIMEOUT), Reason.TIMEOUT, 2)
    assert orjson.loads(orjson.dumps(to_line(ended))) == {
        "in": "ended", "call": 7, "provider": "madre", "degraded": True, "reason": "timeout", "first_reason": "timeout", "attempts": 2,
    }  # fmt: skip
    judged = AttemptEnded(9.0, 7, "switch", 1, 0.5, Outcome(status=200), Verdict.FATAL, Binding.ATTEMPT)
    assert orjson.loads(orjson.dumps(to_line(judged))) == {
        "in": "judged",
        "call": 7,
        "target": "switch",
        "verdict": "fatal",
    }
    raced = AttemptEnded(9.0, 7, "switch", 2, 0.5, Outcome(status=200), Verdict.FATAL, Binding.ATTEMPT, raced=True)
    assert to_line(raced) == to_line(judged) | {"attempt": 2, "seconds": 0.5}
    began = CallBegan(1.0, 7, 4.75, "c", "rev")
    assert to_line(began) == {
        "in": "call",
        "at": 1.0,
        "call": 7,
        "patience": 4.75,
        "correlation_id": "c",
        "revision": "rev",
    }
    assert to_line(CallBegan(1.0, 7, 4.75, "c", "rev", session="s")) == to_line(began) | {"session": "s"}


@pytest.mark.parametrize(
    "fact",
    [
        AttemptStarted(1, 1, "switch", 1, 3.0, Binding.ATTEMPT),
        Retried(1, 1, "switch", 0.1, "connect", 2.0),
        RetryDenied(1, 1, "switch", "budget"),
        Refused(1, 1, "switch", Reason.OPEN, None),
        FellBack(1, 1, "switch", Reason.OPEN),
        BreakerMoved(1, "switch", "closed", "open", "consecutive", 5.0),
        HealthMoved(1, "switch", "up", "down", "failed", 3, 0),
        RateLimited(1, 2.0, anonymous=True),
        RelayEnded(1, "http", "GET", 200, 0.1, 1, 1, None),
        RequestShed(1, "chats"),
    ],
    ids=lambda fact: type(fact).__name__,
)
def test_what_is_neither_an_input_nor_a_result_is_no_line(fact):
    assert to_line(fact) is None


ANSWERED = {
    "in": "answered", "at": 1.5, "call": 7, "error": None, "status": 200, "body": {"status": "ok"}, "text": True, "retry_after": None,
}  # fmt: skip


@pytest.mark.parametrize("key", [key for key in ANSWERED if key != "call"])
def test_an_answer_without_one_of_its_fields_is_refused(key):
    with pytest.raises(KeyError, match=key):
        event_from({name: value for name, value in ANSWERED.items() if name != key})


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("in", "ended"),
        ("in", None),
        ("in", ["answered"]),
        ("at", "1.5"),
        ("at", None),
        ("at", True),
        ("at", float("inf")),
        ("at", float("nan")),
        ("at", 10**400),
        ("error", "no such error"),
        ("error", []),
        ("error", 1),
        ("status", "200"),
        ("status", 200.5),
        ("status", True),
        ("body", [["status", "ok"]]),
        ("body", "ok"),
        ("body", None),
        ("body", {"status": 1}),
        ("body", {"status": ["ok"]}),
        ("text", "no"),
        ("text", 0),
        ("text", None),
        ("retry_after", "soon"),
        ("retry_after", "1"),
        ("retry_after", []),
        ("retry_after", False),
    ],
)
def test_a_field_of_another_type_is_refused_and_never_bent_into_shape(key, value):
    with pytest.raises((TypeError, ValueError)) as raised:
        event_from({**ANSWERED, key: value})
    assert str(value) in str(raised.value)
