"""Under a service manager: restarts that nobody notices, reloads it waits for, and a loop that hangs and is found out."""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import NoReturn

import pytest

from benchmarks.proxies.process import free_port
from benchmarks.zero_loss import TOKEN, Load, Process
from sidecar.edge import process
from sidecar.edge.environment import ADMIN_TOKEN, read_environment
from sidecar.edge.listening import Listeners
from sidecar.edge.process import as_reached
from sidecar.edge.settings import Settings, resolve
from sidecar.policy.load import parse
from tests.deploy.manager import Service, served

LINK = "VX11_TENTACULO_LINK_TOKEN"
HANGS = """
import signal, sys, time
from sidecar.cli import main
signal.signal(signal.SIGUSR1, lambda *_: time.sleep(600))
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture
async def service(tmp_path: Path, places: list[str]) -> AsyncIterator[Service]:
    async with served(tmp_path, *places, "--grace", "2s", watchdog=1.0, **{LINK: TOKEN}) as made:
        yield made


def row(what: str, load: Load, told: str) -> str:
    failed = "".join(f"; {many} x {how}" for how, many in load.failed.items())
    return (
        f"  {what:<44}{load.answered['kept']:>8}{load.answered['fresh']:>8}{load.failed.total():>8}   {told}{failed}\n"
    )


HEAD = f"\n  {'what':<44}{'kept':>8}{'fresh':>8}{'failed':>8}\n"


async def restarts(service: Service, count: int) -> tuple[Load, list[float]]:
    """Stops and starts it ``count`` times under load; how long nobody served, each time."""
    await service.start()
    load = Load(service.ports[0], TOKEN)
    gaps = []
    async with load.at_work():
        for _ in range(count):
            began = time.monotonic()
            assert await service.stop() == 0
            await service.start()
            gaps.append(time.monotonic() - began)
            before = load.answered.total()
            async with asyncio.timeout(30):
                while load.answered.total() < before + 20:  # noqa: ASYNC110 - answers are all there is to look at
                    await asyncio.sleep(0.01)
    return load, gaps


@pytest.mark.parametrize("count", [10, pytest.param(50, marks=pytest.mark.slow)])
async def test_a_restart_on_sockets_that_stay_open_fails_no_request(service: Service, count: int, capsys) -> None:
    load, gaps = await restarts(service, count)
    assert service.said("READY") == count + 1
    assert service.said("STOPPING") == count
    with capsys.disabled():
        told = f"nobody served for {sorted(gaps)[len(gaps) // 2]:.2f} s each time, {max(gaps):.2f} s at most"
        print(HEAD + row(f"{count} restarts, sockets stay open", load, told), end="")
    assert load.failed.total() == 0, load.failed
    assert min(load.answered["kept"], load.answered["fresh"]) > count


async def test_without_them_requests_do_fail(tmp_path: Path, places: list[str], capsys) -> None:
    """The control: the same restarts, with a port that the process opens itself."""
    port = free_port()
    flags = ("serve", "--listen", f"127.0.0.1:{port}", "--admin", "127.0.0.1:0", *places, "--grace", "2s")
    running = await Process.start(*flags, log=tmp_path / "control.log")
    load = Load(port, TOKEN)
    try:
        async with load.at_work():
            for _ in range(2):
                running.signal(signal.SIGTERM)
                await running.ended()
                running = await Process.start(*flags, log=tmp_path / "control.log")
            await asyncio.sleep(0.2)
    finally:
        await running.end()
    with capsys.disabled():
        print(HEAD + row("2 restarts, each with a port of its own", load, "the control"), end="")
    assert load.failed["fresh: ConnectionRefusedError"] > 0


async def test_a_reload_is_waited_for(service: Service) -> None:
    await service.start()
    assert (
        service.told[0].says["STATUS"]
        == f"serving on 127.0.0.1:{service.ports[0]}, admin on 127.0.0.1:{service.ports[1]}"
    )
    began = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    service.running.send_signal(signal.SIGHUP)
    await service.hears(lambda: service.said("READY") == 2)
    told = [each.says for each in service.told if "WATCHDOG" not in each.says]
    assert [set(each) for each in told] == [{"READY", "STATUS"}, {"RELOADING", "MONOTONIC_USEC"}, {"READY"}]
    assert int(told[1]["MONOTONIC_USEC"]) >= began
    assert await service.stop() == 0
    assert service.told[-1].says == {"STOPPING": "1", "STATUS": "draining"}


async def test_signs_of_life_come_while_it_serves(service: Service, capsys) -> None:
    await service.start()
    began, before = time.monotonic(), service.said("WATCHDOG")
    await service.hears(lambda: service.said("WATCHDOG") >= before + 5)
    seconds = time.monotonic() - began
    with capsys.disabled():
        print(f"\n  watchdog of 1 s: 5 signs of life in {seconds:.2f} s")
    assert 2.0 <= seconds < 5.0  # every 500 ms


async def test_a_hung_loop_is_found_out_and_started_again(tmp_path: Path, places: list[str], capsys) -> None:
    command = [sys.executable, "-c", HANGS, "serve", *places]
    async with Service(command, tmp_path, {LINK: TOKEN, "PYTHONFAULTHANDLER": "1"}, watchdog=1.0) as service:
        await service.start()
        await service.hears(lambda: service.said("WATCHDOG") >= 3)
        service.running.send_signal(signal.SIGUSR1)
        silent = await asyncio.wait_for(service.watch(), 15)
        assert service.running.returncode == -signal.SIGABRT
        assert 'File "<string>", line 4' in service.log  # where it hung
        before = service.said("WATCHDOG")
        await service.start()
        await service.hears(lambda: service.said("WATCHDOG") > before)
        with capsys.disabled():
            print(f"\n  a loop that hangs: silent for {silent:.2f} s, ended, started again, gives signs of life")
        assert await service.stop() == 0


async def test_who_takes_over_becomes_the_main_process_and_the_service_is_never_said_to_stop(
    tmp_path: Path, places: list[str]
) -> None:
    async with served(tmp_path, *places, "--takeover", str(tmp_path / "t"), watchdog=1.0, **{LINK: TOKEN}) as service:
        await service.start()
        first = service.running
        await service.start()
        async with asyncio.timeout(30):
            assert await first.wait() == 0
        told = [each.says for each in service.told if "WATCHDOG" not in each.says]
        assert [next(iter(each)) for each in told] == ["READY", "MAINPID", "READY"]
        assert told[1]["MAINPID"] == str(service.running.pid)
        before = service.said("WATCHDOG")
        await service.hears(lambda: service.said("WATCHDOG") > before + 1)
        assert await service.stop() == 0
        assert service.said("STOPPING") == 1


# -- who may look ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def opened() -> object:
    made = []

    def make(host: str) -> Listeners:
        sock = socket.create_server((host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
        made.append(sock)
        return Listeners((), (sock,))

    yield make
    for sock in made:
        sock.close()


@pytest.mark.parametrize(("host", "guarded"), [("127.0.0.1", False), ("0.0.0.0", True), ("::1", False), ("::", True)])
def test_an_admin_socket_that_others_reach_takes_the_admin_token(
    opened: Callable[[str], Listeners], host: str, guarded: bool
) -> None:
    """Whatever --admin says: it is the socket that decides who gets there."""
    environ = {LINK: TOKEN, ADMIN_TOKEN: "an admin's"}
    flags = dict.fromkeys(("listen", "admin", "gateway", "switch", "madre", "journal"))
    settings = resolve(flags, read_environment(environ), environ, parse("", "test"))
    assert not settings.exposed
    assert as_reached(settings, opened(host)).exposed == guarded
    assert as_reached(settings, Listeners()) == settings


async def test_such_a_socket_is_noticed_when_the_process_starts(
    opened: Callable[[str], Listeners], monkeypatch: pytest.MonkeyPatch
) -> None:
    given = opened("0.0.0.0")
    environ = {LINK: TOKEN, ADMIN_TOKEN: "an admin's"}
    flags = dict.fromkeys(("listen", "admin", "gateway", "switch", "madre", "journal"))
    settings = resolve(flags, read_environment(environ), environ, parse("", "test"))
    seen = []

    def make(with_settings: Settings, listeners: Listeners) -> NoReturn:
        seen.append((with_settings, listeners))
        raise KeyboardInterrupt

    monkeypatch.setattr(process, "inherited", lambda *_: given)
    with pytest.raises(KeyboardInterrupt):
        await process.serve(settings, None, make)  # type: ignore[arg-type]
    ((with_settings, listeners),) = seen
    assert with_settings.exposed
    assert listeners is given
