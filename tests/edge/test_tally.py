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


def both(family, known, theirs, added, add):
    """What is told when ``add`` has added the same to each kind of our family and of the library's."""
    ours = CollectorRegistry()
    ours.register(family)
    children = {kind: (family.labels(kind), known.labels(kind)) for kind in "ab"}
    for kind, value in added:
        for child in children[kind]:
            add(child, value)
    return told(ours), told(theirs)


@given(AMOUNTS)
def test_counts_are_told_as_the_library_tells_its_own(amounts):
    theirs = CollectorRegistry()
    known = Counter("x_total", "what it is", ("kind",), registry=theirs)
    family = Counts("x_total", "what it is", ("kind",))
    ours, wanted = both(family, known, theirs, amounts, lambda child, amount: child.inc(amount))
    assert ours == wanted


@given(VALUES)
def test_spreads_are_told_as_the_library_tells_its_own_edges_included(values):
    theirs = CollectorRegistry()
    known = Histogram("x_seconds", "what it is", ("kind",), buckets=EDGES, registry=theirs)
    family = Spreads("x_seconds", "what it is", ("kind",), EDGES)
    ours, wanted = both(family, known, theirs, values, lambda child, value: child.observe(value))
    assert ours == wanted


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
