"""Trace context: what the W3C recommendation calls valid is read and passed on as it came; everything else is as if it were not there."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.wire.trace import LONGEST, Context, read, written

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
GOOD = f"00-{TRACE}-{PARENT}-01"


@pytest.mark.parametrize(
    ("value", "sampled"),
    [
        (GOOD, True),
        (f"00-{TRACE}-{PARENT}-00", False),
        (f"00-{TRACE}-{PARENT}-02", False),  # random, not sampled
        (f"00-{TRACE}-{PARENT}-ff", True),
        (f" {GOOD}\t", True),
        (f"cc-{TRACE}-{PARENT}-01", True),
        (f"cc-{TRACE}-{PARENT}-01-what-the-future-will-be-like", True),
        (f"01-{TRACE}-{PARENT}-01-", True),
    ],
)
def test_a_valid_parent_is_read_and_goes_on_as_it_came(value, sampled):
    assert read([value]) == Context(TRACE, PARENT, sampled, {"traceparent": value.strip()})


@pytest.mark.parametrize("value", [
    "", "00", "-", f"ff-{TRACE}-{PARENT}-01", f"00-{'0' * 32}-{PARENT}-01", f"00-{TRACE}-{'0' * 16}-01", GOOD.upper(), f"00-{TRACE[1:]}-{PARENT}-01",
    f"00-{TRACE}a-{PARENT}-01", f"00-{TRACE}-{PARENT}-1", f"00-{TRACE}-{PARENT}-001", f"00-{TRACE}-{PARENT}-0x", f"{GOOD}-", f"{GOOD}-more",
    f"cc-{TRACE}-{PARENT}-01.what", f"0-{TRACE}-{PARENT}-01", f"000-{TRACE}-{PARENT}-01", f".0-{TRACE}-{PARENT}-01", f"00_{TRACE}_{PARENT}_01",
    f"{GOOD},{GOOD}", f"00-{TRACE[:-1]}g-{PARENT}-01", f"{GOOD}\n", f"cc-{TRACE}-{PARENT}-01-\udcff", f"cc-{GOOD[3:]}-" + "x" * LONGEST,
    f"00-{TRACE[:-1]}\u0661-{PARENT}-01",
])  # fmt: skip
def test_a_parent_that_is_not_valid_is_none(value):
    assert read([value], ["vendor=1"]) is None


def test_no_parent_is_none_and_two_are_none():
    assert read([]) is None
    assert read([], ["vendor=1"]) is None
    assert read([GOOD, GOOD]) is None


@pytest.mark.parametrize(
    ("states", "passed"),
    [
        ([], None),
        ([""], None),
        (["vendor=1,other=a b"], "vendor=1,other=a b"),
        (["a=1", "b=2"], "a=1,b=2"),
        (["a=" + "x" * (LONGEST - 2)], "a=" + "x" * (LONGEST - 2)),
        (["a=" + "x" * (LONGEST - 1)], None),
        (["a=\udcff"], None),
        (["a=ñ"], None),
        (["a=1\r\nX: y"], None),
    ],
)
def test_the_state_goes_along_unless_it_could_not_be_sent(states, passed):
    context = read([GOOD], states)
    assert context.fields.get("tracestate") == passed


@given(st.lists(st.text(max_size=80), max_size=2), st.lists(st.text(max_size=20), max_size=3))
def test_whatever_comes_is_a_context_that_can_be_sent_or_none(parents, states):
    context = read(parents, states)
    if context is not None:
        assert all(value.isascii() and value.isprintable() for value in context.fields.values())


@pytest.mark.parametrize("sampled", [True, False])
def test_what_we_write_is_read_as_it_was_meant(sampled):
    ours = written(TRACE, PARENT, "a=1", sampled=sampled)
    assert read([ours.fields["traceparent"]], [ours.fields["tracestate"]]) == ours
    assert "tracestate" not in written(TRACE, PARENT, sampled=sampled).fields
