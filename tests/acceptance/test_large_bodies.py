"""Bodies of 64 MiB in both directions: whole, and never in memory, however slow one side is."""

from __future__ import annotations

import pytest

from benchmarks.large import MIB, MOST_GROWTH, Moved, measure


@pytest.fixture(scope="module")
def moved() -> dict[str, Moved]:
    return {through.name: through for through, _ in measure(64 * MIB, 24 * MIB, 16 * MIB)}


NAMES = [f"{move} by {framing}" for move in ("download", "upload") for framing in ("length", "chunked")] + [
    f"{move}, {framing}"
    for move in ("download to a slow reader", "upload to a slow upstream")
    for framing in ("length", "chunked")
]


@pytest.mark.parametrize("name", NAMES)
def test_a_large_body_arrives_whole_and_is_never_gathered(moved, figures, name):
    one = moved[name]
    figures.append(f"{name}: {one.size // MIB} MiB at {one.rate:.0f} MiB/s, memory {one.growth:+.1f} MiB")
    assert one.whole
    assert one.growth < MOST_GROWTH
