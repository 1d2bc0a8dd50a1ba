"""What the process finds out about itself, looking now and then: lines that get lost on their way out, descriptors that are used up.

Each is said when it begins and when it is over, in one line however much is lost meanwhile: what fills a disk must not fill the log.
"""

from __future__ import annotations

import errno
import os
import resource
from collections.abc import Callable, Mapping
from typing import Protocol

from sidecar.edge.outlets.log import Log

QUIET = 1.0  # seconds without a loss after which lines are kept again
_NONE_LEFT = (errno.EMFILE, errno.ENFILE)  # of the process, of the machine


class Lines(Protocol):
    """Lines on their way out, as an ``Outbox`` counts them."""

    @property
    def dropped(self) -> int: ...
    @property
    def trouble(self) -> str | None: ...


class Vitals:
    """``look`` is called a few times a second; ``exhausted`` hears each time whether no descriptor is left."""

    def __init__(
        self, log: Log, now: Callable[[], float], outlets: Mapping[str, Lines], exhausted: Callable[[bool], None]
    ) -> None:
        """``now`` is monotonic seconds; ``outlets`` are told by their names."""
        self._log = log
        self._now = now
        self._losses = [_Loss(outlet, lines, log) for outlet, lines in outlets.items()]
        self._exhausted = exhausted
        self._since: float | None = None  # when no descriptor was left first

    def look(self) -> None:
        now = self._now()
        for loss in self._losses:
            loss.look(now)
        self._descriptors(now)

    def _descriptors(self, now: float) -> None:
        left = descriptor_left()
        self._exhausted(not left)
        if not left and self._since is None:
            self._since = now
            limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
            note = "new connections are closed at once, and chats that need one to a target are answered without it"
            self._log.error("descriptors_exhausted", limit=limit, note=note)
        elif left and self._since is not None:
            self._log.warning("descriptors_left_again", seconds=round(now - self._since, 3))
            self._since = None


class _Loss:
    """Of one outlet. ``_before`` is how many lines were lost when this loss began; None while nothing is."""

    def __init__(self, outlet: str, lines: Lines, log: Log) -> None:
        self._outlet = outlet
        self._lines = lines
        self._log = log
        self._seen = lines.dropped
        self._before: int | None = None
        self._at = 0.0

    def look(self, now: float) -> None:
        dropped, trouble = self._lines.dropped, self._lines.trouble
        if dropped > self._seen:
            if self._before is None:
                self._before = self._seen
                self._log.error("lines_lost", outlet=self._outlet, why=trouble or "slow")
            self._seen, self._at = dropped, now
        elif self._before is not None and trouble is None and now - self._at >= QUIET:
            self._log.warning("lines_kept_again", outlet=self._outlet, lines=dropped - self._before)
            self._before = None


def descriptor_left() -> bool:
    """Whether the system would give us one more."""
    try:
        os.close(os.open("/", os.O_RDONLY | os.O_CLOEXEC))
    except OSError as error:
        return error.errno not in _NONE_LEFT
    return True
