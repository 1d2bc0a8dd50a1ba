"""Affinity: a session that fell back stays for a while where it fell, so that a conversation does not flap between answerers.

Theory
------
A target in trouble answers some calls and not others (a breaker that probes, a service that flaps). Without affinity each call of a
session is answered by whoever can at that moment, and the user reads two voices in turn, of which neither knows what the other said.

* A session *stays* from the moment a target below the primary answered it, for ``stick`` seconds, which answers in between do not make
  longer: else a lively conversation would never come back.
* While it stays, that target is asked first and the others after it, in the order of the ladder. So staying costs no answer: where
  the target that was stayed with fails, the primary is asked as if there were no affinity.
* It ends early when anybody else answered, or nobody did. A client that left says nothing.

Bounded: beyond ``most`` sessions the one whose stay began first is forgotten; it is then answered as any other.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import NamedTuple

from sidecar.core.vocabulary import Finish


class Stay(NamedTuple):
    """With which target, and until when in monotonic seconds."""

    target: str
    until: float


class Affinity:
    """The sessions that stay somewhere, by their digest; the empty one is a chat without a session, which never stays."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._stays: OrderedDict[str, Stay] = OrderedDict()

    def __len__(self) -> int:
        return len(self._stays)

    def of(self, now: float, session: str) -> Stay | None:
        """Where the session stays; None: nowhere, or no longer."""
        stay = self._stays.get(session)
        if stay is not None and now >= stay.until:
            del self._stays[session]
            return None
        return stay

    def settle(self, now: float, session: str, finish: Finish, primary: str, stick: float) -> None:
        """Learn from how a call of the session ended; from now it may stay for ``stick`` seconds."""
        if not session or finish.abandoned:
            return
        target = finish.provider if finish.attempt is not None else None
        if target is None or target == primary:
            self._stays.pop(session, None)
            return
        stay = self.of(now, session)
        if stay is not None and stay.target == target:
            return
        self._stays.pop(session, None)
        self._stays[session] = Stay(target, now + stick)
        while len(self._stays) > self.most:
            self._stays.popitem(last=False)
