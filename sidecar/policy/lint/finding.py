"""A finding, and where to point with it: at the value that should change, in the file that states it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Literal, NamedTuple

from sidecar.policy.figures import TargetFigures
from sidecar.policy.load import Loaded
from sidecar.policy.model import PER_TARGET, Policy, Target
from sidecar.policy.problem import Place
from sidecar.policy.units import Rate

Severity = Literal["error", "warning"]

_OF_A_TARGET = re.compile(rf"^targets\[[0-9]+\]\.(?=(?:{'|'.join(PER_TARGET)})\b)")


class Finding(NamedTuple):
    """Something that is allowed and hardly meant: where, what is wrong and what would be right, and its stable code."""

    file: str
    line: int
    column: int
    severity: Severity
    path: str
    message: str
    code: str

    @property
    def place(self) -> Place:
        return Place(self.file, self.line, self.column)

    def __str__(self) -> str:
        subject = f"{self.path}: " if self.path else ""
        return f"{self.place}: {self.severity}: {subject}{self.message} [{self.code}]"


class Found(NamedTuple):
    """What a rule says. ``fields`` take part in it; the one to change is the first that the file itself states."""

    code: str
    message: str
    fields: tuple[str, ...]


class Observed(NamedTuple):
    """What is known from outside the file: the 95th percentile of each target's answer times, how many chats come, and what time it is.

    ``moment`` is in seconds since 1970.
    """

    p95: Mapping[str, float] = MappingProxyType({})
    rate: Rate | None = None
    moment: float | None = None


class Rung(NamedTuple):
    """One target as rules see it."""

    depth: int
    target: Target
    figures: TargetFigures
    policy: Policy
    loaded: Loaded
    observed: Observed

    @property
    def name(self) -> str:
        return self.target.name

    @property
    def patience(self) -> float:
        return self.policy.deadline.client - self.policy.deadline.margin

    def at(self, field: str) -> str:
        return f"targets[{self.depth}].{field}"

    def found(self, code: str, message: str, *fields: str) -> Found:
        """Say something about ``fields`` of this target. Where its time is one of them, so is what takes that time."""
        paths = [field if field.startswith("deadline.") else self.at(field) for field in fields]
        if "deadline.client" in fields:
            paths += [f"targets[{depth}].reserve" for depth in range(self.depth + 1, len(self.policy.ladder))]
        return Found(code, message, tuple(paths))


def findings(found: Iterable[Found], loaded: Loaded, severities: Mapping[str, Severity]) -> Iterator[Finding]:
    """Give each of ``found`` its place. Several targets share what the top states: that is said once."""
    seen: set[tuple[str, Place]] = set()
    for code, message, fields in found:
        path, place = _aim(loaded, fields)
        if (code, place) not in seen:
            seen.add((code, place))
            first = _OF_A_TARGET.sub("", fields[0])
            words = message if path in (first, fields[0]) else f"against {first}: {message}"
            yield Finding(*place, severities[code], path, words, code)


def _aim(loaded: Loaded, fields: tuple[str, ...]) -> tuple[str, Place]:
    """The field to point at, and its place: stated in the file itself, else in one it extends, else built in."""
    order = {str(file): depth for depth, file in enumerate(loaded.files)}
    stated = [(field, place) for field in fields if (place := _stated(loaded, field))]
    if not stated:
        return _OF_A_TARGET.sub("", fields[0]), _nearest(loaded, fields[0])
    field, place = min(stated, key=lambda pair: order.get(pair[1].file, 0))
    return (field if field in loaded.origins else _OF_A_TARGET.sub("", field)), place


def _stated(loaded: Loaded, field: str) -> Place | None:
    origin = loaded.origin(field)
    return _place(origin) if origin else None


def _nearest(loaded: Loaded, field: str) -> Place:
    """The first value stated in the section of a value that is not, or in the section around that; else the first line."""
    while "." in field:
        field = field.rpartition(".")[0]
        for section in (field, _OF_A_TARGET.sub("", field)):
            within = [
                _place(origin)
                for path, origin in loaded.origins.items()
                if path.startswith((f"{section}.", f"{section}["))
            ]
            if within:
                return min(within)
    return Place(str(loaded.files[0]) if loaded.files else loaded.source, 1, 1)


def _place(origin: str) -> Place:
    file, line, column = origin.rsplit(":", 2)
    return Place(file, int(line), int(column))
