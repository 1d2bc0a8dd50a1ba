"""What is counted says at a scrape what the library's own would say of the same."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.openmetrics.exposition import generate_latest

from sidecar.edge.outlets.telemetry.tally import Counts, Spreads

EDGES = (0.001, 0.25, 1, 2.5)
AMOUNTS = st.lists(st.tuples(st.sampled_from("ab"), st.floats(0, 1e9)))
VALUES = st.lists(st.tuples(st.sampled_from("ab"), st.one_of(st.sampled_from(EDGES), st.floats(0, 10))))


def told(registry):
    return [line for line in generate_latest(registry).splitlines() if b"_created" not in line]


@given(AMOUNTS)
def test_counts_are_told_as_the_library_tells_its_own(amounts):
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    family = Counts("x_total", "what it is", ("kind",))
    ours.register(family)
    known = Counter("x_total", "what it is", ("kind",), registry=theirs)
    children = {kind: family.labels(kind) for kind in "ab"}
    for kind in "ab":
        known.labels(kind)
    for kind, amount in amounts:
        children[kind].inc(amount)
        known.labels(kind).inc(amount)
    assert told(ours) == told(theirs)


@given(VALUES)
def test_spreads_are_told_as_the_library_tells_its_own_edges_included(values):
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    family = Spreads("x_seconds", "what it is", ("kind",), EDGES)
    ours.register(family)
    known = Histogram("x_seconds", "what it is", ("kind",), buckets=EDGES, registry=theirs)
    children = {kind: family.labels(kind) for kind in "ab"}
    for kind in "ab":
        known.labels(kind)
    for kind, value in values:
        children[kind].observe(value)
        known.labels(kind).observe(value)
    assert told(ours) == told(theirs)


def test_the_last_exemplar_of_each_bucket_is_kept():
    registry = CollectorRegistry()
    family = Spreads("x_seconds", "what it is", (), EDGES)
    registry.register(family)
    spread = family.labels()
    for value, trace in ((0.2, "a"), (0.1, "b"), (9.0, "c"), (0.15, None)):
        spread.observe(value, {"trace_id": trace} if trace else None)
    kept = {
        line.split(b" ")[0]: line.split(b" ")[3]
        for line in generate_latest(registry).splitlines()
        if b"trace_id" in line
    }
    assert kept == {
        b'x_seconds_bucket{le="0.25"}': b'{trace_id="b"}',
        b'x_seconds_bucket{le="+Inf"}': b'{trace_id="c"}',
    }


def test_a_family_without_labels_has_one_child():
    registry = CollectorRegistry()
    family = Counts("x_total", "what it is", ())
    registry.register(family)
    family.labels().inc()
    assert b"x_total 1.0" in told(registry)
