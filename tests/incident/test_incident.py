"""An incident of an hour and a half in a minute and a half, on real servers: every panel shows it, every alert says it, no other does."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

from tests.dashboards.prometheus import Series, binary
from tests.dashboards.queries import Asked, annotation_queries, panel_queries
from tests.incident import tables
from tests.incident.acts import ACTS, GONE, LINGERING, TOLERATED, alert
from tests.incident.run import play, rows, silent, surprises
from tests.incident.town import Town, busy, town

EVERY = (*ACTS, GONE)
FIGURES = "incident figures"  # the name under which they are shown when all tests have run


NOT_ON = {
    "overview > Overrides B",
    "tuning > A chat alone, against all B",
    "tuning > Limits moved A",
    "tuning > Limits moved B",
    "tuning > Judged together or alone A",
    "tuning > Judged together or alone B",
    "tuning > Keys, by what became of them A",
    "tuning > Keys sent to targets A",
    "upstreams > Broken on purpose A",
    "upstreams > Health probes A",
    "upstreams > Health probe latency A",
    "upstreams > Health probe latency B",
    "upstreams > Hedges A",
    "upstreams > Hedges denied A",
    *(f"{board} > annotation: Chaos " for board in ("overview", "runtime", "tuning", "upstreams")),
}
"""Queries about what a policy has to turn on, and this one does not: ``tests/dashboards/test_live.py`` fills them."""


async def test_an_incident_is_on_every_panel_and_in_every_alert_and_in_no_other(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    for program in ("prometheus", "prometheus-alertmanager"):
        binary(program)
    asked = panel_queries() + annotation_queries()
    async with town(tmp_path) as here:
        began = time.time()
        try:
            async with busy(here):
                await play(here)
                ended = time.time()
                found = await asyncio.to_thread(ask, here, asked, began, ended)
                await play(here, [GONE])
        except BaseExceptionGroup:
            record_property(
                FIGURES, "\n".join([*tables.acts(here.marks, time.time()), *tables.spans(here.watch, began)])
            )
            raise
        told = rows(here, EVERY)
        unexpected = surprises(here, EVERY)
    shown = [tables.alerts(told, silent(here)), tables.panels(asked, found), tables.acts(here.marks, time.time())]
    record_property(FIGURES, "\n\n".join("\n".join(table) for table in shown))
    assert unexpected == []
    assert set(tables.empty(asked, found)) <= NOT_ON
    assert {row.expected.alert for row in told if row.lasted is None} <= LINGERING | {alert("Down")}


def ask(here: Town, asked: list[Asked], began: float, ended: float) -> list[list[Series]]:
    """The series of each query over the whole run."""
    return [here.prometheus.query_range(each.expr, began, ended, 1.0) for each in asked]


def test_nothing_is_both_expected_and_let_pass():
    expected = [each.alert for act in EVERY for each in act.expected]
    assert len(expected) == len(set(expected))
    assert not set(expected) & TOLERATED
    assert set(expected) >= LINGERING
