"""Objectives: what a file may promise, where it is told that it may not, and what is left over."""

from __future__ import annotations

import pytest

from sidecar.core.fact import PolicyAdopted
from sidecar.core.line import policy_from, to_line
from sidecar.policy.load import PolicyError, parse
from sidecar.policy.model import Policy
from sidecar.policy.objectives import BURNS, CHAT_EDGES, Slo, budgets
from sidecar.policy.units import Rate


def test_the_defaults_are_three_nines_95_and_three_seconds() -> None:
    slo = Policy().slo
    assert (slo.availability, slo.undegraded) == (0.999, 0.95)
    assert (slo.latency.quantile, slo.latency.threshold) == (0.95, 3.0)
    assert slo.latency.threshold in CHAT_EDGES


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("slo:\n  availability: 100%\n", "p:2:17: slo.availability: must be an objective above 0% and below 100%"),
        (
            "slo: {undegraded: 95}",
            "p:1:19: slo.undegraded: must be a share: a percentage, as in 50% or 99.9%; found 95",
        ),
        ("slo: {latency: {threshold: 3}}", "p:1:28: slo.latency.threshold: must be a duration: a number with a unit"),
        ("slo: {latency: p95}", "p:1:16: slo.latency: must be a mapping of keys to values; found p95"),
        ("slo: {min_calls: 0}", "p:1:18: slo.min_calls: must be at least 1; found 0"),
        ("slo: {availabilty: 99%}", "p:1:7: slo.availabilty: is not a known key: did you mean availability?"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(text: str, told: str) -> None:
    with pytest.raises(PolicyError) as raised:
        parse(text, "p")
    (problem,) = raised.value.problems
    assert str(problem).startswith(told)


def test_the_journal_keeps_objectives_and_reads_a_policy_from_before_there_were_any() -> None:
    policy = Policy(slo={"availability": "99.95%", "latency": {"threshold": "2s"}})
    line = to_line(PolicyAdopted(0.0, "r", "p", policy))
    assert line is not None
    assert policy_from(line) == policy
    del line["policy"]["slo"]
    assert policy_from(line).slo == Slo()


def test_a_budget_is_what_the_objective_leaves() -> None:
    available, undegraded, fast = budgets(Slo(), Rate(1, 60.0))
    assert (available.outage, available.bad, available.chats) == (2592.0, 43.2, 43_200.0)
    assert (undegraded.objective, undegraded.outage) == ("undegraded", 129_600.0)
    assert (fast.objective, fast.target) == ("latency", 0.95)
    assert {(each.bad, each.chats) for each in budgets(Slo())} == {(None, None)}


def test_each_short_window_is_a_twelfth_of_its_long_one_and_the_fast_ones_page() -> None:
    assert all(burn.long == 12 * burn.short for burn in BURNS)
    assert [(burn.severity, burn.rate) for burn in BURNS] == [("page", 14.4), ("page", 6), ("ticket", 3), ("ticket", 1)]
    assert list(CHAT_EDGES) == sorted(CHAT_EDGES)
