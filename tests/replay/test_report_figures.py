"""The judgement of differences: what is better, what is worse, and what nobody can say."""

from __future__ import annotations

import math

import pytest

from sidecar.replay.column import Column, Comparison, Difference, Interval
from sidecar.replay.report import figures
from sidecar.replay.report.figures import (
    BETTER,
    FIGURES,
    UNCLEAR,
    WORSE,
    between,
    breakdown,
    differences_to,
    judged,
    signed,
    unsigned,
)
from tests.replay.comparisons import comparison

BY = {figure.name: figure for figure in FIGURES}


def column(name="recorded", **told):
    return Column(name, "", told, {}, (), (), {}, {})


@pytest.mark.parametrize(
    ("name", "low", "high", "word"),
    [
        ("degraded_share", -0.2, -0.1, BETTER), ("degraded_share", 0.1, 0.2, WORSE), ("degraded_share", -0.1, 0.1, UNCLEAR),
        ("degraded_share", 0.0, 0.1, UNCLEAR), ("degraded_share", -0.1, 0.0, UNCLEAR), ("degraded_share", 0.0, 0.0, UNCLEAR),
        ("availability", 0.1, 0.2, BETTER), ("availability", -0.2, -0.1, WORSE),
        ("p95", -0.2, -0.1, BETTER), ("attempts_per_call", 0.1, 0.2, WORSE),
        ("calls", 1, 2, "more"), ("calls", -2, -1, "less"),
        ("p50", math.nan, 1.0, UNCLEAR), ("p50", None, 1.0, UNCLEAR), ("p50", 1.0, math.inf, UNCLEAR),
    ],
)  # fmt: skip
def test_a_difference_is_clear_only_if_its_interval_excludes_nothing(name, low, high, word):
    assert judged(BY[name], Interval(low, high)) == word


def test_differences_have_a_sign_and_shares_differ_by_points():
    assert signed(BY["degraded_share"], -0.1234) == "\u221212.3\u202fpoints"
    assert signed(BY["availability"], 0.0042) == "+0.42\u202fpoints"
    assert signed(BY["p95"], -0.25) == "\u2212250\u202fms"
    assert signed(BY["attempts_per_call"], 0.1) == "+0.100"
    assert signed(BY["p95"], 0.0) == "0\u202fs"
    assert signed(BY["p95"], math.nan) == "\u2013"


def test_the_unit_of_an_interval_is_told_once_if_it_is_one():
    assert between(BY["p95"], Interval(0.983, 1.12), unsigned) == "983\u202fms to 1.12\u202fs"
    assert between(BY["p95"], Interval(1.01, 1.12), unsigned) == "1.01 to 1.12\u202fs"
    assert between(BY["p95"], Interval(-0.2, -0.1), signed) == "\u2212200 to \u2212100\u202fms"
    assert between(BY["degraded_share"], Interval(-0.2, 0.1), signed) == "\u221220.0 to +10.0\u202fpoints"
    assert between(BY["calls"], Interval(1000, 2000), unsigned) == "1\u202f000 to 2\u202f000"  # not "1 to 2 000"
    assert between(BY["p95"], Interval(None, 0.1), unsigned) == "\u2013 to 100\u202fms"


def test_values_are_found_wherever_they_stand_in_the_figures():
    told = column(
        degraded_share=0.5,
        latency_seconds={"p95": 1.5, "p99": None},
        breaker_open_seconds={"switch": 17.9},
        calls=math.nan,
    )
    found = figures.figures_of(Comparison((told,), (), (), 0.95))
    values = {figure.name: figures.value_of(told, figure) for figure in found}
    assert values["degraded_share"] == 0.5
    assert values["p95"] == 1.5
    assert values["breaker_open_seconds.switch"] == 17.9
    assert [values[name] for name in ("p99", "p50", "calls", "availability")] == [None] * 4
    assert figures.value_of(column(), found[-2]) == 0.0  # a breaker of which nothing is told was closed


def test_what_is_stated_for_a_figure_that_nobody_knows_is_not_lost():
    strange = Difference("recorded", "b", "cost", 1.0, Interval(0.5, 1.5))
    found = figures.figures_of(
        Comparison(
            (column()._replace(intervals={"speed": Interval(0, 1)}), column("b", cost=3.5)), (strange,), (), 0.95
        )
    )
    assert [figure.name for figure in found[-2:]] == ["cost", "speed"]
    assert figures.value_of(column("b", cost=3.5), found[-2]) == 3.5
    assert judged(found[-2], strange.interval) == "more"


def test_differences_are_found_by_base_and_column():
    found = differences_to(comparison(4), 0)
    assert {place for place, _ in found} == {1, 2, 3}
    assert found[2, "p95"].column == "policies/first-rung.yaml"
    assert {place for place, _ in differences_to(comparison(4), 1)} == {2, 3}
    assert differences_to(comparison(4), 2) == {}


def test_columns_of_the_same_name_get_their_own_differences():
    told = tuple(Difference("recorded", "a.yaml", "p95", value, Interval(value, value)) for value in (1.0, 2.0))
    found = differences_to(Comparison((column(), column("a.yaml"), column("a.yaml")), told, (), 0.95), 0)
    assert {place: each.difference for (place, _), each in found.items()} == {1: 1.0, 2: 2.0}


def test_what_is_settled_is_sorted_by_what_it_is_worth():
    found = figures.settled(comparison(3), 2)
    assert [figure.name for figure, _ in found[BETTER]] == [
        "degraded_share",
        "availability",
        "p99",
        "attempts_per_call",
    ]
    assert [figure.name for figure, _ in found[WORSE]] == ["p50"]
    assert [figure.name for figure, _ in found[UNCLEAR]] == ["p95"]


def test_tables_within_figures_become_rows():
    one = column(verdicts={"switch": {"success": 3, "timeout": 1}})
    other = column(verdicts={"madre": {"success": 2}, "switch": {"success": True}})
    assert breakdown([one, other], "verdicts") == [
        ("switch: success", [3.0, None]),
        ("switch: timeout", [1.0, None]),
        ("madre: success", [None, 2.0]),
    ]
    assert breakdown([one, column(verdicts=7)], "reasons") == []
