"""A value of a policy as a file writes it, on one line."""

from __future__ import annotations

from typing import Any

from sidecar.policy.model import Policy, Rule
from sidecar.policy.problem import shown
from sidecar.policy.section import Section

NOT_STATED = "not stated"


def written(section: Section, path: str) -> str:
    """The value at the dotted ``path`` below ``section``; of local texts their languages alone."""
    if isinstance(section, Policy) and path == "targets":
        return " → ".join([*(target.name for target in section.ladder), "local"])
    value: Any = section.model_dump(mode="json")
    for key in path.split("."):
        value = value.get(key)  # what has no value is left out of a dump
    return _text(list(value) if path == "fallback.local_text" else value)


def _text(value: Any) -> str:
    if value is None:
        return NOT_STATED
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{', '.join(map(_text, value))}]"
    if isinstance(value, dict):
        stated = {key: below for key, below in value.items() if below or key not in Rule.model_fields}
        return "{" + ", ".join(f"{shown(key)}: {_text(below)}" for key, below in stated.items()) + "}"
    if value == "0ms":
        return "0"
    return repr(value).removesuffix(".0") if isinstance(value, float) else shown(str(value))
