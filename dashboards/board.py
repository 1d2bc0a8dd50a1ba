"""What all boards share: variables, annotations, links, and how a board becomes JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from grafana_foundation_sdk.builders.dashboard import (
    AnnotationQuery,
    Dashboard,
    DashboardLink,
    DatasourceVariable,
    IntervalVariable,
    QueryVariable,
    Row,
)
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DashboardLinkType,
    VariableOption,
    VariableRefresh,
    VariableSort,
)

from dashboards.expressions import STEP, metric, total
from dashboards.panels import SOURCE

TAG = "vx11-sidecar"
UIDS = {name: f"{TAG}-{name}" for name in ("overview", "upstreams", "tuning", "runtime")}
WINDOW = "$slo_window"
WINDOWS = ("1h", "6h", "1d", "7d", "30d")
EVENTS = "15s"  # how close together the moments are that annotations look at, where the range allows it
ALL = VariableOption(selected=True, text=["All"], value=["$__all"])


def board(name: str, title: str, text: str, panels: Sequence[Any], *, slo_window: bool = False) -> str:
    """The board as JSON: a string among ``panels`` is the heading of a row."""
    made = Dashboard(f"VX11 sidecar: {title}").uid(UIDS[name]).description(text).tags([TAG]).readonly()
    made = made.time("now-6h", "now").refresh("30s").timezone("browser").tooltip(DashboardCursorSync.CROSSHAIR)
    made = made.variables([*_variables(), *([_window()] if slo_window else [])])
    made = made.annotations(_annotations(trips=name != "runtime")).link(_siblings())
    for number, panel in enumerate(panels, 1):
        heading = isinstance(panel, str)
        made = made.with_row(Row(panel).id(number)) if heading else made.with_panel(panel.id(number))
    return json.dumps(made.build(), cls=JSONEncoder, indent=2, sort_keys=True) + "\n"


def _variables() -> list[Any]:
    known = "vx11_sidecar_build_info"
    job = _query("job", f"label_values({known}, job)", "The scrape job of the sidecars")
    instance = _query("instance", f'label_values({known}{{job=~"$job"}}, instance)', "Which sidecars")
    source = DatasourceVariable("datasource").label("Data source").type("prometheus")
    return [source.description("The Prometheus that scrapes the admin ports"), job, instance]


def _query(name: str, query: str, text: str) -> QueryVariable:
    made = QueryVariable(name).label(name).description(text).datasource(SOURCE).query(query).definition(query)
    made = made.refresh(VariableRefresh.ON_TIME_RANGE_CHANGED).sort(VariableSort.ALPHABETICAL_ASC)
    return made.multi(multi=True).include_all(include_all=True).all_value(".+").current(ALL)


def _window() -> IntervalVariable:
    """What the objectives are measured over. Kept data sets a bound: a window longer than that covers what there is."""
    options = [VariableOption(selected=each == "30d", text=each, value=each) for each in WINDOWS]
    made = IntervalVariable("slo_window").label("SLO window").values(",".join(WINDOWS)).options(options)
    return made.current(options[-1]).description("What availability, undegraded and their budgets are measured over")


def _annotations(*, trips: bool) -> list[Any]:
    """Moments, not periods: each marks what was not so one step before, so that a long outage is one line and no red wash.

    A probe that fails opens a breaker again and is no trip: the timeline of the breakers shows it. Chaos alone is a period, because whoever
    looks at any graph in the middle of it must not take for trouble what is done on purpose.
    """
    reloads = _more("policy_reloads_total", "instance, result", 'result!="unchanged"')
    opened = _more("breaker_transitions_total", "instance, target", 'to="open"', 'reason!="probe_failed"')
    held = metric("override_active")
    marks = [
        _annotation("Policy reloads", "blue", reloads, "Policy reload: {{result}}", "{{instance}}"),
        _annotation(
            "Overrides", "purple", f"{held} > 0 unless {held} offset {STEP} > 0", "Override: {{kind}}", "{{instance}}"
        ),
        _annotation(
            "Chaos", "orange", f"{metric('chaos_active')} > 0", "CHAOS: attempts are broken on purpose", "{{instance}}"
        ),
    ]
    trip = _annotation("Breaker trips", "red", opened, "{{target}}: breaker opened", "{{instance}}")
    return [*marks, trip] if trips else marks


def _more(name: str, by: str, *matchers: str) -> str:
    counter = metric(name, *matchers)
    return f"{total(counter, by)} > {total(f'{counter} offset {STEP}', by)}"


def _annotation(name: str, colour: str, expr: str, title: str, text: str) -> Any:
    made = AnnotationQuery().name(name).datasource(SOURCE).enable(enable=True).icon_color(colour).expr(expr)
    return made.title_format(title).text_format(text).step(EVENTS)


def _siblings() -> Any:
    link = DashboardLink("VX11 sidecar").type(DashboardLinkType.DASHBOARDS).tags([TAG]).as_dropdown(as_dropdown=False)
    return (
        link.include_vars(include_vars=True)
        .keep_time(keep_time=True)
        .icon("external link")
        .tooltip("The other boards of the sidecar")
    )
