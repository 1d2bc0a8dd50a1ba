"""One call of a journal is explained as it was decided; and where that cannot be known, as far as its lines go, and it is said."""

from __future__ import annotations

import contextlib
import json

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.core.engine import Engine
from sidecar.core.fact import CallBegan, EventHeard, as_json
from sidecar.core.line import SCHEMA, run_id
from sidecar.core.scene import Call
from sidecar.core.vocabulary import Answered, Attempt, Finish, Outcome
from sidecar.replay.explain import FORGOTTEN, OTHERWISE, REMEMBERED, explain
from sidecar.replay.journal import UnusableJournalError
from tests.replay.worlds import World, journal_of, policy, start_line, write

GOOD = Outcome(status=200, body={"status": "ok"}, text=True)
BROKEN = Outcome(status=500)
SEED = 77
RULES = policy(breaker={"consecutive": 2})


def told(facts, call):
    """What the live sidecar would tell of a call, as JSON has it."""
    mine = [fact for fact in facts if getattr(fact, "call", None) == call and not isinstance(fact, EventHeard)]
    return as_read([as_json(fact, mine[0].at) for fact in mine])


def as_read(facts):
    return json.loads(json.dumps(facts))


def played(*calls, engine=None, facts=None):
    """The facts of chats, one after the other: ``(correlation id, what the switch answers)``; madre is always well."""
    facts = [] if facts is None else facts
    engine = engine or Engine(0.0, RULES, revision="r", source="s", seed=SEED, emit=facts.append)
    for number, (name, outcome) in enumerate(calls, 1):
        now = number * 2.0
        plan = engine.begin(now, Call(number, 4.75, name))
        step = plan.start()
        while not isinstance(step, Finish):
            assert isinstance(step, Attempt)
            now += 0.25
            step = plan.send(Answered(now, outcome if step.target == "switch" else GOOD))
    return facts


def changed(lines, **wanted):
    """The places of the lines that say all of this."""
    return [place for place, line in enumerate(lines) if wanted.items() <= orjson.loads(line).items()]


def names(found):
    return [fact["fact"] for fact in found.facts]


# -- exactly ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", range(4))
def test_whatever_happened_a_call_is_explained_in_the_very_words_of_the_facts(tmp_path, number):
    world, facts = World(number, 40), []
    world.simulate(facts.append)
    path = write(tmp_path / "j.jsonl", journal_of(facts, world.seed))
    for call in range(1, 41, 9):
        found = explain([path], f"c{call}")
        assert as_read(found.facts) == told(facts, call)
        assert (found.calls, found.nth, found.run, found.runs, found.call, found.notes) == (1, 1, 1, 1, call, ())
        assert found.began == next(fact.at for fact in facts if isinstance(fact, CallBegan) and fact.call == call)


def test_of_an_id_used_more_than_once_it_is_the_last_or_the_one_that_is_asked_for(tmp_path):
    first = write(tmp_path / "journal-000001.jsonl", journal_of(played(("a", GOOD), ("b", GOOD), ("a", BROKEN)), SEED))
    second = write(tmp_path / "journal-000002.jsonl", journal_of(played(("b", BROKEN), ("a", GOOD)), SEED + 1))
    found = explain([tmp_path], "a")
    assert (found.calls, found.nth, found.run, found.runs, found.call) == (3, 3, 2, 2, 2)
    for nth, (run, call) in enumerate([(1, 1), (1, 3), (2, 2)], 1):
        found = explain([first, second], "a", nth)
        assert (found.calls, found.nth, found.run, found.call) == (3, nth, run, call)
        assert found.facts[0]["correlation_id"] == "a"
    assert explain([tmp_path], "a", 4)[:2] == ([], 3)


def test_an_id_that_nobody_used_has_no_facts(tmp_path):
    found = explain([write(tmp_path / "j.jsonl", journal_of(played(("a", GOOD)), SEED))], "b")
    assert (found.facts, found.calls, found.notes) == ([], 0, ())


def test_without_a_run_there_is_nothing_to_explain(tmp_path):
    with pytest.raises(UnusableJournalError):
        explain([write(tmp_path / "j.jsonl", [])], "a")


@pytest.mark.parametrize("cut", [{"in": "answered"}, {"in": "judged"}, {"in": "ended"}])
def test_of_a_call_whose_end_is_not_there_it_is_told_what_is_known(tmp_path, cut):
    """The process was killed: between any two lines."""
    facts = played(("a", BROKEN))
    lines = journal_of(facts, SEED)
    found = explain([write(tmp_path / "j.jsonl", lines[: changed(lines, **cut)[0]])], "a")
    assert as_read(found.facts) == told(facts, 1)[: len(found.facts)]
    assert found.notes == ()
    assert names(found)[-1] == ("CallEnded" if cut == {"in": "ended"} else "AttemptStarted")


# -- not exactly ------------------------------------------------------------------------------------------------------

THREE = (("a", BROKEN), ("b", BROKEN), ("refused", BROKEN))  # the second opens the breaker


def from_the_middle(facts, call):
    """The journal as it is when the files before this call have been deleted."""
    lines = journal_of(facts, SEED)
    [place] = changed(lines, **{"in": "call", "call": call})
    adopted = orjson.loads(lines[1])
    heading = {**adopted, "in": "continued", "schema": SCHEMA, "seed": SEED, "run": run_id(SEED), "file": 2}
    return [orjson.dumps(heading) + b"\n", *lines[place:]]


def test_where_the_begin_of_the_run_is_missing_it_is_said_that_counts_may_have_been_others(tmp_path):
    facts = played(("a", BROKEN), ("b", GOOD))
    found = explain([write(tmp_path / "j.jsonl", from_the_middle(facts, 2))], "b")
    assert names(found) == ["CallBegan", "AttemptStarted", "AttemptEnded", "CallEnded"]
    assert found.notes == (REMEMBERED,)
    assert found.facts[2]["counts"]["calls"] == 1  # of two that there were


def test_where_what_was_remembered_decided_only_what_is_in_the_lines_is_told(tmp_path):
    facts = played(*THREE)
    found = explain([write(tmp_path / "j.jsonl", from_the_middle(facts, 3))], "refused")
    assert found.notes == (FORGOTTEN,)
    assert found.facts == [
        {"fact": "CallBegan", "after_seconds": 0.0, "patience": 4.75, "correlation_id": "refused", "revision": "r"},
        {
            "fact": "AttemptEnded",
            "after_seconds": 0.25,
            "target": "madre",
            "number": 1,
            "seconds": 0.25,
            "outcome": {"is": "Outcome", "error": None, "status": 200, "body": GOOD.body, "text": True, "retry_after": None},
            "verdict": "success",
        },
        {
            "fact": "CallEnded",
            "after_seconds": 0.25,
            "seconds": 0.25,
            "finish": {"is": "Finish", "provider": "madre", "degraded": True, "reason": "open", "abandoned": False},
            "first_reason": "open",
            "attempts": 1,
        },
    ]  # fmt: skip


def test_a_sample_is_no_whole_run(tmp_path):
    lines = journal_of(played(("a", GOOD)), SEED)
    lines[0] = orjson.dumps({**orjson.loads(lines[0]), "sample": 0.5}) + b"\n"
    assert explain([write(tmp_path / "j.jsonl", lines)], "a").notes == (REMEMBERED,)


def test_a_call_that_comes_out_otherwise_is_told_as_recorded_and_another_of_its_run_as_decided(tmp_path):
    facts = played(("a", BROKEN), ("b", GOOD))
    lines = journal_of(facts, SEED)
    [place] = changed(lines, **{"in": "judged", "call": 1, "target": "switch"})
    lines[place] = orjson.dumps({**orjson.loads(lines[place]), "verdict": "success"}) + b"\n"
    path = write(tmp_path / "j.jsonl", lines)
    other, mine = explain([path], "a"), explain([path], "b")
    assert other.notes == (OTHERWISE,)
    assert names(other) == ["CallBegan", "AttemptEnded", "AttemptEnded", "CallEnded"]
    assert other.facts[1]["verdict"] == "success"
    assert "rule" not in other.facts[1]
    assert mine.notes == ()
    assert as_read(mine.facts) == told(facts, 2)


def test_a_line_that_nobody_can_read_is_said_with_its_place(tmp_path):
    lines = journal_of(played(("a", GOOD), ("b", GOOD)), SEED)
    path = write(tmp_path / "j.jsonl", [*lines[:2], b"no line\n", *lines[2:], b"nor this"])
    found = explain([path], "b")
    assert found.notes == (f"2 lines of the journal could not be taken; the first: {path}:3: not JSON",)
    path = write(tmp_path / "j.jsonl", [*lines, b"nor this"])
    assert explain([path], "nobody").notes[0].startswith("1 line of the journal could not be taken; the first: ")


def test_a_number_that_an_edited_journal_uses_twice_confuses_no_two_calls(tmp_path):
    lines = from_the_middle(played(*THREE), 3)
    [place] = changed(lines, **{"in": "call"})
    stolen = orjson.dumps({**orjson.loads(lines[place]), "at": -1.0, "correlation_id": "thief"}) + b"\n"
    found = explain([write(tmp_path / "j.jsonl", [*lines[:place], stolen, *lines[place:]])], "refused")
    assert found.facts[0]["correlation_id"] == "refused"
    assert names(found).count("CallBegan") == 1


JUNK = st.sampled_from([None, True, -1, 0, 1, 2, 3, 1.5, 1e308, "a", "", "switch", "fatal", [], {}, {"a": 1}])
KEYS = ("in", "at", "call", "patience", "correlation_id", "error", "status", "body", "text", "target", "verdict", "provider", "reason", "attempts", "schema", "seed")  # fmt: skip
WHOLE = journal_of(played(*THREE, ("a", GOOD), ("c", BROKEN)), SEED)


@st.composite
def mutated(draw):
    """A journal from its begin or from the middle, with lines gone, doubled, moved or edited."""
    lines = list(WHOLE) if draw(st.booleans()) else from_the_middle(played(*THREE, ("a", GOOD)), 2)
    for _ in range(draw(st.integers(1, 4))):
        place, kind = (
            draw(st.integers(0, len(lines) - 1)),
            draw(st.sampled_from(["gone", "double", "swap", "edit", "cut"])),
        )
        if kind == "gone" and len(lines) > 1:
            del lines[place]
        elif kind == "double":
            lines.insert(place, lines[place])
        elif kind == "swap":
            lines[place - 1], lines[place] = lines[place], lines[place - 1]
        elif kind == "cut":
            lines[place] = lines[place][: draw(st.integers(0, len(lines[place])))]
        else:
            with contextlib.suppress(orjson.JSONDecodeError):
                edited = {**orjson.loads(lines[place]), draw(st.sampled_from(KEYS)): draw(JUNK)}
                lines[place] = orjson.dumps(edited) + b"\n"
    return lines


@settings(max_examples=200)
@given(mutated(), st.sampled_from(["a", "b", "refused", "c", "", "switch"]), st.none() | st.integers(1, 3))
def test_whatever_befalls_a_journal_a_call_is_explained_or_not_there(tmp_path_factory, lines, name, nth):
    path = write(tmp_path_factory.getbasetemp() / "explained.jsonl", lines)
    try:
        found = explain([path], name, nth)
    except UnusableJournalError:
        return
    assert bool(found.facts) == (found.calls >= (nth or 1))
    if found.facts:
        assert found.facts[0]["fact"] == "CallBegan"
        assert found.facts[0]["correlation_id"] == name
        assert as_read(found.facts)


def test_only_a_start_is_a_run_in_which_nobody_called(tmp_path):
    assert explain([write(tmp_path / "j.jsonl", [start_line(SEED)])], "a").calls == 0
