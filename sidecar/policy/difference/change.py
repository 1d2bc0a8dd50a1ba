"""One value that differs between two policies, with all that a sentence about it may need.

Values are the effective ones of the model: durations are seconds, None is what a file calls ``auto``, ``none`` or leaves out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any, NamedTuple

from sidecar.policy.figures import Figures, TargetFigures
from sidecar.policy.load import Loaded
from sidecar.policy.model import Policy, Target
from sidecar.policy.section import Section
from sidecar.policy.units import Rate, duration_text

BUILT_IN = "built in"
BEFORE_SENDING = "connect-failure"  # what a target that is never sent a request twice may be tried again for


class Side:
    """One of the two policies, worked out."""

    def __init__(self, loaded: Loaded, figures: Figures) -> None:
        self.loaded = loaded
        self.policy: Policy = loaded.policy
        self.figures = figures
        self.names = tuple(target.name for target in self.policy.ladder)

    @cached_property
    def targets(self) -> Mapping[str, Target]:
        return {target.name: target for target in self.policy.ladder}

    @cached_property
    def worked_out(self) -> Mapping[str, TargetFigures]:
        return {target.name: target for target in self.figures.targets}

    @property
    def last_rung(self) -> str:
        """What a chat gets when no target answers."""
        return "the local answer" if self.policy.fallback.local == "answer" else "a 503"

    def after(self, name: str, cause: str) -> str:
        """Who gets a chat that ``name`` did not answer, for a ``cause`` of ``fallback.on``; the last rung has no name."""
        below = self.names[self.names.index(name) + 1 :]
        return below[0] if below and cause in self.policy.fallback.on else self.last_rung

    def then(self, name: str, cause: str) -> str:
        """The same as a clause."""
        who = self.after(name, cause)
        return f"{who} is asked" if who in self.names else f"the chat gets {who}"

    def origin(self, path: str) -> str:
        """Where the value at ``path`` is stated; of a section, where the first value in it is."""
        found = self.loaded.origin(path)
        if found is None:
            inside = (place for key, place in self.loaded.origins.items() if key.startswith((f"{path}.", f"{path}[")))
            found = next(inside, None)
        return found or BUILT_IN


class Change(NamedTuple):
    """``field`` as the table of words names it (``targets[].timeouts.attempt``), ``target`` if it is one target's."""

    field: str
    target: str | None
    old: Any
    new: Any
    a: Side
    b: Side

    @property
    def up(self) -> bool:
        """Whether it grew. None of a duration means without a bound."""
        return self.old is not None and (self.new is None or self.new > self.old)

    @property
    def name(self) -> str:
        """The target's name."""
        return str(self.target)

    @property
    def before(self) -> TargetFigures:
        return self.a.worked_out[self.name]

    @property
    def after(self) -> TargetFigures:
        return self.b.worked_out[self.name]

    @property
    def was(self) -> Target:
        return self.a.targets[self.name]

    @property
    def now(self) -> Target:
        return self.b.targets[self.name]

    def lists(self) -> tuple[list[str], list[str]]:
        """What was added to a list, and what was removed, in the order of the files."""
        before, after = {alike(each) for each in self.old}, {alike(each) for each in self.new}
        return (
            [str(each) for each in self.new if alike(each) not in before],
            [str(each) for each in self.old if alike(each) not in after],
        )


def alike(value: Any) -> Any:
    """What is equal for values that mean the same: lists have no order, and say nothing twice."""
    if isinstance(value, Section):
        return tuple(alike(getattr(value, name)) for name in type(value).model_fields)
    if isinstance(value, dict):
        return frozenset((key, alike(below)) for key, below in value.items())
    return frozenset(map(alike, value)) if isinstance(value, tuple) and not isinstance(value, Rate) else value


def instead(old: object, new: object, bound: str = "") -> str:
    """``new`` against ``old``: what differs elsewhere may leave a figure as it was."""
    return f"{new}{bound}, as before" if new == old else f"{new}{bound} instead of {old}"


def times(old: float, new: float, bound: str = "") -> str:
    return instead(duration_text(old), duration_text(new), bound)


def listed(parts: Iterable[str], last: str = "and") -> str:
    """``a, b and c``."""
    *first, end = parts
    return f"{', '.join(first)} {last} {end}" if first else end


def many(count: int, word: str) -> str:
    return f"{count} {word}{'s' * (count != 1)}"


def outage_text(seconds: float) -> str:
    """A long time in the unit people think of it in."""
    minutes = seconds / 60
    return f"{minutes:.3g} minutes" if minutes < 180 else f"{minutes / 60:.3g} hours"
