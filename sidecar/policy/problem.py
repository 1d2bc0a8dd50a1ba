"""What can be wrong with a policy file, said so that the line can be found at night: file:line:column first."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

_LONGEST = 40


class Place(NamedTuple):
    """Where something stands; lines and columns count from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


class Problem(NamedTuple):
    """One mistake: where, at which path of the policy (empty: the file as a whole), what is wrong and what is right."""

    file: str
    line: int
    column: int
    path: str
    message: str

    @property
    def place(self) -> Place:
        return Place(self.file, self.line, self.column)

    def __str__(self) -> str:
        subject = f"{self.path}: " if self.path else ""
        return f"{self.place}: {subject}{self.message}"


class PolicyError(ValueError):
    """Everything that is wrong with a policy, in the order of its files, each problem once."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(set(problems)))
        super().__init__("\n".join(map(str, self.problems)))


def dotted(loc: Iterable[str | int]) -> str:
    """``("targets", 0, "name")`` as people write it: ``targets[0].name``."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{shown(part)}" for part in loc).removeprefix(".")


def shown(text: str) -> str:
    """``text`` for a message: one line, printable, never long."""
    cut = text if len(text) <= _LONGEST else text[:_LONGEST] + "…"
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in cut)
