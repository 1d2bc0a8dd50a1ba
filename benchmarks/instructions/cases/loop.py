"""What is no part of the sidecar, and in every other figure."""

from __future__ import annotations

from contextlib import ExitStack

from benchmarks.instructions.case import Case, Turn


def empty(_: ExitStack) -> Turn:
    return lambda: None


CASES = (Case("loop.empty", "nothing: so much of every other figure is the counting's own", empty),)
