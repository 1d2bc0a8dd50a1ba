"""What sidecars tell of the switch, by their facts: the same facts live and on virtual time."""

from __future__ import annotations

from benchmarks.outages.setting import Asked, Move
from sidecar.core.fact import AttemptEnded, AttemptStarted, BreakerMoved
from sidecar.edge.outlets.sink import Sink

SWITCH = "switch"


class Notes(Sink):
    """Of one replica. ``zero`` is the moment, by its clock, at which the drill begins; what was before is left out."""

    def __init__(self, replica: int) -> None:
        self.zero = 0.0
        self.moves: list[Move] = []
        self._asked: dict[tuple[int, int], Asked] = {}
        self._replica = replica
        self.takes = {
            AttemptStarted: (self._started,),
            AttemptEnded: (self._ended,),
            BreakerMoved: (self._moved,),
        }

    @property
    def asked(self) -> list[Asked]:
        return list(self._asked.values())

    def _started(self, fact: AttemptStarted) -> None:
        if fact.target == SWITCH:
            probe = fact.breaker == "half_open"
            self._asked[fact.call, fact.number] = Asked(fact.at - self.zero, self._replica, fact.call, probe)

    def _ended(self, fact: AttemptEnded) -> None:
        outcome = fact.outcome
        if fact.target == SWITCH and outcome is not None:
            asked = self._asked[fact.call, fact.number]
            self._asked[fact.call, fact.number] = asked._replace(sent=outcome.sent, answered=outcome.status is not None)

    def _moved(self, fact: BreakerMoved) -> None:
        if fact.target == SWITCH:
            self.moves.append(Move(fact.at - self.zero, self._replica, fact.before, fact.after))
