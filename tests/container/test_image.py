"""The image as it runs: small, soon ready, with no rights, nothing to write to, and nobody cut off when it is told to stop."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest

from tests.container.conftest import Town
from tests.container.engine import HARDENED, IMAGE, Engine, eventually

pytestmark = pytest.mark.slow

Table = Callable[[str, str], None]
UID = "10001"
MIB = 2**20


def moment(text: str) -> datetime:
    """Of a time in microseconds or nanoseconds."""
    return datetime.fromisoformat(re.sub(r"(\.\d{6})\d*", r"\1", text))


def test_the_image_is_its_base_and_little_more(engine: Engine, table: Table) -> None:
    told = json.loads(engine.podman("image", "inspect", IMAGE))[0]
    history = json.loads(engine.podman("history", "--format=json", "--human=false", IMAGE))
    ours = sum(layer["size"] for layer in history if layer["size"] and layer is not history[-1])
    table("image, all of it (MiB)", f"{told['Size'] / MIB:.0f}")
    table("image, on top of its base (MiB)", f"{ours / MIB:.0f}")
    assert ours < 100 * MIB
    config = told["Config"]
    assert config["User"] == f"{UID}:{UID}"
    assert config["StopSignal"] in ("15", "SIGTERM")
    assert config["Entrypoint"] == ["sidecar"]
    assert config["Labels"]["org.opencontainers.image.licenses"] == "Apache-2.0"


def test_it_holds_the_package_and_the_policies_and_nothing_else_of_the_repository(engine: Engine) -> None:
    listed = engine.podman("run", "--rm", "--network=none", "--entrypoint=find", IMAGE, "/src", "/etc/vx11-sidecar",
                           "/opt/sidecar", "-path", "*/site-packages/*/*", "-o", "-type", "f", "-print", check=False)  # fmt: skip
    files = listed.splitlines()
    assert "/etc/vx11-sidecar/policy.yaml" in files
    assert not [file for file in files if file.startswith("/src")]
    assert not [file for file in files if re.search(r"(\.git|\.env|\.lock|test_)", file)]


def test_without_a_token_it_does_not_start(engine: Engine) -> None:
    refused = engine.run("tokenless", "--network=none", *HARDENED)
    assert refused.ended() == 2
    assert "no token is configured" in refused.logs


def test_it_runs_as_nobody_with_no_rights_and_nothing_to_write_to(town: Town, table: Table) -> None:
    sidecar = town.sidecar()
    town.ask("ready")
    status = sidecar.status("Uid", "Gid", "CapEff", "CapPrm", "CapBnd", "CapInh", "CapAmb", "NoNewPrivs")
    assert status["Uid"].split() == status["Gid"].split() == [UID] * 4
    assert {status[name] for name in status if name.startswith("Cap")} == {"0" * 16}
    assert status["NoNewPrivs"] == "1"
    writable = sidecar.within(
        "bash",
        "-c",
        "for d in / /tmp /etc/vx11-sidecar /opt/sidecar /var/lib/vx11-sidecar /run; do touch $d/x && echo $d; done",
    )
    assert writable.stdout == ""
    assert "Read-only file system" in writable.stderr
    table("user, capabilities, no_new_privs", f"{UID}, none, yes")
    table("root file system, /tmp and /run", "read-only")


def test_it_is_ready_within_seconds_and_its_health_check_says_so(town: Town, table: Table) -> None:
    sidecar = town.sidecar()
    town.ask("ready")

    def lines() -> list[dict[str, str]]:
        told = [json.loads(line) for line in sidecar.logs.splitlines()]
        return [line for line in told if line["event"] == "ready" and "time" in line]

    eventually(lambda: bool(lines()))  # lines of the log leave a moment later
    (said,) = lines()
    assert said["code"] == "compiled"
    ready = moment(said["time"])
    seconds = (ready - moment(sidecar.inspect()["State"]["StartedAt"])).total_seconds()
    table("start of the process to ready (s)", f"{seconds:.2f}")
    assert seconds < 10
    test = json.loads(town.engine.podman("image", "inspect", IMAGE))[0]["Healthcheck"]["Test"]
    assert test[0] == "CMD"
    assert sidecar.within(*test[1:]).returncode == 0
    sidecar.stop()
    sick = town.sidecar("sick", "--admin=0.0.0.0:9181")
    eventually(lambda: '"ready"' in sick.logs)
    assert sick.within(*test[1:]).returncode != 0


def test_sixty_four_mebibytes_are_enough(town: Town, table: Table) -> None:
    sidecar = town.sidecar()
    town.ask("ready")
    idle = sidecar.memory()
    assert round(idle.limit) == 64
    done = town.ask("chats", "1000")
    after = sidecar.memory()
    with town.asking("crowd", "1000") as crowd:
        assert crowd.next()["open"] == 1000
        assert town.ask("chats", "200")["answered"] == 200
        crowded = sidecar.memory()
    table("memory limit (MiB)", f"{idle.limit:.0f}")
    for when, memory in (("idle", idle), ("after 1 000 chats", after), ("with 1 000 streams", crowded)):
        table(f"memory {when}: used, of it no page cache (MiB)", f"{memory.now:.0f}, {memory.unreclaimable:.0f}")
    table("memory, highest (MiB); killed for it", f"{crowded.peak:.0f}; {crowded.killed}")
    table(
        "1 000 chats: answered, by the switch, per second",
        f"{done['answered']}, {done['by_switch']}, {1000 / done['seconds']:.0f}",
    )
    assert done["answered"] == done["by_switch"] == 1000
    assert crowded.killed == 0
    assert crowded.unreclaimable < 60


def test_a_policy_that_is_saved_in_the_mounted_directory_takes_effect(town: Town, tmp_path: Path) -> None:
    directory = tmp_path / "policy"
    directory.mkdir(mode=0o755)
    (directory / "policy.yaml").write_text("version: 1\n")
    town.sidecar(options=(f"--volume={directory}:/etc/vx11-sidecar:ro",))
    town.ask("ready")
    before = town.ask("revision")["revision"]
    (directory / "new").write_text("version: 1\ndeadline: {client: 4s}\n")
    (directory / "new").replace(directory / "policy.yaml")
    eventually(lambda: town.ask("revision")["revision"] != before)


def test_sigterm_loses_nothing_that_is_under_way(town: Town, table: Table) -> None:
    sidecar = town.sidecar()
    town.ask("ready")
    with town.asking("under-way") as client:
        before = client.next()
        sidecar.stop()
        after = client.next()
    assert sidecar.inspect()["State"]["ExitCode"] == 0
    table("SIGTERM: chats, relayed requests under way", f"{after['chats']}, {after['relayed']}")
    table("SIGTERM: how the stream ended, the WebSocket's code", f"{after['stream']}, {after['websocket']}")
    assert before["done_before"] == 0
    assert set(after["chats"]) == set(after["relayed"]) == {200}
    assert after["stream"] == "closed"  # without the last chunk: it was not at its end, and clients know to come again
    assert after["websocket"] == 1001
