"""A deployment that is well: everything is ok, one chat with each, nothing else changed."""

from __future__ import annotations

import json

import pytest
from doctored import (
    POLICY,
    deployment,
    free,
    operator_backend,
    prometheus,
    serving,
)

from sidecar.doctor.checks import CHECKS

DONE = {"status": "ok", "out_dir": "/x", "sqlite": {"quick_check": 0, "integrity_check": 0, "foreign_key_check": 0}}


async def test_everything_is_ok_where_everything_is_well(tmp_path):
    async with (
        serving(operator_backend()) as operator,
        serving(prometheus("1")) as monitor,
        deployment(tmp_path) as town,
    ):
        town.open_window()
        sent = town.teach_post_task(DONE)
        found = await town.examine(
            flags={"journal": str(tmp_path / "journal")},
            operator=operator,
            prometheus=f"http://{monitor}",
            post_task=True,
        )
        assert (found.states("ok"), found.code) == (set(CHECKS), 0), found.text
        assert sent == [{"apply": False, "reason": "sidecar doctor --post-task"}]
        found.says("chat.switch", "ok", "by general-7b")
        found.says("chat.sidecar", "ok", "by switch, with its eight fields and the correlation id doctor-")
        found.says(
            "chat.found", "ok", "5 facts, asked: switch; the logs of switch, madre and gateway cannot be seen from here"
        )
        found.says("madre.health", "ok", "it says the switch is up")
        found.says("madre.power", "ok", "windowed; the switch is on by it")
        found.says("gateway.health", "ok", "connected ")
        assert not (tmp_path / "journal").exists()
        points = json.loads(found.json)["checklist"]
        assert [point["state"] for point in points] == ["ok"] * 5
        assert "ok      one validated chat with its eight fields (chat.sidecar)" in found.text


async def test_it_chats_once_with_each_and_changes_nothing_else(tmp_path):
    async with deployment(tmp_path) as town:
        await town.examine()
        asked = {name: town.lab.requests(name) for name in ("gateway", "switch", "madre")}
    posts = {name: {ask: n for ask, n in each.items() if not ask.startswith("GET ")} for name, each in asked.items()}
    # To the switch one chat straight and one through the sidecar; the second way in is madre's own.
    assert posts == {
        "gateway": {},
        "switch": {"POST /switch/chat": 2, "POST /switch/route-v5": 1},
        "madre": {"POST /madre/chat": 1},
    }


async def test_before_anything_of_ours_runs_the_rest_is_looked_at(tmp_path):
    async with deployment(tmp_path, running=False) as town:
        found = await town.examine(flags={"listen": free(), "admin": free()})
    assert found.code == 0
    assert found.states("warn") | found.states("fail") == set()
    found.says("port.data", "ok", "is free")
    found.says("port.admin", "ok", "is free")
    for check in ("token.sidecar", "chat.sidecar", "running.ready", "running.policy"):
        found.says(check, "skipped", "no sidecar runs at 127.0.0.1:")
    found.says("descriptors", "ok", "65536 file descriptors of this process")


@pytest.mark.parametrize(
    ("shape", "fields"), [("reference", "its eight fields"), ("stub", "the five fields of the stub")]
)
@pytest.mark.parametrize("faults", [(), ("switch=refuse",)])
async def test_it_reads_a_reply_in_the_shape_that_the_policy_chooses(tmp_path, shape, fields, faults):
    policy = f"{POLICY}reply: {{shape: {shape}}}\ndormant: {{mode: ignore}}\n"
    async with deployment(tmp_path, *faults, policy=policy) as town:
        found = await town.examine("chat.sidecar")
    seen = f"with {fields} and the correlation id doctor-"
    if faults:
        found.says("chat.sidecar", "warn", seen, "could not be reached", "Look at the attempts")
        assert "degraded: failure" in found.results["chat.sidecar"].seen
    else:
        found.says("chat.sidecar", "ok", seen)
