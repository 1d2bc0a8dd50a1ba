"""The whole sidecar, started and taken down: with everything behind it dead, with ports taken, while requests are under way."""

from __future__ import annotations

import asyncio
import gc
import json
import socket
import threading
import time
from contextlib import AsyncExitStack
from importlib import import_module
from typing import get_args

import aiohttp
import pytest
from kitchen import TOKEN, Peer, answering, http, until

from sidecar.core.fact import Fact
from sidecar.core.value import replace
from sidecar.edge import app as module
from sidecar.edge import runtime
from sidecar.edge.app import Sidecar
from sidecar.edge.environment import Environment
from sidecar.edge.outlets.log import Logging
from sidecar.edge.settings import Settings, UnusableSettingsError, resolve
from sidecar.policy.load import parse

LOOPS = ("asyncio", "uvloop")
GOOD = http(json.dumps({"status": "ok", "reply": "hola", "engine_used": "general-7b"}).encode())


@pytest.fixture
def logging_(capfd):
    """The process's log, on a descriptor that pytest captures."""
    opened = Logging("info")
    yield opened
    opened.close()


def closed_port():
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{bound.getsockname()[1]}"


def settings(*, text="", **flags) -> Settings:
    """Everything on loopback, on ports of 0; nothing is listening where nothing is said."""
    defaults = {"listen": "127.0.0.1:0", "admin": "127.0.0.1:0", "journal": None}
    behind = {name: closed_port() for name in ("gateway", "switch", "madre")}
    given = {**defaults, **behind, **{name: str(value) for name, value in flags.items()}}
    said = Environment("link", frozenset({TOKEN}), None, None, None, None, None)
    return resolve(given, said, {}, parse(text, "test"))


@pytest.fixture
async def client():
    async with aiohttp.ClientSession() as opened:
        yield opened


async def chat(client, sidecar, **body):
    url = f"http://{sidecar.serving.listen}/operator/api/chat"
    async with client.post(url, json={"message": "hi", **body}, headers={"X-VX11-Token": TOKEN}) as got:
        return got.status, await got.json()


async def admin(client, sidecar, path):
    async with client.get(f"http://{sidecar.serving.admin}{path}", headers={"Host": "localhost"}) as got:
        return got.status, await got.text()


async def test_it_starts_and_answers_with_everything_behind_it_dead(client, logging_):
    async with Sidecar(settings(), logging_) as sidecar:
        assert sidecar.serving.listen.port
        assert sidecar.serving.admin.port
        status, body = await chat(client, sidecar)
        assert (status, body["provider"], body["degraded"]) == (200, "local", True)
        async with client.get(f"http://{sidecar.serving.listen}/operator/api/status") as got:
            assert got.status == 502
        assert await admin(client, sidecar, "/readyz") == (200, '{"status":"ok"}')
        state = json.loads((await admin(client, sidecar, "/state"))[1])
        assert (state["status"], state["answering"]["provider"]) == ("serving", "local")
        _, text = await admin(client, sidecar, "/metrics")
        for line in (
            'vx11_sidecar_chat_requests_total{code="200",outcome="local"} 1.0',
            "vx11_sidecar_degraded 1.0",
            'vx11_sidecar_inflight_requests{kind="chat"} 0.0',
            'vx11_sidecar_retry_budget_balance{target="switch"}',
            "vx11_sidecar_websocket_connections 0.0",
        ):
            assert line in text


async def test_it_relays_to_the_gateway_and_chats_with_the_switch(client, logging_):
    async with Peer(answering(GOOD)) as gateway, Peer(answering(GOOD)) as switch:
        at = {"gateway": f"127.0.0.1:{gateway.port}", "switch": f"127.0.0.1:{switch.port}"}
        async with Sidecar(settings(**at), logging_) as sidecar:
            assert (await chat(client, sidecar))[1]["provider"] == "switch"
            async with client.get(f"http://{sidecar.serving.listen}/operator/api/status") as got:
                assert (await got.json())["reply"] == "hola"
    assert len(gateway.requests) == len(switch.requests) == 1
    assert b"X-VX11-Token: link\r\n" in switch.requests[0]


async def test_draining_finishes_what_is_under_way_and_takes_nothing_new(client, logging_):
    release = asyncio.Event()

    async def slowly(peer, request, writer):
        await release.wait()
        writer.write(GOOD)

    async with Peer(slowly) as switch, Sidecar(settings(switch=f"127.0.0.1:{switch.port}"), logging_) as sidecar:
        under_way = asyncio.create_task(chat(client, sidecar))
        await until(lambda: switch.requests)
        draining = asyncio.create_task(sidecar.drain(grace=2))
        await until(lambda: sidecar._runtime.status.blocked_by)
        assert await admin(client, sidecar, "/readyz") == (503, '{"status":"draining"}')
        assert (await admin(client, sidecar, "/livez"))[0] == 200
        await asyncio.sleep(0.01)  # uvloop closes a listener within the next turns; nothing tells when
        with pytest.raises(OSError, match="onnect"):
            await asyncio.open_connection(*sidecar.serving.listen)
        release.set()
        assert (await under_way)[1]["provider"] == "switch"
        await asyncio.wait_for(draining, 3)


async def test_what_outlasts_the_grace_is_cut(client, logging_):
    async def hang(peer, request, writer):
        await peer.gone.wait()

    async with Peer(hang) as switch, Sidecar(settings(switch=f"127.0.0.1:{switch.port}"), logging_) as sidecar:
        under_way = asyncio.create_task(chat(client, sidecar))
        await until(lambda: switch.requests)
        await asyncio.wait_for(sidecar.drain(grace=0.05), 3)
        with pytest.raises(aiohttp.ClientError):
            await under_way


@pytest.fixture
def held_back(monkeypatch):
    """What the admin port takes is not there before this is set."""
    let_go = threading.Event()

    def import_late(name):
        assert let_go.wait(5)
        return import_module(name)

    monkeypatch.setattr(module, "import_module", import_late)
    yield let_go
    let_go.set()


def starting(logging_):
    """A sidecar that is being started, and the address of its data port."""
    address = closed_port()
    sidecar = Sidecar(settings(listen=address), logging_)
    return sidecar, asyncio.create_task(sidecar.__aenter__()), address


async def answered(client, address):
    """The status of a relayed request, as soon as somebody listens."""
    async with asyncio.timeout(3):
        while True:
            try:
                async with client.get(f"http://{address}/operator/api/status") as got:
                    return got.status
            except aiohttp.ClientConnectorError:
                await asyncio.sleep(0.002)


async def test_the_data_port_answers_before_the_admin_port_is_made(client, logging_, held_back, capfd):
    sidecar, entering, address = starting(logging_)
    assert await answered(client, address) == 502
    sidecar.reload()
    assert not entering.done()
    held_back.set()
    async with AsyncExitStack() as stack:
        stack.push_async_exit(await entering)
        assert await admin(client, sidecar, "/readyz") == (200, '{"status":"ok"}')
        _, text = await admin(client, sidecar, "/metrics")
        assert 'vx11_sidecar_relay_errors_total{error="connect"} 1.0' in text  # what came before is counted
        await until(lambda: '"reloaded"' in capfd.readouterr().err)  # and what was asked for before is done


async def test_an_admin_port_that_cannot_be_made_ends_the_start_with_clients_connected(client, logging_, monkeypatch):
    before = standing()
    failing = threading.Event()

    def broken(name):
        failing.wait(5)
        raise ImportError(name)

    monkeypatch.setattr(module, "import_module", broken)
    _, entering, address = starting(logging_)
    assert await answered(client, address) == 502
    host, _, port = address.rpartition(":")
    idle, writer = await asyncio.open_connection(host, int(port))
    failing.set()
    with pytest.raises(ImportError):
        await entering
    assert await asyncio.wait_for(idle.read(), 3) == b""
    writer.close()
    await client.close()
    await nothing_left(before)


async def nothing_left(before):
    """The tasks, threads and transports that were there before are all that is there now."""
    tasks, threads = before
    await until(lambda: asyncio.all_tasks() <= tasks)
    assert set(threading.enumerate()) <= threads | {
        thread for thread in threading.enumerate() if thread.name.startswith(("asyncio_", "uvloop_"))
    }
    gc.collect()  # a transport or socket that nobody closed says so when it goes, and warnings are errors


def standing():
    """The tasks and threads there are now."""
    return asyncio.all_tasks(), set(threading.enumerate())


@pytest.mark.parametrize("taken", ["listen", "admin"])
async def test_a_port_in_use_is_an_os_error_and_leaves_nothing_behind(taken, logging_, tmp_path):
    before = standing()
    with socket.create_server(("127.0.0.1", 0)) as other:
        given = settings(**{taken: f"127.0.0.1:{other.getsockname()[1]}", "journal": tmp_path / "journal"})
        with pytest.raises(OSError, match="in use"):
            async with Sidecar(given, logging_):
                raise AssertionError("it started")
    await nothing_left(before)
    assert gc.get_freeze_count() == 0


async def test_a_journal_that_cannot_be_written_is_an_os_error_and_leaves_nothing_behind(logging_, tmp_path):
    before = standing()
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        async with Sidecar(settings(journal=tmp_path / "file" / "journal"), logging_):
            raise AssertionError("it started")
    await nothing_left(before)


async def test_a_gateway_that_turns_out_to_be_ourselves_is_refused_and_leaves_nothing_behind(logging_):
    before = standing()
    port = closed_port()
    given = replace(settings(gateway=port), listen=module.Address("127.0.0.1", int(port.rpartition(":")[2])))
    with pytest.raises(UnusableSettingsError, match="our own listener"):
        async with Sidecar(given, logging_):
            raise AssertionError("it started")
    await nothing_left(before)


@pytest.mark.parametrize("drained", [True, False])
async def test_leaving_takes_everything_down_even_with_clients_connected(drained, client, logging_, tmp_path):
    before = standing()

    async def hang(peer, request, writer):
        await peer.gone.wait()

    async with Peer(hang) as switch:
        given = settings(switch=f"127.0.0.1:{switch.port}", journal=tmp_path)
        async with Sidecar(given, logging_) as sidecar:
            idle, writer = await asyncio.open_connection(*sidecar.serving.listen)
            under_way = asyncio.create_task(chat(client, sidecar))
            await until(lambda: switch.requests)
            if drained:
                await sidecar.drain(grace=0)
        assert await asyncio.wait_for(idle.read(), 3) == b""
        writer.close()
        with pytest.raises(aiohttp.ClientError):
            await asyncio.wait_for(under_way, 3)
    await nothing_left(before)
    for serving in sidecar.serving:
        with pytest.raises(OSError, match="onnect"):
            await asyncio.open_connection(*serving)


async def test_an_admin_client_that_reads_nothing_does_not_hold_up_the_end(logging_):
    async with Sidecar(settings(), logging_) as sidecar:
        _, writer = await asyncio.open_connection(*sidecar.serving.admin)
        writer.write(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" * 2000)
        await asyncio.sleep(0.1)  # until both socket buffers are full; nothing tells when
        leaving = asyncio.get_running_loop().time()
    assert asyncio.get_running_loop().time() - leaving < 3
    writer.transport.abort()


async def test_the_journal_is_written_where_it_was_wanted_and_whole_when_we_leave(client, logging_, tmp_path):
    async with Sidecar(settings(journal=tmp_path / "a" / "b"), logging_) as sidecar:
        await chat(client, sidecar, message="un secreto", session_id="canary")
    (file,) = (tmp_path / "a" / "b").iterdir()
    kinds = [json.loads(line)["in"] for line in file.read_text().splitlines()]
    assert kinds[:3] == ["start", "adopt", "call"]
    assert kinds.count("answered") >= 2
    assert not [word for word in ("un secreto", "canary", TOKEN, '"link"') if word in file.read_text()]


async def test_the_garbage_collector_is_as_it_was_before(logging_):
    assert gc.get_freeze_count() == 0
    async with Sidecar(settings(), logging_):
        assert gc.get_freeze_count() > 1000
    assert gc.get_freeze_count() == 0
    assert gc.isenabled()


async def test_how_late_the_loop_is_can_be_seen(logging_, monkeypatch):
    monkeypatch.setattr(runtime, "LAG_TICK", 0.001)
    async with Sidecar(settings(), logging_) as sidecar:
        read = sidecar._runtime.telemetry.registry.get_sample_value
        await until(lambda: read("vx11_sidecar_event_loop_lag_seconds"))
        assert 0 < read("vx11_sidecar_event_loop_lag_seconds") < 3


async def test_a_stall_of_the_loop_is_counted_and_said(logging_, monkeypatch, capfd):
    monkeypatch.setattr(runtime, "LAG_TICK", 0.05)
    async with Sidecar(settings(), logging_) as sidecar:
        read = sidecar._runtime.telemetry.registry.get_sample_value
        await until(lambda: read("vx11_sidecar_event_loop_lag_seconds"))
        before = read("vx11_sidecar_event_loop_stalls_total")
        time.sleep(0.5)  # noqa: ASYNC251 - the stall
        await until(lambda: read("vx11_sidecar_event_loop_stalls_total") > before)
    logging_.close()
    lines = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    stalls = [line for line in lines if line["event"] == "loop_stalled"]
    assert stalls
    assert all(line["level"] == "warning" and line["seconds"] > 0.25 for line in stalls)


async def test_what_is_left_out_of_the_log_is_counted_and_said_while_we_run(logging_, monkeypatch, capfd):
    monkeypatch.setattr(runtime, "LAG_TICK", 0.05)
    async with Sidecar(settings(), logging_) as sidecar:
        for _ in range(200):
            logging_.log.warning("odd")
        read = sidecar._runtime.telemetry.registry.get_sample_value
        assert read("vx11_sidecar_log_suppressed_total") >= 100
        await until(lambda: '"suppressed"' in capfd.readouterr().err)


async def test_open_connections_can_be_seen(client, logging_):
    async with Sidecar(settings(), logging_) as sidecar:
        read = sidecar._runtime.telemetry.registry.get_sample_value
        assert read("vx11_sidecar_client_connections") == 0
        _, writer = await asyncio.open_connection(*sidecar.serving.listen)
        await until(lambda: read("vx11_sidecar_client_connections") == 1)
        writer.close()
        await until(lambda: read("vx11_sidecar_client_connections") == 0)


async def test_a_fault_of_a_background_task_is_logged_and_nobody_elses_end(client, logging_, monkeypatch, capfd):
    async def broken(kitchen):
        raise ZeroDivisionError("a secret")

    monkeypatch.setattr(runtime.power, "listen", broken)
    async with Sidecar(settings(), logging_) as sidecar:
        assert (await chat(client, sidecar))[0] == 200
    logging_.outbox.close()
    written = capfd.readouterr().err
    assert '"task_failed"' in written
    assert "ZeroDivisionError" in written
    assert "a secret" not in written


async def test_a_sink_of_facts_that_fails_takes_no_answer_away(client, logging_, capfd):
    async with Sidecar(settings(), logging_) as sidecar:
        heard = []

        def broken(fact):
            raise ZeroDivisionError("a secret")

        takes = sidecar._runtime.emit._takes
        takes.update({kind: (broken, *takes.get(kind, ()), heard.append) for kind in get_args(Fact)})
        assert (await chat(client, sidecar))[1]["provider"] == "local"
        assert heard
        state = json.loads((await admin(client, sidecar, "/state"))[1])
        assert state["targets"]["switch"]["limiter"]["in_flight"][0] == 0
    logging_.outbox.close()
    written = capfd.readouterr().err
    assert '"sink_failed"' in written
    assert "a secret" not in written


async def test_a_policy_in_mode_off_relays_chat_too(client, logging_):
    async with Peer(answering(GOOD)) as gateway:
        given = settings(text="mode: off\n", gateway=f"127.0.0.1:{gateway.port}")
        async with Sidecar(given, logging_) as sidecar:
            assert (await chat(client, sidecar))[1] == json.loads(GOOD.partition(b"\r\n\r\n")[2])
    assert gateway.requests[0].startswith(b"POST /operator/api/chat ")


async def test_a_hundred_chats_at_once_are_all_answered_and_counted(client, logging_):
    async with (
        Peer(answering(GOOD)) as switch,
        Sidecar(settings(switch=f"127.0.0.1:{switch.port}"), logging_) as sidecar,
    ):
        answers = await asyncio.gather(*(chat(client, sidecar, session_id=f"s{number}") for number in range(100)))
        assert {status for status, _ in answers} == {200}
        _, text = await admin(client, sidecar, "/metrics")
        counted = sum(
            float(line.rpartition(" ")[2])
            for line in text.splitlines()
            if line.startswith("vx11_sidecar_chat_requests_total")
        )
        assert counted == 100
        state = json.loads((await admin(client, sidecar, "/state"))[1])
        assert [target["limiter"]["in_flight"][0] for target in state["targets"].values()] == [0, 0]
