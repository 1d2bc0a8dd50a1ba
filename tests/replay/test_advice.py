"""Advice: what hurts is left out, what contradicts is left out, and the verdict says what the replay says."""

from __future__ import annotations

import pytest

from sidecar.policy.lint import lint
from sidecar.policy.load import load, revision_of
from sidecar.replay.figures import intervals
from sidecar.replay.job import one_by_one
from sidecar.replay.recommend import advice as module
from sidecar.replay.recommend.advice import WORSE, WORSE_BESIDES, changed
from sidecar.replay.recommend.value import Proposal
from sidecar.replay.study import study
from sidecar.replay.world import Behaviour, Synthetic
from tests.replay.known import QUICK, Serial, arrivals, journal, loaded, steady

pytestmark = pytest.mark.uncounted

SLUGGISH = Behaviour(0.2, 0.3, hanging=1.0)
WELL = Behaviour(0.2, 0.3)


def advise(found, present, runs=one_by_one, *, draws=1, most_alone=module.MOST_ALONE):
    """With one draw: seconds matter here more than the last digit."""
    return module.advise(found, present, runs, draws=draws, most_alone=most_alone)


@pytest.fixture(autouse=True)
def quickly(monkeypatch):
    monkeypatch.setattr(intervals, "RESAMPLES", 100)


def flapping(times=6, every=60.0, lasts=25.0):
    listed = [(0.0, WELL)]
    for number in range(times):
        listed += [(130.0 + number * every, SLUGGISH), (130.0 + number * every + lasts, WELL)]
    return Synthetic({"switch": listed, "madre": [(0.0, QUICK)]}, 3)


@pytest.fixture(scope="module")
def outages(tmp_path_factory):
    """A switch that hangs again and again."""
    path = tmp_path_factory.mktemp("outages") / "journal-000001.jsonl"
    return study([journal(path, flapping(), loaded(), arrivals(2400, 6.0))])


@pytest.fixture(scope="module")
def few(tmp_path_factory):
    """The same, of few calls."""
    path = tmp_path_factory.mktemp("few") / "journal-000001.jsonl"
    return study([journal(path, flapping(), loaded(), arrivals(400, 1.2))])


@pytest.fixture(scope="module")
def advised(outages):
    return advise(outages, loaded())


def test_a_policy_that_waits_too_long_for_a_switch_that_hangs_is_beaten(advised):
    assert [column.name for column in advised.comparison.columns] == ["recorded", "today.yaml", "proposed"]
    assert advised.verdict.startswith("Better: ")
    todays = {
        one.figure: one
        for one in advised.comparison.differences
        if (one.base, one.column) == ("today.yaml", "proposed")
    }
    assert todays["p99"].interval.high < 0  # excludes 0
    assert "p99" in advised.verdict
    attempt = next(one.proposal for one in advised.tried if one.proposal.path == "timeouts.attempt")
    assert attempt.target == "switch"
    target = next(target for target in advised.proposed.policy.ladder if target.name == "switch")
    assert f"{target.timeouts.attempt * 1000:g}" in attempt.value.replace("ms", "")
    assert advised.alone == 2400


def test_every_proposal_was_tried_alone(advised):
    assert len(advised.tried) >= 4
    for one in advised.tried:
        assert {part.figure for part in one.differences} >= {"degraded_share", "availability", "p95"}
        assert all(part.base == "today.yaml" for part in one.differences)
    assert "madre" in advised.hedge


def test_what_is_proposed_is_not_doubtful(advised):
    doubtful(loaded(), advised)


def doubtful(today, found):
    """Nothing is, that was not: but for an open time, where the evidence says so."""
    new = {finding.code for finding in lint(found.proposed)} - {finding.code for finding in lint(today)}
    warned = any("of which check warns" in one.proposal.evidence for one in found.tried if one.kept)
    assert new <= ({"open-shorter-than-probe"} if warned else set())


def test_the_same_journal_leads_to_the_same_advice(few, monkeypatch):
    proposing(monkeypatch, GOOD, ADEQUATE)
    first, again = advise(few, loaded()), advise(few, loaded())
    assert again == first
    assert again.comparison.columns[2].latencies == first.comparison.columns[2].latencies


# -- what is left out --------------------------------------------------------------------------------------------------


def proposing(monkeypatch, *wanted):
    """Whatever was seen, these are the proposals."""
    monkeypatch.setattr(module, "proposals", lambda _seen, _policy: iter(wanted))


def proposal(path, value, target="switch", group="", present="?"):
    return Proposal(target, path, present, value, "because", 1000, "high", group)


GOOD = proposal("timeouts.attempt", "900ms")
TERRIBLE = proposal("timeouts.attempt", "50ms")
ADEQUATE = proposal("breaker.open.base", "4s")


def test_a_proposal_that_hurts_alone_is_left_out(few, monkeypatch):
    proposing(monkeypatch, TERRIBLE, ADEQUATE)
    found = advise(few, loaded())
    assert [(one.proposal, one.left_out) for one in found.tried] == [(TERRIBLE, WORSE), (ADEQUATE, "")]
    degraded = next(one for one in found.tried[0].differences if one.figure == "degraded_share")
    assert degraded.interval.low > 0.01
    assert found.proposed.revision == changed(loaded(), [ADEQUATE]).revision


def test_where_all_is_left_out_the_policy_stays_and_the_verdict_says_so(few, monkeypatch):
    proposing(monkeypatch, TERRIBLE)
    found = advise(few, loaded())
    assert found.proposed.revision == loaded().revision
    assert found.verdict == "Nothing is proposed: what the data speak for would make things worse."


def test_proposals_of_a_group_are_tried_and_kept_together(few, monkeypatch):
    """min_calls alone would be no policy: it does not fit into the window."""
    group = (proposal("breaker.min_calls", "30", group="window"), proposal("breaker.window.size", "40", group="window"))
    proposing(monkeypatch, GOOD, *group)
    counted = []

    def runs(what, jobs):
        counted.append((what, len(jobs)))
        return one_by_one(what, jobs)

    found = advise(few, loaded(), runs)
    assert counted == [("trying each alone", 3), ("trying all together", 2)]
    assert found.tried[1].differences == found.tried[2].differences
    assert found.proposed.policy.ladder[0].breaker.window.size == 40


def test_what_contradicts_the_rest_of_the_policy_is_left_out(few, monkeypatch):
    """An attempt that is longer than what the targets below leave is what `check` calls an error."""
    monkeypatch.setattr(module, "hurts", lambda differences: False)
    proposing(monkeypatch, proposal("reserve", "2s", "madre"), proposal("timeouts.attempt", "3100ms"))
    found = advise(few, loaded())
    assert [one.kept for one in found.tried] == [True, False]
    assert found.tried[1].left_out.startswith("with the rest it cannot work: switch has 2.75s at most")
    assert [finding for finding in lint(found.proposed) if finding.severity == "error"] == []


def test_what_hurts_only_together_is_added_one_after_the_other(few, monkeypatch):
    """Either alone costs less than it may; the judge is told so for once, and then that both together cost too much."""
    told = []

    def judge(differences):
        column = differences[0].column if differences else ""
        told.append(column)
        both = told.count("proposed")
        return column == "proposed" and both in (1, 3)  # together, and with the second

    monkeypatch.setattr(module, "hurts", judge)
    proposing(monkeypatch, GOOD, ADEQUATE)
    found = advise(few, loaded())
    assert [(one.proposal, one.left_out) for one in found.tried] == [(GOOD, ""), (ADEQUATE, WORSE_BESIDES)]
    assert found.proposed.revision == changed(loaded(), [GOOD]).revision


def test_what_was_left_out_before_is_not_tried_again(few, monkeypatch):
    monkeypatch.setattr(
        module, "hurts", lambda differences: differences[0].column in ("proposed", "switch timeouts.attempt")
    )
    proposing(monkeypatch, TERRIBLE, ADEQUATE)
    found = advise(few, loaded())
    assert [one.left_out for one in found.tried] == [WORSE, WORSE_BESIDES]


# -- journals that hold little -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("calls", [0, 1, 60])
def test_a_short_journal_says_so_of_every_field(tmp_path, calls):
    found = advise(study([journal(tmp_path / "j.jsonl", steady(), loaded(), arrivals(calls, 2.0))]), loaded())
    assert found.tried == ()
    assert len(found.missing) == 12
    assert found.verdict == "Nothing is proposed: not enough data."
    assert found.proposed.revision == loaded().revision


def test_a_calm_journal_says_that_there_is_little_to_win(tmp_path):
    found = advise(study([journal(tmp_path / "j.jsonl", steady(), loaded(), arrivals(400, 2.0))]), loaded())
    assert found.verdict.startswith(
        "No better in this traffic: there was little to win, for under the policy of today 0.00% were degraded"
    )


def test_a_policy_that_has_these_values_is_told_so(tmp_path):
    kept = study([journal(tmp_path / "j.jsonl", steady(), loaded(), arrivals(400, 2.0))])
    wanted = [one.proposal for one in advise(kept, loaded()).tried]
    second = advise(kept, changed(loaded(), wanted))
    assert second.tried == ()
    assert second.verdict.startswith(
        "Nothing is proposed: where there is data enough, the policy has these values already"
    )


def test_a_policy_called_like_a_column_confuses_nobody(few, monkeypatch):
    proposing(monkeypatch, GOOD)
    for name in ("proposed", "recorded"):
        found = advise(few, loaded(name))
        assert found.verdict.startswith("Better: ")


def test_several_runs_are_one_evidence(tmp_path):
    paths = [
        journal(
            tmp_path / f"journal-{number:06}.jsonl", steady(number), loaded(), arrivals(150, 2.0, number), seed=number
        )
        for number in (1, 2)
    ]
    assert any(not one.why.startswith("not enough") for one in advise(study(paths), loaded()).missing)
    assert all(
        one.why.startswith("not enough") for one in advise(study(paths[:1]), loaded()).missing if one.target == "madre"
    )


def test_a_long_journal_is_tried_alone_in_stretches(few, monkeypatch):
    asked = []

    def runs(what, jobs):
        asked.append((what, {job.calls for job in jobs}))
        return one_by_one(what, jobs)

    proposing(monkeypatch, ADEQUATE)
    found = advise(few, loaded(), runs, most_alone=300)
    assert asked == [("trying each alone", {300}), ("trying all together", {400})]
    assert found.alone == 300


# -- a policy with values ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["default", "patient", "solo_madre"])
def test_nothing_changed_is_the_same_policy(name):
    present = load(module_root() / "policies" / f"{name}.yaml")
    assert changed(present, []).revision == present.revision == revision_of(present.policy)


def module_root():
    from pathlib import Path  # noqa: PLC0415

    return Path(__file__).parents[2]


def test_a_changed_value_is_that_of_its_target_alone():
    policy = changed(loaded(), [proposal("breaker.open.base", "4s"), proposal("limiter.queue", "3", "madre")]).policy
    assert [target.breaker.open.base for target in policy.ladder] == [4.0, 5.0]
    assert [target.limiter.queue for target in policy.ladder] == [8, 3]


@pytest.mark.parametrize("world", ["serial", "slow madre", "failing"])
def test_proposals_of_many_kinds_of_traffic_are_never_an_error(tmp_path, world):
    worlds = {
        "serial": Serial(steady(switch=Behaviour(0.3, 0.3)), "switch"),
        "slow madre": steady(switch=Behaviour(1.0, 0.6, failing=0.3), madre=Behaviour(1.5, 0.5)),
        "failing": steady(switch=Behaviour(0.05, 0.3, failing=0.4)),
    }
    rules = loaded(timeouts={"attempt": "2s"})
    found = advise(study([journal(tmp_path / "j.jsonl", worlds[world], rules, arrivals(500, 2.0))]), rules)
    doubtful(rules, found)
    assert found.verdict
