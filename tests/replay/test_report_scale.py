"""Axes: round ticks, units that fit, and places that are where their values are."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.replay.report.scale import FEW, clock, durations, linear, percent, percentiles, plain
from sidecar.replay.report.words import GAP

N = GAP


def labels(scale, *, fine=True):
    return [tick.label for tick in scale.ticks if fine or not tick.fine]


@pytest.mark.parametrize(
    ("low", "high", "found"),
    [
        (0, 1, ["0", "0.2", "0.4", "0.6", "0.8", "1"]),
        (0, 0.05, ["0", "0.01", "0.02", "0.03", "0.04", "0.05"]),
        (1, 1.05, ["1", "1.01", "1.02", "1.03", "1.04", "1.05"]),
        (0.93, 2.7, ["0.5", "1", "1.5", "2", "2.5", "3"]),
        (0, 17, ["0", "5", "10", "15", "20"]),
        (3, 3, ["3", "3.2", "3.4", "3.6", "3.8", "4"]),
    ],
)
def test_linear_ticks_are_round_and_hold_what_is_drawn(low, high, found):
    scale = linear(low, high, plain)
    assert labels(scale) == found
    assert scale.low <= low
    assert scale.high >= high


@given(st.floats(-1e6, 1e6), st.floats(1e-6, 1e6))
def test_linear_axes_never_have_too_many_ticks(low, width):
    scale = linear(low, low + width, plain)
    assert 2 <= len(scale.ticks) <= FEW + 2
    assert scale.at(low) >= 0.0
    assert 0.0 <= scale.at(low + width) <= 1.0


@pytest.mark.parametrize(
    ("span", "unit", "coarse"),
    [
        (0.0, "seconds", "0 0.2 0.4 0.6 0.8 1"),
        (0.02, "seconds", "0 0.004 0.008 0.012 0.016 0.02"),
        (60.0, "seconds", "0 20 40 60"),
        (120.0, "seconds", "0 20 40 60 80 100 120"),
        (600.0, "minutes", "0 2 4 6 8 10"),
        (3600.0, "minutes", "0 20 40 60"),
        (4 * 3600.0, "hours", "0 1 2 3 4"),
        (86400.0, "hours", "0 6 12 18 24"),
        (7 * 86400.0, "days", "0 2 4 6"),
        (400 * 86400.0, "days", "0 100 200 300 400"),
    ],
)
def test_time_is_told_in_the_unit_that_fits(span, unit, coarse):
    scale = clock(span)
    assert scale.unit == f"{unit} since the first call"
    assert " ".join(labels(scale, fine=False)) == coarse
    assert scale.at(scale.high) == 1.0


@given(st.floats(1e-3, 1e9))
def test_time_always_has_some_ticks_and_few_in_a_narrow_window(span):
    scale = clock(span)
    assert 2 <= len(scale.ticks) <= 2 * FEW + 1
    assert len(labels(scale, fine=False)) <= 2 * FEW + 1
    assert all(0.0 <= tick.at <= 1.0 for tick in scale.ticks)


@pytest.mark.parametrize(
    ("shortest", "longest", "coarse", "fine"),
    [
        (0.05, 4.75, f"100{N}ms|1{N}s", f"50{N}ms|200{N}ms|500{N}ms|2{N}s|5{N}s"),
        (0.001, 5.0, f"1{N}ms|10{N}ms|100{N}ms|1{N}s", f"2{N}ms|5{N}ms|20{N}ms|50{N}ms|200{N}ms|500{N}ms|2{N}s|5{N}s"),
        (0.0, 60.0, f"0.1{N}ms|1{N}ms|10{N}ms|100{N}ms|1{N}s|10{N}s", ""),
        (0.1, 2.0, f"100{N}ms|200{N}ms|500{N}ms|1{N}s|2{N}s", ""),
        (0.25, 0.25, f"200{N}ms|500{N}ms", ""),
    ],
)
def test_durations_are_logarithmic_with_a_few_ticks_for_each_decade(shortest, longest, coarse, fine):
    scale = durations(shortest, longest)
    assert "|".join(labels(scale, fine=False)) == coarse
    assert "|".join(tick.label for tick in scale.ticks if tick.fine) == fine
    assert 0.0 < scale.at(max(shortest, 1e-4)) < 1.0
    assert 0.0 < scale.at(longest) < 1.0


@given(st.floats(0, 1e4), st.floats(0, 1e4))
def test_any_durations_have_an_axis(one, other):
    scale = durations(min(one, other), max(one, other))
    assert scale.ticks
    assert scale.at(one) <= scale.at(other) or one >= other


@pytest.mark.parametrize(
    ("answers", "highest"), [(1, "p90"), (19, "p90"), (20, "p95"), (99, "p95"), (100, "p99"), (1000, "p99.9"), (10_000, "p99.99"), (10**6, "p99.99")]
)  # fmt: skip
def test_percentiles_go_as_far_as_there_are_answers_to_tell_them(answers, highest):
    scale = percentiles(answers)
    assert labels(scale)[-2:] == [highest, "slowest"]
    assert scale.at(1.0) == 1.0
    assert scale.at(0.0) == 0.0
    assert math.isclose(
        scale.at(0.9) - scale.at(0.5), scale.at(0.5) - scale.at(0.1)
    )  # as far below the middle as above


def test_labels():
    assert percent(0.25) == f"25{N}%"
    assert plain(1.5) == "1.5"
