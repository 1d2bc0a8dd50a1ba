"""No storm of lines: so many of a kind each second, a count of the rest, and one line that says so. In virtual time."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from types import SimpleNamespace

import pytest
import virtual_loop

from sidecar.core.fact import ChatServed, MessageRefused
from sidecar.edge.outlets import log
from sidecar.edge.outlets.log import FactLog, Logging
from sidecar.edge.outlets.sampling import PER_SECOND, Sampling


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


def admitted(sampling, kind, lines):
    return sum(sampling.admit(kind) for _ in range(lines))


def test_so_many_lines_of_a_kind_pass_each_second_and_the_rest_is_counted():
    clock = Clock()
    sampling = Sampling(clock, per_second=3)
    assert [sampling.admit("a") for _ in range(5)] == [True, True, True, False, False]
    clock.now += 0.999
    assert not sampling.admit("a")
    assert (sampling.suppressed, sampling.over()) == (3, [])
    clock.now += 0.001
    assert admitted(sampling, "a", 5) == 3
    assert sampling.suppressed == 5


def test_kinds_do_not_share_a_second():
    sampling = Sampling(Clock(), per_second=2)
    assert admitted(sampling, "a", 9) == 2
    assert admitted(sampling, "b", 2) == 2
    assert sampling.suppressed == 7


def test_what_was_left_out_is_told_once_when_its_second_is_over():
    clock = Clock()
    sampling = Sampling(clock, per_second=2)
    admitted(sampling, "a", 5)
    admitted(sampling, "b", 2)
    clock.now += 0.5
    admitted(sampling, "c", 3)
    assert sampling.over() == []
    clock.now += 0.5
    assert sampling.over() == [("a", 3)]  # of b nothing was left out, of c the second is not over
    clock.now += 0.5
    assert sampling.over() == [("c", 1)]
    assert sampling.over() == []


def test_a_second_that_is_over_is_told_though_the_storm_goes_on():
    clock = Clock()
    sampling = Sampling(clock, per_second=1)
    admitted(sampling, "a", 4)
    clock.now += 1.0
    admitted(sampling, "a", 3)
    assert sampling.over() == [("a", 3)]
    clock.now += 1.0
    assert sampling.over() == [("a", 2)]


def test_at_the_end_everything_is_told_at_once():
    sampling = Sampling(Clock(), per_second=1)
    admitted(sampling, "a", 3)
    assert sampling.over(at_once=True) == [("a", 2)]
    assert sampling.over(at_once=True) == []


def test_no_line_is_lost_count_of_whatever_thread_it_comes_from():
    sampling = Sampling(Clock(), per_second=10)
    passed = []
    threads = [threading.Thread(target=lambda: passed.append(admitted(sampling, "a", 2000))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(passed) == 10
    assert sampling.suppressed == 7990


def test_memory_does_not_grow_with_kinds_that_are_told():
    clock = Clock()
    sampling = Sampling(clock, per_second=1)
    for number in range(100):
        admitted(sampling, f"kind-{number}", 2)
    clock.now += 1
    assert len(sampling.over()) == 100
    assert not sampling._kinds


@pytest.fixture
def stderr(tmp_path, monkeypatch):
    """Standard error as a file; call it to read the lines."""
    with (tmp_path / "stderr").open("w") as file:
        monkeypatch.setattr(log, "sys", SimpleNamespace(stderr=file))
        yield lambda: [json.loads(line) for line in (tmp_path / "stderr").read_bytes().splitlines()]


def by_event(lines):
    counts = {}
    for line in lines:
        counts[line["event"]] = counts.get(line["event"], 0) + 1
    return counts


def outage(logging_, facts, kind, number):
    """One more event of the kind that an outage brings by the thousand."""
    if kind == "chat":
        facts(ChatServed(0.0, number, f"c-{number}", "local", 200, 0.1, 0.001))
    elif kind == "message_refused":
        facts(MessageRefused(0.0, 400, "field"))
    elif kind == "library":
        logging.getLogger("aiohttp.server").error("text")
    elif kind == "loop_stalled":
        logging_.log.warning("loop_stalled", seconds=0.3)
    else:
        logging_.log.error("sink_failed", fact="ChatServed", error="KeyError")


KINDS = ("chat", "message_refused", "library", "loop_stalled", "sink_failed")


@pytest.mark.parametrize("kind", KINDS)
def test_an_outage_of_ten_seconds_is_some_hundred_lines_and_no_storm(stderr, kind):
    async def ten_seconds():
        loop = asyncio.get_running_loop()
        logging_ = Logging(now=loop.time)
        try:
            facts = FactLog(logging_.log)
            for number in range(10_000):
                await asyncio.sleep(0.001)
                outage(logging_, facts, kind, number)
                if number % 500 == 0:
                    logging_.tick()
        finally:
            logging_.close()
        return logging_.sampling.suppressed

    suppressed = virtual_loop.run(ten_seconds())
    lines = stderr()
    counts = by_event(lines)
    assert set(counts) == {kind, "suppressed"}
    assert 10 * PER_SECOND <= counts[kind] <= 11 * PER_SECOND
    assert counts[kind] + suppressed == 10_000
    told = [line for line in lines if line["event"] == "suppressed"]
    assert 5 <= len(told) <= 11
    assert all(line["kind"] == kind and line["level"] == "warning" for line in told)
    assert sum(line["lines"] for line in told) == suppressed


def test_after_a_storm_the_summary_comes_with_the_next_tick_and_needs_no_further_line(stderr):
    clock = Clock()
    logging_ = Logging(now=clock)
    for _ in range(PER_SECOND + 7):
        logging_.log.warning("odd")
    clock.now += 1.0
    logging_.tick()
    logging_.tick()
    logging_.close()
    assert by_event(stderr()) == {"odd": PER_SECOND, "suppressed": 1}
    assert stderr()[-1].items() >= {"kind": "odd", "lines": 7}.items()


def test_what_is_left_out_when_we_end_is_said_before_the_end(stderr):
    logging_ = Logging(now=Clock())
    for _ in range(PER_SECOND + 1):
        logging_.log.error("odd")
    logging_.close()
    assert by_event(stderr()) == {"odd": PER_SECOND, "suppressed": 1}


def test_a_storm_of_one_kind_takes_no_line_from_another(stderr):
    logging_ = Logging(now=Clock())
    for _ in range(500):
        logging_.log.warning("storm")
    logging_.log.error("cannot_start", why="rare")
    logging_.close()
    assert [line["why"] for line in stderr() if line["event"] == "cannot_start"] == ["rare"]


def test_what_the_level_leaves_out_is_not_counted_as_suppressed(stderr):
    logging_ = Logging("error", now=Clock())
    for _ in range(500):
        logging_.log.info("quiet")
    logging_.close()
    assert (stderr(), logging_.sampling.suppressed) == ([], 0)
