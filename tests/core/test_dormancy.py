"""Dormancy: what madre's power state forbids, explains and announces."""

from __future__ import annotations

import pytest

from sidecar.core.dormancy import Dormancy
from sidecar.core.vocabulary import ErrorKind, Outcome
from sidecar.policy.model import Dormant

ON, OFF = frozenset({"madre", "switch"}), frozenset({"madre"})
REFUSED = Outcome(error=ErrorKind.CONNECT)


def heard(*states: frozenset[str] | None) -> Dormancy:
    dormancy = Dormancy()
    for state in states:
        dormancy.hear(state)
    return dormancy


@pytest.mark.parametrize(
    ("states", "off"),
    [((), False), ((None,), False), ((ON,), False), ((OFF,), True), ((frozenset(),), True), ((OFF, None), False)],
)
def test_only_a_power_state_that_was_heard_makes_the_switch_dormant(states, off):
    assert heard(*states).off("switch") is off


def test_madre_is_never_dormant():
    assert not heard(frozenset()).off("madre")


@pytest.mark.parametrize(("mode", "forbidden"), [("explain", False), ("obey", True), ("ignore", False)])
def test_only_a_policy_that_obeys_forbids_to_ask(mode, forbidden):
    assert heard(OFF).forbids("switch", Dormant(mode=mode)) is forbidden
    assert not heard(ON).forbids("switch", Dormant(mode=mode))
    assert not heard(OFF).forbids("madre", Dormant(mode=mode))


@pytest.mark.parametrize("kind", ErrorKind)
@pytest.mark.parametrize("mode", ["explain", "obey", "ignore"])
def test_only_a_target_that_cannot_be_reached_is_explained_by_being_off(mode, kind):
    outcome = Outcome(error=kind)
    explained = mode != "ignore" and kind in (ErrorKind.CONNECT, ErrorKind.DNS)
    assert heard(OFF).explains("switch", Dormant(mode=mode), outcome) is explained
    assert not heard(ON).explains("switch", Dormant(mode=mode), outcome)
    assert not heard(OFF).explains("madre", Dormant(mode=mode), outcome)


def test_an_answer_is_never_explained_away():
    assert not heard(OFF).explains("switch", Dormant(), Outcome(status=503))


@pytest.mark.parametrize(
    ("states", "news"),
    [
        ((ON,), [False]),
        ((OFF, ON), [False, True]),
        ((OFF, ON, ON), [False, True, False]),
        ((OFF, None, ON), [False, False, True]),  # a poll that failed in between hides nothing
        ((OFF, None, None, OFF, ON), [False, False, False, False, True]),
        ((ON, None, ON), [False, False, False]),
        ((OFF, None), [False, False]),
        ((OFF, ON, OFF, ON), [False, True, False, True]),
    ],
)
def test_a_window_that_opens_is_news_exactly_once(states, news):
    dormancy = Dormancy()
    assert [dormancy.hear(state) for state in states] == news
