"""The life of the process: the loop, the line that says ready, and signals of which the second ends at once."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import signal
import sys

import pytest

from sidecar.edge import process
from sidecar.edge.process import Stop, run_loop, say


class Slow:
    """A sidecar whose drain takes as long as it is let."""

    def __init__(self, *, error=None):
        self.graces, self.cancelled = [], 0
        self.let_go = asyncio.Event()
        self._error = error

    async def drain(self, grace=8.0, *, delay=0.0, relieved=False):
        self.graces.append(grace)
        self.told = (delay, relieved)
        try:
            if grace:
                await self.let_go.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if self._error:
            raise self._error


@pytest.fixture
async def stop():
    yield Stop()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().remove_signal_handler(number)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_the_first_signal_is_a_request_to_stop(stop, number):
    assert not stop.first.is_set()
    os.kill(os.getpid(), number)
    async with asyncio.timeout(5):
        await stop.first.wait()


async def test_who_is_asked_to_leave_twice_is_not_cut(stop):
    """A service manager and a supervisor may both ask."""
    sidecar = Slow()
    stop.leave()
    async with asyncio.timeout(5):
        await stop.first.wait()
        draining = asyncio.ensure_future(stop.drain(sidecar))
        await asyncio.sleep(0)
        stop.leave()
        sidecar.let_go.set()
        await draining
    assert (sidecar.graces, sidecar.cancelled) == ([8.0], 0)


async def test_who_is_cut_ends_at_once(stop):
    sidecar = Slow()
    stop.cut()
    async with asyncio.timeout(5):
        await stop.first.wait()
        await stop.drain(sidecar)
    assert (sidecar.graces[-1], sidecar.cancelled) == (0, 1)


async def test_what_is_under_way_may_end(stop):
    sidecar = Slow()
    sidecar.let_go.set()
    async with asyncio.timeout(5):
        await stop.drain(sidecar)
    assert (sidecar.graces, sidecar.cancelled) == ([8.0], 0)


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
async def test_a_second_signal_cuts_what_is_under_way(stop, second):
    sidecar = Slow()
    os.kill(os.getpid(), signal.SIGTERM)
    async with asyncio.timeout(5):
        await stop.first.wait()
        draining = asyncio.ensure_future(stop.drain(sidecar))
        await asyncio.sleep(0)
        os.kill(os.getpid(), second)
        await draining
    assert (sidecar.graces, sidecar.cancelled) == ([8.0, 0], 1)


async def test_a_drain_that_fails_is_heard_of(stop):
    sidecar = Slow(error=OSError("x"))
    sidecar.let_go.set()
    with pytest.raises(OSError, match="x"):
        await stop.drain(sidecar)


@pytest.mark.parametrize("fast", [True, False])
def test_a_loop_runs_with_or_without_the_fast_one(monkeypatch, fast):
    if not fast:
        monkeypatch.setitem(sys.modules, "uvloop", None)
    seen = []

    async def main():
        seen.append(type(asyncio.get_running_loop()).__module__)

    run_loop(main())
    assert len(seen) == 1
    assert fast or seen[0].startswith("asyncio")


def test_what_is_said_is_one_line_of_json(capsys):
    say({"event": "ready", "listen": "127.0.0.1:1"})
    out = capsys.readouterr().out
    assert json.loads(out) == {"event": "ready", "listen": "127.0.0.1:1"}
    assert out.endswith("}\n")


def test_as_many_descriptors_as_allowed_are_asked_for(monkeypatch):
    asked = []
    monkeypatch.setattr(resource, "setrlimit", lambda *limits: asked.append(limits))
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, 4096))
    process.raise_descriptor_limit()
    monkeypatch.setattr(resource, "getrlimit", lambda _: (4096, 4096))
    process.raise_descriptor_limit()
    assert asked == [(resource.RLIMIT_NOFILE, (4096, 4096))]
