"""What was seen over time, as a table, a slope and a plot."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple

from benchmarks.endurance.load import CHATS_AWAY, RELAYS_AWAY, Told
from benchmarks.endurance.town import Seen
from benchmarks.parts import quantile

BLOCKS = " ▁▂▃▄▅▆▇█"
ROWS = 6
COLUMNS = 72
HEAD = (
    "min", "chats", "switch", "madre", "local", "left", "503", "failed", "late", "load late ms", "p50 ms", "p99 ms", "CPU %", "RSS MiB",
    "fds", "tasks", "timers", "objects", "journal MiB",
)  # fmt: skip


class Sample(NamedTuple):
    """``minute`` since the load began; ``told`` is what came of the time before it, ``busy`` the share of a core that took."""

    minute: float
    seen: Seen
    told: Told
    busy: float


def failed(counts: Counter[str]) -> int:
    return sum(count for word, count in counts.items() if word.startswith(("failed", "relay:")))


def rows(samples: Sequence[Sample], lines: int = 12) -> list[list[object]]:
    """At most so many, each about as many samples; what is seen at a moment is shown as it was at the last of them."""
    size = max(1, -(-len(samples) // lines))
    return [_row(samples[at : at + size]) for at in range(0, len(samples), size)]


def _row(samples: Sequence[Sample]) -> list[object]:
    counts, seconds = Counter[str](), []
    for sample in samples:
        counts += sample.told.counts
        seconds += sample.told.seconds
    chats = sum(count for word, count in counts.items() if word.startswith("by "))
    shares = [f"{counts[f'by {name}'] / max(chats, 1):.1%}" for name in ("switch", "madre", "local")]
    times = [f"{quantile(seconds, share) * 1e3:.0f}" if seconds else "-" for share in (0.5, 0.99)]
    last = samples[-1]
    seen = last.seen
    busy = statistics.mean(sample.busy for sample in samples)
    return [
        f"{last.minute:.1f}", chats, *shares, counts["left"], counts[CHATS_AWAY] + counts[RELAYS_AWAY], failed(counts), counts["late"],
        f"{max(sample.told.lateness for sample in samples) * 1e3:.0f}", *times, f"{busy:.0%}", f"{seen.memory:.1f}",
        seen.descriptors, seen.tasks, seen.timers, seen.objects, f"{seen.journal:.1f}",
    ]  # fmt: skip


def slope(points: Sequence[tuple[float, float]]) -> float:
    """The median of the slopes of all pairs of points (Theil 1950, Sen 1968): a burst now and then does not move it."""
    return statistics.median([(y - x) / (b - a) for (a, x), (b, y) in combinations(points, 2) if b > a] or [0.0])


def second_half(samples: Sequence[Sample]) -> list[tuple[float, float]]:
    """Memory by the minute, once caches that are bounded have filled."""
    return [(sample.minute, sample.seen.memory) for sample in samples if sample.minute > samples[-1].minute / 2]


def plot(title: str, values: Sequence[float], minutes: float) -> str:
    """Columns of blocks from 0 to the most, over the time."""
    width = min(COLUMNS, len(values))
    columns = [max(values[at * len(values) // width : (at + 1) * len(values) // width]) for at in range(width)]
    most = max(columns) or 1.0
    lines = [title]
    for row in range(ROWS, 0, -1):
        filled = [round(column / most * ROWS * 8) - (row - 1) * 8 for column in columns]
        mark = f"{most:8.1f}" if row == ROWS else f"{0:8.1f}" if row == 1 else " " * 8
        lines.append(f"{mark} │{''.join(BLOCKS[min(max(part, 0), 8)] for part in filled)}")
    return "\n".join([*lines, " " * 9 + "└" + "─" * width, f"{'0':>11}{f'{minutes:.0f} min':>{width - 1}}"])
