"""The smallest world in which the same promise is still broken, and how it is told.

Delta debugging (Zeller and Hildebrandt, "Simplifying and isolating failure-inducing input", 2002): parts are left out, the largest first, and
what is left is made plainer, for as long as the fault stays. Calls keep their numbers and with them their luck, so that leaving one out
changes nothing about the others.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from msgspec.structs import fields
from pydantic import ValidationError

from sidecar.core.fact import Fact

from .check import check
from .stage import perform
from .violation import Violation
from .world import START, World, alone, as_python

MOST_TRIES = 4_000
FEW = 120  # calls, from which on each is tried alone
TOLD_TWICE = ("the same seed, the same facts", "a journal replays exactly")  # promises that one telling cannot break
MOST_FACTS = 60
PLAIN: Mapping[str, tuple[Any, ...]] = {
    "seed": (1, 2, 3, 4, 5, 6, 7),
    "at": (START,),
    "since": (0.0, START),
    "every": (0.0, 0.1, 1.0),
    "first": (1,),
    "patience": (None, 1.0),
    "leaving": (0.0, 1.0),
    "leaves_after": (0.0, 0.1, 1.0),
    "uneven": (False,),
    "target": ("switch",),
    "median": (0.1, 1.0),
    "sigma": (0.0,),
    "failing": (0.0, 1.0),
    "hanging": (0.0, 1.0),
    "seconds": (1.0, 10.0, 100.0),
}
"""Values that read well, the plainest first, by field."""


def shrink(world: World, broken: str) -> World:
    """The smallest world found in which the promise ``broken`` is broken, as it is in ``world``."""
    return _Shrinking(world, broken).run()


def fails(world: World, promise: str) -> bool:
    """Whether this promise is broken in it. A world whose policy is none is no world."""
    try:
        check(world, twice=promise in TOLD_TWICE)
    except Violation as violation:
        return violation.promise == promise
    except ValidationError:
        return False
    return False


class _Shrinking:
    def __init__(self, world: World, promise: str) -> None:
        self.world = world
        self._promise = promise
        self._tries = 0

    def run(self) -> World:
        before = None
        while before != self.world and self._tries < MOST_TRIES:
            before = self.world
            for field in ("stretches", "happenings", "phases"):
                self._fewer(field)
            self._shorter()
            if self.world.calls <= FEW and any(stretch.calls > 1 for stretch in self.world.stretches):
                self._one_by_one()
            self._policies()
            self._plainer()
        return self.world

    def _take(self, candidate: World, *, as_long: bool = False) -> bool:
        """Go on with ``candidate`` if it is smaller (or ``as_long``), and the promise is broken in it as well."""
        before, after = _size(self.world), _size(candidate)
        if after > before or (after == before and not as_long) or self._tries >= MOST_TRIES:
            return False
        self._tries += 1
        if not fails(candidate, self._promise):
            return False
        self.world = candidate
        return True

    def _fewer(self, field: str) -> None:
        """Leave out halves, quarters, … and single members of a list."""
        size = len(getattr(self.world, field))
        while size >= 1:
            start = 0
            while start < len(members := getattr(self.world, field)):
                if not self._take(self.world._replace(**{field: members[:start] + members[start + size :]})):
                    start += size
            size //= 2

    def _shorter(self) -> None:
        """Halve stretches, from either end."""
        for index in range(len(self.world.stretches)):
            while (one := self.world.stretches[index]).calls > 1:
                half = one.calls // 2
                rest = one._replace(at=one.at + half * one.every, first=one.first + half, calls=one.calls - half)
                if not (
                    self._with("stretches", index, one._replace(calls=half)) or self._with("stretches", index, rest)
                ):
                    break

    def _with(self, field: str, index: int, member: Any, *, as_long: bool = False) -> bool:
        members = getattr(self.world, field)
        changed = {field: (*members[:index], member, *members[index + 1 :])}
        return self._take(self.world._replace(**changed), as_long=as_long)

    def _one_by_one(self) -> None:
        """Every call in a stretch of its own: a longer text, but one that can be cut anywhere."""
        apart = alone(self.world)
        if not fails(apart, self._promise):
            return
        together, self.world = self.world, apart
        self._fewer("stretches")
        if _size(self.world) >= _size(together):
            self.world = together

    def _policies(self) -> None:
        """Leave out what policies state, sections before fields."""
        while any(self._take(self.world._replace(policy=less)) for less in _less(self.world.policy)):
            pass
        for index, happening in enumerate(self.world.happenings):
            if hasattr(happening, "policy"):
                while any(
                    self._with("happenings", index, happening._replace(policy=less))
                    for less in _less(self.world.happenings[index].policy)  # type: ignore[union-attr]
                ):
                    pass

    def _plainer(self) -> None:
        for value in PLAIN["seed"]:
            self._take(self.world._replace(seed=value))
        for field in ("stretches", "phases", "happenings"):
            for index in range(len(getattr(self.world, field))):
                for name in getattr(self.world, field)[index]._fields:
                    self._plainest(field, index, name)

    def _plainest(self, field: str, index: int, name: str) -> None:
        """The first of its plain values with which the fault stays; of two that are as long, the one that stands first is plainer."""
        member = getattr(self.world, field)[index]
        value = getattr(member, name)
        for plain in (*PLAIN.get(name, ()), *_rounded(value), *_singles(value)):
            if plain == value or self._with(field, index, member._replace(**{name: plain}), as_long=True):
                return


def _size(world: World) -> tuple[int, int]:
    """Calls, then the length of the text; madre's name counts as the longer one, because a story about the primary is the plainer one."""
    return world.calls, len(as_python(world).replace("'madre'", "'the other'"))


def _rounded(value: Any) -> Sequence[float]:
    return [round(value, digits) for digits in (0, 1, 2, 3)] if isinstance(value, float) else ()


def _singles(value: Any) -> Sequence[tuple[str, ...]]:
    return [(one,) for one in value] if isinstance(value, tuple) and len(value) > 1 else ()


def _less(stated: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The policy without each of its parts, from the outermost inwards."""
    for path in sorted(_paths(stated), key=len):
        less = copy.deepcopy(dict(stated))
        holder: Any = less
        for part in path[:-1]:
            holder = holder[part]
        del holder[path[-1]]
        yield less


def _paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if path:
        yield path
    members = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list) else ()
    for key, below in members:
        yield from _paths(below, (*path, key))


# -- told to people -----------------------------------------------------------------------------------------------------


def story(world: World) -> str:
    """What is broken in a world: the promise, the facts of the call it was seen on, and the world to paste into a test."""
    facts: list[Fact] = []
    lines = ["nothing is broken in it"]
    try:
        with suppress(ValidationError):
            perform(world, facts.append)
            check(world, twice=True)
    except Violation as violation:
        lines = [str(violation)]
        if violation.call is not None:
            lines.append(f"of call {violation.call}, after its other facts:")
            mine = [fact for fact in facts if getattr(fact, "call", None) == violation.call]
            lines += [f"    {_short(fact)}" for fact in mine[-MOST_FACTS:]]
    return "\n".join([*lines, as_python(world)])


def _short(fact: Any) -> str:
    """A fact without what has a default: that is what it was decided by, and long."""
    stated = [field.name for field in fields(fact) if field.required]
    return f"{type(fact).__name__}({', '.join(f'{name}={getattr(fact, name)!s}' for name in stated)})"
