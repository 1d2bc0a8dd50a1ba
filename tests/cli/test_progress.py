"""The bar: for a terminal, after a second, and gone in the end."""

from __future__ import annotations

import io

import pytest

from sidecar.cli import progress
from sidecar.cli.progress import PATIENCE, STEP, Bar


class Terminal(io.StringIO):
    def __init__(self, *, there=True):
        super().__init__()
        self._there = there

    def isatty(self):
        return self._there


@pytest.fixture
def clock(monkeypatch):
    class Clock:
        now = 100.0

        def monotonic(self):
            return self.now

    found = Clock()
    monkeypatch.setattr(progress, "time", found)
    return found


def drawn(out):
    """States of the bar, without what moves the cursor."""
    return [state for state in out.getvalue().split("\r\x1b[K") if state]


def test_it_shows_how_far_it_is_and_how_long_it_takes(clock):
    out = Terminal()
    with Bar("replaying", 1000, out) as bar:
        clock.now += 3.0
        bar.add(250)
        assert drawn(out) == ["replaying [########----------------------]  25%, 9 s left"]
        clock.now += 9.0
        bar.set(1000)
    assert drawn(out)[-1] == "replaying [##############################] 100%, 0 s left"
    assert out.getvalue().endswith("\r\x1b[K")  # nothing of it stays


def test_nothing_is_shown_within_a_second(clock):
    out = Terminal()
    with Bar("reading", 10, out) as bar:
        clock.now += PATIENCE - 0.01
        bar.add(5)
    assert out.getvalue() == ""


def test_nothing_is_shown_where_nobody_watches(clock):
    out = Terminal(there=False)
    with Bar("reading", 10, out) as bar:
        clock.now += 60.0
        bar.add(5)
    assert out.getvalue() == ""


def test_states_are_a_moment_apart(clock):
    out = Terminal()
    with Bar("reading", 1000, out) as bar:
        clock.now += PATIENCE + STEP
        for _ in range(100):
            bar.add(1)
            clock.now += STEP / 10
    assert 9 <= len(drawn(out)) <= 11


def test_nobody_is_told_how_long_before_it_can_be_known(clock):
    out = Terminal()
    with Bar("reading", 1000, out) as bar:
        clock.now += 2.0
        bar.add(10)
    assert drawn(out)[0].endswith("]   1%")


@pytest.mark.parametrize(("total", "done"), [(0, 0), (0, 5), (10, 25)])
def test_more_than_all_and_all_of_nothing_are_no_error(clock, total, done):
    out = Terminal()
    with Bar("reading", total, out) as bar:
        clock.now += 2.0
        bar.add(done)
    assert len(drawn(out)) == 1


def test_it_is_wiped_when_the_work_fails(clock):
    out = Terminal()

    def fail():
        with Bar("reading", 10, out) as bar:
            clock.now += 2.0
            bar.add(5)
            raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        fail()
    assert out.getvalue().endswith("\r\x1b[K")


def test_it_goes_to_standard_error(monkeypatch, clock):
    out = Terminal()
    monkeypatch.setattr(progress.sys, "stderr", out)
    with Bar("reading", 10) as bar:
        clock.now += 2.0
        bar.add(5)
    assert drawn(out)
