"""The distribution of latencies: what is drawn is what was measured."""

from __future__ import annotations

import math
import re
from itertools import pairwise

import pytest

from sidecar.replay.report.latency import HEIGHT, latencies, quantile
from sidecar.replay.report.plot import ACROSS
from sidecar.replay.report.scale import durations, percentiles
from tests.replay.comparisons import comparison


def column(*latencies, **figures):
    return comparison(1).columns[0]._replace(latencies=latencies, figures=figures)


def curves(picture):
    return re.findall(r'<path class="line (c\d)" d="([^"]*)"><title>([^<]*)</title>', picture)


def test_a_curve_passes_through_every_point():
    points = ((0.1, 0.25), (0.2, 0.5), (0.4, 0.95), (1.0, 1.0))
    found = latencies([column(*points, outcomes={"primary": 80, "client_gone": 900, "failed": 20})], {})
    x, y = durations(0.1, 1.0), percentiles(100)
    ((colour, path, said),) = curves(found)
    assert colour == "c0"
    assert said == "recorded: p50 200\u202fms, p95 400\u202fms, p99 1.00\u202fs, 100 answers"
    corners = [(f"{x.at(at) * ACROSS:.1f}", f"{HEIGHT * (1 - y.at(share)):.1f}") for at, share in points]
    wanted = f"M{corners[0][0]} {HEIGHT}" + "".join(f"H{across}V{down}" for across, down in corners)
    assert path == re.sub(r"\.0(?!\d)", "", wanted)


def test_marks_are_where_the_quantiles_are():
    points = tuple((0.001 * n, n / 100) for n in range(1, 101))
    found = latencies([column(*points)], {})
    x, y = durations(0.001, 0.1), percentiles(100)
    dots = [(float(cx), float(cy)) for cx, cy in re.findall(r'cx="([\d.]+)%" cy="([\d.]+)"', found)]
    for (cx, cy), at, share in zip(dots, (0.05, 0.095, 0.099), (0.5, 0.95, 0.99), strict=True):
        assert cx == pytest.approx(x.at(at) * 100, abs=0.01)
        assert cy == pytest.approx(HEIGHT * (1 - y.at(share)), abs=0.05)


def test_quantiles_of_shares_that_do_not_add_up_exactly():
    assert quantile(((1.0, 0.1 + 0.2), (2.0, 1.0)), 0.3) == 1.0
    assert quantile(((1.0, 0.3 - 1e-12), (2.0, 0.99)), 0.3) == 1.0
    assert quantile(((1.0, 0.3), (2.0, 0.9)), 0.99) == 2.0  # cut short: the slowest that is known


def test_nothing_answered_is_no_plot():
    assert latencies([], {}) is None
    assert latencies([column()], {"deadline": 4.75}) is None
    assert latencies([column((math.nan, 0.5), (1.0, math.inf))], {}) is None


def test_columns_without_answers_stand_beside_others_with_answers():
    found = latencies([column(), column((0.5, 1.0))], {})
    assert [colour for colour, *_ in curves(found)] == ["c1"]
    assert ">B</text>" in found
    assert ">A</text>" not in found


@pytest.mark.parametrize("at", [0.0, 1e-9, 0.25, 4.75, 7200.0])
def test_all_answers_alike(at):
    found = latencies([column((at, 1.0), outcomes={"primary": 10**6})], {})
    ((_, path, _),) = curves(found)
    across = float(re.match(r"M([\d.]+)", path)[1])
    assert 0 < across < ACROSS
    assert path == f"M{across:g} {HEIGHT}H{across:g}V0"


def test_limits_are_drawn_and_in_sight():
    found = latencies([column((0.1, 1.0))], {"deadline": 4.75, '"><b>': 0.01, "none": math.nan, "zero": 0.0})
    assert "deadline 4.75\u202fs" in found
    assert "&quot;&gt;&lt;b&gt; 10\u202fms" in found
    assert found.count('<line class="limit"') == 2
    assert [0 < float(place) < 100 for place in re.findall(r'<line class="limit" x1="([\d.]+)%"', found)] == [
        True,
        True,
    ]


def test_letters_of_columns_that_end_together_stand_apart():
    found = latencies([column((0.1, 0.5), (2.0, 1.0))] * 8, {})
    places = sorted(float(place) for place in re.findall(r'class="letter middle" x="([\d.]+)%"', found))
    assert len(places) == 8
    assert min(after - before for before, after in pairwise(places)) >= 4.49
