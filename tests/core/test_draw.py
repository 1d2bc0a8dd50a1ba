"""Draws: in range, repeatable, uniform, and unrelated whichever part of the key changes."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.core.draw import draw

ANY = st.integers(-(2**70), 2**70)


@given(ANY, st.lists(ANY, max_size=4))
def test_a_draw_is_in_range_and_the_same_for_the_same_key(seed, key):
    u = draw(seed, *key)
    assert 0.0 <= u < 1.0
    assert u == draw(seed, *key)


def chi_square(values: list[float], cells: int = 64) -> float:
    """How far from uniform, in standard deviations of the statistic."""
    counts = [0] * cells
    for value in values:
        counts[int(value * cells)] += 1
    expected = len(values) / cells
    return (sum((c - expected) ** 2 for c in counts) / expected - (cells - 1)) / (2 * (cells - 1)) ** 0.5


def correlation(xs: list[float], ys: list[float]) -> float:
    """Pearson's r in units of its standard error."""
    n = len(xs)
    mx, my = sum(xs) / n, sum(ys) / n
    cov = sum((x - mx) * (y - my) for x, y in zip(xs, ys, strict=True))
    return cov / (sum((x - mx) ** 2 for x in xs) * sum((y - my) ** 2 for y in ys)) ** 0.5 * n**0.5


N = 4096
SERIES = {
    "calls": lambda i: draw(7, i, 1),
    "next calls": lambda i: draw(7, i + 1, 1),
    "attempts": lambda i: draw(7, 1, i),
    "seeds": lambda i: draw(i, 1, 1),
    "next seeds": lambda i: draw(i + 1, 1, 1),
    "seeds and calls together": lambda i: draw(i, i, 1),
    "epochs of a breaker": lambda i: draw(7, i),
    "second attempts": lambda i: draw(7, i, 2),
    "calls of the next seed": lambda i: draw(8, i, 1),
}


@pytest.mark.parametrize("name", SERIES)
def test_draws_are_uniform_along_every_part_of_the_key(name):
    assert abs(chi_square([SERIES[name](i) for i in range(N)])) < 5


@pytest.mark.parametrize(("one", "other"), [(a, b) for a, b in product(SERIES, SERIES) if a < b])
def test_two_series_of_draws_are_unrelated(one, other):
    assert abs(correlation([SERIES[one](i) for i in range(N)], [SERIES[other](i) for i in range(N)])) < 5


def test_runs_with_neighbouring_seeds_share_no_draws():
    runs = [{draw(seed, call, attempt) for call in range(64) for attempt in (1, 2)} for seed in range(16)]
    assert len(set().union(*runs)) == 16 * 128


def test_pairs_of_consecutive_draws_fill_the_square():
    cells = {(int(draw(3, i, 1) * 16), int(draw(3, i, 2) * 16)) for i in range(N)}
    assert len(cells) == 256


def test_order_and_length_of_a_key_matter():
    assert len({draw(1), draw(1, 0), draw(1, 0, 0), draw(1, 2, 3), draw(1, 3, 2), draw(2, 1, 3), draw(0, 3, 3)}) == 7
