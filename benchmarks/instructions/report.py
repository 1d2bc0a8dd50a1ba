"""Figures as a table, beside earlier ones where there are any, and as a file for later."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks.instructions.case import Case


class UnreadableError(Exception):
    """Says which file, and why."""


class Counted(NamedTuple):
    """Instructions per turn by case, who counted them, and of which Python."""

    by: str
    python: str
    instructions: Mapping[str, float]

    @classmethod
    def now(cls, by: str, instructions: Mapping[str, float]) -> Counted:
        return cls(by, f"{platform.python_version()} ({platform.python_compiler()})", instructions)

    def write(self, path: Path) -> None:
        rounded = {case: round(value, 1) for case, value in self.instructions.items()}
        path.write_text(json.dumps(self._replace(instructions=rounded)._asdict(), indent=1) + "\n")


def read(path: Path) -> Counted:
    """What ``Counted.write`` wrote. Raises UnreadableError."""
    try:
        value = json.loads(path.read_text())
        instructions = {str(case): float(each) for case, each in value["instructions"].items()}
        return Counted(str(value["by"]), str(value["python"]), instructions)
    except (OSError, UnicodeDecodeError) as error:
        raise UnreadableError(f"{path}: {getattr(error, 'strerror', None) or 'is no text'}") from error
    except json.JSONDecodeError as error:
        raise UnreadableError(f"{path}: is no JSON ({error})") from error
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise UnreadableError(f"{path}: was not written by --json") from error


def table(cases: Sequence[Case], after: Counted, before: Counted | None) -> tuple[list[str], list[list[str]]]:
    """Head and rows; what a turn is comes last, for it is long."""
    width = max((len(case.says) for case in cases), default=0)
    figures = ["before", "after", "ratio"] if before else ["thousand"]
    rows = [[case.name, *_figures(case.name, after, before), case.says.ljust(width)] for case in cases]
    return ["case", *figures, "a turn".ljust(width)], rows


def _figures(case: str, after: Counted, before: Counted | None) -> list[str]:
    now = after.instructions[case]
    if before is None:
        return [thousands(now)]
    then = before.instructions.get(case)
    return ["", thousands(now), ""] if then is None else [thousands(then), thousands(now), ratio(then, now)]


def thousands(instructions: float) -> str:
    return f"{instructions / 1000:,.2f}" if instructions < 99_995 else f"{instructions / 1000:,.1f}"


def ratio(before: float, after: float) -> str:
    return f"{after / before:.3f}" if before else ""


def doubts(after: Counted, before: Counted) -> list[str]:
    """What makes a comparison worth less than it looks."""
    pairs = (("counted by", before.by, after.by), ("of Python", before.python, after.python))
    return [f"Before {what} {then}, now {what} {now}: ratios say little." for what, then, now in pairs if then != now]
