"""A policy takes effect whole or not at all, and whoever writes files is not asked to do it in any special way."""

from __future__ import annotations

import asyncio
import os

import pytest
import virtual_loop

from sidecar.core.fact import ReloadEnded
from sidecar.edge.reload import LOOK, MOST_PROBLEMS, RETRY, Reloader, Source
from sidecar.edge.snapshot import InForce, Snapshot
from sidecar.edge.token import Tokens
from sidecar.policy.load import load


class Quiet:
    def __init__(self):
        self.lines = []

    def error(self, event, **fields):
        self.lines.append((event, fields))

    info = error

    @property
    def events(self):
        return [event for event, _ in self.lines]


class Stage:
    """A policy file, and a reloader that looks at it."""

    def __init__(self, path, text="deadline: {client: 5s}\n"):
        self.path = path
        self.write(text)
        self.in_force = InForce(self.read().snapshot)
        self.facts = []
        self.log = Quiet()
        self.applied = []
        self.reloader = Reloader(
            self.read,
            self.apply,
            self.in_force,
            self.read().files,
            emit=self.facts.append,
            now=lambda: 0.0,
            log=self.log,
        )

    def write(self, text):
        """As editors do: a new file under another name, renamed over the old."""
        other = self.path.with_name(".new")
        other.write_text(text)
        other.replace(self.path)

    def read(self):
        loaded = load(self.path)
        return Source(Snapshot(loaded.policy, loaded.revision, loaded.source, Tokens(["t"]), {}), loaded.files)

    def apply(self, source):
        self.applied.append(source)
        self.in_force.current = source.snapshot

    @property
    def client(self):
        return self.in_force.current.policy.deadline.client

    @property
    def results(self):
        return [(fact.trigger, fact.result) for fact in self.facts if isinstance(fact, ReloadEnded)]


@pytest.fixture
def stage(tmp_path):
    return Stage(tmp_path / "policy.yaml")


def watching(stage, script):
    """Run ``script`` beside the watch, in virtual time."""

    async def main():
        watch = asyncio.ensure_future(stage.reloader.watch())
        try:
            await script()
        finally:
            watch.cancel()

    virtual_loop.run(main())


async def looks(count):
    await asyncio.sleep(count * LOOK + LOOK / 10)


def test_a_changed_file_takes_effect_after_two_looks_that_agree(stage):
    async def script():
        await looks(3)
        assert stage.results == []
        stage.write("deadline: {client: 7s}\n")
        await looks(1)
        assert stage.client == 5.0
        await looks(1)
        assert stage.client == 7.0

    watching(stage, script)
    assert stage.results == [("file", "changed")]


def test_a_file_that_is_still_being_written_is_not_read(stage):
    async def script():
        for seconds in range(6, 12):
            stage.write(f"deadline: {{client: {seconds}s}}\n")
            await looks(1)
        assert stage.client == 5.0
        await looks(2)
        assert stage.client == 11.0

    watching(stage, script)
    assert stage.results == [("file", "changed")]


def test_a_bad_file_changes_nothing_and_is_complained_about_once(stage):
    async def script():
        stage.write("deadline: {client: 7}\n")
        await looks(3 * RETRY / LOOK)
        assert stage.client == 5.0
        assert stage.reloader.problems[0].endswith(
            "1:20: deadline.client: must be a duration: a number with a unit (ms, s, m, h), as in 300ms or 5s; found 7"
        )
        stage.write("deadline: {client: 6s}\n")
        await looks(3)
        assert stage.client == 6.0
        assert stage.reloader.problems == ()

    watching(stage, script)
    assert stage.results == [("file", "failed"), ("file", "changed")]
    assert stage.log.events == ["policy_rejected", "reloaded"]


def test_a_file_that_vanishes_and_comes_back_is_taken(stage):
    async def script():
        stage.path.unlink()
        await looks(3)
        assert stage.client == 5.0
        stage.write("deadline: {client: 8s}\n")
        await looks(3)
        assert stage.client == 8.0

    watching(stage, script)
    assert stage.results == [("file", "failed"), ("file", "changed")]


def test_a_configmap_that_is_swapped_is_taken(tmp_path):
    for name, seconds in (("one", 5), ("two", 9)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "policy.yaml").write_text(f"deadline: {{client: {seconds}s}}\n")
    (tmp_path / "..data").symlink_to("one")
    (tmp_path / "policy.yaml").symlink_to("..data/policy.yaml")
    stage = Stage.__new__(Stage)
    stage.write = lambda text: None
    Stage.__init__(stage, tmp_path / "policy.yaml")

    async def script():
        (tmp_path / "..tmp").symlink_to("two")
        (tmp_path / "..tmp").replace(tmp_path / "..data")
        await looks(3)
        assert stage.client == 9.0

    watching(stage, script)


def test_a_parent_that_changes_is_a_change(tmp_path):
    (tmp_path / "base.yaml").write_text("deadline: {client: 5s}\n")
    stage = Stage(tmp_path / "policy.yaml", "extends: base.yaml\n")

    async def script():
        (tmp_path / "base.yaml").write_text("deadline: {client: 20s}\n")
        await looks(3)
        assert stage.client == 20.0

    watching(stage, script)


def test_a_parent_that_was_missing_is_found_when_it_comes(stage, tmp_path):
    async def script():
        stage.write("extends: later.yaml\n")
        await looks(3)
        assert stage.results == [("file", "failed")]
        (tmp_path / "later.yaml").write_text("deadline: {client: 9s}\n")
        await looks(RETRY / LOOK + 2)
        assert stage.client == 9.0

    watching(stage, script)


def test_a_comment_is_no_other_policy(stage):
    stage.write("# new\ndeadline: {client: 5s}\n")
    assert stage.reloader.reload("signal") is True
    assert stage.results == [("signal", "unchanged")]


def test_whoever_asks_for_a_reload_is_told_of_every_failure(stage):
    stage.write("x: 1\n")
    assert stage.reloader.reload("admin") is False
    assert stage.reloader.reload("admin") is False
    assert stage.results == [("admin", "failed")] * 2
    assert not stage.applied


def test_what_changes_while_it_is_read_is_read_again(stage):
    read = stage.reloader._read

    def slowly():
        found = read()
        if stage.client == 5.0:
            stage.write("deadline: {client: 9s}\n")
        return found

    stage.reloader._read = slowly

    async def script():
        stage.write("deadline: {client: 7s}\n")
        await looks(2)
        assert stage.client == 7.0
        await looks(2)
        assert stage.client == 9.0

    watching(stage, script)
    assert stage.results == [("file", "changed")] * 2


def test_a_parent_that_joins_is_looked_at_before_it_is_read(stage, tmp_path):
    (tmp_path / "base.yaml").write_text("deadline: {client: 8s}\n")
    read = stage.reloader._read
    done = []

    def slowly():
        found = read()
        if len(found.files) == 2 and not done:
            done.append(True)
            (tmp_path / "base.yaml").write_text("deadline: {client: 9s}\n")
        return found

    stage.reloader._read = slowly

    async def script():
        stage.write("extends: base.yaml\n")
        await looks(6)
        assert stage.client == 9.0

    watching(stage, script)


def test_a_file_written_in_place_with_its_size_and_time_kept_is_a_change(stage):
    async def script():
        before = stage.path.stat()
        with stage.path.open("r+") as file:
            file.write("deadline: {client: 7s}\n")
        os.utime(stage.path, ns=(before.st_atime_ns, before.st_mtime_ns))
        await looks(3)
        assert stage.client == 7.0

    watching(stage, script)


def test_the_file_that_was_put_back_is_taken_with_its_old_time(stage, tmp_path):
    async def script():
        stage.path.rename(tmp_path / "kept")
        stage.write("deadline: {client: x}\n")
        await looks(3)
        assert stage.reloader.problems
        (tmp_path / "kept").rename(stage.path)
        await looks(3)
        assert stage.reloader.problems == ()

    watching(stage, script)
    assert stage.results == [("file", "failed"), ("file", "unchanged")]
    assert stage.log.events == ["policy_rejected", "reloaded"]


@pytest.mark.parametrize("error", [KeyError("a secret"), RecursionError("a secret"), ValueError(""), OSError()])
def test_whatever_goes_wrong_in_reading_the_watch_goes_on_and_somebody_hears_of_it(stage, error):
    read = stage.reloader._read

    def broken():
        raise error

    async def script():
        stage.reloader._read = broken
        stage.write("deadline: {client: 7s}\n")
        await looks(3)
        assert stage.client == 5.0
        assert type(error).__name__ in stage.reloader.problems[0]
        assert "a secret" not in str(stage.reloader.problems) + str(stage.log.lines)
        stage.reloader._read = read
        await looks(RETRY / LOOK + 2)
        assert stage.client == 7.0
        assert stage.reloader.problems == ()

    watching(stage, script)


def test_a_snapshot_that_cannot_be_put_in_force_is_a_failed_reload(stage):
    def broken(_):
        raise TypeError

    stage.reloader._apply = broken
    assert stage.reloader.reload("admin") is False
    assert stage.results == [("admin", "failed")]
    assert stage.reloader.problems


def test_thousands_of_complaints_are_cut_short(stage):
    stage.write("".join(f"unknown{number}: 1\n" for number in range(500)))
    assert stage.reloader.reload("admin") is False
    assert len(stage.reloader.problems) == MOST_PROBLEMS + 1
    assert stage.reloader.problems[-1] == "and 450 more"


def test_a_link_that_points_to_itself_is_a_file_that_is_not_there(stage):
    async def script():
        stage.path.unlink()
        stage.path.symlink_to(stage.path)
        await looks(3)
        assert stage.results == [("file", "failed")]
        stage.write("deadline: {client: 6s}\n")
        await looks(3)
        assert stage.client == 6.0

    watching(stage, script)
