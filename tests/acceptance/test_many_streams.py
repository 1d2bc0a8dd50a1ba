"""Many event streams at once: every frame of every stream comes, once, in order and as it was sent."""

from __future__ import annotations

import statistics

from benchmarks.sse import measure


def test_fifty_streams_at_once_lose_nothing_and_hold_nothing_back(figures):
    found, _ = measure(count=50, frames=20, every=0.1, rounds=1)
    through = found["through the sidecar"]
    assert [stream.whole for stream in through] == [True] * 50
    late = [each for stream in through for each in stream.late]
    figures.append(f"50 event streams: frames {statistics.median(late) * 1000:.2f} ms late at the median")
    assert statistics.median(late) < 0.1  # held back until the next one, a frame would be as late as that
