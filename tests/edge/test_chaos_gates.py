"""The gates: who may let rules act, until when, and that everybody hears of it. On virtual clocks of which one can be set."""

from __future__ import annotations

import asyncio

import pytest
import virtual_loop
from kitchen import Slate, policy

from sidecar.core.fact import ChaosSwitched
from sidecar.edge.chaos import LOOK, Chaos

NOON = 1_893_499_200  # 2030-01-01T12:00:00Z
SOON = {"name": "soon", "target": "any", "percentage": "100%", "cut": True, "expires_at": "2030-01-01T12:01:00Z"}
LATE = {**SOON, "name": "late", "expires_at": "2030-01-01T13:00:00Z"}
OVER = {**SOON, "name": "over", "expires_at": "2030-01-01T12:00:00Z"}
WHO = {"author": "ana", "reason": "game day", "ttl": 120.0}


class Stage:
    """A monotonic clock that began at 500 and a wall clock that began at noon; the wall clock may be set."""

    def __init__(self, *, allowed=False):
        self.seconds = 0.0
        self.set = 0.0
        self.facts = []
        self.slate = Slate()
        self.chaos = Chaos(
            lambda: 500 + self.seconds,
            lambda: NOON + self.seconds + self.set,
            self.facts.append,
            self.slate.log,
            allowed=allowed,
        )

    def adopt(self, *rules):
        self.chaos.adopt(policy(chaos=list(rules)).chaos)

    @property
    def live(self):
        return [one.rule.name for one in self.chaos.live if 500 + self.seconds < one.until]

    @property
    def switched(self):
        assert all(isinstance(fact, ChaosSwitched) for fact in self.facts)
        return [(fact.active, fact.why) for fact in self.facts]

    def said(self):
        return [event for _, event, _ in self.slate.lines]

    async def watched(self, seconds):
        """Let the watch run for so long, with the clocks of the loop."""
        loop = asyncio.get_running_loop()
        began, before = loop.time(), self.seconds
        task = loop.create_task(self.chaos.watch())
        while loop.time() - began < seconds:
            await asyncio.sleep(LOOK / 5)
            self.seconds = before + loop.time() - began
        task.cancel()


def test_a_file_alone_breaks_nothing_and_says_so():
    stage = Stage()
    stage.adopt(SOON, LATE, OVER)
    assert stage.live == []
    assert stage.switched == []
    assert stage.slate.lines == [
        ("warning", "chaos_not_armed", {"rules": 2, "note": "the policy has chaos rules, and nothing is broken"})
    ]
    assert list(stage.chaos.notes()) == [
        "2 chaos rules that have not expired are part of the policy; nothing is broken, for nobody has switched them on"
    ]
    assert stage.chaos.view()["active"] is False


def test_without_rules_there_is_nothing_to_say():
    for allowed in (False, True):
        stage = Stage(allowed=allowed)
        stage.adopt()
        assert (stage.live, stage.switched, stage.slate.lines, list(stage.chaos.notes()), stage.chaos.view()) == (
            [],
            [],
            [],
            [],
            None,
        )


def test_the_flag_lets_every_rule_act_that_has_not_expired():
    stage = Stage(allowed=True)
    stage.adopt(SOON, OVER, LATE)
    assert stage.live == ["soon", "late"]
    assert [one.index for one in stage.chaos.live] == [0, 2]  # places in the policy: draws depend on them
    assert [one.until for one in stage.chaos.live] == [560.0, 4100.0]
    assert stage.switched == [(True, "flag")]
    assert stage.said() == ["chaos_on"]
    assert list(stage.chaos.notes()) == [
        "CHAOS is on: attempts on targets are broken on purpose (soon, late), allowed by --allow-chaos"
    ]


def test_an_order_lets_them_act_for_a_while():
    stage = Stage()
    stage.adopt(SOON, LATE)
    stage.chaos.order(**WHO)
    assert stage.live == ["soon", "late"]
    assert [one.until for one in stage.chaos.live] == [560.0, 620.0]  # never after expires_at, never after the order
    assert stage.switched == [(True, "operator")]
    view = stage.chaos.view()
    assert (view["active"], view["allowed_by"], view["author"], view["reason"], view["seconds_left"]) == (
        True, "ana", "ana", "game day", 120.0,
    )  # fmt: skip
    assert view["rules"][0] == {
        "name": "soon", "target": "any", "percentage": 1.0, "expires_at": "2030-01-01T12:01:00Z", "expired": False,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"ttl": 0}, "ttl"),
        ({"ttl": 4 * 3600.1}, "ttl"),
        ({"ttl": float("nan")}, "ttl"),
        ({"author": " "}, "author"),
        ({"reason": "a\nb"}, "reason"),
        ({"reason": "a" * 201}, "reason"),
    ],
)
def test_what_cannot_be_an_order_is_refused_and_changes_nothing(change, word):
    stage = Stage()
    stage.adopt(LATE)
    with pytest.raises(ValueError, match=f"^{word}: "):
        stage.chaos.order(**{**WHO, **change})
    assert (stage.live, stage.switched) == ([], [])


@pytest.mark.parametrize("rules", [(), (OVER,)])
def test_there_must_be_a_rule_to_switch_on(rules):
    stage = Stage()
    stage.adopt(*rules)
    with pytest.raises(LookupError, match="nothing to switch on"):
        stage.chaos.order(**WHO)
    assert stage.live == []


@pytest.mark.parametrize("allowed", [False, True])
def test_a_stop_holds_against_flag_and_reload_until_somebody_orders_again(allowed):
    stage = Stage(allowed=allowed)
    stage.adopt(LATE)
    stage.chaos.order(**WHO)
    assert stage.chaos.stop() is True
    assert stage.live == []
    assert stage.chaos.stop() is False
    stage.adopt(SOON)
    assert stage.live == []
    stage.chaos.order(**WHO)
    assert stage.live == ["soon"]
    assert stage.switched[-2:] == [(False, "stopped"), (True, "operator")]


def test_an_order_survives_a_reload_that_leaves_the_rules_and_ends_with_one_that_changes_them():
    stage = Stage()
    stage.adopt(LATE)
    stage.chaos.order(**WHO)
    stage.adopt(LATE)
    assert stage.live == ["late"]
    stage.adopt(LATE, SOON)
    assert stage.live == []
    assert stage.switched == [(True, "operator"), (False, "policy")]
    assert stage.said()[-2:] == ["chaos_off", "chaos_not_armed"]


def test_with_the_flag_new_rules_act_at_once_and_rules_that_are_gone_do_not():
    stage = Stage(allowed=True)
    stage.adopt(LATE)
    stage.adopt(SOON)
    assert stage.live == ["soon"]
    stage.adopt()
    assert stage.switched == [(True, "flag"), (False, "policy")]


def test_it_ends_by_itself_rule_by_rule_and_is_said():
    async def play():
        stage = Stage(allowed=True)
        stage.adopt(SOON, LATE)
        await stage.watched(61.0)
        assert stage.live == ["late"]
        assert stage.said() == ["chaos_on", "chaos_rule_ended"]
        await stage.watched(3600.0)
        assert (stage.live, stage.chaos.live) == ([], ())
        assert stage.switched == [(True, "flag"), (False, "expired")]
        assert stage.said()[-1] == "chaos_off"
        assert stage.chaos.view()["rules"][0]["expired"] is True

    virtual_loop.run(play())


def test_an_order_ends_by_itself():
    async def play():
        stage = Stage()
        stage.adopt(LATE)
        stage.chaos.order(**WHO)
        await stage.watched(119.0)
        assert stage.live == ["late"]
        await stage.watched(2.0)
        assert stage.live == []
        assert stage.switched == [(True, "operator"), (False, "ended")]
        assert stage.chaos.view()["author"] is None

    virtual_loop.run(play())


def test_a_rule_acts_no_longer_than_to_its_end_although_nobody_has_looked_yet():
    stage = Stage(allowed=True)
    stage.adopt(SOON)
    stage.seconds = 60.0
    assert stage.chaos.live  # the watch has not come by
    assert stage.live == []
    assert stage.chaos.view()["active"] is False


def test_a_wall_clock_that_is_set_forward_is_followed_and_one_set_back_brings_nothing_back():
    async def play():
        stage = Stage(allowed=True)
        stage.adopt(SOON)
        stage.set = 3600.0
        await stage.watched(1.0)
        assert stage.live == []
        stage.set = 0.0
        await stage.watched(1.0)
        assert stage.live == []
        assert stage.switched == [(True, "flag"), (False, "expired")]

    virtual_loop.run(play())
