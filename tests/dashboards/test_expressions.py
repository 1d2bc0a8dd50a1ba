"""Bars and annotations count what happened, once each and over a restart too, and who answers now does. Asked of Prometheus itself."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dashboards.expressions import counted, counted_if_seen, rate_if_seen
from tests.dashboards.prometheus import binary
from tests.dashboards.queries import LIVE, annotation_queries, panel_queries, substitute

EVERY = {**LIVE, "$__interval": "15s", "$__rate_interval": "1m", "$__range": "2m"}  # scraped each 15 s
TRIPS = "vx11_sidecar_breaker_transitions_total"
HELD = 'vx11_sidecar_override_active{job="j",instance="i",kind="off"}'


def ask(where: Path, series: Mapping[str, str], expected: Mapping[str, Mapping[str, Mapping[str, float]]]) -> None:
    """``series`` by name, as promtool writes them; ``expected`` by expression and moment the values by label set."""
    checks: list[Mapping[str, Any]] = [
        {
            "expr": expr,
            "eval_time": at,
            "exp_samples": [{"labels": name, "value": each} for name, each in values.items()],
        }
        for expr, moments in expected.items()
        for at, values in moments.items()
    ]
    inputs = [{"series": name, "values": values} for name, values in series.items()]
    tests = [{"interval": "15s", "input_series": inputs, "promql_expr_test": checks}]
    file = where / "tests.yaml"
    file.write_text(json.dumps({"rule_files": [], "evaluation_interval": "15s", "tests": tests}))  # JSON is YAML
    done = subprocess.run(
        [binary("promtool"), "test", "rules", str(file)], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_bar_is_what_happened_since_the_one_before_it(tmp_path: Path) -> None:
    name = 'vx11_sidecar_fallbacks_total{job="j",instance="i",reason="open"}'
    bar = substitute(counted("fallbacks_total", by="reason"), EVERY)
    grown = {"15s": 0, "30s": 3, "45s": 0, "1m": 1}
    wanted = {at: {'{reason="open"}': float(value)} for at, value in grown.items()}
    ask(tmp_path, {name: "0 0 3 3 4"}, {bar: wanted | {"0s": {}}})


def test_after_a_restart_everything_counts_that_was_counted_since(tmp_path: Path) -> None:
    name = 'vx11_sidecar_fallbacks_total{job="j",instance="i",reason="open"}'
    bar = substitute(counted("fallbacks_total", by="reason"), EVERY)
    ask(tmp_path, {name: "7 7 2 2"}, {bar: {"30s": {'{reason="open"}': 2}, "45s": {'{reason="open"}': 0}}})


def test_what_never_happened_is_left_out_and_what_did_keeps_its_zeros(tmp_path: Path) -> None:
    def named(reason: str) -> str:
        return f'vx11_sidecar_fallbacks_total{{job="j",instance="i",reason="{reason}"}}'

    bar = substitute(counted_if_seen("fallbacks_total", by="reason"), EVERY)
    rate = substitute(rate_if_seen("fallbacks_total", by="reason"), EVERY)
    never, once = "0 0 0 0 0 0 0 0 0", "0 1 1 1 1 1 1 1 1"
    zero = {"2m": {'{reason="open"}': 0.0}}
    ask(tmp_path, {named("timeout"): never, named("open"): once}, {bar: zero, rate: zero})


def test_a_trip_is_marked_once_whatever_its_reason_and_a_failed_probe_is_none(tmp_path: Path) -> None:
    (expr,) = {each.expr for each in annotation_queries(EVERY) if each.panel == "annotation: Breaker trips"}
    series = {
        f'{TRIPS}{{job="j",instance="i",target="switch",to="open",reason="consecutive"}}': "0 0 1 1 1 1",
        f'{TRIPS}{{job="j",instance="i",target="switch",to="open",reason="failure_rate"}}': "0 0 1 1 1 1",
        f'{TRIPS}{{job="j",instance="i",target="switch",to="open",reason="probe_failed"}}': "0 0 0 0 1 2",
    }
    mark = {'{instance="i",target="switch"}': 2.0}
    ask(tmp_path, series, {expr: {"15s": {}, "30s": mark, "45s": {}, "1m": {}, "75s": {}}})


def test_an_override_is_marked_where_it_begins(tmp_path: Path) -> None:
    (expr,) = {each.expr for each in annotation_queries(EVERY) if each.panel == "annotation: Overrides"}
    ask(
        tmp_path,
        {HELD: "0 1 1 1 0 1"},
        {expr: {"15s": {HELD: 1.0}, "30s": {}, "45s": {}, "1m": {}, "75s": {HELD: 1.0}}},
    )


def test_who_answers_now_is_the_switch_until_one_answer_was_not_its_own_and_then_who_answers_instead(
    tmp_path: Path,
) -> None:
    (expr,) = (each.expr for each in panel_queries(EVERY) if each.panel == "Who answers now")

    def chats(outcome: str) -> str:
        return f'vx11_sidecar_chat_requests_total{{job="j",instance="i",outcome="{outcome}",code="200"}}'

    series = {  # per minute: the switch answers, madre does, then nobody does and the switch is well again
        'vx11_sidecar_degraded{job="j",instance="i"}': "0 0 0 0 0 1 1 1 1 1 1 1 1 0 0 0",
        chats("primary"): "0 9 18 27 36 36 36 36 36 36 36 36 36 37 37 37",
        chats("fallback"): "0 0 0 0 0 9 18 27 36 36 36 36 36 36 36 36",
        chats("local"): "0 0 0 0 0 0 0 0 0 1 2 3 4 4 4 4",
    }
    seen = {"1m": "primary", "75s": "fallback", "2m": "fallback", "180s": "local", "210s": "primary"}
    ask(
        tmp_path,
        series,
        {f"group by (outcome) ({expr})": {at: {f'{{outcome="{who}"}}': 1.0} for at, who in seen.items()}},
    )
