"""What keeps an outage from becoming a storm of lines: so many of a kind each second, and a count of the rest."""

from __future__ import annotations

import threading
from collections.abc import Callable

PER_SECOND = 50  # lines of one kind; a busy sidecar writes one a chat, and nobody reads more


class Sampling:
    """``admit`` says which lines pass; ``over`` gives what was left out once its second is over.

    A second begins with the first line of its kind and is the kind's own. Locked, because lines of libraries come from any thread; the
    lock is one that a line written in the midst of another (by the garbage collector's call-backs, say) can take again.
    """

    def __init__(self, now: Callable[[], float], per_second: int = PER_SECOND) -> None:
        """``now`` is monotonic seconds."""
        self.suppressed = 0
        self._now = now
        self._per_second = per_second
        self._kinds: dict[str, _Second] = {}
        self._untold: dict[str, int] = {}  # lines left out in seconds that are over
        self._lock = threading.RLock()

    def admit(self, kind: str) -> bool:
        """Whether one more line of this kind may be written. What is not is counted."""
        with self._lock:
            second = self._kinds.get(kind)
            if second is not None and self._now() - second.began >= 1:
                self._finish(kind)
                second = None
            if second is None:
                second = self._kinds[kind] = _Second(self._now())
            second.lines += 1
            if second.lines <= self._per_second:
                return True
            second.left_out += 1
            self.suppressed += 1
            return False

    def over(self, *, at_once: bool = False) -> list[tuple[str, int]]:
        """Kinds and how many of their lines were left out, each told once. ``at_once`` also tells of seconds not yet over."""
        with self._lock:
            now = self._now()
            for kind in [kind for kind, second in self._kinds.items() if at_once or now - second.began >= 1]:
                self._finish(kind)
            told, self._untold = self._untold, {}
            return list(told.items())

    def _finish(self, kind: str) -> None:
        left_out = self._kinds.pop(kind).left_out
        if left_out:
            self._untold[kind] = self._untold.get(kind, 0) + left_out


class _Second:
    __slots__ = ("began", "left_out", "lines")

    def __init__(self, began: float) -> None:
        self.began = began
        self.left_out = 0
        self.lines = 0
