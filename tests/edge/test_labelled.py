"""Expositions of several workers as one: every series of everybody is there, with its worker and nothing else changed."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse

from sidecar.edge.outlets.telemetry import Telemetry
from sidecar.edge.outlets.telemetry.labelled import labelled

WORDS = st.text(max_size=8)
VALUES = st.integers(0, 1000)


def registry(counts: dict[str, int]) -> CollectorRegistry:
    made = CollectorRegistry()
    plain, by = Counter("plain", "no labels", registry=made), Counter("by", "with \\ and \n", ["word"], registry=made)
    spread = Histogram("spread", "of values", ["word"], buckets=(1, 10), registry=made)
    Gauge("now", "of a moment", registry=made).set(-1.5)
    for word, count in counts.items():
        plain.inc(count)
        by.labels(word).inc(count)
        spread.labels(word).observe(count, {"trace_id": "ab { c"})
    return made


def rows(text: str, read: Callable) -> set:
    """Each sample: family, kind, help, name, labels, value, exemplar."""
    return {
        (family.name, family.type, family.documentation, sample.name, frozenset(sample.labels.items()), sample.value, str(sample.exemplar))
        for family in read(text)
        for sample in family.samples
    }  # fmt: skip


FORMATS = pytest.mark.parametrize(
    ("make", "read"), [(generate_latest, parse), (generate_openmetrics, parse_openmetrics)], ids=["text", "openmetrics"]
)


@FORMATS
@given(st.dictionaries(st.integers(0, 9), st.dictionaries(WORDS, VALUES, max_size=3), min_size=1, max_size=3))
def test_every_sample_of_everybody_is_there_and_is_named_after_its_worker(make, read, counts):
    told = {worker: make(registry(each)).decode() for worker, each in counts.items()}
    wanted = {
        (*before, labels | {("worker", str(worker))}, *after)
        for worker, text in told.items()
        for *before, labels, value, exemplar in rows(text, read)
        for after in [(value, exemplar)]
    }
    assert rows(labelled(told), read) == wanted


@FORMATS
def test_each_family_is_declared_once_and_its_samples_stand_together(make, read):
    text = labelled({worker: make(Telemetry(lambda: 0.0).registry).decode() for worker in (0, 1)})
    names = [family.name for family in read(text)]
    assert len(names) == len(set(names)) > 50
    assert text.count("# EOF") == (read is parse_openmetrics)
    for family in read(text):
        assert {sample.labels["worker"] for sample in family.samples} in ({"0", "1"}, set())


def test_a_family_that_only_one_has_is_told_of():
    alone = "# HELP extra only here\n# TYPE extra gauge\nextra 1\n"
    both = "# HELP x both\n# TYPE x gauge\nx 2\n"
    assert labelled({0: both, 3: both + alone}) == (
        '# HELP x both\n# TYPE x gauge\nx{worker="0"} 2\nx{worker="3"} 2\n'
        '# HELP extra only here\n# TYPE extra gauge\nextra{worker="3"} 1\n'
    )
