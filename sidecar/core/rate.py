"""The sliding window of the guards: at most so many chats of one key within so many seconds, exact under concurrency.

The key is a digest of a session id or of a peer address, never the thing itself. A refused chat is not counted, so that a
client that keeps knocking is let in as soon as its window has room. Memory is bounded: beyond ``max_keys`` the key
that has been quiet longest is forgotten.
"""

from __future__ import annotations

from collections import OrderedDict

from sidecar.policy.units import Rate


class SlidingWindows:
    def __init__(self, max_keys: int) -> None:
        self.max_keys = max_keys
        # Lists: most sessions have a chat or two, and a deque makes room for sixty-four.
        self._admitted: OrderedDict[bytes, list[float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._admitted)

    def admit(self, now: float, key: bytes, rate: Rate) -> float | None:
        """None if the chat may pass (and is counted), else the seconds until one may."""
        times = self._admitted.get(key)
        if times is None:
            times = self._admitted[key] = []
        else:
            self._admitted.move_to_end(key)
        over = now - rate.per
        while times and times[0] <= over:
            del times[0]
        if len(times) >= rate.calls:
            # With a rate that a reload made smaller, more than one has to leave before there is room.
            return times[len(times) - rate.calls] + rate.per - now
        times.append(now)
        while len(self._admitted) > self.max_keys:
            self._admitted.popitem(last=False)
        return None

    def note(self, now: float, key: bytes, rate: Rate) -> None:
        """Count a chat that somebody else let pass, for the time when that one cannot be asked."""
        times = self._admitted.get(key, [])
        del times[: max(len(times) - rate.calls + 1, 0)]
        self.admit(now, key, rate)
