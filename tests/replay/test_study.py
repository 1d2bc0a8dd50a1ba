"""Studies, trials and comparisons: runs one after the other, draws of what is made up, and pairs."""

from __future__ import annotations

import pickle

import pytest

from sidecar.policy.load import Loaded, revision_of
from sidecar.replay.column import Slice
from sidecar.replay.study import MOST_REPEATS, REPORTED, compare, pasts, replay, study, trial
from sidecar.replay.worlds.disturbed import Flood, Outage, When
from sidecar.replay.worlds.scenario import Scenario
from tests.replay.worlds import World, journal_of, policy, write


def loaded(rules, source="candidate"):
    return Loaded(rules, revision_of(rules), source, {})


def lines_of(number, calls=80, **kind):
    world = World(number, calls, **kind)
    world.reloads = []
    facts = []
    world.simulate(facts.append)
    return world, journal_of(facts, world.seed)


@pytest.fixture
def two_runs(tmp_path):
    write(tmp_path / "journal-000001.jsonl", lines_of(1, benign=True)[1])
    write(tmp_path / "journal-000002.jsonl", lines_of(6, benign=True)[1])
    return tmp_path


def test_runs_follow_each_other_without_a_gap(two_runs):
    found = study([two_runs])
    assert (found.runs, found.incomplete, found.calls) == (2, 0, 160)
    first, second = (record.span[1] - record.span[0] for record in found.records)
    slices = found.recorded.slices()
    assert sum(one.calls for one in slices) == 160
    end = slices[-1].start + slices[-1].seconds
    assert first + second < end < first + second + 1 + 2 * slices[-1].seconds
    assert all(isinstance(one, Slice) for one in slices)


def test_a_candidate_is_tried_on_every_run(two_runs):
    found = study([two_runs])
    only_madre = loaded(policy(targets=[{"name": "madre"}, {"name": "local"}]))
    tried = trial(pasts(found), only_madre)
    assert sum(tried.summary.outcomes.values()) == 160
    assert tried.summary.providers["switch"] == 0
    assert [one.calls for one in tried.summary.slices()] == [one.calls for one in found.recorded.slices()]


def test_progress_is_told_for_every_call(two_runs):
    found = study([two_runs])
    heard = []
    trial(pasts(found), loaded(policy()), progress=heard.append)
    assert sum(heard) == 160
    assert REPORTED > 160
    read = []
    study([two_runs], read.append)
    assert sum(read) == sum(path.stat().st_size for path in two_runs.iterdir())


def test_a_trial_can_be_sent_between_processes(two_runs):
    found = study([two_runs])
    past = pasts(found)
    tried = trial(past, loaded(policy()))
    again = pickle.loads(pickle.dumps(tried))
    assert again.summary.figures() == tried.summary.figures()
    assert compare(found, past, [[again]]) == compare(found, past, [[tried]])


def test_each_draw_of_the_world_has_a_luck_of_its_own_and_the_same_each_time(tmp_path):
    _, lines = lines_of(2)
    found = study([write(tmp_path / "journal.jsonl", lines)])
    past = pasts(found)
    patient = loaded(policy(timeouts={"attempt": "4s"}, breaker={"open": {"base": "1s", "max": "1s"}}))
    draws = [trial(past, patient, repeat=repeat).summary for repeat in (0, 1, 2, 1)]
    assert draws[1].figures() == draws[3].figures()
    assert len({tuple(one.seconds) for one in draws[:3]}) == 3


def test_short_journals_are_drawn_often_and_long_ones_once(tmp_path):
    _, lines = lines_of(2)
    found = study([write(tmp_path / "journal.jsonl", lines)])
    assert found.repeats == MOST_REPEATS
    assert found._replace(records=found.records * 100).repeats == 100_000 // 8_000
    assert found._replace(records=found.records * 5000).repeats == 1


def test_the_figures_of_several_draws_are_means(tmp_path):
    _, lines = lines_of(3)
    path = write(tmp_path / "journal.jsonl", lines)
    patient = loaded(policy(timeouts={"attempt": "4s"}))
    found, comparison = replay([path], [patient], repeats=4)
    past = pasts(found)
    each = [trial(past, patient, repeat=repeat).summary.figures() for repeat in range(4)]
    figures = comparison.columns[1].figures
    assert figures["degraded_share"] == pytest.approx(sum(one["degraded_share"] for one in each) / 4, abs=1e-4)
    mean = sum(one["latency_seconds"]["p95"] for one in each) / 4
    assert figures["latency_seconds"]["p95"] == pytest.approx(mean, abs=1e-6)
    assert figures["outcomes"] == each[0]["outcomes"]
    assert any("drawn 4 times" in sentence for sentence in comparison.assumptions)


def test_candidates_are_held_against_what_was_recorded_and_against_the_first_of_them(tmp_path):
    _, lines = lines_of(4, 200, benign=True)
    path = write(tmp_path / "journal.jsonl", lines)
    rules = [loaded(policy(), "a"), loaded(policy(timeouts={"attempt": "60ms"}), "b")]
    _, comparison = replay([path], rules, repeats=1)
    pairs = {(one.base, one.column) for one in comparison.differences}
    assert pairs == {("recorded", "a"), ("recorded", "b"), ("a", "b")}
    same = [one for one in comparison.differences if (one.base, one.column) == ("recorded", "a")]
    assert all(one.difference == 0 and one.interval == (0, 0) for one in same)


def test_an_outage_that_never_was_happens_to_everybody(tmp_path):
    _, lines = lines_of(5, 100, benign=True)
    path = write(tmp_path / "journal.jsonl", lines)
    always = Scenario("always.yaml", {}, (Outage("switch", When(0.0, 1e6), "refuse"),))
    found, comparison = replay([path], [loaded(policy())], always, repeats=1)
    assert comparison.columns[1].figures["providers"].get("switch", 0) == 0
    assert found.recorded.providers["switch"] > 0
    assert any("always.yaml" in sentence for sentence in comparison.assumptions)


def test_a_flood_brings_more_chats_and_a_target_that_serves_few_shows_it(tmp_path):
    _, lines = lines_of(5, 60, benign=True)
    path = write(tmp_path / "journal.jsonl", lines)
    many = Scenario("many.yaml", {}, (), (Flood(When(0.0, 1e6), 40),))
    roomy = loaded(policy(limiter={"max_concurrent": 200}))
    wide = replay([path], [roomy], many._replace(servers={"switch": None}), repeats=1)[1].columns[1]
    narrow = replay([path], [roomy], many._replace(servers={"switch": 1}), repeats=1)[1].columns[1]
    assert wide.figures["calls"] == narrow.figures["calls"] == 2_400
    assert narrow.figures["degraded_share"] > wide.figures["degraded_share"] + 0.2


def test_nothing_recorded_is_nothing_compared(tmp_path):
    _, lines = lines_of(1)
    path = write(tmp_path / "journal.jsonl", lines[:2])  # the start and the first policy
    found, comparison = replay([path], [loaded(policy())])
    assert found.calls == 0
    assert comparison.columns[1].figures["calls"] == 0
    assert comparison.differences == ()
