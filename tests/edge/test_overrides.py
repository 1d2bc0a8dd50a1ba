"""Overrides hold for a while, by somebody, for a reason, and end."""

from __future__ import annotations

import asyncio

import pytest
import virtual_loop

from sidecar.core.engine import Engine
from sidecar.core.fact import BreakerMoved, Overridden
from sidecar.edge.admin.overrides import Overrides
from sidecar.policy.model import Policy

WHO = {"author": "ana", "reason": "switch is being restarted", "ttl": 60.0}


class Quiet:
    def __init__(self):
        self.lines = []

    def warning(self, event, **fields):
        self.lines.append((event, fields))


def stage(now=lambda: 0.0):
    facts = []
    engine = Engine(0.0, Policy(), revision="r", source="s", seed=1, emit=facts.append)
    log = Quiet()
    return Overrides(engine, now, log), facts, log


def heard(facts, kind):
    return [fact for fact in facts if isinstance(fact, kind)]


def test_an_override_reaches_the_engine_and_the_log_with_who_and_why():
    overrides, facts, log = stage()
    overrides.hold("switch", "forced_open", **WHO)
    assert [(fact.target, fact.override) for fact in heard(facts, Overridden)] == [("switch", "forced_open")]
    assert [fact.after for fact in heard(facts, BreakerMoved)] == ["forced_open"]
    assert log.lines[0][0] == "override_set"
    assert log.lines[0][1]["author"] == "ana"
    assert overrides.view() == [
        {"target": "switch", "kind": "forced_open", "author": "ana", "reason": WHO["reason"], "seconds_left": 60.0}
    ]
    assert (overrides.active("forced_open"), overrides.active("off")) == (1, 0)


def test_a_new_override_replaces_the_old_one_of_its_target():
    overrides, facts, _ = stage()
    overrides.hold("switch", "forced_open", **WHO)
    overrides.hold("switch", "off", **WHO)
    assert [held["kind"] for held in overrides.view()] == ["off"]
    assert [fact.after for fact in heard(facts, BreakerMoved)] == ["forced_open", "half_open"]


def test_an_override_ends_once():
    overrides, facts, _ = stage()
    overrides.hold("madre", "off", **WHO)
    assert overrides.release("madre", "released") is True
    assert overrides.release("madre", "released") is False
    assert [fact.override for fact in heard(facts, Overridden)] == ["off", None]
    assert overrides.view() == []


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"target": "gateway"}, "target"),
        ({"kind": "closed"}, "kind"),
        ({"ttl": 0}, "ttl"),
        ({"ttl": 24 * 3600.1}, "ttl"),
        ({"ttl": float("nan")}, "ttl"),
        ({"author": " "}, "author"),
        ({"reason": "a\nb"}, "reason"),
        ({"reason": "a" * 201}, "reason"),
    ],
)
def test_what_cannot_be_an_override_is_refused_and_changes_nothing(change, word):
    overrides, facts, _ = stage()
    with pytest.raises(ValueError, match=f"^{word}:"):
        overrides.hold(**{"target": "switch", "kind": "off", **WHO, **change})
    assert not heard(facts, Overridden)


def test_overrides_expire_by_themselves():
    async def main():
        loop = asyncio.get_running_loop()
        overrides, facts, log = stage(loop.time)
        overrides.hold("switch", "off", **WHO)
        expiring = asyncio.ensure_future(overrides.expire())
        await asyncio.sleep(59)
        assert overrides.view()
        await asyncio.sleep(2)
        assert not overrides.view()
        assert heard(facts, Overridden)[-1].override is None
        assert log.lines[-1][1]["why"] == "expired"
        expiring.cancel()

    virtual_loop.run(main())
