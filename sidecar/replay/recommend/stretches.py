"""Parts of a long record that stand for all of it: stretches of calls, spread evenly, each with what was known when it began."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import copy

from sidecar.core.fact import HealthHeard, Overridden
from sidecar.core.value import replace
from sidecar.replay.record import Outside, Record
from sidecar.replay.worlds.past import Past

STRETCHES = 10
LATELY = 60.0  # seconds before a stretch from which health probes are told again: rows of them need more than the last


def stretches_of(past: Sequence[Past], most: int) -> tuple[Past, ...]:
    """``past`` itself where it has ``most`` calls or fewer; else ``STRETCHES`` parts of it with so many together, each a run of its own.

    Their targets answer as in the whole: what is estimated of a period is estimated from all of it.
    """
    total = sum(len(each.record.chats) for each in past)
    if total <= most:
        return tuple(past)
    length = most // STRETCHES
    wanted = [(number * total // STRETCHES, number * total // STRETCHES + length) for number in range(STRETCHES)]
    return tuple(_parts(past, wanted))


def _parts(past: Sequence[Past], wanted: Sequence[tuple[int, int]]) -> Iterator[Past]:
    """Where a stretch goes beyond the end of a run, its rest is a part of the next one."""
    before = 0
    for each in past:
        count = len(each.record.chats)
        for first, last in wanted:
            begins, ends = max(first - before, 0), min(last - before, count)
            if begins < ends:
                part = copy(each)
                part.record = _part(each.record, begins, ends)
                yield part
        before += count


def _part(record: Record, first: int, last: int) -> Record:
    part = copy(record)
    part.chats = record.chats[first:last]
    begins, ends = part.span
    known: dict[str, Outside] = {}
    probes: list[Outside] = []
    for fact in record.outside:
        if fact.at >= begins:
            break
        if isinstance(fact, HealthHeard):
            probes += [fact] if begins - fact.at <= LATELY else []
        else:
            known[fact.target if isinstance(fact, Overridden) else ""] = fact
    later = [fact for fact in record.outside if begins <= fact.at <= ends]
    part.outside = [*(replace(fact, at=begins) for fact in (*known.values(), *probes)), *later]
    return part
