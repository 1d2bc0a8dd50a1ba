"""The sliding window of the guards: at most so many chats of one key within so many seconds, exact under concurrency.

The key is a digest of a session id or of a peer address, never the thing itself. A refused chat is not counted, so that a
client that keeps knocking is let in as soon as its window has room. Memory is bounded: beyond ``max_keys`` the key
that has been quiet longest is forgotten.
"""

from __future__ import annotations

from collections import OrderedDict, deque

from sidecar.policy.units import Rate


class SlidingWindows:
    def __init__(self, max_keys: int) -> None:
        self.max_keys = max_keys
        self._admitted: OrderedDict[bytes, deque[float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._admitted)

    def admit(self, now: float, key: bytes, rate: Rate) -> float | None:
        """None if the chat may pass (and is counted), else the seconds until one may."""
        times = self._admitted.setdefault(key, deque())
        self._admitted.move_to_end(key)
        while times and times[0] <= now - rate.per:
            times.popleft()
        if len(times) >= rate.calls:
            # With a rate that a reload made smaller, more than one has to leave before there is room.
            return times[len(times) - rate.calls] + rate.per - now
        times.append(now)
        while len(self._admitted) > self.max_keys:
            self._admitted.popitem(last=False)
        return None
