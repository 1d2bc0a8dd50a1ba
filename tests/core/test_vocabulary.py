"""The words: every set is closed, and those that must agree do."""

from __future__ import annotations

from typing import get_args

import pytest

from sidecar.core import fact
from sidecar.core.value import names
from sidecar.core.vocabulary import ANSWERS, FAILURES, ErrorKind, Outcome, Reason, Verdict
from sidecar.policy.model import ErrorName, FallbackCause


def test_a_policy_can_name_every_error_kind():
    assert set(get_args(ErrorName)) == set(ErrorKind)


def test_a_policy_can_name_every_reason_that_leads_down_the_ladder():
    assert set(get_args(FallbackCause)) == set(Reason) - {
        Reason.CALLER_ERROR,
        Reason.WAITING,
        Reason.OFF,
        Reason.AFFINITY,
    }


def test_a_verdict_is_an_answer_or_a_failure_or_says_nothing():
    assert not ANSWERS & FAILURES
    assert set(Verdict) - ANSWERS - FAILURES == {Verdict.CALLER_ERROR, Verdict.MISCONFIGURED, Verdict.IGNORED}


@pytest.mark.parametrize("kind", ErrorKind)
def test_nothing_was_sent_exactly_where_there_was_no_connection(kind):
    assert Outcome(error=kind).sent is (kind not in ("connect", "dns", "connect-timeout", "no-socket"))


def test_an_answer_was_sent_for():
    assert Outcome(status=503).sent


@pytest.mark.usefixtures("of_sources")
def test_every_fact_says_when_and_cannot_be_changed():
    for kind in get_args(fact.Fact):
        assert names(kind)[0] == "at", kind
        with pytest.raises(AttributeError):
            kind(*[0] * len(names(kind))).at = 1
