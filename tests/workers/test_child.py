"""A worker as its supervisor sees it: what it says is heard, one that hangs is killed, and one that is gone is told nothing."""

from __future__ import annotations

import asyncio
import sys

import pytest

from sidecar.edge.workers import child as module
from sidecar.edge.workers.assignment import VARIABLE, Assignment
from sidecar.edge.workers.child import Child

NOTHING = Assignment(0, 1, [], [])


def program(text: str) -> list[str]:
    return [sys.executable, "-c", "import json, os, sys, time\n" + text]


async def started(text: str) -> Child:
    return await Child.start(program(text), NOTHING)


async def test_what_it_says_is_heard_but_for_signs_of_life():
    child = await started("""
print('{"event": "alive"}')
print('a library prints')
print('["event"]')
print('{"event": "ready", "desk": 1234}', flush=True)
print('{"event": "alive"}')
""")
    assert child.desk is None
    assert [told async for told in child.said()] == [{"event": "ready", "desk": 1234}]
    assert (child.desk, await child.ended()) == (1234, 0)


@pytest.mark.parametrize("ready", [False, True], ids=["before it serves", "while it serves"])
async def test_one_that_is_silent_for_too_long_is_killed(ready, monkeypatch):
    monkeypatch.setattr(module, "START", 30.0 if ready else 0.5)
    monkeypatch.setattr(module, "SILENCE", 0.5 if ready else 30.0)
    child = await started(
        ('print(\'{"event": "ready", "desk": 1}\', flush=True)\n' if ready else "") + "time.sleep(60)"
    )
    async with asyncio.timeout(20):
        assert len([told async for told in child.said()]) == ready
        assert await child.ended() == -9


async def test_it_hears_what_it_is_told_and_the_end():
    child = await started("""
print(json.dumps({"event": "heard", "lines": [json.loads(line) for line in sys.stdin]}))
""")
    child.tell({"event": "reload"})
    child.tell({"event": "leave", "how": "drain"})
    child._process.stdin.close()
    assert [told["lines"] async for told in child.said()] == [[{"event": "reload"}, {"event": "leave", "how": "drain"}]]
    assert await child.ended() == 0
    child.tell({"event": "reload"})  # nobody is there, and nothing happens
    child.kill()


async def test_it_gets_its_assignment_and_nothing_that_a_service_manager_said(monkeypatch):
    said = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES")
    for name in (*said, "KEPT"):
        monkeypatch.setenv(name, "1")
    child = await started(
        'print(json.dumps({"event": "has", "names": sorted(os.environ), "of": os.getpgid(0) == os.getpid()}))'
    )
    ((told),) = [told async for told in child.said()]
    assert {VARIABLE, "KEPT"} <= set(told["names"])
    assert not set(said) & set(told["names"])
    assert told["of"], "a signal from a terminal reaches the supervisor alone"
    await child.ended()
