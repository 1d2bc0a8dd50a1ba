"""The literal table and the classifier, written apart, agree about every outcome under every kind of rule."""

from __future__ import annotations

import pytest

from sidecar.core.classify import Classifier
from sidecar.core.vocabulary import ErrorKind, Outcome
from sidecar.replay.simulate import TIMED_OUT

from .generate import RULES
from .stage import policy_of
from .verdicts import MEANINGS, name_of, verdict_of
from .world import OUTCOMES

EVERY = {**OUTCOMES, "timeout": TIMED_OUT}


@pytest.mark.parametrize("name", EVERY)
def test_the_table_says_what_the_classifier_says(name: str) -> None:
    outcome = EVERY[name]
    assert name_of(outcome) == name
    assert MEANINGS[name].sent is outcome.sent
    for rules in ({}, *RULES):
        for retry in ({}, {"on": []}, {"on": [500, "reset-before-headers"]}, {"on_timeout": True}):
            for target in policy_of({"outcome": rules, "retry": retry}).ladder:
                verdict = verdict_of(name, target, explained=False, hurried=False)
                assert verdict is Classifier(target)(outcome), (rules, retry, target.name)


def test_every_kind_of_error_is_among_the_outcomes() -> None:
    assert {outcome.error for outcome in EVERY.values()} == {None, *ErrorKind}
    assert set(MEANINGS) == set(EVERY)


def test_an_outcome_that_no_world_has_is_said() -> None:
    with pytest.raises(LookupError):
        name_of(Outcome(status=999))
