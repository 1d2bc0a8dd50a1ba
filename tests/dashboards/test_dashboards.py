"""The boards are what the code makes, and nothing is wrong with them; and the lint that says so can say otherwise."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
from ruamel.yaml import YAML

from dashboards import expressions
from dashboards.__main__ import BOARDS, WHERE, write
from dashboards.board import UIDS
from dashboards.not_shown import NOT_SHOWN
from sidecar.rules import slo
from sidecar.rules.alert import SERVICE
from tests.dashboards.expression import Known
from tests.dashboards.lint import UNCHECKED, lint
from tests.dashboards.queries import Board, Panel, annotation_queries, boards, panel_queries, panels
from tests.dashboards.reading import RULES, selected
from tests.dashboards.registry import families, family_of, series

FAMILIES = families()
KNOWN = Known(series(FAMILIES))
PROVISIONING = WHERE.parent / "provisioning"


def test_making_the_boards_again_changes_nothing(tmp_path: Path) -> None:
    write(tmp_path)
    made = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert made == {path.name: path.read_text() for path in WHERE.iterdir()}, "python -m dashboards was not run"


def test_every_board_is_committed() -> None:
    assert set(boards()) == set(BOARDS) == set(UIDS)


@pytest.mark.parametrize("name", BOARDS)
def test_nothing_is_wrong_with(name: str) -> None:
    assert lint(name, boards()[name], KNOWN) == []


def test_every_metric_is_on_a_board_or_left_out_for_a_reason() -> None:
    shown = {
        family_of(name) if family_of(name) in FAMILIES else name
        for board in boards().values()
        for name in selected(board)
    }
    assert set(FAMILIES) - shown == set(NOT_SHOWN)
    assert all(len(reason) > 20 for reason in NOT_SHOWN.values())


def test_boards_and_alert_rules_count_the_same_chats_and_know_each_other() -> None:
    assert f'outcome=~"{slo.COUNTED}"' == expressions.COUNTED
    assert f'outcome=~"{slo.ANSWERED}"' == expressions.ANSWERED
    assert f'service="{SERVICE}"' in expressions.ALERT_SCOPE


def test_queries_have_no_variable_left() -> None:
    asked = panel_queries() + annotation_queries()
    assert len(asked) > 80
    assert not [each for each in asked if re.search(r"\$[^\d]", each.expr)]


def test_grafana_is_told_where_the_boards_are() -> None:
    read = YAML(typ="safe").load
    (provider,) = read((PROVISIONING / "dashboards.yaml").read_text())["providers"]
    assert provider["type"] == "file"
    assert PurePosixPath(provider["options"]["path"]).is_absolute()
    assert provider["options"]["path"] in (WHERE.parent.parent / "docs" / "dashboards.md").read_text()
    (source,) = read((PROVISIONING / "datasources.yaml").read_text())["datasources"]
    assert (source["type"], source["isDefault"]) == ("prometheus", True)


# -- the lint can fail: one broken board for each rule, most for several ----------------------------------------------------

Break = Callable[[Board], Any]


def _panel(board: Board, kind: str = "timeseries", number: int = 0) -> Panel:
    return [panel for panel in panels(board) if panel["type"] == kind][number]


def _ask(expr: str, **target: Any) -> Break:
    """Let one panel ask ``expr``."""
    return lambda board: _panel(board)["targets"][0].update(expr=expr, **target)


def _called(board: Board, title: str) -> Panel:
    return next(panel for panel in panels(board) if title in panel["title"])


_FALLBACKS = 'vx11_sidecar_fallbacks_total{job=~"$job",instance=~"$instance"}'
_TRIPS = 'vx11_sidecar_breaker_transitions_total{job=~"$job",instance=~"$instance"}'
_ALL = '{job=~"$job",instance=~"$instance"'
_CHATS = "vx11_sidecar_chat_requests_total"
_DEGRADED = "vx11_sidecar_degraded"

BROKEN: list[tuple[str, str, Break]] = [
    ("uid_is_fixed", "no uid", lambda b: b.pop("uid")),
    ("uid_is_fixed", "another board's uid", lambda b: b.update(uid=UIDS["runtime"])),
    ("uid_is_fixed", "a server's id", lambda b: b.update(id=7)),
    ("variables_exist", "no job", lambda b: b["templating"]["list"].pop(1)),
    ("variables_exist", "no text", lambda b: b["templating"]["list"][2].update(description="")),
    ("variables_are_used", "unused", lambda b: b["templating"]["list"][3].update(name="nobody")),
    ("annotated", "no trips", lambda b: b["annotations"]["list"].pop(2)),
    ("annotated", "none", lambda b: b["annotations"].update(list=[])),
    ("annotations_are_moments", "a period", lambda b: _mark(b, "vx11_sidecar_override_active{} > 0")),
    ("annotations_are_moments", "a window", lambda b: _mark(b, f"increase({_TRIPS}[1m]) > 0")),
    ("annotations_are_moments", "reasons", lambda b: _mark(b, f"sum by (reason) ({_TRIPS} offset $__interval) > 0")),
    ("annotations_are_moments", "rarely", lambda b: b["annotations"]["list"][0].update(step="5m")),
    ("leads_to_its_siblings", "no links", lambda b: b.update(links=[])),
    ("leads_to_its_siblings", "no tag", lambda b: b.update(tags=[])),
    ("leads_to_its_siblings", "forgets time", lambda b: b["links"][0].update(keepTime=False)),
    ("leads_to_its_siblings", "leads nowhere", lambda b: panels(b)[0]["links"][0].update(url="/d/gone?x")),
    ("described", "board", lambda b: b.update(description="")),
    ("described", "panel", lambda b: panels(b)[3].pop("description")),
    ("described", "hardly", lambda b: panels(b)[3].update(description="Chats.")),
    ("described", "title", lambda b: panels(b)[3].update(title="")),
    ("short_enough", "a thirteenth panel", lambda b: b["panels"].append(copy.deepcopy(b["panels"][0]))),
    ("has_a_unit", "none at all", lambda b: _panel(b)["fieldConfig"]["defaults"].pop("unit")),
    ("has_a_unit", "bare numbers", lambda b: _panel(b)["fieldConfig"]["defaults"].update(unit="none")),
    ("says_what_nothing_means", "silent", lambda b: _panel(b)["fieldConfig"]["defaults"].pop("noValue")),
    ("told_apart", "ids", lambda b: b["panels"][0].update(id=b["panels"][1]["id"])),
    ("told_apart", "titles", lambda b: b["panels"][0].update(title=b["panels"][1]["title"])),
    ("inside_the_grid", "overlap", lambda b: b["panels"][1]["gridPos"].update(x=0)),
    ("inside_the_grid", "too wide", lambda b: b["panels"][-1]["gridPos"].update(w=25)),
    ("legend_has_figures", "no values", lambda b: _panel(b)["options"]["legend"].update(calcs=[])),
    ("legend_has_figures", "hidden", lambda b: _panel(b)["options"]["legend"].update(showLegend=False)),
    (
        "legend_hides_nothing",
        "a table below",
        lambda b: _legend(b, "Good answers", displayMode="table", placement="bottom"),
    ),
    ("legend_hides_nothing", "a long line", lambda b: _legend(b, "Latency", displayMode="list", width=6)),
    ("legend_hides_nothing", "too low", lambda b: _called(b, "Latency")["gridPos"].update(h=3)),
    ("legend_hides_nothing", "all of them", lambda b: _everything(_called(b, "Why degraded"))),
    ("title_fits", "narrow", lambda b: _called(b, "Good answers")["gridPos"].update(w=6)),
    ("gaps_are_gaps", "five minutes", lambda b: _custom(_called(b, "Latency")).update(spanNulls=300_000)),
    ("stacks_add_up", "over and over", lambda b: _stack(b, f"increase({_FALLBACKS}[$__rate_interval])")),
    ("stacks_add_up", "fractions", lambda b: _called(b, "Why")["fieldConfig"]["defaults"].pop("decimals")),
    ("stacks_add_up", "up to 100", lambda b: _custom(_called(b, "Why")).pop("axisSoftMax")),
    ("stacks_add_up", "the last bar", lambda b: _called(b, "Why")["options"]["legend"].update(calcs=["last"])),
    (
        "stacks_add_up",
        "areas",
        lambda b: _custom(_called(b, "Latency, ")).update(stacking={"mode": "normal"}) or _gauge(b),
    ),
    ("stacks_are_painted", "one", lambda b: _called(b, "Why")["fieldConfig"]["overrides"].pop()),
    ("bounds_are_told_apart", "not its colour", lambda b: _recolour(_bounded(b), "switch burst", "dark-red")),
    ("bounds_are_told_apart", "same dashes", lambda b: _bounded(b, [1, 1])),
    ("coloured_by_meaning", "no colours", lambda b: _called(b, "Chats by outcome")["fieldConfig"].update(overrides=[])),
    ("coloured_by_meaning", "not these", lambda b: _recolour(_called(b, "Chats by outcome"), "failed", "green")),
    ("objectives_come_from_the_policy", "a literal", lambda b: _literal(_called(b, "Available"))),
    ("asks_the_chosen_source", "panel", lambda b: _panel(b)["datasource"].update(uid="prometheus")),
    ("asks_the_chosen_source", "query", lambda b: _panel(b)["targets"][0]["datasource"].update(uid="abc")),
    ("asks_the_chosen_source", "annotation", lambda b: b["annotations"]["list"][0]["datasource"].update(uid="abc")),
    ("asks_the_chosen_source", "variable", lambda b: b["templating"]["list"][1]["datasource"].update(uid="abc")),
    ("asks_something", "no query", lambda b: _panel(b).update(targets=[])),
    ("asks_something", "no legend", lambda b: _panel(b)["targets"][0].update(legendFormat="")),
    ("asks_something", "refs twice", lambda b: _panel(b, number=1)["targets"][0].update(refId="B")),
    ("asks_something", "both", lambda b: _panel(b)["targets"][0].update(instant=True)),
    ("parses", "syntax", _ask(f"sum(rate({_CHATS}{_ALL}}}[$__rate_interval])")),
    ("parses", "a variable nobody knows", _ask(f"sum(increase({_CHATS}{_ALL}}}[$window]))")),
    ("is_scoped", "no job", _ask(f'{_DEGRADED}{{instance=~"$instance"}}')),
    ("is_scoped", "no instance", _ask(f'{_DEGRADED}{{job=~"$job"}}')),
    ("is_scoped", "one of two", _ask(f"{_DEGRADED}{_ALL}}} and {_DEGRADED}")),
    ("is_scoped", "equal, not matching", _ask(f'{_DEGRADED}{{job="$job",instance=~"$instance"}}')),
    ("is_scoped", "annotation", lambda b: b["annotations"]["list"][2].update(expr="vx11_sidecar_override_active > 0")),
    ("rates_fit_the_scrape", "fixed window", _ask(f"sum(rate({_CHATS}{_ALL}}}[5m]))")),
    ("rates_fit_the_scrape", "the step", _ask(f"sum(rate({_CHATS}{_ALL}}}[$__interval]))")),
    ("rates_fit_the_scrape", "fixed increase", _ask(f"sum(increase({_CHATS}{_ALL}}}[5m]))")),
    ("counters_are_counted", "bare counter", _ask(f"sum({_CHATS}{_ALL}}})")),
    ("counters_are_counted", "rate of a gauge", _ask(f"rate({_DEGRADED}{_ALL}}}[$__rate_interval])")),
    ("metrics_exist", "unknown", _ask(f"vx11_sidecar_nothing{_ALL}}}")),
    ("metrics_exist", "without suffix", _ask(f"sum(rate(vx11_sidecar_retries{_ALL}}}[$__rate_interval]))")),
    ("labels_exist", "unknown label", _ask(f'{_DEGRADED}{_ALL},target="switch"}}')),
    (
        "labels_exist",
        "unknown value",
        _ask(f'sum(rate({_CHATS}{_ALL},outcome=~"primary|degraded"}}[$__rate_interval]))'),
    ),
    ("labels_exist", "unknown group", _ask(f"sum by (target) (rate({_CHATS}{_ALL}}}[$__rate_interval]))")),
    ("legends_exist", "summed away", _ask(f"sum by (code) (rate({_CHATS}{_ALL}}}[$__rate_interval]))")),
    ("legends_exist", "unknown", lambda b: _panel(b)["targets"][0].update(legendFormat="{{target}}")),
]


def _mark(board: Board, expr: str) -> None:
    board["annotations"]["list"][0].update(expr=expr)


def _custom(panel: Panel) -> dict[str, Any]:
    custom: dict[str, Any] = panel["fieldConfig"]["defaults"]["custom"]
    return custom


def _legend(board: Board, title: str, *, width: int = 12, **legend: str) -> None:
    panel = _called(board, title)
    panel["options"]["legend"].update(legend)
    panel["gridPos"].update(w=width)


def _everything(panel: Panel) -> None:
    """All reasons, and not only those that occurred."""
    panel["targets"][0].update(expr=f"sum by (reason) (rate({_FALLBACKS}[$__rate_interval]))")


def _stack(board: Board, expr: str) -> None:
    _called(board, "Why degraded")["targets"][0].update(expr=f"sum by (reason) ({expr})")


def _gauge(board: Board) -> None:
    """Let the latency panel, of all, stack what is no rate."""
    _called(board, "Latency, ")["targets"][0].update(expr=f"{_DEGRADED}{_ALL}}}")


def _bounded(board: Board, dash: list[int] | None = None) -> Panel:
    """The panel of the retry budgets, put on ``board``; its bounds drawn with ``dash``."""
    panel = _called(boards()["upstreams"], "Retry budget")
    for override in panel["fieldConfig"]["overrides"]:
        for each in override["properties"]:
            if dash is not None and each["id"] == "custom.lineStyle":
                each["value"]["dash"] = dash
    board["panels"][0] = panel
    return panel


def _recolour(panel: Panel, name: str, colour: str) -> None:
    for override in panel["fieldConfig"]["overrides"]:
        if override["matcher"]["options"] == name:
            override["properties"][0]["value"]["fixedColor"] = colour


def _literal(panel: Panel) -> None:
    for target in panel["targets"]:
        target["expr"] = f"{_DEGRADED}{_ALL}}} < 0.999"


@pytest.mark.parametrize(("rule", "how", "spoil"), BROKEN, ids=[f"{rule}: {how}" for rule, how, _ in BROKEN])
def test_the_lint_finds(rule: str, how: str, spoil: Break) -> None:
    board = boards()["overview"]
    spoil(board)
    assert rule in {finding.rule for finding in lint("overview", board, KNOWN) if UNCHECKED not in finding.what}


def test_every_rule_was_broken() -> None:
    assert set(RULES) == {rule for rule, _, _ in BROKEN}
