"""Who uses what: which of the gateway's known routes, by which kind of client, since when and until when.

Bounded by construction: routes and kinds are closed lists. No address, no session, no id, no path as it was sent.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime

from sidecar.core.fact import ChatRejected, ChatReplayed, ChatServed, RelayEnded
from sidecar.edge.outlets.sink import Sink
from sidecar.wire.inventory import ROUTES


class Usage(Sink):
    """Counts requests that are over."""

    def __init__(self, wall: Callable[[], float] = time.time) -> None:
        """``wall`` is the time of day, in Unix seconds."""
        self._wall = wall
        self._since = wall()
        self._seen: dict[tuple[str, str], _Seen] = {}  # by route and client
        self.takes = dict.fromkeys((RelayEnded, ChatServed, ChatReplayed, ChatRejected), (self._count,))

    def _count(self, fact: RelayEnded | ChatServed | ChatReplayed | ChatRejected) -> None:
        key, now = (fact.template, fact.client), self._wall()
        seen = self._seen.get(key)
        if seen is None:
            seen = self._seen[key] = _Seen(now)
        seen.requests += 1
        seen.last = now

    def view(self) -> dict[str, object]:
        """Counts since the start, the most used first, and the known routes that nobody has asked for."""
        used = {route for route, _ in self._seen}
        return {
            "since": _iso(self._since),
            "routes": {route: self._summed(0, route, 1) for route in self._ordered(0)},
            "clients": {client: self._summed(1, client, 0) for client in self._ordered(1)},
            "unused": [route for route in ROUTES if route not in used],
        }

    def _ordered(self, column: int) -> list[str]:
        totals: dict[str, int] = {}
        for key, seen in self._seen.items():
            totals[key[column]] = totals.get(key[column], 0) + seen.requests
        return sorted(totals, key=lambda word: (-totals[word], word))

    def _summed(self, column: int, word: str, other: int) -> dict[str, object]:
        """One row of the table: everything with ``word`` in ``column``, and the counts by the other one."""
        rows = {key[other]: seen for key, seen in self._seen.items() if key[column] == word}
        return {
            "requests": sum(seen.requests for seen in rows.values()),
            "first_seen": _iso(min(seen.first for seen in rows.values())),
            "last_seen": _iso(max(seen.last for seen in rows.values())),
            "by": {name: rows[name].requests for name in sorted(rows)},
        }


class _Seen:
    __slots__ = ("first", "last", "requests")

    def __init__(self, now: float) -> None:
        self.first = self.last = now
        self.requests = 0


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
