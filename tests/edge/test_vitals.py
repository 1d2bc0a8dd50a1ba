"""What the process says of itself: that lines get lost and that no descriptor is left, once when it begins and once when it is over."""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import threading

import pytest

from sidecar.edge.outlets import outbox as module
from sidecar.edge.outlets.outbox import Outbox
from sidecar.edge.vitals import QUIET, Vitals, descriptor_left


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


class Lines:
    def __init__(self):
        self.dropped, self.trouble = 0, None


class Log:
    def __init__(self):
        self.said = []

    def error(self, event, /, **fields):
        self.said.append(("error", event, fields))

    def warning(self, event, /, **fields):
        self.said.append(("warning", event, fields))


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def log():
    return Log()


def test_a_loss_is_two_lines_however_long_it_lasts(clock, log):
    journal, told = Lines(), []
    vitals = Vitals(log, clock, {"journal": journal}, told.append)
    vitals.look()
    assert log.said == []
    for _ in range(100):
        journal.dropped += 7
        journal.trouble = "ENOSPC"
        clock.now += 0.5
        vitals.look()
    assert log.said == [("error", "lines_lost", {"outlet": "journal", "why": "ENOSPC"})]
    journal.trouble = None
    vitals.look()  # written again, but who knows for how long
    assert len(log.said) == 1
    clock.now += QUIET
    vitals.look()
    vitals.look()
    assert log.said[1:] == [("warning", "lines_kept_again", {"outlet": "journal", "lines": 700})]
    journal.dropped += 1
    vitals.look()
    assert log.said[2:] == [("error", "lines_lost", {"outlet": "journal", "why": "slow"})]


def test_silence_is_no_sign_that_lines_are_kept_again(clock, log):
    """With nothing to write nobody knows whether it could be."""
    journal = Lines()
    vitals = Vitals(log, clock, {"journal": journal}, lambda _: None)
    journal.dropped, journal.trouble = 3, "ENOSPC"
    vitals.look()
    clock.now += 1000
    vitals.look()
    assert [event for _, event, _ in log.said] == ["lines_lost"]


def test_each_outlet_is_told_by_its_name(clock, log):
    outlets = {"log": Lines(), "journal": Lines()}
    vitals = Vitals(log, clock, outlets, lambda _: None)
    outlets["log"].dropped = 1
    vitals.look()
    outlets["journal"].dropped = 1
    vitals.look()
    assert [fields["outlet"] for _, _, fields in log.said] == ["log", "journal"]


def test_an_outbox_says_why_lines_were_lost_until_they_are_written_again(monkeypatch):
    monkeypatch.setattr(module, "GATHERING", 0.0)
    failing, written, tried = OSError(errno.ENOSPC, "No space left on device"), [], threading.Semaphore(0)

    def write(lines):
        tried.release()
        if failing:
            raise failing
        written.append(lines)

    box = Outbox("test", write)
    try:
        box.put(b"one")
        assert tried.acquire(timeout=5)
        while not box.dropped:
            pass
        assert box.trouble == "ENOSPC"
        failing = None
        box.put(b"two")
        assert tried.acquire(timeout=5)
        while box.trouble:
            pass
        assert written == [b"two\n"]
        assert box.dropped == 1
    finally:
        box.close()


def test_a_queue_that_is_full_is_slow(monkeypatch):
    monkeypatch.setattr(module, "LONGEST_QUEUE", 0)
    box = Outbox("test", lambda _: None)
    box.put(b"one")
    assert (box.dropped, box.trouble) == (1, "slow")
    box.close()


@contextlib.contextmanager
def no_descriptor_left():
    """The limit is where the next one would be."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest = os.open("/", os.O_RDONLY)
    os.close(lowest)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_whether_a_descriptor_is_left_is_asked_of_the_system():
    assert descriptor_left()
    with no_descriptor_left():
        left = descriptor_left()
    assert not left
    assert descriptor_left()


def test_that_no_descriptor_is_left_is_two_lines_and_a_gauge(clock, log):
    told = []
    vitals = Vitals(log, clock, {}, told.append)
    vitals.look()
    with no_descriptor_left():
        for _ in range(5):
            clock.now += 0.5
            vitals.look()
        limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    vitals.look()
    vitals.look()
    assert told == [False, *[True] * 5, False, False]
    (_, event, fields), over = log.said
    assert (event, fields["limit"]) == ("descriptors_exhausted", limit)
    assert over == ("warning", "descriptors_left_again", {"seconds": 2.0})
