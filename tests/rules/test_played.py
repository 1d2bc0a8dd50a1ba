"""The rules against series: promtool plays days in seconds and says which alerts fire when."""

from __future__ import annotations

from pathlib import Path

import pytest
from ruamel.yaml import YAML

from sidecar.policy.model import Policy
from sidecar.rules import alerts_of

from .test_built import promtool

TESTS = Path(__file__).parents[2] / "dashboards" / "rules" / "tests"
FILES = sorted(TESTS.glob("*.yaml"))


def scenarios() -> list[dict]:
    return [each for file in FILES for each in YAML(typ="safe", pure=True).load(file)["tests"]]


@pytest.mark.parametrize("file", FILES, ids=lambda path: path.stem)
def test_the_scenarios_of_a_file_hold(file):
    assert "SUCCESS" in promtool("test", "rules", file)


def test_every_alert_fires_in_one_check_and_is_over_in_a_later_one():
    ended: set[str] = set()
    for scenario in scenarios():
        firing: set[str] = set()
        for check in scenario["promql_expr_test"]:
            if "ALERTS" in check["expr"]:
                now = {sample["labels"] for sample in check.get("exp_samples", ())}
                ended |= firing - now
                firing |= now
    silent = {alert.name for alert in alerts_of(Policy()) if f'{{alertname="{alert.name}"}}' not in ended}
    # What a slow ticket takes to end is days of series; its windows are those of the undegraded objective, which are played.
    assert silent == {"VX11SidecarLatencyBurnSlow", "VX11SidecarAvailabilityBurnSlow"}


def test_the_order_of_the_groups_is_that_of_the_rule_file():
    groups = [
        group["name"] for group in YAML(typ="safe", pure=True).load(TESTS.parent / "vx11-sidecar.rules.yaml")["groups"]
    ]
    assert FILES
    for file in FILES:
        assert YAML(typ="safe", pure=True).load(file)["group_eval_order"] == groups
