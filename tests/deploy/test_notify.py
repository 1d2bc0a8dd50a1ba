"""What a service manager is told, and that nobody waits for one that does not listen."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import time

import pytest

from sidecar.edge import notify as notify_module
from sidecar.edge.notify import MOST_UNSENT, Notify, address, watchdog_interval


class Manager:
    """The socket that a service manager listens at."""

    def __init__(self, name):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.setblocking(False)
        self.sock.bind(name)

    def heard(self):
        messages = []
        with contextlib.suppress(BlockingIOError):
            while True:
                messages.append(self.sock.recv(4096).decode())
        return messages

    async def hears(self, count):
        """The next ``count`` messages."""
        messages = []
        async with asyncio.timeout(5):
            while len(messages) < count:
                messages += self.heard()
                await asyncio.sleep(0.005)
        return messages


@pytest.fixture
def manager(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # an address has 107 bytes, tmp_path may have more
    made = Manager("notify")
    yield made
    made.sock.close()


@pytest.fixture
def told(manager, tmp_path, monkeypatch):
    """An environment that names the manager."""
    monkeypatch.setattr(notify_module, "address", lambda stated: stated or None)
    return {"NOTIFY_SOCKET": "notify"}


@pytest.mark.parametrize(
    ("stated", "found"),
    [("", None), ("/run/systemd/notify", "/run/systemd/notify"), ("@abstract", "\0abstract"), ("@", None),
     ("notify", None), ("vsock:2:1234", None)],
)  # fmt: skip
def test_a_path_and_an_abstract_name_are_addresses(stated, found):
    assert address(stated) == found


@pytest.mark.parametrize(
    ("environ", "every"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "30000000"}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "7"}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "8"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({"WATCHDOG_USEC": "²"}, None),
    ],
)
def test_signs_of_life_come_at_half_of_what_the_watchdog_allows(environ, every):
    assert watchdog_interval(environ, 7) == every


async def test_an_abstract_socket_is_reached():
    name = f"sidecar-notify-{os.getpid()}"
    manager = Manager(f"\0{name}")
    with Notify({"NOTIFY_SOCKET": f"@{name}"}, 7) as notify:
        notify.ready("serving")
        assert manager.heard() == ["READY=1\nSTATUS=serving"]
    manager.sock.close()


async def test_a_life_is_told_in_order(manager, told):
    with Notify(told, 7) as notify:
        before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        notify.main_process()
        notify.ready("serving")
        with notify.reloading():
            reloading = manager.heard()[-1]
        notify.stopping("draining")
    assert reloading.startswith("RELOADING=1\nMONOTONIC_USEC=")
    assert before <= int(reloading.rpartition("=")[2]) <= time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    assert manager.heard() == ["READY=1", "STOPPING=1\nSTATUS=draining"]


async def test_a_reload_that_fails_is_over_all_the_same(manager, told):
    with Notify(told, 7) as notify:
        notify.ready("serving")
        with pytest.raises(KeyError), notify.reloading():
            raise KeyError
    assert manager.heard()[-1] == "READY=1"


async def test_a_reload_before_we_are_ready_does_not_say_that_we_are(manager, told):
    with Notify(told, 7) as notify:
        with notify.reloading():
            pass
        assert manager.heard() == []


async def test_who_took_over_is_the_main_process_and_feeds_the_watchdog_of_the_one_before(manager, told):
    with Notify({**told, "WATCHDOG_USEC": "20000", "WATCHDOG_PID": "6"}, 7, taken_over=True) as notify:
        notify.main_process()
        notify.ready("serving")
        assert (await manager.hears(4))[:4] == ["MAINPID=7", "READY=1\nSTATUS=serving", "WATCHDOG=1", "WATCHDOG=1"]


async def test_signs_of_life_end_with_the_loop_that_gives_them(manager, told):
    with Notify({**told, "WATCHDOG_USEC": "20000"}, 7) as notify:
        notify.ready("serving")
        await manager.hears(5)
        manager.heard()
        time.sleep(0.2)  # noqa: ASYNC251 - the loop hangs: 20 are due
        assert manager.heard() == []
        await manager.hears(2)  # and lives on
    manager.heard()
    await asyncio.sleep(0.05)
    assert manager.heard() == []  # nobody is left to give any


async def test_what_does_not_fit_is_sent_later_and_in_order(manager, told):
    with Notify(told, 7) as notify:
        full = 0
        with contextlib.suppress(BlockingIOError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
            other.setblocking(False)
            while full < 10_000:
                other.sendto(b"X=1", "notify")
                full += 1
        assert 0 < full < 10_000
        began = time.monotonic()
        notify.ready("serving")
        notify.stopping("draining")
        assert time.monotonic() - began < 1
        found = await manager.hears(full + 2)
    assert found[full:] == ["READY=1\nSTATUS=serving", "STOPPING=1\nSTATUS=draining"]


async def test_a_manager_that_reads_no_more_costs_a_bounded_memory(manager, told):
    with Notify({**told, "WATCHDOG_USEC": "2000"}, 7) as notify:
        for number in range(1000):
            notify.ready(str(number))
        await asyncio.sleep(0.05)
        assert len(notify._unsent) <= MOST_UNSENT


@pytest.mark.parametrize("environ", [{}, {"NOTIFY_SOCKET": "/nowhere/notify"}, {"NOTIFY_SOCKET": "nonsense"}])
async def test_where_nobody_listens_nothing_happens(environ):
    with Notify({**environ, "WATCHDOG_USEC": "2000"}, 7, taken_over=True) as notify:
        notify.main_process()
        notify.ready("serving")
        with notify.reloading():
            pass
        await asyncio.sleep(0.01)
        notify.stopping("draining")


async def test_without_descriptors_left_nothing_is_said(monkeypatch):
    def none_left(*_):
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(notify_module.socket, "socket", none_left)
    with Notify({"NOTIFY_SOCKET": "/run/notify"}, 7) as notify:
        notify.ready("serving")
