"""What changes in behaviour between two policies, in words and in figures: by their effective values, not by their text.

Two files that state the same otherwise (in a file they extend, at the top or for each target) do not differ. What flags and the
environment say is not looked at.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from sidecar.policy.difference.change import Change, Side
from sidecar.policy.difference.compare import TARGET, changes
from sidecar.policy.difference.effect import Effect, effect, memory
from sidecar.policy.difference.rows import Row, rows
from sidecar.policy.difference.values import written
from sidecar.policy.difference.words import GROUPS, WORDS
from sidecar.policy.figures import figures
from sidecar.policy.lint import Finding, named
from sidecar.policy.load import Loaded
from sidecar.policy.problem import Place

__all__ = ["GROUPS", "Difference", "Entry", "Row", "difference"]

_NO_TEXTS: Mapping[str, str] = MappingProxyType({})


class Entry(NamedTuple):
    """One value that differs.

    ``group`` is the key of one of ``GROUPS``; ``path`` is the field, of ``target`` if it is one target's; ``before`` and ``after`` are
    as a file writes them, stated at ``stated_before`` and ``stated_after``. ``words`` say what it does to chats, ``effect`` when, and
    ``memory`` what a reload does to what is remembered.
    """

    group: str
    path: str
    target: str | None
    before: str
    after: str
    stated_before: str
    stated_after: str
    words: str
    effect: Effect
    memory: str | None

    def __str__(self) -> str:
        return f"{self.path} of {self.target}" if self.target else self.path


class Difference(NamedTuple):
    """``entries`` are what differs; ``notes`` what to know beside them; findings of the lint that only one of both has."""

    entries: tuple[Entry, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...]
    new_findings: tuple[Finding, ...]
    gone_findings: tuple[Finding, ...]


def difference(a: Loaded, b: Loaded, texts: Mapping[str, str] = _NO_TEXTS) -> Difference:
    """Compare ``a`` with ``b``. ``texts`` by file name, for comments that silence findings."""
    one, other = (Side(loaded, figures(loaded.policy)) for loaded in (a, b))
    found = sorted((_entry(change) for change in changes(one, other)), key=_place)
    before, after = (named(loaded, _own(loaded, texts)) for loaded in (a, b))
    return Difference(
        tuple(found),
        rows(one, other),
        _notes(other),
        _without(before, after),
        _without(after, before),
    )


def _own(loaded: Loaded, texts: Mapping[str, str]) -> Mapping[str, str]:
    files = {str(file) for file in loaded.files} or {loaded.source}
    return {name: text for name, text in texts.items() if name in files}


def _without(known: Mapping[tuple[str, str], Finding], found: Mapping[tuple[str, str], Finding]) -> tuple[Finding, ...]:
    """What is ``found`` and not ``known``; what several targets share is said once."""
    places: dict[tuple[str, Place], Finding] = {}
    for name, finding in found.items():
        if name not in known:
            places.setdefault((finding.code, finding.place), finding)
    return tuple(sorted(places.values()))


def _entry(change: Change) -> Entry:
    group, words = WORDS[change.field]
    path = change.field.removeprefix(TARGET)
    before, after = (_stated(side, path, change.target) for side in (change.a, change.b))
    return Entry(
        group.key,
        path,
        change.target,
        before[0],
        after[0],
        before[1],
        after[1],
        words(change),
        effect(change),
        memory(change),
    )


def _stated(side: Side, path: str, target: str | None) -> tuple[str, str]:
    """A value as a file writes it, and where one does."""
    if target is None:
        return written(side.policy, path), side.origin(path)
    index = [str(each.name) for each in side.policy.targets].index(target)
    return written(side.policy.targets[index], path), side.origin(f"targets[{index}].{path}")


def _place(entry: Entry) -> tuple[int, int]:
    group = next(number for number, group in enumerate(GROUPS) if group.key == entry.group)
    return group, list(GROUPS[group].words).index(TARGET + entry.path if entry.target else entry.path)


def _notes(b: Side) -> tuple[str, ...]:
    mode = b.policy.mode
    return () if mode == "enforce" else (f"mode is {mode}: how targets are asked takes effect only once it is enforce",)
