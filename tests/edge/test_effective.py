"""Every effective value with who stated it, and whether that changed anything."""

from __future__ import annotations

from sidecar.edge.admin.effective import effective
from sidecar.policy.load import parse


def told(text):
    loaded = parse(text, "p.yaml")
    return effective(loaded.policy, loaded.origin)


def changed(text):
    return {path for path, value in told(text).items() if value["changed"]}


def test_a_policy_that_states_nothing_changes_nothing():
    values = told("")
    assert len(values) > 100
    assert not any(value["changed"] or value["origin"] for value in values.values())
    assert values["deadline.client"] == {"value": "5s", "origin": None, "changed": False}


def test_what_is_stated_as_it_is_anyway_has_a_place_and_is_not_changed():
    assert told("deadline: {client: 5s}\n")["deadline.client"] == {
        "value": "5s",
        "origin": "p.yaml:1:20",
        "changed": False,
    }


def test_what_is_stated_for_all_targets_changes_each_of_them():
    text = "breaker:\n  consecutive: 7\n"
    assert changed(text) == {"breaker.consecutive", "targets[0].breaker.consecutive", "targets[1].breaker.consecutive"}
    assert {told(text)[path]["origin"] for path in changed(text)} == {"p.yaml:2:16"}


def test_a_target_is_compared_with_itself_wherever_it_stands_on_the_ladder():
    assert changed("targets: [{name: madre}, {name: local}]\n") == set()
    assert changed("targets: [{name: madre, timeouts: {connect: 1s}}]\n") == {"targets[0].timeouts.connect"}


def test_a_list_of_rules_is_told_rule_by_rule():
    values = told("outcome: {failure: [{status: [418]}]}\n")
    assert values["outcome.failure[0].status"] == {"value": [418], "origin": "p.yaml:1:30", "changed": True}
