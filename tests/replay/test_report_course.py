"""What happened over time: shares, attempts and calls stand where and as high as they were."""

from __future__ import annotations

import math
import re
from itertools import pairwise

import pytest

from sidecar.replay.column import Column, Held, Slice
from sidecar.replay.report import course
from sidecar.replay.report.answered import HEIGHT, OUTCOMES, answered_by
from sidecar.replay.report.scale import clock
from tests.replay.comparisons import comparison

MINUTE = 60.0


def column(*rows, held=None):
    """Each row: calls by what became of them and their attempts, in a slice of a minute."""
    slices = tuple(Slice(n * MINUTE, MINUTE, sum(row[:5]), *row) for n, row in enumerate(rows))
    return Column("recorded", "", {}, {}, (), slices, held or {}, {})


def lines(picture):
    return dict(re.findall(r'<path class="line (c\d)" d="([^"]*)"/>', picture))


QUIET, ILL, NOBODY, GONE = (10, 0, 0, 0, 0, 10), (2, 4, 2, 2, 0, 15), (0, 0, 0, 0, 0, 0), (0, 0, 0, 0, 3, 3)


def test_the_degraded_share_is_of_answered_calls_and_has_gaps_where_there_are_none():
    found = course.degraded_share([column(QUIET, ILL, NOBODY, GONE, QUIET)])
    assert lines(found) == {
        "c0": "M0 230H200V0H400M800 230H1000"
    }  # 0 %, 80 % (the top of the axis), nothing, nothing, 0 %
    assert ">80\u202f%</text>" in found
    assert "<title>1\u202fmin to 2\u202fmin: A 80.0\u202f%</title>" in found
    assert "<title>2\u202fmin to 3\u202fmin: no calls</title>" in found


def test_attempts_per_call_are_shown_against_one_for_each():
    found = course.attempts_per_call([column(QUIET, ILL), column(ILL, QUIET)])
    assert lines(found) == {"c0": "M0 230H500V0H1000", "c1": "M0 0H500V230H1000"}
    assert ">1</text>" in found
    assert ">1.5</text>" in found
    assert "<title>0\u202fs to 1\u202fmin: A 1.00, B 1.50</title>" in found
    few = course.attempts_per_call([column((10, 0, 0, 0, 0, 2))])
    assert lines(few) == {"c0": "M0 184H1000"}  # a fifth of one
    assert course.amplification(Slice(0, 1, 0, 0, 0, 0, 0, 0, 0)) is None


def test_calls_of_other_columns_are_shown_only_where_they_differ():
    same = course.calls_per_second([column(QUIET, ILL), column(ILL, QUIET)])
    assert lines(same) == {}
    assert '<path class="traffic" d="M0 90V' in same
    assert set(lines(course.calls_per_second([column(QUIET, ILL), column(QUIET, (30, 0, 0, 0, 0, 30))]))) == {"c1"}


def test_letters_stand_at_the_end_of_lines_and_apart():
    found = course.degraded_share([column(QUIET, ILL)] * 4)
    heights = sorted(float(y) for y in re.findall(r'<text class="letter" x="100%" dx="10" y="([\d.]+)"', found))
    assert len(heights) == 4
    assert min(after - before for before, after in pairwise(heights)) >= 13.9


def test_one_slice_is_a_line_all_across():
    assert lines(course.degraded_share([column(QUIET)])) == {"c0": "M0 230H1000"}


@pytest.mark.parametrize("rows", [(), (NOBODY,), (NOBODY, NOBODY)])
def test_no_calls_is_no_plot(rows):
    columns = [column(*rows)]
    assert [draw(columns) for draw in (course.degraded_share, course.attempts_per_call, course.calls_per_second)] == [
        None
    ] * 3
    assert "no calls" in answered_by(columns[0], clock(course.span(columns)))


def test_no_answers_but_calls_are_shown_as_what_they_are():
    columns = [column(GONE)]
    assert course.degraded_share(columns) is None
    assert course.attempts_per_call(columns)
    assert "100\u202f% client left before" in answered_by(columns[0], clock(course.span(columns)))


def test_figures_made_without_a_course_have_no_place_in_time():
    whole = Slice(math.nan, math.inf, 480, 300, 100, 80, 0, 0, 500)  # what a summary of one slice without bounds says
    columns = [column()._replace(slices=(whole,))]
    assert course.timed(columns[0]) == ()
    assert course.span(columns) == 0.0
    assert course.degraded_share(columns) is None
    assert course.frequency(whole._replace(seconds=0.0)) is None


def test_time_goes_on_until_the_last_thing_known():
    assert course.span([column(QUIET), column(QUIET, QUIET)]) == 120.0
    assert (
        course.span([column(QUIET, held={"switch": (Held("open", 1.0, 300.0), Held("open", 5.0, math.inf))})]) == 300.0
    )
    assert course.span([]) == 0.0


def test_who_answered_stands_on_each_other_up_to_all_calls():
    found = answered_by(column(QUIET, ILL, NOBODY, (4, 0, 0, 4, 2, 9)), clock(240.0))
    layers = dict(re.findall(rf'<path class="({"|".join(OUTCOMES)})" d="([^"]*)"/>', found))
    assert list(layers) == ["client_gone", "failed", "local", "fallback", "primary"]  # lower ones stand in front
    assert layers["client_gone"] == f"M0 {HEIGHT}V0H500V{HEIGHT}ZM750 {HEIGHT}V0H1000V{HEIGHT}Z"
    assert layers["primary"] == f"M0 {HEIGHT}V0H250V88H500V{HEIGHT}ZM750 {HEIGHT}V66H1000V{HEIGHT}Z"
    assert layers["failed"].endswith("M750 110V22H1000V110Z")
    assert "53.3\u202f% by the primary" in found  # 16 of 30


def test_outcomes_that_never_happened_have_no_layer():
    assert re.findall(r'<path class="(\w+)"', answered_by(column(QUIET), clock(60.0))) == ["primary"]


def test_a_column_with_fewer_slices_than_others():
    found = course.degraded_share([column(QUIET), column(QUIET, ILL)])
    assert lines(found)["c0"] == "M0 230H500"
    assert "<title>1\u202fmin to 2\u202fmin: B 80.0\u202f%</title>" in found


def test_the_example_of_the_report_is_whole():
    found = comparison(8)
    assert all(
        set(lines(draw(found.columns))) == {f"c{n}" for n in range(8)}
        for draw in (course.degraded_share, course.attempts_per_call)
    )
