"""The example for Alertmanager: it is valid, each severity goes where it should, and what is said once is not said twice."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from sidecar.policy.model import Policy
from sidecar.rules import alerts_of, build

FILE = Path(__file__).parents[2] / "dashboards" / "alertmanager" / "alertmanager.yaml"
CONFIG = YAML(typ="safe", pure=True).load(FILE)


def amtool(*arguments: object) -> str:
    if shutil.which("amtool") is None:
        pytest.skip("amtool is not installed (Debian: prometheus-alertmanager)")
    run = subprocess.run(["amtool", *map(str, arguments)], capture_output=True, text=True, check=False, timeout=60)
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout


def labels_of_alerts() -> dict[str, dict[str, str]]:
    rules = [rule for group in build(Policy()) for rule in group["rules"] if "alert" in rule]
    return {rule["alert"]: {"alertname": rule["alert"], **rule["labels"]} for rule in rules}


def test_it_is_valid():
    told = amtool("check-config", FILE)
    assert "SUCCESS" in told
    assert f"{len(CONFIG['inhibit_rules'])} inhibit rules" in told
    assert f"{len(CONFIG['receivers'])} receivers" in told


@pytest.mark.parametrize(("severity", "receiver"), [("page", "pager"), ("ticket", "tickets"), ("info", "nobody")])
def test_each_severity_goes_where_it_should(severity, receiver):
    alerts = [labels for labels in labels_of_alerts().values() if labels["severity"] == severity]
    assert alerts
    for labels in (alerts[0], alerts[-1]):
        routed = [f"{name}={value}" for name, value in labels.items()]
        assert amtool("config", "routes", "test", f"--config.file={FILE}", *routed).strip() == receiver


def test_an_alert_of_something_else_goes_nowhere():
    assert (
        amtool("config", "routes", "test", f"--config.file={FILE}", "service=other", "severity=page").strip()
        == "nobody"
    )


def test_nothing_leaves_this_machine():
    urls = re.findall(r"https?://[^\s]+", FILE.read_text())
    assert urls
    assert all(url.startswith("http://127.0.0.1:") for url in urls)


# ── inhibition, as Alertmanager reads it ──


def _matches(matcher: str, labels: dict[str, str]) -> bool:
    name, sign, value = re.fullmatch(r'(\w+) (=~|!=|=) "(.*)"', matcher).groups()
    found = labels.get(name, "")
    return {"=": found == value, "!=": found != value, "=~": bool(re.fullmatch(value, found))}[sign]


def quiet(alert: dict[str, str], because: dict[str, str]) -> bool:
    def holds(rule: dict[str, Any]) -> bool:
        return (
            all(_matches(each, because) for each in rule["source_matchers"])
            and all(_matches(each, alert) for each in rule["target_matchers"])
            and all(alert.get(label) == because.get(label) for label in rule["equal"])
        )

    return any(holds(rule) for rule in CONFIG["inhibit_rules"])


def test_a_page_keeps_the_ticket_of_its_own_objective_quiet_and_no_other():
    of = labels_of_alerts()
    page = of["VX11SidecarAvailabilityBurnFast"]
    assert {name for name, labels in of.items() if quiet(labels, page)} == {"VX11SidecarAvailabilityBurnSlow"}
    latency = of["VX11SidecarLatencyBurnFast"]
    assert {name for name, labels in of.items() if quiet(labels, latency)} == {"VX11SidecarLatencyBurnSlow"}


def test_a_sidecar_that_is_down_keeps_everything_else_quiet_and_not_itself():
    of = labels_of_alerts()
    down = {**of["VX11SidecarDown"], "job": "vx11-sidecar", "instance": "a"}
    assert {name for name, labels in of.items() if not quiet(labels, down)} == {"VX11SidecarDown"}
    assert not quiet({"service": "other", "alertname": "Other"}, down)


def test_when_nobody_answers_nothing_is_said_of_each_target():
    of = labels_of_alerts()
    here, there = ({"job": "vx11-sidecar", "instance": each} for each in "ab")
    nobody = {**of["VX11SidecarNobodyAnswers"], **here}
    down = of["VX11SidecarTargetDown"]
    assert quiet({**down, **here, "target": "madre"}, nobody)
    assert not quiet({**down, **there, "target": "madre"}, nobody)


def test_every_alert_that_is_named_exists():
    named = set(re.findall(r"VX11Sidecar\w+", FILE.read_text()))
    assert named
    assert named <= {alert.name for alert in alerts_of(Policy())}
