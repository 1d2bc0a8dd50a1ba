"""Stretches of a long record: evenly spread, each beginning with what was known then, and tried like any other run."""

from __future__ import annotations

import pytest

from sidecar.core.fact import DormancyHeard, Overridden
from sidecar.core.vocabulary import Override
from sidecar.replay.job import Job
from sidecar.replay.recommend.stretches import STRETCHES, stretches_of
from tests.replay.known import arrivals, loaded, past, steady


def long(calls=400, seed=1, outside=()):
    return past(steady(seed), loaded(), arrivals(calls, 2.0, seed), seed, outside)


def numbers(parts):
    return [came.number for part in parts for came in part.record.chats]


def test_a_short_record_is_itself():
    whole = (long(50),)
    assert stretches_of(whole, 50) == whole


def test_a_long_one_is_ten_stretches_spread_evenly():
    parts = stretches_of((long(400),), 100)
    assert len(parts) == STRETCHES
    assert numbers(parts) == [n for start in range(1, 400, 40) for n in range(start, start + 10)]


def test_what_targets_do_is_estimated_from_the_whole():
    whole = long(400)
    [part, *_] = stretches_of((whole,), 100)
    assert part.histories is whole.histories
    assert part.record.attempts is whole.record.attempts
    assert len(whole.record.chats) == 400


def test_a_stretch_that_goes_beyond_a_run_goes_on_in_the_next():
    first, second = long(45, 1), long(355, 2)
    parts = stretches_of((first, second), 100)
    assert sum(len(part.record.chats) for part in parts) == 100
    assert {id(part.histories) for part in parts} == {id(first.histories), id(second.histories)}
    assert len(stretches_of((long(45, 1), long(5, 3), long(350, 2)), 100)) >= STRETCHES


def test_what_was_heard_before_holds_when_a_stretch_begins():
    awake = frozenset({"madre", "switch"})
    happened = [
        (110.0, lambda now, engine: engine.hear_dormancy(now, None)),
        (111.0, lambda now, engine: engine.hear_dormancy(now, awake)),
        (112.0, lambda now, engine: engine.override(now, "switch", Override.OFF)),
        (113.0, lambda now, engine: engine.override(now, "madre", Override.FORCED_OPEN)),
        (200.0, lambda now, engine: engine.override(now, "switch", None)),
    ]
    whole = long(400, outside=happened)
    parts = stretches_of((whole,), 100)
    later = next(part for part in parts if part.record.span[0] > 113.0)
    begins, ends = later.record.span
    assert ends < 200.0
    assert later.record.outside == [
        DormancyHeard(begins, awake),
        Overridden(begins, "switch", Override.OFF),
        Overridden(begins, "madre", Override.FORCED_OPEN),
    ]
    first = parts[0].record
    assert [fact.at for fact in first.outside] == [at for at, _ in happened if first.span[0] <= at <= first.span[1]]


@pytest.mark.parametrize("most", [100, 37])
def test_stretches_are_tried_like_runs(most):
    parts = stretches_of((long(400),), most)
    job = Job(parts, loaded())
    counted = []
    figures = job.run(counted.append).summary.figures()
    assert figures["calls"] == job.calls == sum(counted) == most // STRETCHES * STRETCHES
    assert figures["providers"] == {"switch": job.calls}
