"""Rules made from a policy: what there is of them, what they measure, and what a policy changes about them."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import promql_parser
import pytest
from ruamel.yaml import YAML

from sidecar.cli import main
from sidecar.core.engine import Engine
from sidecar.edge.outlets.telemetry import Telemetry
from sidecar.policy.model import Policy
from sidecar.rules import Clock, Labelling, alerts_of, build, text

ROOT = Path(__file__).parents[2]
COMMITTED = ROOT / "dashboards" / "rules" / "vx11-sidecar.rules.yaml"
RECORDED, ALERTING = 54, 22
FROM_PROMETHEUS = {"up": {"job", "instance"}}


DEFAULT = Policy()


def rules(policy: Policy = DEFAULT, **options: Any) -> list[dict[str, Any]]:
    return [rule for group in build(policy, **options) for rule in group["rules"]]


def named(name: str, policy: Policy = DEFAULT, **options: Any) -> dict[str, Any]:
    (rule,) = [rule for rule in rules(policy, **options) if name in (rule.get("alert"), rule.get("record"))]
    return rule


def promtool(*arguments: object) -> str:
    if shutil.which("promtool") is None:
        pytest.skip("promtool is not installed (Debian: prometheus)")
    run = subprocess.run(["promtool", *map(str, arguments)], capture_output=True, text=True, check=False, timeout=120)
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout + run.stderr


# ── the committed build ──


def test_building_again_changes_nothing(tmp_path):
    out = tmp_path / "rules.yaml"
    assert main(["rules", "build", "--policy", str(ROOT / "policies" / "default.yaml"), "--output", str(out)]) == 0
    assert out.read_text() == COMMITTED.read_text(), (
        "run: sidecar rules build --output dashboards/rules/vx11-sidecar.rules.yaml"
    )


def test_the_default_policy_is_meant_where_none_is_named(capsys):
    assert main(["rules", "build"]) == 0
    assert capsys.readouterr().out == COMMITTED.read_text()


def test_promtool_finds_every_rule():
    """It is content with a file in which it finds none, so they are counted."""
    assert f"SUCCESS: {RECORDED + ALERTING} rules found" in promtool("check", "rules", COMMITTED)
    assert sum("record" in rule for rule in rules()) == RECORDED
    assert sum("alert" in rule for rule in rules()) == ALERTING


def test_the_scaled_rules_are_as_many(tmp_path):
    out = tmp_path / "rules.yaml"
    assert main(["rules", "build", "--time-scale", "60", "--output", str(out)]) == 0
    assert f"SUCCESS: {RECORDED + ALERTING} rules found" in promtool("check", "rules", out)


def test_the_text_reads_back_as_the_groups():
    read = YAML(typ="safe", pure=True).load(text(build(Policy())))
    assert read == {"groups": build(Policy())}


# ── every name in them ──


def selectors(node: Any) -> Iterator[Any]:
    if isinstance(node, promql_parser.VectorSelector):
        yield node
    elif isinstance(node, promql_parser.MatrixSelector):
        yield node.vector_selector
    for child in getattr(node, "args", None) or ():
        yield from selectors(child)
    for name in ("lhs", "rhs", "expr"):
        below = getattr(node, name, None)
        if below is not None and not isinstance(below, str):
            yield from selectors(below)


def registry() -> dict[str, dict[str, set[str]]]:
    """Every series there is from the start: its labels, and the values they have."""
    found: dict[str, dict[str, set[str]]] = {}
    telemetry = Telemetry(lambda: 0.0)
    engine = Engine(0.0, DEFAULT, revision="r", source="s", seed=1, emit=telemetry)
    telemetry.watch_engine(lambda: engine.gauges(0.0))
    for family in telemetry.registry.collect():
        for sample in family.samples:
            labels = found.setdefault(sample.name, {"job": set(), "instance": set()})
            for label, value in sample.labels.items():
                labels.setdefault(label, set()).add(value)
    return found


def strange(name: str, matchers: Any, known: dict[str, dict[str, set[str]]], recorded: set[str]) -> Iterator[str]:
    """What a selector names that nobody has."""
    if name in recorded or name in FROM_PROMETHEUS:
        return
    if name not in known:
        yield name
        return
    for matcher in matchers:
        if matcher.name not in known[name]:
            yield f"{name}{{{matcher.name}}}"
        values = known[name].get(matcher.name, set())
        if matcher.name not in ("job", "instance"):
            yield from (f"{name}{{{matcher.name}={each}}}" for each in matcher.value.split("|") if each not in values)


def all_strange(found: list[dict[str, Any]]) -> list[str]:
    known, recorded = registry(), {rule["record"] for rule in found if "record" in rule}
    return [
        each
        for rule in found
        for selector in selectors(promql_parser.parse(rule["expr"]))
        for each in strange(selector.name, selector.matchers.matchers, known, recorded)
    ]


def test_every_metric_and_label_in_a_rule_exists():
    assert all_strange(rules()) == []
    assert all_strange(rules(Policy(targets=[{"name": "madre"}]))) == []


@pytest.mark.parametrize(
    ("expr", "what"),
    [
        ("sum(rate(vx11_sidecar_chats_total[5m]))", "vx11_sidecar_chats_total"),
        ('1 - max by (job) (vx11_sidecar_dormant{of="x"})', "vx11_sidecar_dormant{of}"),
        (
            'a or clamp_min(increase(vx11_sidecar_chat_requests_total{outcome=~"local|gone"}[1h]), 0) > 3',
            "vx11_sidecar_chat_requests_total{outcome=gone}",
        ),
        (
            'vx11_sidecar_chat_request_duration_seconds_bucket{le="2.5"}',
            "vx11_sidecar_chat_request_duration_seconds_bucket{le=2.5}",
        ),
    ],
)
def test_a_name_that_nobody_has_is_seen(expr, what):
    assert what in all_strange([{"record": "a", "expr": expr}])


def test_every_series_that_is_read_is_recorded_or_measured():
    """And what is recorded is read by an alert or carries one of Sloth's names."""
    sloth = {
        *(f"slo:sli_error:ratio_rate{window}" for window in ("5m", "30m", "1h", "2h", "6h", "1d", "3d", "30d")),
        "slo:objective:ratio", "slo:error_budget:ratio", "slo:time_period:days", "slo:current_burn_rate:ratio",
        "slo:period_burn_rate:ratio", "slo:period_error_budget_remaining:ratio",
    }  # fmt: skip
    for name in ("availability", "undegraded", "latency"):
        of = {
            rule["record"] for rule in rules() if rule.get("labels", {}).get("sloth_slo") == name and "record" in rule
        }
        assert of == sloth | {f"slo:sli_total:increase{window}" for window in ("1h", "6h", "1d", "3d")}


# ── what every alert has ──


def test_every_alert_tells_how_bad_what_and_where_to_read_on():
    for rule in rules():
        if "alert" in rule:
            labels, told = rule["labels"], rule["annotations"]
            assert rule["alert"].startswith("VX11Sidecar")
            assert labels["severity"] in ("page", "ticket", "info")
            assert labels["service"] == "vx11-sidecar"
            assert "$value" in told["summary"]
            assert told["description"].endswith(".")
            assert told["runbook_url"] == f"docs/runbooks/{rule['alert']}.md"
            assert "<" not in rule["expr"].replace("<=", "").replace(" < ", ""), "a window that was not filled in"
            assert not re.search("<[0-9]+[smhd]>", told["summary"] + told["description"])
    assert len({alert.name for alert in alerts_of(Policy())}) == len(alerts_of(Policy())) == ALERTING


def test_nothing_pages_but_what_users_lose():
    assert {alert.name.removeprefix("VX11Sidecar") for alert in alerts_of(Policy()) if alert.severity == "page"} == {
        "AvailabilityBurnFast", "LatencyBurnFast", "Down", "NobodyAnswers", "GatewayUnreachable",
    }  # fmt: skip


# ── what a policy changes ──


def test_objectives_and_guards_come_from_the_policy():
    policy = Policy(
        slo={"availability": "99%", "latency": {"quantile": "99%", "threshold": "1s"}, "min_calls": 7, "min_bad": 2}
    )
    expr = named("VX11SidecarAvailabilityBurnFast", policy)["expr"]
    assert all(part in expr for part in ("(14.4 * 0.01)", "(6 * 0.01)", ">= 7)", ">= 2)"))
    assert ">= 2\n" in named("VX11SidecarNobodyAnswers", policy)["expr"]
    fast = [rule["expr"] for rule in rules(policy) if "bucket" in rule["expr"]]
    assert fast
    assert all('le="1.0"' in expr for expr in fast)


@pytest.mark.parametrize(
    ("threshold", "edge"), [("2500ms", "2.0"), ("1ms", "0.005"), ("24h", "60.0"), ("500ms", "0.5")]
)
def test_a_threshold_between_two_buckets_is_counted_at_the_stricter_one(threshold, edge):
    found = rules(Policy(slo={"latency": {"threshold": threshold}}))
    assert {match for rule in found for match in re.findall(r'le="([^"]*)"', rule["expr"])} == {edge}


def test_alerts_that_a_policy_makes_impossible_are_left_out():
    names = {alert.name for alert in alerts_of(Policy(retry={"max_attempts": 1}))}
    assert "VX11SidecarRetryBudgetExhausted" not in names
    alone = {alert.name for alert in alerts_of(Policy(targets=[{"name": "local"}]))}
    assert not {"VX11SidecarTargetDown", "VX11SidecarNobodyAnswers", "VX11SidecarBreakerFlapping"} & alone
    assert "VX11SidecarDown" in alone
    madre = Policy(
        retry={"max_attempts": 1}, targets=[{"name": "switch", "retry": {"max_attempts": 2}}, {"name": "madre"}]
    )
    assert 'target=~"switch"' in named("VX11SidecarRetryBudgetExhausted", madre)["expr"]


# ── time and labels ──


def test_the_clock_shrinks_windows_and_waits_and_nothing_else():
    clock = Clock(60)
    assert [clock.window(seconds) for seconds in (259_200, 3600, 1800, 300)] == ["72m", "1m", "30s", "10s"]
    assert [clock.wait(seconds) for seconds in (3600, 120, 30, 0)] == ["1m", "2s", "1s", "0s"]
    assert [clock.interval(seconds) for seconds in (120, 30)] == ["2s", "1s"]
    normal, scaled = rules(), rules(clock=clock)
    assert [rule.get("record", rule.get("alert")) for rule in normal] == [
        r.get("record", r.get("alert")) for r in scaled
    ]
    assert [rule["labels"] for rule in normal] == [rule["labels"] for rule in scaled]
    assert named("VX11SidecarOverrideForgotten", clock=clock)["for"] == "1m"
    burn = "VX11SidecarAvailabilityBurnFast"
    assert named(burn)["expr"] == named(burn, clock=clock)["expr"]  # of recorded series alone


def test_runbooks_and_the_job_are_the_installation_s(capsys):
    base = ["--runbooks", "https://wiki.example/sidecar/", "--job", "edge"]
    assert main(["rules", "build", *base]) == 0
    made = YAML(typ="safe", pure=True).load(capsys.readouterr().out)
    down = made["groups"][-1]["rules"][0]
    assert down["annotations"]["runbook_url"] == "https://wiki.example/sidecar/VX11SidecarDown.md"
    assert down["expr"] == 'up{job="edge"} == 0\nor\nabsent(up{job="edge"})'
    assert named("VX11SidecarDescriptorsNearLimit", labelling=Labelling(job="edge"))["expr"].count('{job="edge"}') == 2


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--time-scale", "0"], "--time-scale 0: must be from 1 to 1000"),
        (["--time-scale", "nan"], "--time-scale nan: must be from 1 to 1000"),
        (["--job", 'a"b'], "--job 'a\"b': must be a name without quotes and backslashes"),
        (["--policy", "/nowhere/p.yaml"], "/nowhere/p.yaml:1:1: cannot be read"),
        (["--output", "/nowhere/rules.yaml"], "/nowhere/rules.yaml: No such file or directory"),
    ],
)
def test_what_cannot_be_built_is_said_in_words(options, complaint, capsys):
    assert main(["rules", "build", *options]) == 2
    assert complaint in capsys.readouterr().err


IMPORTS = "import sys, sidecar.cli.rules\nprint(*sys.modules)"


def test_the_rules_stay_off_the_serving_path():
    run = subprocess.run([sys.executable, "-c", IMPORTS], capture_output=True, text=True, check=True)
    assert not {"sidecar.rules", "pydantic", "ruamel.yaml", "aiohttp"} & set(run.stdout.split())
