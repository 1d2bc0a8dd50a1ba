"""Several workers on one port, live: their figures add up, one that ends is replaced, and no request is lost on purpose."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from benchmarks.zero_loss import ENVIRON
from sidecar.edge.workers.child import Child
from sidecar.edge.workers.supervisor import Supervisor, WorkerFailedError
from sidecar.replay.journal import within
from tests.deploy.manager import served

HOLD = {"target": "switch", "kind": "forced_closed", "author": "ana", "reason": "a test", "ttl": "10m"}


async def test_what_clients_sent_is_what_the_workers_counted(crew):
    running = await crew(3)
    load = running.load
    async with load.at_work():
        await asyncio.sleep(1.5)
    assert load.failed.total() == 0, load.failed
    answered = await running.counted("chat_requests_total", outcome="primary")
    relayed = await running.counted("relay_requests_total")
    assert sum(answered.values()) + sum(relayed.values()) == load.answered.total()
    assert set(answered) == {"0", "1", "2"}
    state = await running.state()
    assert (state["status"], state["notes"]) == ("serving", [])
    _, usage = await running.ask("GET", "/usage")
    assert usage["routes"]["/operator/api/chat"]["requests"] == sum(answered.values())
    _, trend = await running.ask("GET", "/trend")
    assert trend["whole"]["calls"] == sum(answered.values())


async def test_a_worker_that_ends_is_replaced_and_stands_as_the_others_do(crew, alive):
    running = await crew(2)
    assert (await running.ask("POST", "/overrides", HOLD))[0] == 200
    before = await running.pids()
    load = running.load
    async with load.at_work():
        await asyncio.sleep(0.5)
        os.kill(before[0], signal.SIGKILL)
        took = await running.until(lambda: _other(running, before[0]))
        await asyncio.sleep(2.5)  # for the late one to look how its colleague stands
    lost = load.failed.total()
    # What it had under way and what was on its kept connections ends with it, and nothing else.
    assert lost <= 10, load.failed
    assert (await running.pids())[1] == before[1]
    assert not alive(before[0])
    (line,) = running.log("worker_ended")
    assert (line["worker"], line["code"], line["again_in_seconds"]) == (0, -9, 0.0)
    assert await running.counted("worker_restarts_total") == {"0": 1, "1": 0}
    assert {line["worker"] for line in running.log("override_set")} == {0, 1}
    states = [worker["breakers"]["switch"] for worker in (await running.state())["workers"]]
    assert states == ["forced_closed"] * 2, took


async def _other(running, pid):
    pids = await running.pids()
    return len(pids) == 2 and pid not in pids.values()


async def test_one_that_keeps_ending_is_started_with_growing_pauses(crew):
    running = await crew(2)
    for _ in range(3):
        await running.complete(2)
        os.kill((await running.pids())[1], signal.SIGKILL)
        await asyncio.sleep(0.1)
    await running.complete(2)
    assert [line["again_in_seconds"] for line in running.log("worker_ended")] == [0.0, 0.5, 1.0]


async def test_nobody_waits_for_a_worker_that_is_gone_for_longer(crew):
    """Its socket stays open, and its colleagues accept from it meanwhile."""
    running = await crew(2)
    for _ in range(4):  # the fourth time it is left alone for two seconds
        await running.complete(2)
        os.kill((await running.pids())[1], signal.SIGKILL)
        await asyncio.sleep(0.1)
    url, answered = f"http://{running.process.said['listen']}/health", 0
    while len(await running.pids()) == 1:
        for _ in range(8):  # of a socket that nobody accepts from every second one would hang
            assert await asyncio.to_thread(_status, url) == 200
            answered += 1
    assert answered >= 8, "it was back too soon to tell"
    await running.complete(2)
    assert all([await asyncio.to_thread(_status, url) == 200 for _ in range(40)])


def _status(url: str) -> int:
    with urllib.request.urlopen(url, timeout=5) as got:
        return int(got.status)


async def test_a_second_one_does_not_get_the_port(crew):
    """Sockets that share a port would let it in, and neither would know."""
    running = await crew(2)
    taken = running.process.said["listen"]
    for workers in ("1", "2"):
        flags = (f"--workers={workers}", f"--listen={taken}", "--admin=127.0.0.1:0")
        done = await asyncio.to_thread(_sidecar, "serve", *flags)
        assert done.returncode == 2
        assert "address already in use" in done.stderr.lower()


async def test_a_service_manager_that_opened_one_socket_has_it_shared(tmp_path, monkeypatch):
    places = ("--gateway", "127.0.0.1:9", "--switch", "127.0.0.1:9", "--madre", "127.0.0.1:9")
    async with served(tmp_path, *places, "--workers", "2", watchdog=2.0, **ENVIRON) as service:
        await service.start()
        told = await asyncio.to_thread(_json, f"http://127.0.0.1:{service.ports[1]}/state")
        assert [worker["worker"] for worker in told["workers"]] == [0, 1]
        assert await asyncio.to_thread(_status, f"http://127.0.0.1:{service.ports[1]}/readyz") == 200
        await service.hears(lambda: service.said("WATCHDOG") >= 2)
        assert await service.stop() == 0
        assert service.said("READY") == 1


def _json(url: str) -> dict[str, Any]:
    request = urllib.request.Request(url, headers={"X-VX11-Admin-Token": ENVIRON["VX11_SIDECAR_ADMIN_TOKEN"]})
    with urllib.request.urlopen(request, timeout=5) as got:
        found: dict[str, Any] = json.load(got)
    return found


async def test_a_signal_to_all_of_them_at_once_still_lets_what_is_under_way_end(crew, alive):
    """As a service manager sends it, which knows every process of a service."""
    running = await crew(2)
    pids = await running.pids()
    load = running.load
    async with load.at_work():
        await asyncio.sleep(0.5)
        for pid in (*pids.values(), running.process.pid):  # the last to hear is the supervisor
            os.kill(pid, signal.SIGTERM)
            await asyncio.sleep(0.05)
        assert await running.process.ended() == 0
    assert [kind for kind in load.failed if "Connection" not in kind and "Incomplete" not in kind] == [], load.failed
    assert not any(map(alive, pids.values()))
    assert running.log("worker_ended") == []
    assert [line["cut"] for line in running.log("drained")] == [0, 0]


async def test_workers_end_when_their_supervisor_is_gone(crew, alive):
    running = await crew(2)
    pids = await running.pids()
    await running.process.end()  # SIGKILL: it can tell nobody
    async with asyncio.timeout(10):
        while any(map(alive, pids.values())):  # noqa: ASYNC110 - nobody tells when a process of others is gone
            await asyncio.sleep(0.05)


async def test_another_takes_over_and_no_request_fails(crew, tmp_path, alive):
    path = ("--takeover", str(tmp_path / "takeover"))
    first = await crew(2, *path)
    pids = await first.pids()
    load = first.load
    async with load.at_work():
        await asyncio.sleep(0.5)
        second = await crew(3, *path)
        assert await first.process.ended() == 0
        third = await crew(1, *path)  # one process alone can take over from several
        assert await second.process.ended() == 0
        await asyncio.sleep(0.3)
    assert load.failed.total() == 0, load.failed
    assert third.process.said["listen"] == first.process.said["listen"]
    assert "workers" not in await third.state()
    assert not any(map(alive, pids.values()))


async def test_a_reload_reaches_everybody(crew, tmp_path):
    running = await crew(2)
    (tmp_path / "policy.yaml").write_text("deadline: {client: 4s}\n")
    running.process.signal(signal.SIGHUP)

    async def taken() -> bool:
        return len([line for line in running.log("reloaded") if line["result"] == "changed"]) == 2

    await running.until(taken)
    assert (await running.state())["policy"]["deadline_seconds"] < 4


async def test_each_keeps_a_journal_and_all_of_them_are_replayed(crew, tmp_path):
    journal = tmp_path / "journal"
    running = await crew(2, "--journal", str(journal))
    load = running.load
    async with load.at_work():
        await asyncio.sleep(1.0)
    chats = sum((await running.counted("chat_requests_total")).values())
    running.process.signal(signal.SIGTERM)
    assert await running.process.ended() == 0
    assert [path.parent.name for path in within(journal)] == ["worker-0", "worker-1"]
    done = await asyncio.to_thread(_sidecar, "replay", str(journal), "--output", "json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["runs"] == 2
    assert told["fidelity"]["calls"] == told["fidelity"]["same"] == chats > 0


async def test_what_keeps_a_worker_from_serving_keeps_the_whole_from_starting(tmp_path):
    taken = tmp_path / "worker-0"
    taken.write_text("no directory")
    done = await asyncio.to_thread(
        _sidecar,
        "serve",
        "--workers",
        "2",
        "--listen",
        "127.0.0.1:0",
        "--admin",
        "127.0.0.1:0",
        "--journal",
        str(tmp_path),
    )
    assert done.returncode == 2
    assert f"sidecar: {taken}: File exists" in done.stderr
    assert "sidecar: worker 0 did not come to serve (exit code 2)" in done.stderr


async def test_a_number_that_is_none_is_refused():
    for number in ("0", "65", "-1"):
        done = await asyncio.to_thread(_sidecar, "serve", f"--workers={number}")
        assert (done.returncode, done.stderr) == (
            2,
            f"sidecar: --workers: {number} is no number of processes: 1 to 64\n",
        )


def _sidecar(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "sidecar", *arguments]
    environ = {**os.environ, **ENVIRON}
    return subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=60, env=environ, cwd=Path(__file__).parents[2]
    )


async def test_one_that_cannot_be_started_is_tried_again(monkeypatch, tmp_path):
    """When there is no process left for it, say: that passes, and the supervisor is still there."""
    started = []

    async def start(command, assignment):
        started.append(assignment)
        raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")

    supervisor = Supervisor(None, SimpleNamespace(log=Said()), lambda *_: [], 1)
    supervisor.serving, supervisor._sockets = None, {"data": (), "admin": ()}
    monkeypatch.setattr(Child, "start", start)
    with pytest.raises(WorkerFailedError, match="worker 0 did not come to serve"):
        await supervisor._keep(0)  # before all have served
    supervisor._complete.set()
    keeping = asyncio.create_task(supervisor._keep(0))
    async with asyncio.timeout(10):
        while len(started) < 3:  # noqa: ASYNC110 - that is all there is to see
            await asyncio.sleep(0.01)
    keeping.cancel()
    assert [each.starts for each in started] == [0, 0, 1]
    assert supervisor._log.lines[0] == {
        "worker": 0,
        "code": "Resource temporarily unavailable",
        "again_in_seconds": 0.0,
    }


class Said:
    def __init__(self):
        self.lines = []

    def error(self, event, **fields):
        self.lines.append(fields)
