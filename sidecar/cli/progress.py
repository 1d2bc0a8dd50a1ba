"""A progress bar on standard error, for whoever watches: nothing where it is no terminal, and nothing for what takes a moment."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Self, TextIO

PATIENCE = 1.0  # seconds before anything is shown
STEP = 0.2  # seconds between two states of the bar
WIDTH = 30  # characters


class Bar:
    def __init__(self, what: str, total: int, out: TextIO | None = None) -> None:
        """``total`` in whatever is counted: calls, bytes."""
        self._what = what
        self._total = max(total, 1)
        self._out = out or sys.stderr
        self._done = 0
        self._shown = False

    def __enter__(self) -> Self:
        self._began = self._drawn = time.monotonic()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._shown:
            self._out.write("\r\x1b[K")
            self._out.flush()

    def add(self, more: int) -> None:
        self.set(self._done + more)

    def set(self, done: int) -> None:
        self._done = done
        now = time.monotonic()
        if now - self._began >= PATIENCE and now - self._drawn >= STEP and self._out.isatty():
            self._drawn = now
            self._draw(now - self._began)

    def _draw(self, seconds: float) -> None:
        share = min(self._done / self._total, 1.0)
        filled = round(share * WIDTH)
        left = f", {seconds * (1 - share) / share:.0f} s left" if share > 0.02 else ""
        bar = "#" * filled + "-" * (WIDTH - filled)
        self._out.write(f"\r\x1b[K{self._what} [{bar}] {share:4.0%}{left}")
        self._out.flush()
        self._shown = True
