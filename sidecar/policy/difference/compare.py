"""Which effective values differ: field by field, target by target, whatever states them and wherever.

Sections at the top count for each target they reach. Lists differ if something is in one and not in the other, since no order
in them has a meaning; only languages and the sources of tokens have one. The ladder is one value: its targets by name.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sidecar.policy.difference.change import Change, Side, alike
from sidecar.policy.model import PER_TARGET
from sidecar.policy.section import Section

TARGET = "targets[]."
ORDERED = ("auth.sources", "fallback.local_text")  # the first of them comes first


def changes(a: Side, b: Side) -> Iterator[Change]:
    """All that differs, in the order of the model."""
    after = _values(b.policy, "")
    for field, old in _values(a.policy, "").items():
        if field == "targets":
            if a.names != b.names:
                yield Change(field, None, a.names, b.names, a, b)
            for name in (name for name in b.names if name in a.names):
                yield from _of_a_target(name, a, b)
        elif field.partition(".")[0] not in PER_TARGET and not _alike(field, old, after[field]):
            yield Change(field, None, old, after[field], a, b)


def _of_a_target(name: str, a: Side, b: Side) -> Iterator[Change]:
    after = _values(b.targets[name], TARGET)
    for field, old in _values(a.targets[name], TARGET).items():
        if not _alike(field, old, after[field]):
            yield Change(field, name, old, after[field], a, b)


def _values(section: Section, path: str) -> dict[str, Any]:
    """The fields below ``section`` that hold no section, by dotted path."""
    found: dict[str, Any] = {}
    for name in type(section).model_fields:
        value = getattr(section, name)
        found |= _values(value, f"{path}{name}.") if isinstance(value, Section) else {f"{path}{name}": value}
    return found


def _alike(field: str, old: Any, new: Any) -> bool:
    if field in ORDERED:
        return old == new and list(old) == list(new)
    return bool(alike(old) == alike(new))
