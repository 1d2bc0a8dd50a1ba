"""What a worker is told before it starts, in one variable of its environment; and who accepts from which socket.

Each worker has a socket of its own, and the system spreads connections over them: from one queue the first worker that wakes takes
all that is there. Every worker holds the sockets of the others, too, so that what waits for one that has ended is accepted by those that
have not, until it is back. Where there are fewer sockets than workers, because somebody else opened them, workers share them.
"""

from __future__ import annotations

from collections.abc import MutableMapping, Sequence
from typing import Self

import msgspec

from sidecar.core.value import Value
from sidecar.edge.environment import UnusableEnvironmentError
from sidecar.edge.listening import Listeners, adopted

VARIABLE = "VX11_SIDECAR_WORKER"


class Assignment(Value):
    """Worker ``number`` of so many ``workers``; ``starts`` counts those of this number before this one.

    ``data`` and ``admin`` are descriptors of sockets that listen: everybody's.
    """

    number: int
    workers: int
    data: Sequence[int]
    admin: Sequence[int]
    starts: int = 0

    @classmethod
    def taken(cls, environ: MutableMapping[str, str]) -> Self | None:
        """What ``environ`` assigns to this process, if it is a worker. It is removed: nobody else is meant.

        Raises UnusableEnvironmentError for what no supervisor says.
        """
        told = environ.pop(VARIABLE, None)
        try:
            return None if told is None else msgspec.json.decode(told, type=cls)
        except msgspec.MsgspecError:
            raise UnusableEnvironmentError(f"{VARIABLE}: is set by a supervisor for its workers: unset it") from None

    def told(self) -> dict[str, str]:
        """The variable that says it."""
        return {VARIABLE: msgspec.json.encode(self).decode()}

    def listeners(self) -> Listeners:
        """The sockets, everybody's. Raises UnusableSocketError."""
        return Listeners(tuple(map(adopted, self.data)), tuple(map(adopted, self.admin)))

    def own(self) -> frozenset[int]:
        """Which sockets of the data port this worker accepts from."""
        sockets = range(len(self.data))
        return frozenset(each for each in sockets if self.number in _owners(each, self.workers, len(sockets)))

    def orphans(self, serving: Sequence[int]) -> frozenset[int]:
        """Which ones it accepts from for those who do not serve. ``serving`` are numbers of workers."""
        left = sorted(serving)
        if self.number not in left:
            return frozenset()
        many, mine = len(self.data), left.index(self.number)
        deserted = [each for each in range(many) if not _owners(each, self.workers, many) & set(left)]
        return frozenset(each for each in deserted if each % len(left) == mine)


def _owners(sock: int, workers: int, sockets: int) -> set[int]:
    """Each socket has an owner and each worker a socket, whichever there are more of."""
    if sockets >= workers:
        return {sock % workers}
    return {number for number in range(workers) if number % sockets == sock}
