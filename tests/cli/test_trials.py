"""Trials on one core and on several: the same results, in order, counted for whoever watches; and what ends a worker ends no shell."""

from __future__ import annotations

import os
import signal

import pytest
from recorded import lines, write

from sidecar.cli import trials
from sidecar.cli.trials import Wanted, on_cores, spread, studied, tried
from sidecar.policy.load import parse
from sidecar.replay.job import Job
from sidecar.replay.study import pasts
from sidecar.replay.worlds.scenario import NOTHING


@pytest.fixture
def kept(tmp_path):
    return write(tmp_path / "journal-000001.jsonl", lines(120))


@pytest.fixture
def jobs(kept):
    past = pasts(studied([kept]))
    patience = [parse(f"deadline: {{client: {seconds}s}}", f"{seconds}.yaml") for seconds in (2, 3, 4, 5)]
    return [Job(past, policy) for policy in patience]


def figures(found):
    return [(one.source, one.revision, one.summary.figures(), one.assumed) for one in found]


def test_several_cores_do_what_one_does_in_the_same_order(jobs):
    one, two = spread("x", jobs, cores=1), spread("x", jobs, cores=2)
    assert [trial.source for trial in two] == ["2.yaml", "3.yaml", "4.yaml", "5.yaml"]
    assert figures(one) == figures(two) == figures(on_cores(2)("x", jobs))
    assert trials._SHARED == []


def test_where_there_is_no_fork_everything_runs_here(jobs, monkeypatch):
    monkeypatch.setattr(trials.multiprocessing, "get_all_start_methods", lambda: ["spawn"])
    monkeypatch.setattr(trials, "ProcessPoolExecutor", None)
    assert len(spread("x", jobs[:2], cores=2)) == 2


def test_no_more_workers_than_jobs_and_none_for_none(jobs, monkeypatch):
    assert spread("x", []) == []
    monkeypatch.setattr(trials, "ProcessPoolExecutor", None)
    assert len(spread("x", jobs[:1], cores=8)) == 1


@pytest.mark.parametrize("cores", [1, 2])
def test_the_bar_hears_of_every_call(jobs, monkeypatch, cores):
    seen = []

    class Bar:
        def __init__(self, what, total):
            seen.append((what, total))
            self.done = 0

        def __enter__(self):
            return self

        def __exit__(self, *_):
            seen.append(self.done)

        def add(self, more):
            self.done += more

        def set(self, done):
            self.done = done

    monkeypatch.setattr(trials, "Bar", Bar)
    spread("trying", jobs, cores=cores)
    assert seen == [("trying", 480), 480]


class Ended(Job):
    """A job in whose course its worker is killed."""

    def run(self, progress=None):
        os.kill(os.getpid(), signal.SIGKILL)


class Broken(Job):
    def run(self, progress=None):
        raise ValueError("broken")


def test_a_worker_that_is_killed_is_told_in_words(jobs):
    with pytest.raises(ValueError, match="a worker was ended from outside, perhaps for want of memory: try --cores 1"):
        spread("x", [jobs[0], Ended(jobs[1].past, jobs[1].loaded)], cores=2)
    assert trials._SHARED == []


def test_what_a_worker_raises_is_raised(jobs):
    with pytest.raises(ValueError, match="broken"):
        spread("x", [jobs[0], Broken(jobs[1].past, jobs[1].loaded)], cores=2)
    assert trials._SHARED == []


def test_a_worker_obeys_an_interrupt_without_a_word():
    before = signal.getsignal(signal.SIGINT)
    try:
        trials._obey_interrupts()
        assert signal.getsignal(signal.SIGINT) is signal.SIG_DFL
    finally:
        signal.signal(signal.SIGINT, before)


def test_each_policy_has_its_draws(kept):
    wanted = Wanted([kept], [parse("", "a.yaml"), parse("deadline: {client: 3s}", "b.yaml")], NOTHING, draws=3, cores=2)
    study, comparison = tried(wanted)
    assert study.calls == 120
    assert [column.name for column in comparison.columns] == ["recorded", "a.yaml", "b.yaml"]
    assert any("drawn 3 times" in sentence for sentence in comparison.assumptions)


def test_without_a_policy_nothing_is_tried(kept):
    _, comparison = tried(Wanted([kept], [], NOTHING))
    assert [column.name for column in comparison.columns] == ["recorded"]


def test_as_many_cores_as_this_process_may_use(monkeypatch):
    monkeypatch.setattr(trials.os, "sched_getaffinity", lambda _: {0, 3, 5}, raising=False)
    assert trials._cores() == 3
    monkeypatch.delattr(trials.os, "sched_getaffinity")
    monkeypatch.setattr(trials.os, "cpu_count", lambda: 4)
    assert trials._cores() == 4
