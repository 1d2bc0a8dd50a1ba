"""The words for what a candidate would have made of a call, and how they are counted."""

from __future__ import annotations

import pytest

from sidecar.core.comparison import (
    ENDINGS,
    MOST_EXAMPLES,
    Compared,
    Result,
    Tallies,
    Why,
    crowded,
    decided,
    ending,
    undecided,
)
from sidecar.core.fact import CallBegan, CallEnded
from sidecar.core.vocabulary import Finish, Reason

PRIMARY = Finish("switch", 1, degraded=False, reason=None)
AGAIN = Finish("switch", 2, degraded=False, reason=None)
FALLBACK = Finish("madre", 2, degraded=True, reason=Reason.TIMEOUT)
OPEN = Finish("madre", 1, degraded=True, reason=Reason.OPEN)
LOCAL = Finish("local", None, degraded=True, reason=Reason.OPEN)
FAILED = Finish(None, None, degraded=True, reason=Reason.FAILURE)
LEFT = Finish(None, None, degraded=False, reason=None, abandoned=True)


def ended(finish, seconds=1.0, first=None) -> CallEnded:
    return CallEnded(seconds, 7, seconds, finish, first or finish.reason, 1)


def test_every_end_has_a_word():
    finishes = (PRIMARY, FALLBACK, LOCAL, FAILED, LEFT)
    assert tuple(map(ending, finishes)) == ENDINGS


@pytest.mark.parametrize(
    ("one", "other", "result"),
    [
        (PRIMARY, PRIMARY, Result.AGREES),
        (PRIMARY, AGAIN, Result.AGREES),  # by the same target, whichever of its attempts
        (FALLBACK, OPEN, Result.DIFFERS),  # by the same target, for another reason
        (PRIMARY, LOCAL, Result.DIFFERS),
        (FAILED, LEFT, Result.DIFFERS),
        (LEFT, LEFT, Result.AGREES),
    ],
)
def test_to_agree_is_to_end_by_the_same_target_for_the_same_reason(one, other, result):
    told = decided(9.0, "c", ended(one), ended(other), 0.01)
    assert (told.result, told.active, told.candidate) == (result, ending(one), ending(other))
    assert told.different is (result is Result.DIFFERS)


def test_seconds_are_those_between_two_answers():
    assert decided(9.0, "c", ended(PRIMARY, 2.0), ended(LOCAL, 1.0), 0.01).seconds == -1.0
    assert decided(9.0, "c", ended(PRIMARY, 2.0), ended(PRIMARY, 2.009), 0.01).seconds == 0.0
    assert decided(9.0, "c", ended(LEFT, 2.0), ended(LOCAL, 1.0), 0.01).seconds is None
    assert decided(9.0, "c", ended(PRIMARY, 2.0), ended(LEFT, 1.0), 0.01).seconds is None


def test_of_an_undecided_call_it_may_be_known_that_its_primary_was_left():
    told = undecided(9.0, "c", ended(PRIMARY), ended(LEFT), Why.NOT_ASKED)
    assert (told.result, told.active, told.candidate, told.different) == (Result.UNDECIDED, "primary", None, False)
    told = undecided(9.0, "c", ended(PRIMARY), ended(LEFT, first=Reason.OPEN), Why.NOT_ASKED)
    assert (told.result, told.candidate, told.different) == (Result.NOT_PRIMARY, "not_primary", True)
    told = undecided(9.0, "c", ended(FALLBACK), ended(LEFT, first=Reason.OPEN), Why.NOT_ASKED)
    assert (told.result, told.different) == (Result.NOT_PRIMARY, False)  # in neither it was the primary


def test_a_call_that_nobody_followed():
    told = crowded(CallBegan(1.0, 3, 4.75, "c", "r"))
    assert told == Compared(1.0, 3, "c", Result.UNDECIDED, None, None, Why.CROWDED)


def test_they_are_counted():
    tallies = Tallies()
    assert tallies.view(0.0) == {
        "calls": 0,
        "agrees": 0,
        "not_primary": 0,
        "differs": {},
        "undecided": {},
        "seconds_earlier": 0,
        "seconds_later": 0,
        "examples": [],
    }
    tallies.add(decided(1.0, "a", ended(PRIMARY), ended(PRIMARY), 0.01))
    tallies.add(decided(2.0, "b", ended(PRIMARY, 2.0), ended(LOCAL, 0.5), 0.01))
    tallies.add(decided(3.0, "c", ended(LOCAL, 1.0), ended(PRIMARY, 1.25), 0.01))
    tallies.add(undecided(4.0, "d", ended(PRIMARY), ended(LEFT, first=Reason.OPEN), Why.NOT_ASKED))
    tallies.add(undecided(5.0, "e", ended(PRIMARY), ended(LEFT), Why.CUT_OFF))
    view = tallies.view(10.0)
    assert [each["correlation_id"] for each in view.pop("examples")] == ["d", "c", "b"]
    assert view == {
        "calls": 5,
        "agrees": 1,
        "not_primary": 1,
        "differs": {"local": {"primary": 1}, "primary": {"local": 1, "not_primary": 1}},
        "undecided": {"cut_off": 1, "not_asked": 1},
        "seconds_earlier": 1.5,
        "seconds_later": 0.25,
    }


def test_they_add_up():
    tallies = Tallies()
    for second in (1.0, 2.0):
        tallies.add(decided(second, "b", ended(PRIMARY, 2.0), ended(LOCAL, 0.5), 0.01))
        tallies.add(decided(second, "c", ended(LOCAL, 1.0), ended(PRIMARY, 1.25), 0.01))
        tallies.add(undecided(second, "d", ended(PRIMARY), ended(LEFT, first=Reason.OPEN), Why.NOT_ASKED))
    view = tallies.view(10.16)
    assert view["differs"] == {"local": {"primary": 2}, "primary": {"local": 2, "not_primary": 2}}
    assert view["undecided"] == {"not_asked": 2}
    assert (view["seconds_earlier"], view["seconds_later"]) == (3.0, 0.5)
    assert view["examples"][0]["seconds_ago"] == 8.2


def test_what_is_shown_is_plain_json():
    tallies = Tallies()
    tallies.add(undecided(4.0, "d", ended(PRIMARY), ended(LEFT, first=Reason.OPEN), Why.NOT_ASKED))
    assert all(type(key) is str for part in ("differs", "undecided") for key in tallies.view(5.0)[part])


def test_the_last_differences_are_examples():
    tallies = Tallies()
    for number in range(50):
        tallies.add(decided(number, f"c{number}", ended(PRIMARY), ended(LOCAL, 0.5), 0.01))
    examples = tallies.view(60.0)["examples"]
    assert len(examples) == MOST_EXAMPLES
    assert examples[0] == {
        "correlation_id": "c49",
        "active": "primary",
        "candidate": "local",
        "seconds": -0.5,
        "seconds_ago": 11.0,
    }
