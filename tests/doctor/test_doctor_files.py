"""Policies with mistakes, mounts that pin them, journals that cannot be written."""

from __future__ import annotations

import canary
import pytest
from doctored import (
    LINK,
    QUIET,
    deployment,
)


@pytest.mark.parametrize(
    ("root", "point", "why"),
    [
        ("/home/ana/policy.yaml", "{file}", "a mount of this single file"),
        ("/var/lib/kubelet/pods/1/volume-subpaths/policy/sidecar/0", "{file}", "a Kubernetes subPath"),
        ("/var/lib/kubelet/pods/1/volume-subpaths/policy/sidecar/0", "{folder}", "a Kubernetes subPath"),
    ],
)
async def test_a_mount_that_pins_the_policy_is_seen(tmp_path, root, point, why):
    async with deployment(tmp_path, running=False) as town:
        file = town.policy / "policy.yaml"
        where = point.format(file=file, folder=town.policy).replace(" ", "\\040")
        (tmp_path / "mounts").write_text(
            f"22 1 0:21 / / rw - overlay overlay rw\n36 22 8:1 {root} {where} ro,relatime - ext4 /dev/sda1 rw\n"
        )
        found = await town.examine("policy.updates", host=QUIET._replace(mounts=tmp_path / "mounts"))
    assert found.code == 0
    found.says("policy.updates", "warn", why, "stays what it was when the container started", "mount the directory")


async def test_a_directory_that_is_mounted_is_fine_and_a_token_file_that_is_one_is_noted(tmp_path):
    async with deployment(tmp_path, running=False) as town:
        (tmp_path / "token").write_text(canary.TOKEN)
        try:
            (tmp_path / "mounts").write_text(
                f"36 22 8:1 /p {town.policy} ro - ext4 /dev/sda1 rw\n37 22 8:1 /t {tmp_path / 'token'} ro - ext4 /dev/sda1 rw\n"
            )
            environ = {LINK: "", f"{LINK}_FILE": str(tmp_path / "token")}
            found = await town.examine(
                "policy.updates", host=QUIET._replace(mounts=tmp_path / "mounts"), environ=environ
            )
        finally:
            (tmp_path / "token").unlink()  # the run looks for tokens in files
    found.says("policy.updates", "ok", f"token files that are mounts change with a restart only: {tmp_path / 'token'}")


async def test_a_policy_with_a_mistake_is_quoted_with_its_place_and_the_rest_still_looked_at(tmp_path):
    async with deployment(tmp_path, running=False) as town:
        (town.policy / "policy.yaml").write_text("deadline: {client: 5 s}\nmode: sometimes\n")
        found = await town.examine("policy", "switch.health")
    assert found.code == 1
    found.says(
        "policy", "fail", "policy.yaml:1:20: deadline.client: ", "serve does not start with it", "sidecar check "
    )
    assert "(and 1 more)" in found.results["policy"].seen
    found.says("switch.health", "ok", "is healthy")


async def test_what_is_doubtful_in_a_policy_is_a_fault_or_a_warning_as_check_says(tmp_path):
    async with deployment(tmp_path, running=False) as town:
        (town.policy / "policy.yaml").write_text("relay: {deny: []}\n")
        found = await town.examine("policy")
        assert found.code == 1
        found.says("policy", "fail", "[debug-relayed]", "hardly meant", "sidecar check ")
        (town.policy / "policy.yaml").write_text("auth: {mode: 'off'}\n")
        found = await town.examine("policy")
        assert found.code == 0
        found.says("policy", "warn", "[auth-off]", "hardly meant", "sidecar check ")


async def test_a_deadline_beyond_the_uis_patience_is_a_warning_unless_it_is_meant(tmp_path):
    async with deployment(tmp_path, running=False) as town:
        (town.policy / "policy.yaml").write_text("deadline: {client: 8s}\n")
        found = await town.examine("deadline", "policy")
        assert found.code == 0
        found.says("deadline", "warn", "deadline.client 8s", "the UI has left by then", "write deadline.client: 5s")
        assert "deadline-beyond-ui" not in found.results["policy"].seen  # said once
        (town.policy / "policy.yaml").write_text("deadline: {client: 8s}  # lint: ignore deadline-beyond-ui\n")
        found = await town.examine("deadline")
        found.says("deadline", "ok", "the policy says that this is meant")


async def test_settings_that_serve_would_not_take_are_said_once(tmp_path):
    async with deployment(tmp_path, running=False) as town:
        found = await town.examine(flags={"switch": "switch"})
    assert found.code == 1
    found.says("settings", "fail", "switch: 'switch' is no address", "serve would not start", "correct what is named")
    found.says("chat.switch", "skipped", "see settings")
    assert found.states("fail") == {"settings"}


async def test_a_journal_that_cannot_be_written_is_a_fault(tmp_path):
    async with deployment(tmp_path, running=False) as town:
        journal = {"journal": str(tmp_path)}
        found = await town.examine("journal", flags=journal, host=QUIET._replace(writable=lambda _: False))
        assert found.code == 1
        found.says(
            "journal", "fail", f"{tmp_path} cannot be written", "the sidecar does not start", "mount it writable"
        )
        (tmp_path / "file").write_text("")
        found = await town.examine("journal", flags={"journal": str(tmp_path / "file")})
        found.says("journal", "fail", "is no directory", "a file is where", "name a directory")
        (town.policy / "policy.yaml").write_text("journal: {max_file: 1024GiB, keep: 1000}\n")
        found = await town.examine("journal", flags=journal)
        assert found.code == 0
        found.says("journal", "warn", "MiB free", "do not fit", "make room")
