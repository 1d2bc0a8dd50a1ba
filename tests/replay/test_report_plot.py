"""What plots are drawn with, as text."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.replay.report.plot import Step, across, area, box, coloured, key, line, readouts, spread, steps, upward
from sidecar.replay.report.scale import clock, linear, plain


def test_a_rising_share_goes_across_and_then_up():
    assert line([(0.1, 0.25), (0.2, 1.0)], 100) == "M100 100H100V75H200V0"
    assert line([], 100) == ""


def test_steps_have_gaps_where_there_is_nothing():
    assert steps([Step(0, 0.5, 0.2), Step(0.5, 1, 0.4)], 100) == "M0 80H500V60H1000"
    assert steps([Step(0, 0.1, 1.0), Step(0.1, 0.2, None), Step(0.2, 0.3, 0.0)], 100) == "M0 0H100M200 100H300"
    assert steps([Step(0, 1, None)], 100) == ""


def test_an_area_goes_down_to_the_ground_at_a_gap_and_joins_neighbours_that_are_as_high():
    assert area([Step(0, 0.1, 0.5), Step(0.1, 0.2, 0.5), Step(0.2, 0.3, 1.0)], 100) == "M0 100V50H200V0H300V100Z"
    assert (
        area([Step(0, 0.1, 0.5), Step(0.1, 0.2, None), Step(0.2, 0.3, 0.5)], 100)
        == "M0 100V50H100V100ZM200 100V50H300V100Z"
    )
    assert (
        area([Step(0, 0.1, 0.5), Step(0.1, 0.2, 0.0), Step(0.2, 0.3, 0.5)], 100)
        == "M0 100V50H100V100ZM200 100V50H300V100Z"
    )
    assert area([Step(0, 1, None)], 100) == ""


@given(st.lists(st.sampled_from([None, 0.0, 0.25, 1.0]), min_size=1, max_size=30))
def test_every_part_of_an_area_is_closed_and_is_where_its_steps_are(heights):
    count = len(heights)
    path = area([Step(n / count, (n + 1) / count, height) for n, height in enumerate(heights)], 100)
    parts = [part for part in path.split("Z") if part]
    assert all(part.startswith("M") and part.endswith("V100") for part in parts)
    covered = {}  # by the middle of a step, from the path alone
    for part in parts:
        at, top = float(re.match(r"M([\d.]+)", part)[1]), 0.0
        for letter, value in re.findall(r"([HV])([\d.]+)", part):
            if letter == "V":
                top = 1 - float(value) / 100
            else:
                covered |= {n: top for n in range(count) if at <= (n + 0.5) / count * 1000 <= float(value)}
                at = float(value)
    assert covered == {n: pytest.approx(height, abs=0.006) for n, height in enumerate(heights) if height}


def test_an_axis_has_its_lines_labels_and_unit():
    x = across(clock(600.0), 100)
    assert x.count("<line") == len(clock(600.0).ticks) + 1
    assert ">minutes since the first call</text>" in x
    assert 'class="grid fine"' in x
    assert "<text" not in across(clock(600.0), 100, labels=False)
    y = upward(linear(0, 1, plain), 100, "calls & more")
    assert "calls &amp; more" in y
    assert (
        '<line class="grid" x1="0" x2="100%" y1="80" y2="80"/><text class="tick end" x="-7" y="80" dy="4">0.2</text>'
        in y
    )


def test_what_is_said_of_a_plot_cannot_end_it():
    assert 'aria-label="&quot;&gt;&lt;b"' in box(10, [], '"><b')
    strips = readouts([(0.0, 0.5, "</title><b>")], 10)
    assert '<rect x="0%" width="50%" height="10"><title>&lt;/title&gt;&lt;b&gt;</title></rect>' in strips


def test_colours_come_round_and_letters_do_not():
    assert [coloured(place) for place in (0, 7, 8)] == ["c0", "c7", "c0"]
    assert [key(place) for place in (0, 25, 26)] == ["A", "Z", "27"]


@pytest.mark.parametrize(
    ("wanted", "placed"),
    [
        ([50], [50]),
        ([50, 52], [50, 60]),
        ([99, 98], [100, 90]),
        ([0, 0, 0], [0, 10, 20]),
        ([100, 100], [90, 100]),
        ([], []),
    ],
)
def test_labels_that_would_cover_each_other_are_moved_apart(wanted, placed):
    assert spread(wanted, 10, 0, 100) == placed


@given(st.lists(st.floats(0, 100), max_size=10))
def test_labels_are_apart_within_the_plot_and_in_order(wanted):
    placed = spread(wanted, 10, 0, 100)
    ordered = sorted(placed)
    assert all(after - before >= 10 - 1e-9 for before, after in pairwise(ordered))
    assert all(-1e-9 <= place <= 100 for place in placed)
    order = sorted(range(len(wanted)), key=lambda index: wanted[index])
    assert [placed[index] for index in order] == ordered
