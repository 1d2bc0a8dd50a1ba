"""More than it can do, for two seconds: it keeps its memory, and is itself again when it is over."""

from __future__ import annotations

import pytest

from benchmarks.flood import measure

RATE = 1_500.0
MOST_GROWTH = 96.0  # MiB, with up to 4,000 connections


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["chat", "relayed"])
def test_a_flood_leaves_no_trace(figures, kind):
    [flood] = measure([(kind, False)], seconds=2.0, times=3.0, first=RATE, most=RATE, patience=3.0)
    figures.append(
        f"flood of {kind}: {flood.during.asked} asked, {flood.during.answered} answered, {flood.during.shed} shed, "
        f"normal after {flood.recovered} s"
    )
    assert flood.during.answered > 0
    assert flood.recovered is not None
    assert flood.growth < MOST_GROWTH
