"""Durations as people read them."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.edge.microseconds import in_milliseconds, in_seconds, microseconds, milliseconds_text

durations = st.floats(0, 1e6)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0, "0.000"), (0.0000004, "0.000"), (0.0000006, "0.001"), (0.25, "250.000"), (12.0, "12000.000")],
)
def test_milliseconds_have_three_places(seconds, text):
    assert milliseconds_text(seconds) == text


@given(durations)
def test_each_is_the_nearest_there_is(seconds):
    assert abs(microseconds(seconds) - seconds * 1_000_000) <= 0.5 + math.ulp(seconds * 1_000_000)
    assert in_seconds(seconds) == round(in_seconds(seconds), 6) == microseconds(seconds) / 1_000_000
    assert in_milliseconds(seconds) == round(in_milliseconds(seconds), 3)


@given(durations)
def test_text_and_numbers_say_the_same(seconds):
    assert float(milliseconds_text(seconds)) == in_milliseconds(seconds)
    assert repr(in_milliseconds(seconds)).endswith(milliseconds_text(seconds)[-3:].rstrip("0") or "0")
