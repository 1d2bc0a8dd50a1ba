"""Clocks, descriptors and memory of another machine than this one."""

from __future__ import annotations

import time
from email.utils import formatdate

import pytest
from doctored import (
    QUIET,
    answers,
    deployment,
    serving,
)


async def test_a_clock_that_is_off_by_an_hour_is_found_by_the_date_of_an_answer(tmp_path):
    an_hour_ago = formatdate(time.time() - 3600, usegmt=True)
    async with (
        serving(answers(module="tentaculo_link", Date=an_hour_ago)) as gateway,
        deployment(tmp_path, gateway=gateway, running=False) as town,
    ):
        found = await town.examine("clock")
    assert found.code == 1
    found.says("clock", "fail", "gateway -36", "that of gateway, most likely", "the same time service")


async def test_where_all_others_agree_the_wrong_clock_is_ours(tmp_path):
    later = {"Date": formatdate(time.time() + 30, usegmt=True)}
    async with (
        serving(answers(module="madre", **later)) as madre,
        serving(answers(module="switch", **later)) as switch,
        serving(answers(module="tentaculo_link", **later)) as gateway,
        deployment(tmp_path, madre=madre, switch=switch, gateway=gateway, running=False) as town,
    ):
        found = await town.examine("clock")
    assert found.code == 0
    found.says("clock", "warn", "clocks differ", "ours, for all the others agree", "the same time service")


async def test_a_clock_that_jumps_while_we_look_is_said(tmp_path):
    times = iter([1000.0, 4600.0])
    async with deployment(tmp_path, running=False) as town:
        found = await town.examine("clock", host=QUIET._replace(clock=lambda: next(times)))
    assert found.code == 0
    found.says("clock", "warn", "our clock jumped by +3600 s", "somebody set the clock", "let one time service")


@pytest.mark.parametrize(("limit", "state"), [(200, "fail"), (700, "warn"), (921, "ok")])
async def test_descriptors_are_counted_against_connections(tmp_path, limit, state):
    async with deployment(tmp_path, running=False) as town:
        found = await town.examine("descriptors", host=QUIET._replace(descriptors=lambda: limit))
    assert found.code == (state == "fail")
    room = (limit - 64 - limit // 16) // 2  # of which the admin port has one in sixteen
    words = () if state == "ok" else ("a second descriptor towards the gateway", "raise the limit to 921")
    found.says("descriptors", state, f"{limit} file descriptors of this process: room for {room} of 400", *words)


@pytest.mark.parametrize(
    ("membership", "file"),
    [("0::/pod/box\n", "pod/memory.max"), ("4:memory:/pod/box\n0::/\n", "memory/pod/memory.limit_in_bytes")],
)
async def test_the_least_memory_limit_above_us_counts(tmp_path, membership, file):
    (tmp_path / "membership").write_text(membership)
    limit = tmp_path / "cgroup" / file
    (limit.parent / "box").mkdir(parents=True)
    (limit.parent / "box" / limit.name).write_text("max\n")
    host = QUIET._replace(membership=tmp_path / "membership", cgroups=tmp_path / "cgroup")
    async with deployment(tmp_path, running=False) as town:
        for size, state in ((32 << 20, "fail"), (100 << 20, "warn"), (1 << 30, "ok")):
            limit.write_text(f"{size}\n")
            found = await town.examine("memory", host=host)
            words = () if state == "ok" else ("beyond the limit the system kills it", "allow 224 MiB")
            found.says("memory", state, f"allows {size >> 20} MiB; needed at most 224 MiB", *words)
            assert found.code == (state == "fail")
        limit.write_text("9223372036854771712\n")
        found = await town.examine("memory", host=host)
        found.says("memory", "ok", "no memory limit")
