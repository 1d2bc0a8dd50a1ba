"""A rule file as text: YAML that people read in reviews, with long expressions as blocks."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.scalarstring import LiteralScalarString

HEADING = """\
# Recording and alerting rules of the sidecar. Made by `sidecar rules build` from the objectives and limits of a policy:
# do not edit, change the policy and build again. Names of recorded series are Sloth's, so its dashboards read them.
"""


def text(groups: Sequence[dict[str, Any]], heading: str = HEADING) -> str:
    """The file for ``groups``; the same groups always give the same text."""
    yaml = YAML()
    yaml.width = 4096  # a folded line is harder to read than a long one
    yaml.allow_unicode = True
    yaml.indent(mapping=2, sequence=4, offset=2)
    out = io.StringIO()
    yaml.dump({"groups": _readable(list(groups))}, out)
    return heading + out.getvalue()


def _readable(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _readable(below) for key, below in value.items()}
    if isinstance(value, list):
        return [_readable(below) for below in value]
    if isinstance(value, str) and "\n" in value:
        return LiteralScalarString(value)
    return value
