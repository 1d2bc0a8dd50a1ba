"""``sidecar metrics``: the reference is made from the registry, and the committed copy is what it prints."""

from __future__ import annotations

import re
from pathlib import Path

from sidecar.cli import main, metrics
from sidecar.edge.outlets.telemetry import Telemetry

ROOT = Path(__file__).parents[2]


def test_the_committed_reference_is_what_the_command_prints(capsys):
    assert main(["metrics"]) == 0
    printed = capsys.readouterr().out
    assert printed == (ROOT / "docs/metrics.md").read_text(), "run: sidecar metrics > docs/metrics.md"


def test_every_family_has_one_row_with_every_value_of_every_label():
    rows = [line for line in metrics.text().splitlines() if line.startswith("| `")]
    declared = Telemetry(lambda: 0.0).declared
    assert len(rows) == len(declared) == len({family.name for family in declared})
    for family in declared:
        (row,) = [row for row in rows if row.startswith(f"| `{family.name}` |")]
        assert len(re.findall(r"(?<!\\)\|", row)) == 5
        for label, values in family.labels.items():
            assert f"`{label}`: " in row
            assert all(f"`{value}`" in row for value in values) or values in row


def test_every_metric_that_operations_names_exists():
    names = {family.name.removeprefix("vx11_sidecar_") for family in Telemetry(lambda: 0.0).declared}
    text = (ROOT / "docs/operations.md").read_text()
    section = text.partition("## Metrics")[2].partition("\n## ")[0]
    named = re.findall(r"^\| `([a-z_]+)", section, re.MULTILINE)
    assert len(named) == 10
    assert set(named) <= names
