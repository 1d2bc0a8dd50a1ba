"""What is held against a run: here on runs that are made up, since a good one surprises nobody."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest

from tests.incident.acts import PAGER, TICKETS, TOLERATED, Act, Expected, alert, over
from tests.incident.alertmanager import Told, configuration
from tests.incident.run import surprises
from tests.incident.watch import Key, Span, Watch, key

SHED = alert("Shedding", why="chats")
ACTS = (Act("quiet", over), Act("crowd", over, (Expected(SHED, TICKETS, "it sheds"),)))


def labels(of: Key) -> Mapping[str, str]:
    return {"alertname": of.name, "severity": "ticket", "instance": "a", "sloth_id": "x", **dict(of.of)}


def run(spans: Mapping[Key, list[Span]], told: list[tuple[str, Key]], states: Mapping[Key, set[str]]) -> Any:
    """A town whose second act began at 10 s, and what was seen there."""
    receivers = SimpleNamespace(told=[Told(0.0, receiver, "firing", labels(each)) for receiver, each in told])
    return SimpleNamespace(
        marks={"quiet": 0.0, "crowd": 10.0}, watch=SimpleNamespace(spans=spans, passed_on=states), receivers=receivers
    )


GOOD = ({SHED: [Span(12.0, 20.0)]}, [(TICKETS, SHED)], {SHED: {"active"}})


def test_a_run_as_expected_surprises_nobody():
    assert surprises(run(*GOOD), ACTS) == []


@pytest.mark.parametrize("let_pass", sorted(TOLERATED))
def test_what_says_that_the_machine_is_busy_surprises_nobody(let_pass):
    spans, told, states = GOOD
    assert surprises(run({**spans, let_pass: [Span(1.0, 2.0)]}, [*told, (TICKETS, let_pass)], states), ACTS) == []


def test_an_alert_that_nothing_should_make_fire_is_a_surprise_and_so_is_telling_of_it():
    spans, told, states = GOOD
    down = alert("Down")
    found = surprises(run({**spans, down: [Span(3.0, 4.0)]}, [*told, (PAGER, down)], states), ACTS)
    assert found == ["VX11SidecarDown at 3.0 s: nothing should make it fire", "pager was told of VX11SidecarDown"]


def test_an_alert_of_another_target_is_another_alert():
    other = alert("Shedding", why="relays")
    spans, told, states = GOOD
    [found] = surprises(run({**spans, other: [Span(12.0, 12.0)]}, told, states), ACTS)
    assert found.startswith("VX11SidecarShedding why=relays at 12.0 s")


def test_an_alert_before_its_cause_is_a_surprise_also_if_it_fires_again_after_it():
    [found] = surprises(run({SHED: [Span(3.0, 4.0), Span(12.0, 13.0)]}, *GOOD[1:]), ACTS)
    assert found == "VX11SidecarShedding why=chats at 3.0 s: before its cause at 10.0 s"


def test_telling_somebody_else_is_a_surprise():
    assert surprises(run(GOOD[0], [(PAGER, SHED)], GOOD[2]), ACTS) == [
        "pager was told of VX11SidecarShedding why=chats"
    ]


def test_an_alert_that_never_reached_alertmanager_is_a_surprise():
    assert surprises(run(GOOD[0], GOOD[1], {}), ACTS) == ["Alertmanager never had VX11SidecarShedding why=chats"]


def test_a_ticket_that_no_page_kept_quiet_is_a_surprise():
    acts = (*ACTS[:1], Act("crowd", over, (Expected(SHED, TICKETS, "it sheds", withheld=True),)))
    [found] = surprises(run(*GOOD), acts)
    assert "never kept quiet" in found
    assert surprises(run(*GOOD[:2], {SHED: {"active", "suppressed"}}), acts) == []


def test_an_alert_that_fires_twice_has_two_spans():
    watch = Watch(None, None)  # type: ignore[arg-type]
    for now, firing in ((1.0, {SHED}), (2.0, {SHED}), (3.0, set()), (4.0, {SHED})):
        watch._take(now, frozenset(firing))
    assert watch.spans == {SHED: [Span(1.0, 2.0), Span(4.0, 4.0)]}
    assert key(labels(SHED)) == SHED


def test_alertmanagers_times_shrink_and_its_receivers_stay():
    config = configuration("http://127.0.0.1:1", 60.0)
    assert config["global"] == {"resolve_timeout": "5000ms"}
    [ours] = config["route"]["routes"]
    page = ours["routes"][0]
    assert (page["receiver"], page["group_wait"], page["repeat_interval"]) == ("pager", "1000ms", "60000ms")
    urls = [hook["url"] for each in config["receivers"] for hook in each.get("webhook_configs", ())]
    assert urls == ["http://127.0.0.1:1/pager", "http://127.0.0.1:1/tickets"]
    assert len(config["inhibit_rules"]) == 3
