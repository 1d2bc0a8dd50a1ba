"""What a board must be: each rule gives findings, and a finding names its rule, the panel and what is wrong."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import combinations

import promql_parser as promql

from dashboards.board import TAG, UIDS
from tests.dashboards.expression import Known, family, grouped_by, labels_in, labels_joined, selectors, walk
from tests.dashboards.looks import EVENTS
from tests.dashboards.queries import Board, panels, substitute
from tests.dashboards.reading import RULES, Finding, called, queries, rule

SOURCE = {"type": "prometheus", "uid": "${datasource}"}
SCRAPED = {"job", "instance", "worker"}  # the last where several workers answer at one port
UNCHECKED = "cannot be checked"
OVER_COUNTERS = {"rate", "irate", "increase"}
WIDEST_OVERVIEW = 12


def lint(name: str, board: Board, known: Known) -> list[Finding]:
    """Everything that is wrong with the board in the file ``name``."""
    found = []
    for each, check in RULES.items():
        try:
            found += [Finding(each, f"{name}: {where}", what) for where, what in check(name, board, known)]
        except (KeyError, ValueError) as error:  # another rule says what is missing, or what does not parse
            found.append(Finding(each, name, f"{UNCHECKED}: {error!r}"))
    return found


# -- the board ------------------------------------------------------------------------------------------------------


@rule
def uid_is_fixed(name: str, board: Board, known: Known) -> Iterator[tuple[str, str]]:
    if board.get("uid") != UIDS[name]:
        yield "board", f"uid {board.get('uid')!r} is not {UIDS[name]!r}"
    if board.get("id") is not None:
        yield "board", "has an id of some server"


@rule
def variables_exist(name: str, board: Board, known: Known) -> Iterator[tuple[str, str]]:
    found = {variable["name"]: variable for variable in board["templating"]["list"]}
    for wanted, kind in (("datasource", "datasource"), ("job", "query"), ("instance", "query")):
        if found.get(wanted, {}).get("type") != kind:
            yield "variables", f"no {kind} variable called {wanted}"
    for variable in found.values():
        if not variable.get("label") or not variable.get("description"):
            yield "variables", f"{variable['name']} has no label or description"


@rule
def variables_are_used(name: str, board: Board, known: Known) -> Iterator[tuple[str, str]]:
    said = str(board["panels"])
    for variable in board["templating"]["list"]:
        if f"${variable['name']}" not in said and f"${{{variable['name']}}}" not in said:
            yield "variables", f"{variable['name']} is used by no panel"


@rule
def annotated(name: str, board: Board, known: Known) -> Iterator[tuple[str, str]]:
    exprs = " ".join(annotation["expr"] for annotation in board["annotations"]["list"])
    about_chat = () if name == "runtime" else ("breaker_transitions_total",)
    for metric in ("policy_reloads_total", "override_active", "chaos_active", *about_chat):
        if metric not in exprs:
            yield "annotations", f"none about {metric}"


@rule
def annotations_are_moments(name: str, board: Board, known: Known) -> Iterator[tuple[str, str]]:
    """What is true for longer than a step becomes a region in Grafana, and many regions are a red wash. Chaos is meant to be one."""
    for annotation in board["annotations"]["list"]:
        if annotation["name"] == "Chaos":
            continue
        if "[" in annotation["expr"] or EVENTS not in annotation["expr"]:
            yield annotation["name"], "does not compare with one step before"
        if "reason" in grouped_by(annotation["expr"]):
            yield annotation["name"], "marks one moment once for each reason"
        if annotation.get("step") not in {"15s", "30s"}:
            yield annotation["name"], f"looks every {annotation.get('step')}"


@rule
def leads_to_its_siblings(name: str, board: Board, known: Known) -> Iterator[tuple[str, str]]:
    ways = [link for link in board.get("links", ()) if link["type"] == "dashboards" and TAG in link["tags"]]
    if TAG not in board.get("tags", ()) or not ways:
        yield "board", f"neither found nor left by the tag {TAG}"
    if not all(link.get("keepTime") and link.get("includeVars") for link in ways):
        yield "board", "its links forget time or variables"
    urls = [link["url"] for panel in panels(board) for link in panel.get("links") or ()]
    for url in urls:
        if (found := re.match(r"/d/([^?/]+)", url)) and found[1] not in UIDS.values():
            yield "board", f"a link leads to {found[1]}, which does not exist"


@rule
def described(name: str, board: Board, known: Known) -> Iterator[tuple[str, str]]:
    if not board.get("title") or not board.get("description"):
        yield "board", "has no title or description"
    for panel in panels(board):
        if not panel.get("title"):
            yield f"panel {panel.get('id')}", "has no title"
        text = panel.get("description") or ""
        if len(text) < 60 or not text.endswith(".") or "  " in text:
            yield called(panel), "has no description of a sentence or more"


@rule
def short_enough(name: str, board: Board, known: Known) -> Iterator[tuple[str, str]]:
    if name == "overview" and len(panels(board)) > WIDEST_OVERVIEW:
        yield "board", f"{len(panels(board))} panels are no overview"


# -- the panels -----------------------------------------------------------------------------------------------------


@rule
def has_a_unit(name: str, board: Board, known: Known) -> Iterator[tuple[str, str]]:
    for panel in panels(board):
        unit = panel["fieldConfig"]["defaults"].get("unit")
        if not unit:
            yield called(panel), "has no unit"
        if panel["type"] == "timeseries" and unit == "none":
            yield called(panel), "shows numbers over time without a unit"


@rule
def says_what_nothing_means(name: str, board: Board, known: Known) -> Iterator[tuple[str, str]]:
    for panel in panels(board):
        if len(panel["fieldConfig"]["defaults"].get("noValue") or "") < 8:
            yield called(panel), "does not say what an empty panel means"


@rule
def told_apart(name: str, board: Board, known: Known) -> Iterator[tuple[str, str]]:
    for field in ("id", "title"):
        values = [panel.get(field) for panel in board["panels"]]
        for value in sorted({str(value) for value in values if values.count(value) > 1}):
            yield "panels", f"{field} {value} is there twice"


@rule
def inside_the_grid(name: str, board: Board, known: Known) -> Iterator[tuple[str, str]]:
    places = [(panel, panel["gridPos"]) for panel in board["panels"]]
    for panel, at in places:
        if at["x"] < 0 or at["w"] < 1 or at["h"] < 1 or at["x"] + at["w"] > 24:
            yield called(panel), f"is outside the grid: {at}"
    for (one, a), (other, b) in combinations(places, 2):
        if (
            a["x"] < b["x"] + b["w"]
            and b["x"] < a["x"] + a["w"]
            and a["y"] < b["y"] + b["h"]
            and b["y"] < a["y"] + a["h"]
        ):
            yield called(one), f"lies over {called(other)}"


@rule
def objectives_come_from_the_policy(name: str, board: Board, known: Known) -> Iterator[tuple[str, str]]:
    for panel in panels(board):
        if "SLO" in panel.get("title", "") and not any("policy_slo{" in target["expr"] for target in panel["targets"]):
            yield called(panel), "speaks of an SLO and does not read it from policy_slo"


# -- the queries ----------------------------------------------------------------------------------------------------


@rule
def asks_the_chosen_source(name: str, board: Board, known: Known) -> Iterator[tuple[str, str]]:
    for panel in panels(board):
        if panel.get("datasource") != SOURCE or any(target.get("datasource") != SOURCE for target in panel["targets"]):
            yield called(panel), "does not use the variable datasource"
    for asked in (*board["annotations"]["list"], *board["templating"]["list"]):
        if asked.get("type") in {None, "query"} and asked.get("datasource") != SOURCE:
            yield asked["name"], "does not use the variable datasource"


@rule
def asks_something(name: str, board: Board, known: Known) -> Iterator[tuple[str, str]]:
    for panel in panels(board):
        refs = [target["refId"] for target in panel["targets"]]
        if not refs or len(set(refs)) < len(refs):
            yield called(panel), f"its queries are called {refs}"
        for target in panel["targets"]:
            if not target.get("legendFormat"):
                yield called(panel), f"{target['refId']} has no legend"
            if bool(target.get("instant")) == bool(target.get("range")):
                yield called(panel), f"{target['refId']} is neither instant nor range, or both"


@rule
def parses(name: str, board: Board, known: Known) -> Iterator[tuple[str, str]]:
    for where, expr, _ in queries(board):
        if re.search(r"\$[^\d]", substitute(expr)):  # $1 is a group of label_replace
            yield where, f"a variable is left over in {substitute(expr)}"
        try:
            promql.parse(substitute(expr))
        except ValueError as error:
            yield where, f"{error}: {expr}"


@rule
def is_scoped(name: str, board: Board, known: Known) -> Iterator[tuple[str, str]]:
    for where, expr, _ in queries(board):
        for selector in selectors(expr, {"$job": "J", "$instance": "I"}):
            matchers = [matcher for matcher in selector.matchers.matchers if matcher.op == promql.MatchOp.Re]
            said = {(matcher.name, matcher.value) for matcher in matchers}
            for label, value in (("job", "J"), ("instance", "I")):
                if not said & {(label, value), (label, f"{value}|")}:
                    yield where, f"{selector.name} is not bound to ${label}"


@rule
def rates_fit_the_scrape(name: str, board: Board, known: Known) -> Iterator[tuple[str, str]]:
    for where, expr, instant in queries(board):
        for function, window in re.findall(r"\b(\w+)\((?:[^\[\]()]*)\[([^\]]+)\]", expr):
            if function in {"rate", "irate"} and window != "$__rate_interval":
                yield where, f"{function} over {window}, not $__rate_interval"
            fixed = window not in {"$__rate_interval", "$__range", "$slo_window"}
            if function == "increase" and fixed and not instant:
                yield where, f"increase over {window} drawn over time"


@rule
def counters_are_counted(name: str, board: Board, known: Known) -> Iterator[tuple[str, str]]:
    for where, expr, _ in queries(board):
        for node, above in walk(promql.parse(substitute(expr))):
            if not isinstance(node, promql.VectorSelector):
                continue
            counter = node.name.endswith(("_total", "_bucket", "_count", "_sum"))
            compared = f"{node.name}{{" in expr and EVENTS in expr and above not in OVER_COUNTERS
            if counter != (above in OVER_COUNTERS) and not (counter and compared):
                yield where, f"{node.name} within {above or 'nothing'}"


@rule
def metrics_exist(name: str, board: Board, known: Known) -> Iterator[tuple[str, str]]:
    for where, expr, _ in queries(board):
        for selector in selectors(expr):
            if selector.name not in known.series and selector.name != "ALERTS":
                yield where, f"no metric is called {selector.name}"


@rule
def labels_exist(name: str, board: Board, known: Known) -> Iterator[tuple[str, str]]:
    for where, expr, _ in queries(board):
        for selector in selectors(expr):
            labels = family(selector.name, known).labels
            for matcher in selector.matchers.matchers:
                if matcher.name in SCRAPED:
                    continue
                if matcher.name not in labels:
                    yield where, f"{selector.name} has no label {matcher.name}"
                elif labels[matcher.name]:
                    for value in sorted(set(matcher.value.split("|")) - labels[matcher.name]):
                        yield where, f"{selector.name}: {matcher.name} is never {value!r}"
        for label in sorted(grouped_by(expr) - SCRAPED - {"le"} - labels_in(expr, known)):
            yield where, f"groups by {label}, which nothing in it has"


@rule
def legends_exist(name: str, board: Board, known: Known) -> Iterator[tuple[str, str]]:
    for panel in panels(board):
        for target in panel["targets"]:
            has = labels_in(target["expr"], known) | SCRAPED
            if grouped := grouped_by(target["expr"]):
                has &= grouped | labels_joined(target["expr"], known)
            for label in sorted(set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])) - has):
                yield called(panel), f"its legend names {label}, which the result of {target['refId']} has not"
