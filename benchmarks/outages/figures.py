"""What is read off runs: who answered when, how long it took, what the switch was asked, and how soon all is as before.

Chats belong to the phase in which they came; who was still under way as the trouble began is in the middle of it. Of several runs (seeds)
chats are pooled; what is one number a run is told as its median, with the least and the most.
"""

from __future__ import annotations

import math
import statistics
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import NamedTuple

from benchmarks.outages.setting import Asked, Chat, Move, Run
from benchmarks.parts import quantile

SWITCH, MADRE, LOCAL = "switch", "madre", "local"
LATE, CALM = (
    0.05,
    0.5,
)  # seconds by which the load is late only where the machine was held up, and after which that is made up for
STEADY = 10.0  # seconds for which this must last, or a quarter of what there is after the trouble
HEAD = (
    "",
    "way",
    "phase",
    "chats",
    SWITCH,
    MADRE,
    LOCAL,
    "failed",
    "late",
    "p50 ms",
    "p99 ms",
    "asked",
    "back after s",
)


class Phase(NamedTuple):
    name: str
    since: float
    until: float

    def holds(self, at: float) -> bool:
        return self.since <= at < self.until


def phases(run: Run) -> tuple[Phase, Phase, Phase]:
    """Before, during and after: the last one from the end of the trouble to the end of the run, its recovery included."""
    trouble = run.setting.trouble
    return (
        Phase("before", 0.0, trouble.since),
        Phase("during", trouble.since, trouble.until),
        Phase("after", trouble.until, run.setting.lasts),
    )


def within(run: Run, phase: Phase, chats: Sequence[Chat] | None = None) -> list[Chat]:
    since, chats = run.setting.trouble.since, run.chats if chats is None else chats
    return [chat for chat in chats if phase.holds(since if chat.at < since < chat.at + chat.seconds else chat.at)]


def judged(run: Run) -> list[Chat]:
    """The chats by which it is judged how well the switch is: live without those that came as a crowd because the load was held up."""
    found, until = [], 0.0
    for chat in run.chats:
        if chat.late > LATE:
            until = chat.at + chat.late + CALM
        elif chat.at >= until:
            found.append(chat)
    return found


def asked(run: Run, phase: Phase) -> int:
    """Attempts at the switch."""
    return sum(phase.holds(each.at) for each in run.asked)


def share(chats: Sequence[Chat], provider: str) -> float:
    return sum(chat.provider == provider for chat in chats) / len(chats) if chats else 0.0


def failed(chats: Iterable[Chat]) -> list[Chat]:
    return [chat for chat in chats if not chat.provider]


def late(run: Run, chats: Iterable[Chat]) -> list[Chat]:
    """Those whose answer came when the client had left."""
    return [chat for chat in chats if chat.provider and chat.seconds > run.setting.patience]


def back(run: Run) -> float:
    """Seconds from the end of the trouble until the switch answers as when all is well: in the next ``STEADY`` seconds, and in all.

    Counted from a chat that it answers. Infinite: it never does.
    """
    trouble, lasts = run.setting.trouble, run.setting.lasts
    after = [chat for chat in judged(run) if chat.at >= trouble.until]
    steady = min(STEADY, (lasts - trouble.until) / 4)
    good = list(accumulate((chat.provider == SWITCH for chat in after), initial=0))
    ends = [chat.at for chat in after]
    for first, chat in enumerate(after):
        if chat.at > lasts - steady:
            break
        next_ = bisect_left(ends, chat.at + steady)
        if chat.provider == SWITCH and all(
            good[end] - good[first] >= run.setting.well * (end - first) for end in (next_, len(after))
        ):
            return chat.at - trouble.until
    return math.inf


def probes(run: Run) -> list[Asked]:
    """Attempts of half-open breakers from the end of the trouble on."""
    return [each for each in run.asked if each.probe and each.at >= run.setting.trouble.until]


def first_probes(run: Run) -> list[float]:
    """When each replica's first probe came, in seconds from the end of the trouble."""
    first: dict[int, float] = {}
    for each in probes(run):
        first.setdefault(each.replica, each.at - run.setting.trouble.until)
    return sorted(first.values())


def most_within(moments: Sequence[float], seconds: float) -> int:
    """The most of ``moments``, rising, that lie within any so many seconds."""
    most = begin = 0
    for end, moment in enumerate(moments):
        while moment - moments[begin] > seconds:
            begin += 1
        most = max(most, end - begin + 1)
    return most


def closed(run: Run) -> float:
    """Seconds from the end of the trouble until every breaker is closed, for good; infinite: one is not."""
    last: dict[int, Move] = {move.replica: move for move in run.moves}
    if any(move.after != "closed" for move in last.values()):
        return math.inf
    return max((move.at for move in last.values()), default=0.0) - run.setting.trouble.until


def trips_after_closing(run: Run) -> int:
    """How often a breaker that had closed after the trouble opened again."""
    until = run.setting.trouble.until
    return sum(move.at >= until and move.before == "closed" and move.after == "open" for move in run.moves)


def longest_wait(run: Run) -> float:
    """Seconds for which a request waited for its turn at the switch, at most, of those that came after the trouble."""
    return max((sent.waited for sent in run.got if sent.at >= run.setting.trouble.until), default=0.0)


# -- as text -----------------------------------------------------------------------------------------------------------


def spread(values: Sequence[float], digits: int = 0) -> str:
    """The median, and in brackets the least and the most where they differ."""
    words = [_number(value, digits) for value in (statistics.median(values), min(values), max(values))]
    return words[0] if len(set(words)) == 1 else f"{words[0]} ({words[1]}-{words[2]})"


def _number(value: float, digits: int) -> str:
    return f"{value:.{digits}f}" if math.isfinite(value) else "never"


def rows(runs: Sequence[Run]) -> list[list[object]]:
    """A row for each phase: of the same setting and way, with several seeds."""
    made: list[list[object]] = []
    for place, phase in enumerate(phases(runs[0])):
        chats = [chat for run in runs for chat in within(run, phase)]
        seconds = [1000 * chat.seconds for chat in chats]
        shares = [f"{share(chats, name):.1%}" for name in (SWITCH, MADRE, LOCAL)]
        made.append(
            [
                runs[0].name if not place else "",
                runs[0].way if not place else "",
                phase.name,
                len(chats),
                *shares,
                len(failed(chats)),
                sum(len(late(run, within(run, phase))) for run in runs),
                *(f"{quantile(seconds, at):.0f}" if seconds else "" for at in (0.5, 0.99)),
                spread([asked(run, phase) for run in runs]),
                spread([back(run) for run in runs], 1) if phase.name == "after" else "",
            ]
        )
    return made


def reasons(chats: Iterable[Chat]) -> str:
    """Why chats failed, for whoever is told that some did."""
    return ", ".join(f"{count} {reason}" for reason, count in Counter(chat.reason for chat in chats).most_common(3))
