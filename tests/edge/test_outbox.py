"""Lines on their way out: order, bounds, what is counted as lost, and an end that comes."""

from __future__ import annotations

import threading
import time
import tracemalloc

import pytest

from sidecar.core.fact import EventHeard
from sidecar.core.vocabulary import Answered, Outcome
from sidecar.edge.outlets import log
from sidecar.edge.outlets import outbox as module
from sidecar.edge.outlets.journal import Journal
from sidecar.edge.outlets.outbox import LONGEST_QUEUE, Outbox
from sidecar.policy.model import Journal as JournalPolicy


class Stuck:
    """A writer that is held until let go."""

    def __init__(self):
        self.written = []
        self.entered, self.let_go = threading.Event(), threading.Event()

    def __call__(self, lines):
        self.entered.set()
        self.let_go.wait(10)
        self.written.append(lines)


@pytest.fixture
def stuck():
    writer = Stuck()
    yield writer
    writer.let_go.set()


def test_lines_are_written_in_the_order_they_were_put():
    written = []
    box = Outbox("test", written.append)
    for number in range(2000):
        box.put(b"%d" % number)
    assert box.close()
    assert b"".join(written).split() == [b"%d" % number for number in range(2000)]
    assert all(piece.endswith(b"\n") for piece in written)
    assert box.dropped == 0


def test_a_line_put_after_a_pause_is_written_too():
    written, seen = [], threading.Event()

    def write(lines):
        written.append(lines)
        seen.set()

    box = Outbox("test", write)
    for line in (b"one", b"two"):
        seen.clear()
        box.put(line)
        assert seen.wait(5)
    assert written == [b"one\n", b"two\n"]
    box.close()


def test_a_blocked_writer_never_blocks_put_and_what_does_not_fit_is_counted(stuck):
    box = Outbox("test", stuck)
    box.put(b"first")
    assert stuck.entered.wait(5)
    began = time.perf_counter()
    for number in range(LONGEST_QUEUE + 7):
        box.put(b"%d" % number)
    assert time.perf_counter() - began < 2
    assert box.dropped == 7
    stuck.let_go.set()
    assert box.close()
    assert b"".join(stuck.written).split() == [b"first", *(b"%d" % number for number in range(LONGEST_QUEUE))]


def test_lines_may_be_put_into_words_where_they_are_written():
    written = []
    box = Outbox("test", written.append, lambda lines: b"".join(b"<%d>" % line for line in lines))
    for number in range(3):
        box.put(number)
    assert box.close()
    assert b"".join(written) == b"<0><1><2>"


def held_by(put):
    """Bytes that a thousand lines hold as long as they wait."""
    put(0)
    tracemalloc.start()
    for number in range(1, 1001):
        put(number)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return held


def test_a_line_of_the_log_that_waits_holds_little_more_than_its_bytes():
    waiting = []
    quiet = log.Log(waiting.append, log._json, lambda _: True)
    assert held_by(lambda number: quiet.info("waits", number=number, text="x" * 200)) < 1000 * 500
    assert len(waiting) == 1001


def test_a_line_of_the_journal_that_waits_holds_little_more_than_what_it_says(tmp_path, monkeypatch):
    waiting, journal = [], Journal(tmp_path, JournalPolicy(), seed=7)
    monkeypatch.setattr(journal._outbox, "put", waiting.append)

    def put(number):
        journal(EventHeard(float(number), number, Answered(0.5, Outcome(status=200, body={"status": "ok"}, text=True))))

    assert held_by(put) < 1000 * 700
    assert len(waiting) == 1001
    journal.close()


def test_close_does_not_wait_for_a_writer_that_never_returns(stuck, monkeypatch):
    monkeypatch.setattr(module, "PATIENCE", 0.05)
    box = Outbox("test", stuck)
    box.put(b"first")
    assert stuck.entered.wait(5)
    began = time.perf_counter()
    assert not box.close()
    assert time.perf_counter() - began < 2


def test_after_the_end_lines_are_only_counted():
    written = []
    box = Outbox("test", written.append)
    assert box.close()
    box.put(b"late")
    assert (written, box.dropped) == ([], 1)
    assert box.close()


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), BrokenPipeError(), ValueError("closed")])
def test_lines_that_could_not_be_written_are_counted_and_the_next_are_tried(error):
    written, failing = [], threading.Event()
    failed = threading.Event()

    def write(lines):
        if not failing.is_set():
            failing.set()
            failed.set()
            raise error
        written.append(lines)

    box = Outbox("test", write)
    box.put(b"lost")
    assert failed.wait(5)
    box.put(b"kept")
    assert box.close()
    assert (b"".join(written), box.dropped) == (b"kept\n", 1)


def test_many_lines_are_few_writes(stuck):
    box = Outbox("test", stuck)
    box.put(b"first")
    assert stuck.entered.wait(5)
    for _ in range(1000):
        box.put(b"x")
    stuck.let_go.set()
    assert box.close()
    assert len(stuck.written) == 3
