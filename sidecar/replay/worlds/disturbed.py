"""A world in which something goes wrong that is not on record: outages and brownouts laid over another world, and floods of chats.

What a disturbance says of a target holds for every attempt that begins while it lasts, whatever the world below would have answered; the
first one that matches decides. A flood repeats the chats of its time, each repetition at a moment of its own before the next recorded
chat.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from sidecar.core.draw import draw
from sidecar.core.value import replace
from sidecar.core.vocabulary import Attempt, ErrorKind, Outcome
from sidecar.replay.simulate import Arrival, World
from sidecar.replay.world import NEVER

AT_ONCE = 0.001  # seconds after which a refusal or an error comes
FLOODED = 1 << 40  # number of the first repetition of call 0: recorded numbers count from 1 and are never as large
_CHANCE, _MOMENT = 0xD1, 0xD2  # what draws are for

OUTAGES = {
    "refuse": (AT_ONCE, Outcome(error=ErrorKind.CONNECT)),
    "hang": (NEVER, Outcome(error=ErrorKind.TIMEOUT)),
    "reset": (AT_ONCE, Outcome(error=ErrorKind.RESET)),
    "error": (AT_ONCE, Outcome(status=200, body={"status": "error"})),
    "503": (AT_ONCE, Outcome(status=503)),
}


class When(NamedTuple):
    """From ``since`` for ``seconds``, counted from the first chat; again every ``every`` seconds if that is not 0."""

    since: float
    seconds: float
    every: float = 0.0

    def holds(self, at: float) -> bool:
        at -= self.since
        if at < 0:
            return False
        return (at % self.every if self.every else at) < self.seconds


class Outage(NamedTuple):
    """``target`` answers everybody as ``OUTAGES`` says of ``kind``."""

    target: str
    when: When
    kind: str


class Brownout(NamedTuple):
    """``target`` takes ``times`` as long and ``plus`` seconds more, and fails for a share ``failing`` of its attempts."""

    target: str
    when: When
    times: float = 1.0
    plus: float = 0.0
    failing: float = 0.0


class Flood(NamedTuple):
    """``times`` as many chats come, a whole number."""

    when: When
    times: int


Disturbance = Outage | Brownout


class Disturbed:
    """``world`` with disturbances on top of it. ``zero`` is the moment from which they count."""

    def __init__(self, world: World, disturbances: Sequence[Disturbance], zero: float, seed: int) -> None:
        self._world = world
        self._disturbances = disturbances
        self._zero = zero
        self._seed = seed

    def answer(self, now: float, call: int, step: Attempt) -> tuple[float, Outcome]:
        at = now - self._zero
        for disturbance in self._disturbances:
            if disturbance.target == step.target and disturbance.when.holds(at):
                if isinstance(disturbance, Outage):
                    return OUTAGES[disturbance.kind]
                return self._slowed(now, call, step, disturbance)
        return self._world.answer(now, call, step)

    def _slowed(self, now: float, call: int, step: Attempt, brownout: Brownout) -> tuple[float, Outcome]:
        """The world below is asked as long as it may take before it is slowed down, so that a time limit stays one."""
        if brownout.failing and draw(self._seed, call, step.number, _CHANCE) < brownout.failing:
            return OUTAGES["error"]
        seconds, outcome = self._world.answer(now, call, step)
        return seconds * brownout.times + brownout.plus, outcome


def flooded(arrivals: Iterable[Arrival], floods: Sequence[Flood], zero: float, seed: int) -> Iterator[Arrival]:
    """``arrivals`` with the repetitions that ``floods`` ask for, in the order of time."""
    before: Arrival | None = None
    for arrival in arrivals:
        if before is not None:
            yield from _repeated(before, arrival.at - before.at, floods, zero, seed)
        yield arrival
        before = arrival
    if before is not None:
        yield from _repeated(before, 0.0, floods, zero, seed)


def _repeated(arrival: Arrival, room: float, floods: Sequence[Flood], zero: float, seed: int) -> Iterator[Arrival]:
    times = max((flood.times for flood in floods if flood.when.holds(arrival.at - zero)), default=1)
    number = arrival.call.number
    moments = sorted(draw(seed, number, copy, _MOMENT) for copy in range(1, times))
    for copy, moment in enumerate(moments):
        call = replace(arrival.call, number=FLOODED + number * MOST_TIMES + copy)
        yield replace(arrival, at=arrival.at + moment * room, call=call)


MOST_TIMES = 100  # as many chats in a flood at most
