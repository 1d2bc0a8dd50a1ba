"""Every field of the policy is read by what acts on it: there is none that is only accepted, shown and compared."""

from __future__ import annotations

import ast
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sidecar.policy.model import Policy
from sidecar.policy.section import Section

ACTING = ("core", "edge", "wire", "replay", "rules")


def sections(annotation: Any) -> Iterator[type[Section]]:
    """The sections within an annotation, however deep in lists and unions they stand."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        yield annotation
    for inner in typing.get_args(annotation):
        yield from sections(inner)


def leaves(section: type[Section], path: str = "") -> Iterator[str]:
    for name, field in section.model_fields.items():
        below = list(sections(field.annotation))
        for each in below:
            yield from leaves(each, f"{path}{name}.")
        if not below:
            yield f"{path}{name}"


FIELDS = sorted(set(leaves(Policy)))


def read(rooms: tuple[str, ...]) -> frozenset[str]:
    """The names of all attributes that are read there."""
    package = Path(__file__).parents[2] / "sidecar"
    trees = (ast.parse(file.read_text()) for room in rooms for file in (package / room).rglob("*.py"))
    loads = (node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Attribute))
    return frozenset(node.attr for node in loads if isinstance(node.ctx, ast.Load))


READ = read(ACTING)


def test_there_are_fields_enough() -> None:
    assert len(FIELDS) > 100
    assert "relay.timeouts.stall" in FIELDS
    assert "targets.breaker.half_open.permits" in FIELDS


@pytest.mark.parametrize("field", FIELDS)
def test_somebody_acts_on_it(field: str) -> None:
    """By name alone: what it does is for other tests to say."""
    assert field.rpartition(".")[2] in READ
