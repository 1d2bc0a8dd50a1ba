"""A sink takes what it says it takes."""

from __future__ import annotations

from kitchen import Taking

from sidecar.core.fact import MessageRefused, RequestShed
from sidecar.edge.outlets.sink import together

REFUSED, SHED = MessageRefused(1.0, 400, "host"), RequestShed(2.0, "chats")


def test_a_sink_asked_by_itself_takes_what_is_for_it():
    told = []
    sink = Taking(told.append, RequestShed)
    sink(REFUSED)
    sink(SHED)
    assert told == [SHED]


def test_rooms_together_take_what_each_takes():
    takes = together({MessageRefused: print, RequestShed: repr}, {MessageRefused: len})
    assert takes == {MessageRefused: (print, len), RequestShed: (repr,)}
