"""What is counted: a case is set up once and then takes turns, all alike, so that many turns less few of them are turns and no more."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from importlib import import_module
from typing import Any, NamedTuple, cast

GROUPS = ("loop", "wire", "relay", "core", "outlets", "chat", "asgi")

Turn = Callable[[], Any]


class UnknownCaseError(Exception):
    """Says what there is."""


class Case(NamedTuple):
    """``name`` is GROUP.WHAT, ``says`` what one turn is. ``make`` sets up and gives the turn; what has to be ended goes to the stack.

    A case that is ``looped`` is set up, and takes its turns, within a running event loop, and a turn of it is awaited.
    """

    name: str
    says: str
    make: Callable[[ExitStack], Turn]
    turns: int = 400
    looped: bool = False

    @property
    def few(self) -> int:
        """Turns after which memories are full and the interpreter has specialised; counted in both runs, and so in none."""
        return max(self.turns // 2, 1)


def of_group(group: str) -> tuple[Case, ...]:
    """Imported when it is asked for: what a group stands on is slow to load where instructions are counted."""
    return cast("tuple[Case, ...]", import_module(f"benchmarks.instructions.cases.{group}").CASES)


def chosen(names: list[str]) -> list[Case]:
    """The cases of these names, each the name of a case or of a group; without any all of them. Raises UnknownCaseError."""
    wanted = set(names)
    groups = {name.partition(".")[0] for name in names}
    found = [case for group in GROUPS if not names or group in groups for case in of_group(group)]
    known = {case.name for case in found} | groups.intersection(GROUPS)
    if unknown := sorted(wanted - known):
        there = [case.name for group in GROUPS for case in of_group(group)]
        raise UnknownCaseError(f"{', '.join(unknown)}: none of {', '.join((*GROUPS, *there))}")
    return [case for case in found if not names or case.name in wanted or case.name.partition(".")[0] in wanted]
