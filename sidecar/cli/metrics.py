"""Print the reference of all metrics, as Markdown: name, type, labels with their values, and what each one says.

It is made from the registry in the code, so it cannot fall behind it; docs/metrics.md is what this prints.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sidecar.edge.outlets.telemetry import Declared

_INTRODUCTION = """\
# Metrics

`GET /metrics` on the admin port, in Prometheus' text format or in OpenMetrics. Made by `sidecar metrics`; not written by hand.

Label sets are closed: nothing a client sends becomes a label, every combination below is there from the start with zero, and a word that
is in none of the sets counts as `other`. Counters end in `_total`, histograms have `_bucket`, `_sum` and `_count`, times are seconds.

| name | type | labels | what it says |
|---|---|---|---|
"""
_END = """
`process_*` and `python_gc_*` are there as well, as the Prometheus client library has them.
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Nothing to choose."""
    del parser


def run(arguments: argparse.Namespace) -> None:
    del arguments
    sys.stdout.write(text())


def text() -> str:
    """The reference as it is printed and committed."""
    from sidecar.edge.outlets.telemetry import Telemetry  # noqa: PLC0415 - not for --help

    declared = Telemetry(lambda: 0.0).declared
    return _INTRODUCTION + "".join(_row(family) for family in sorted(declared)) + _END


def _row(family: Declared) -> str:
    labels = "<br>".join(f"`{label}`: {_values(values)}" for label, values in family.labels.items())
    return f"| `{family.name}` | {family.type} | {labels} | {family.text} |\n"


def _values(values: Iterable[str] | str) -> str:
    return values if isinstance(values, str) else ", ".join(f"`{value}`" for value in values)
