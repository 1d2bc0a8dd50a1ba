"""Who is connected to the admin port: so many and no more, and nobody for long who says nothing.

The port is open to whoever reaches it, without a token: health, metrics and ``/auth`` are. So a stranger could take every descriptor of the
process, and no chat would be accepted any more. Beyond ``most`` connections whoever was heard longest ago has to go, without a word: a
stranger who holds connections takes each from another of their own, and a probe or a scrape that comes now is answered.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Protocol

SILENCE = 75.0  # seconds without a request, or with a part of a head, as at the data port


class Guest(Protocol):
    """A connection."""

    def drop(self) -> None:
        """End now, whatever was still to be sent."""


class Room:
    """One for each process: what it holds back is descriptors, whichever of its sockets they came by."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._guests: OrderedDict[Guest, None] = OrderedDict()  # who was heard longest ago first

    def __len__(self) -> int:
        return len(self._guests)

    def enter(self, guest: Guest) -> None:
        self._guests[guest] = None
        if len(self._guests) > self._most:
            self._guests.popitem(last=False)[0].drop()

    def heard(self, guest: Guest) -> None:
        """Bytes came. Of one that had to go there may be some left."""
        if guest in self._guests:
            self._guests.move_to_end(guest)

    def leave(self, guest: Guest) -> None:
        self._guests.pop(guest, None)
