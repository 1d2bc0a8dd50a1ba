"""The effective policy value by value: what it is, who stated it, and whether that differs from what is built in."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

from sidecar.policy.model import Policy

_TARGET = re.compile(r"targets\[(\d+)\]")


def effective(policy: Policy, origin: Callable[[str], str | None]) -> dict[str, dict[str, Any]]:
    """By dotted path; ``changed`` is true where a policy that states nothing has another value or none."""
    built_in = _built_in()
    names = [target.name for target in policy.targets]

    def default(path: str) -> Any:
        known = _TARGET.sub(lambda found: f"targets[{names[int(found[1])]}]", path)
        return built_in.get(known, ...)

    return {
        path: {"value": value, "origin": origin(path), "changed": value != default(path)}
        for path, value in _flat(policy.model_dump(mode="json"))
    }


@cache
def _built_in() -> dict[str, Any]:
    """The values of a policy that states nothing, those of targets by their names: a ladder may stand in another order."""
    policy = Policy()
    names = [target.name for target in policy.targets]
    flat = _flat(policy.model_dump(mode="json"))
    return {_TARGET.sub(lambda found: f"targets[{names[int(found[1])]}]", path): value for path, value in flat}


def _flat(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """The leaves of a dumped policy by their dotted paths, as files and messages name them."""
    if isinstance(value, dict) and value:
        for key, part in value.items():
            yield from _flat(part, f"{path}.{key}" if path else key)
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        for index, part in enumerate(value):
            yield from _flat(part, f"{path}[{index}]")
    else:
        yield path, value
