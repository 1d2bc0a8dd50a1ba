"""Facts reach those who take them, in order, whoever of them fails."""

from __future__ import annotations

from kitchen import Slate, Taking

from sidecar.core.fact import CallEnded, MessageRefused, RequestShed
from sidecar.edge.outlets.telling import Facts

REFUSED, SHED = MessageRefused(1.0, 400, "host"), RequestShed(2.0, "chats")


def test_a_fact_is_told_to_those_who_take_its_kind_in_the_order_they_were_added():
    told = []
    facts = Facts(Slate().log)
    facts.add(Taking(lambda fact: told.append(("first", fact)), MessageRefused, RequestShed))
    facts.add(Taking(lambda fact: told.append(("second", fact)), MessageRefused))
    facts(REFUSED)
    facts(SHED)
    assert told == [("first", REFUSED), ("second", REFUSED), ("first", SHED)]


def test_what_nobody_takes_is_nobodys():
    facts, told = Facts(Slate().log), []
    facts(REFUSED)
    facts.add(Taking(told.append, CallEnded))
    facts(REFUSED)
    assert told == []


def test_who_fails_loses_the_fact_alone_and_it_is_said_without_its_words():
    told, log = [], Slate()

    def broken(fact):
        raise ZeroDivisionError("a secret")

    facts = Facts(log.log)
    facts.add(Taking(broken, MessageRefused))
    facts.add(Taking(told.append, MessageRefused))
    facts(REFUSED)
    assert told == [REFUSED]
    assert log.lines == [("error", "sink_failed", {"fact": "MessageRefused", "error": "ZeroDivisionError"})]
