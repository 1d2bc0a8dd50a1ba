"""Where a case goes, function by function: instructions are counted for C functions alone, so that for Python's it is calls and time."""

from __future__ import annotations

import cProfile
import pstats
from pathlib import Path
from typing import Any, NamedTuple, cast

from benchmarks.instructions.case import Case
from benchmarks.instructions.turns import take
from benchmarks.parts import ROOT

MOST = 30  # functions that are shown
OWN = ("benchmarks/instructions/turns.py", "cProfile.py")


class Function(NamedTuple):
    """``calls`` are per turn; ``own`` is its share of all the time, without and ``whole`` with what it calls."""

    where: str
    calls: float
    own: float
    whole: float


def profile(case: Case) -> list[Function]:
    """All functions of a case, the dearest first. Read shares beside each other: to be watched costs a small function most."""
    watched = cProfile.Profile()
    take(case, case.few)  # memories are full, and imports within functions done
    turns = case.turns * 10
    take(case, turns, watched.enable)
    watched.disable()
    stats = cast("dict[tuple[str, int, str], tuple[Any, ...]]", cast("Any", pstats.Stats(watched)).stats)
    total = sum(own for _, _, own, _, _ in stats.values()) or 1.0
    found = [
        Function(_where(*place), calls / turns, own / total, whole / total)
        for place, (_, calls, own, whole, _) in stats.items()
    ]
    return sorted(found, key=lambda one: -one.own)


def table(functions: list[Function]) -> tuple[list[str], list[list[str]]]:
    """Head and rows. What was called once, and not every turn, belongs to the end."""
    rows = [
        [one.where, f"{one.calls:.2f}", f"{one.own:.1%}", f"{one.whole:.1%}"]
        for one in functions
        if one.calls >= 0.005 and not one.where.startswith(OWN)
    ]
    return ["function", "calls a turn", "own time", "with what it calls"], rows[:MOST]


def _where(file: str, line: int, name: str) -> str:
    if file == "~":
        return name
    path = Path(file)
    parts = path.parts
    if path.is_relative_to(ROOT / ".venv") and "site-packages" in parts:
        return f"{Path(*parts[parts.index('site-packages') + 1 :])}:{line} {name}"
    return f"{path.relative_to(ROOT) if path.is_relative_to(ROOT) else path.name}:{line} {name}"
