"""A sidecar that runs takes what is written: policies by signal, rename, swap or in place, and tokens by their files."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.conftest import FREE, Spawn
from tests.acceptance.running import LINK, Answer, LabProcess, Process, ask, chat

ADMIN = "reload-admin-token"
NOTICED = 6.0  # seconds: two looks at the files, or the repeated reading of a bad one, on a busy machine


class Served:
    """A process, and what it says of itself."""

    def __init__(self, process: Process) -> None:
        ready = process.ready()
        self.process = process
        self.url = f"http://{ready['listen']}"
        self.admin = f"http://{ready['admin']}"

    def state(self) -> dict[str, Any]:
        return ask("GET", self.admin + "/state").json

    def client(self) -> str:
        """The client's patience by the policy in force."""
        return str(ask("GET", self.admin + "/policy").json["values"]["deadline.client"]["value"])

    def reload(self, token: str = ADMIN) -> Answer:
        return ask("POST", self.admin + "/reload", b"{}", {"X-VX11-Admin-Token": token})

    def metric(self, line: str) -> float:
        text = ask("GET", self.admin + "/metrics").body.decode()
        return next(float(each.rpartition(" ")[2]) for each in text.splitlines() if each.startswith(line))

    def log(self, event: str) -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in self.process.stderr.splitlines(keepends=True) if line.endswith("\n")]
        return [line for line in lines if line["event"] == event]


def soon(holds: Callable[[], object], within: float = NOTICED) -> None:
    """Waits for what a process does by itself: files are looked at twice a second."""
    deadline = time.monotonic() + within
    while not holds():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.02)


def renamed(path: Path, text: str) -> None:
    other = path.with_name(".new")
    other.write_text(text)
    other.replace(path)


def test_a_signal_reads_the_policy_again_at_once(spawn: Spawn, lab_process: LabProcess, tmp_path: Path) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text("deadline: {client: 5s}\n")
    with spawn("serve", *lab_process.flags(), "--policy", str(policy), **{LINK: lab_process.token}) as process:
        served = Served(process)
        for number, seconds in enumerate((6, 7, 8), 1):
            renamed(policy, f"deadline: {{client: {seconds}s}}\n")
            os.kill(process.pid, signal.SIGHUP)
            soon(lambda number=number: len(served.log("reloaded")) >= number)
            assert served.client() == f"{seconds}s"
        assert chat(served.url, lab_process.token).json["provider"] == "switch"
        assert "signal" in {line["trigger"] for line in served.log("reloaded")}
        for _ in range(50):
            os.kill(process.pid, signal.SIGHUP)
        soon(lambda: served.state()["status"] == "serving")
        assert process.end() == 0
        assert "Traceback" not in process.stderr


def test_every_way_in_which_files_are_replaced_is_noticed(
    spawn: Spawn, lab_process: LabProcess, tmp_path: Path
) -> None:
    mount = tmp_path / "mount"
    for name, seconds in (("one", 5), ("two", 6)):
        (mount / name).mkdir(parents=True)
        (mount / name / "policy.yaml").write_text(f"deadline: {{client: {seconds}s}}\n")
    (mount / "..data").symlink_to("one")
    (mount / "policy.yaml").symlink_to("..data/policy.yaml")
    with spawn("serve", *lab_process.flags(), "--policy", str(mount), **{LINK: lab_process.token}) as process:
        served = Served(process)
        assert served.client() == "5s"

        (mount / "..tmp").symlink_to("two")  # as the kubelet does it: new directory, link swapped, old one deleted
        (mount / "..tmp").replace(mount / "..data")
        shutil.rmtree(mount / "one")
        soon(lambda: served.client() == "6s")

        with (mount / "two" / "policy.yaml").open("r+") as file:
            file.write("deadline: {client: 7s}\n")
        soon(lambda: served.client() == "7s")

        renamed(mount / "two" / "policy.yaml", "deadline: {client: 8s}\n")
        soon(lambda: served.client() == "8s")

        (mount / "two" / "policy.yaml").unlink()
        soon(lambda: served.state()["policy_problems"])
        assert served.client() == "8s"
        assert chat(served.url, lab_process.token).status == 200

        (mount / "two" / "policy.yaml").write_text("deadline: {client: 9s}\n")
        soon(lambda: served.client() == "9s")
        assert served.state()["policy_problems"] == []
        soon(lambda: len(served.log("reloaded")) >= 4)  # a line is written a moment after what it tells of
        assert [line["trigger"] for line in served.log("reloaded")] == ["file"] * 4
        assert process.end() == 0


def test_a_bad_file_is_shouted_about_while_the_one_before_goes_on_serving(
    spawn: Spawn, lab_process: LabProcess, tmp_path: Path
) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text("deadline: {client: 5s}\n")
    with spawn("serve", *lab_process.flags(), "--policy", str(policy), **{LINK: lab_process.token}) as process:
        served = Served(process)
        revision = served.state()["policy"]["revision"]
        renamed(policy, "deadline:\n  client: 5\n")
        soon(lambda: served.state()["policy_problems"])
        place = f"{policy}:2:11: deadline.client"
        assert served.state()["policy_problems"][0].startswith(place)
        assert served.state()["policy"]["revision"] == revision
        assert place in ask("GET", served.admin + "/readyz?verbose").json["notes"][0]
        assert ask("GET", served.admin + "/readyz").status == 200
        assert served.metric("vx11_sidecar_policy_last_reload_successful ") == 0
        assert served.metric('vx11_sidecar_policy_reloads_total{result="failed"}') == 1
        soon(lambda: served.log("policy_rejected"))
        assert served.log("policy_rejected")[0]["problems"][0].startswith(place)
        assert chat(served.url, lab_process.token).json["provider"] == "switch"
        renamed(policy, "deadline: {client: 5s}\n")
        soon(lambda: not served.state()["policy_problems"])
        assert ask("GET", served.admin + "/readyz?verbose").json["notes"] == []
        assert served.metric("vx11_sidecar_policy_last_reload_successful ") == 1
        assert len(served.log("policy_rejected")) == 1
        assert process.end() == 0


def test_tokens_are_rotated_by_their_files_without_a_restart(
    spawn: Spawn, lab_process: LabProcess, tmp_path: Path
) -> None:
    tokens, admin, target = tmp_path / "tokens", tmp_path / "admin", tmp_path / "target"
    tokens.write_text("old-token\nother-token\n")
    admin.write_text("old-admin\n")
    target.write_text("not-the-switchs-token\n")
    policy = tmp_path / "policy.yaml"
    policy.write_text(f"targets: [{{name: switch, token_from: file {target}}}]\n")
    files = {"VX11_SIDECAR_TOKENS_FILE": str(tokens), "VX11_SIDECAR_ADMIN_TOKEN_FILE": str(admin)}
    with spawn("serve", *lab_process.flags(), "--policy", str(policy), **files) as process:
        served = Served(process)
        assert [chat(served.url, token).status for token in ("old-token", "new-token")] == [200, 403]
        assert chat(served.url, "other-token").json["provider"] == "local"
        assert [served.reload(token).status for token in ("old-admin", "new-admin")] == [200, 403]

        renamed(tokens, "new-token\nother-token\n")
        soon(lambda: chat(served.url, "new-token").status == 200)
        assert [chat(served.url, token).status for token in ("old-token", "other-token")] == [403, 200]

        renamed(admin, "new-admin\n")
        soon(lambda: served.reload("new-admin").status == 200)
        assert served.reload("old-admin").status == 403

        renamed(target, lab_process.token + "\n")
        soon(lambda: chat(served.url, "other-token").json["provider"] == "switch")

        tokens.unlink()  # no absent token, and no open door: the ones before stay good
        soon(lambda: served.state()["policy_problems"])
        assert str(tokens) in served.state()["policy_problems"][0]
        assert [chat(served.url, token).status for token in ("new-token", "nobody")] == [200, 403]
        tokens.write_text("newest-token\n")
        soon(lambda: not served.state()["policy_problems"])
        assert [chat(served.url, token).status for token in ("new-token", "newest-token")] == [403, 200]
        assert process.end() == 0
        for secret in ("old-token", "new-token", "newest-token", "other-token", "old-admin", "new-admin"):
            assert secret not in process.stderr


def test_a_reload_alone_never_turns_authentication_off(spawn: Spawn, lab_process: LabProcess, tmp_path: Path) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text("auth: {mode: token}\n")
    given = {LINK: lab_process.token, "VX11_SIDECAR_ADMIN_TOKEN": ADMIN}
    with spawn("serve", *lab_process.flags(), "--policy", str(policy), **given) as process:
        served = Served(process)
        renamed(policy, "auth: {mode: off}\n")
        answer = served.reload()
        assert answer.status == 409
        assert "auth.mode: off does not take effect while serving" in answer.json["problems"][0]
        assert [chat(served.url, token).status for token in (None, lab_process.token)] == [401, 200]
        assert process.end() == 0


@pytest.mark.parametrize("how", ["file", "signal"])
def test_the_lab_takes_a_changed_policy_too(spawn: Spawn, tmp_path: Path, how: str) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text("deadline: {client: 5s}\n")
    with spawn("lab", *FREE, "--control", "0", "--policy", str(policy), "--log-level", "info") as process:
        served = Served(process)
        renamed(policy, "deadline: {client: 9s}\n")
        if how == "signal":
            os.kill(process.pid, signal.SIGHUP)
        soon(lambda: served.client() == "9s")
        soon(lambda: served.log("reloaded"))
        assert how == "file" or served.log("reloaded")[0]["trigger"] == "signal"
        assert process.end() == 0
