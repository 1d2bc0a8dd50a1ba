"""Bands of breakers: what is short is seen, what flapped is seen to have flapped, and the picture stays small."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.replay.column import Held
from sidecar.replay.report.breakers import CELLS, HEIGHT, LEAST, STATES, bands, cut, targets_of
from sidecar.replay.report.scale import clock
from tests.replay.comparisons import comparison

SPAN = 86400.0
WIDTH = SPAN / CELLS


def band(held, *, target="switch", **figures):
    column = comparison(1).columns[0]._replace(held={"switch": tuple(held)}, figures=figures)
    return next(iter(bands(column, [target], clock(SPAN))))


def test_a_cell_holds_the_share_of_its_time_in_each_state():
    cells = cut([Held("open", WIDTH * 0.5, WIDTH * 2.25), Held("half_open", WIDTH * 2.25, WIDTH * 2.5)], SPAN)
    assert {at: dict(cell.spent) for at, cell in cells.items()} == {
        0: {"open": pytest.approx(0.5)},
        1: {"open": pytest.approx(1.0)},
        2: {"open": pytest.approx(0.25), "half_open": pytest.approx(0.25)},
    }
    assert [cell.opened for cell in cells.values()] == [1, 0, 0]


@given(st.lists(st.tuples(st.sampled_from([*STATES, "closed"]), st.floats(0, SPAN), st.floats(0, SPAN)), max_size=30))
def test_no_time_is_lost_or_made_up(moves):
    cuts = sorted(at for _, *both in moves for at in both)
    held = [Held(state, since, until) for (state, *_), since, until in zip(moves, cuts[::2], cuts[1::2], strict=False)]
    cells = cut(held, SPAN)
    for state in STATES:
        spent = sum(each.until - each.since for each in held if each.state == state)
        assert sum(cell.spent.get(state, 0.0) for cell in cells.values()) * WIDTH == pytest.approx(spent, abs=1e-3)
    assert sum(cell.opened for cell in cells.values()) == sum(each.state in {"open", "forced_open"} for each in held)
    assert all(sum(cell.spent.values()) <= 1 + 1e-6 for cell in cells.values())


def test_a_moment_is_as_high_as_can_be_seen():
    found = band([Held("open", 5000.0, 5000.001)])
    top = HEIGHT * (1 - LEAST)
    assert f'<path class="open" d="M57 {HEIGHT}V{top:g}H58V{HEIGHT}Z"/>' in found.picture
    assert found.said == "open 1.00\N{NARROW NO-BREAK SPACE}ms in 1 stretch"
    assert "often" not in found.picture


def test_what_opened_more_than_once_within_a_cell_is_marked():
    flapping = [Held("open", WIDTH * 7 + at, WIDTH * 7 + at + 2) for at in (3, 30, 60)]
    assert '<path class="often" d="M7 4V0H8V4Z"/>' in band(flapping).picture
    assert "in 3 stretches" in band(flapping).said
    assert "often" not in band([flapping[0], Held("open", WIDTH * 9, WIDTH * 9 + 3)]).picture


def test_one_long_outage_is_one_full_block():
    found = band([Held("open", 0.0, SPAN / 2)])
    assert f'd="M0 {HEIGHT}V0H500V{HEIGHT}Z"' in found.picture


def test_states_stand_on_each_other_and_fill_the_band_where_it_never_closed():
    picture = band([Held("open", WIDTH * 3, WIDTH * 3.999), Held("half_open", WIDTH * 3.999, WIDTH * 4)]).picture
    assert (
        f'<path class="half_open" d="M3 {HEIGHT}V0H4V{HEIGHT}Z"/><path class="open"' in picture
    )  # open stands before it
    assert picture.count("V0H4") == 1


def test_what_cannot_be_placed_is_left_out_of_the_picture():
    odd = [Held("open", math.nan, 3.0), Held("open", 3.0, math.inf), Held("melted", 0.0, 9.0)]
    assert cut(odd, SPAN) == {}
    assert "nan" not in band(odd).picture
    assert [*cut([Held("open", -50.0, -20.0), Held("open", SPAN + 5, SPAN + 9)], SPAN)] == [0, CELLS - 1]


def test_words_for_what_nothing_is_held_of():
    assert band([]).said == "closed throughout"
    assert band([], target="madre", verdicts={"switch": {"success": 3}}).said == "never asked"
    assert band([], target="madre", verdicts={"madre": {"success": 3}}).said == "closed throughout"
    assert band([], target="madre", verdicts={}).said == "closed throughout"
    assert band([Held("forced_open", 0, 60), Held("forced_closed", 60, 180), Held("half_open", 200, 201)]).said == (
        "held open 1\u202fmin in 1 stretch, held closed 2\u202fmin in 1 stretch"
    )


def test_targets_are_those_that_moved_anywhere():
    assert targets_of(comparison(2).columns) == ["madre", "switch"]
    assert targets_of(comparison(2).columns[1:]) == ["switch"]
    assert targets_of([]) == []


def test_a_day_of_flapping_stays_small():
    luck, at, held = random.Random(4), 0.0, []
    while at < SPAN:
        until = at + luck.expovariate(1.0)
        held += [
            Held(luck.choice(["open", "forced_open", "forced_closed"]), at, until),
            Held("half_open", until, until + 0.2),
        ]
        at = until + luck.expovariate(0.5)
    assert len(held) > 40_000
    assert len(band(held).picture) < 45_000
