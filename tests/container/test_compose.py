"""The compose files as they run, by podman-compose: a lab on a laptop, and beside a VX11 that knows nothing of it."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.container.engine import IMAGE, OWN, ROOT, Engine, eventually
from tests.container.files import compose, merged, tool

FILES = [ROOT / "compose.yaml", *sorted((ROOT / "deploy/compose").glob("*.override.yaml"))]
ULIMITS = "--podman-run-args=--ulimit=nproc=10000:10000 --ulimit=nofile=16384:16384"
TOKEN = "vx11-local-token"
VX11 = f"""\
services:
  tentaculo_link:
    image: {IMAGE}
    build: {{context: ., dockerfile: tentaculo_link/Dockerfile, args: [REQUIREMENTS_FILE=requirements_tentaculo.txt]}}
    container_name: {OWN}-tentaculo-link
    hostname: tentaculo-link
    networks: {{default: {{aliases: [tentaculo_link]}}}}
    ports: ["GATEWAY:8000"]
    volumes: ["./data:/app/data"]
    command: [lab, --only-services, --host=0.0.0.0, --gateway-port=8000, --control=8019]
    environment: [API_TOKEN=the-gateways-own, VX11_TENTACULO_LINK_TOKEN=the-gateways-own]
    mem_limit: 512m
    depends_on: {{redis: {{condition: service_started}}}}
    restart: unless-stopped
    healthcheck: {{test: [CMD, curl, -f, "http://localhost:8000/health"]}}
  redis:
    image: {IMAGE}
    entrypoint: [sleep, infinity]
    stop_signal: SIGKILL
  models:
    image: {IMAGE}
    command: [lab, --only-services, --host=0.0.0.0, --switch-port=8002, --madre-port=8001, --control=8019]
    networks: {{default: {{aliases: [switch, madre]}}}}
"""


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_it_is_a_compose_file_by_the_specifications_schema(path: Path, tmp_path: Path) -> None:
    if (check := tool("check-jsonschema")) is None:
        pytest.skip("check-jsonschema is not installed: pip install check-jsonschema")
    bare = tmp_path / "compose.json"
    bare.write_text(json.dumps(without_nothing(compose(path))))
    done = subprocess.run(
        [check, "--builtin-schema", "vendor.compose-spec", bare], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


def without_nothing(value: Any) -> Any:
    """What ``!reset`` takes away is no value of the schema."""
    if isinstance(value, dict):
        return {name: without_nothing(item) for name, item in value.items() if item is not None or name == "volumes"}
    return value


class Project:
    """One compose project of podman-compose, with ports of this machine that are free."""

    def __init__(self, engine: Engine, where: Path, *arguments: str) -> None:
        self.ports = dict(zip(("PORT", "ADMIN_PORT", "LAB_PORT"), free_ports(3), strict=True))
        told = {f"VX11_SIDECAR_{name}": str(port) for name, port in self.ports.items()}
        self.environ = engine.environ | told | {"VX11_SIDECAR_BIND": "127.0.0.1"}
        found = tool("podman-compose")
        if found is None:
            pytest.skip("podman-compose is not installed: pip install podman-compose")
        version = subprocess.run([found, "--version"], capture_output=True, text=True, check=False, env=self.environ)
        if "1.0." in version.stdout + version.stderr:
            pytest.skip(f"{found} is too old: pip install podman-compose")
        self._command = [found, f"--project-name={OWN}", ULIMITS, *arguments]
        self._where = where

    def do(self, *what: str) -> str:
        done = subprocess.run(
            [*self._command, *what],
            cwd=self._where,
            env=self.environ,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        return done.stdout + done.stderr

    def ask(self, port: str, path: str, body: object = None, **headers: str) -> tuple[int, Any]:
        """Status, and what was said as JSON."""
        data = None if body is None else json.dumps(body).encode()
        fields = {name.replace("_", "-"): value for name, value in headers.items()} | {
            "Content-Type": "application/json"
        }
        asked = urllib.request.Request(f"http://127.0.0.1:{self.ports[port]}{path}", data, fields)
        try:
            with urllib.request.urlopen(asked, timeout=10) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)

    def serves(self, port: str, path: str) -> Callable[[], bool]:
        def asked() -> bool:
            try:
                return self.ask(port, path)[0] == 200
            except (OSError, ValueError):
                return False

        return asked

    def chat(self) -> dict[str, Any]:
        status, said = self.ask("PORT", "/operator/api/chat", {"message": "hola"}, X_VX11_Token=TOKEN)
        assert status == 200
        return dict(said)


def free_ports(count: int) -> list[int]:
    places = [socket.socket() for _ in range(count)]
    try:
        for place in places:
            place.bind(("127.0.0.1", 0))
        return [place.getsockname()[1] for place in places]
    finally:
        for place in places:
            place.close()


@pytest.fixture
def bridge(engine: Engine) -> Iterator[None]:
    """Afterwards nothing is left of the rules that a bridge needs."""
    yield
    if engine.podman("ps", "--quiet").strip():
        return
    table = ""
    for line in subprocess.run(["iptables-save"], capture_output=True, text=True, check=False).stdout.splitlines():
        table = line[1:] if line.startswith("*") else table
        if re.match(r"-A (PREROUTING|OUTPUT|POSTROUTING|FORWARD) .*NETAVARK", line):
            subprocess.run(f"iptables -t {table} -D {line[3:]}", shell=True, check=False, capture_output=True)
    for flag in ("-F", "-X"):
        for table in ("nat", "filter"):
            listed = subprocess.run(["iptables", "-t", table, "-S"], capture_output=True, text=True, check=False).stdout
            for chain in re.findall(r"^-N (NETAVARK\S*)", listed, re.MULTILINE):
                subprocess.run(["iptables", "-t", table, flag, chain], check=False, capture_output=True)
    left = subprocess.run(["iptables-save"], capture_output=True, text=True, check=False).stdout
    assert "NETAVARK" not in left


@pytest.mark.slow
@pytest.mark.usefixtures("bridge")
def test_the_lab_comes_up_on_a_laptop_and_nothing_is_left_of_it(
    engine: Engine, table: Callable[[str, str], None]
) -> None:
    project = Project(engine, ROOT, "--file=compose.yaml", "--profile=lab")
    try:
        said = project.do("up", "--detach", "--no-build")
        eventually(project.serves("ADMIN_PORT", "/readyz"))
        eventually(project.serves("LAB_PORT", "/"))
        first = project.chat()
        assert first["provider"] == "switch", said
        assert project.ask("LAB_PORT", "/fault/switch/refuse", {})[0] == 200
        broken = project.chat()
        assert broken["provider"] == "madre"
        assert project.ask("ADMIN_PORT", "/state")[0] == 401
        assert project.ask("ADMIN_PORT", "/state", X_VX11_Admin_Token="lab-admin")[0] == 200
        journal = engine.podman("exec", f"{OWN}_sidecar_1", "ls", "/var/lib/vx11-sidecar")
        assert journal.startswith("journal-000001")
        table("compose, profile lab: chat; chat with the switch refused", f"{first['provider']}; {broken['provider']}")
    finally:
        project.do("down", "--volumes")
    assert OWN not in engine.podman("ps", "--all", "--format={{.Names}}")


@pytest.mark.slow
@pytest.mark.usefixtures("bridge")
def test_it_goes_into_a_vx11_and_out_again(engine: Engine, tmp_path: Path, table: Callable[[str, str], None]) -> None:
    project = Project(engine, tmp_path, "--file=now.yml")
    places = {"VX11_SIDECAR_HOME": str(ROOT), "VX11_SIDECAR_POLICY": str(ROOT / "deploy/compose/policy")}
    places["VX11_SIDECAR_SECRETS"] = str(ROOT / "deploy/compose/lab-secrets")
    before, now = tmp_path / "docker-compose.yml", tmp_path / "now.yml"
    before.write_text(VX11.replace("GATEWAY", f"127.0.0.1:{project.ports['PORT']}"))
    (tmp_path / "data").mkdir()
    observability = ("prometheus", "alertmanager", "grafana")
    whole = merged(project.environ | places, before, ROOT / "deploy/compose/vx11.override.yaml", without=observability)
    try:
        with now.open("w") as file:
            YAML().dump(whole, file)
        said = project.do("up", "--detach", "--no-build")
        eventually(project.serves("ADMIN_PORT", "/readyz"))
        inside = project.chat()
        assert inside["provider"] == "switch", said
        assert project.ask("PORT", "/health") == (200, {"status": "ok", "module": "tentaculo_link", "version": "7.0"})
        # Whoever asks for the gateway by its name meets the sidecar: only that has an admin port.
        knock = engine.podman(
            "exec", f"{OWN}_redis_1", "bash", "-c", "exec 3<>/dev/tcp/tentaculo_link/9180 && echo there"
        )
        assert knock.strip() == "there"
        project.do("down")
        now.write_text(before.read_text())
        project.do("up", "--detach", "--no-build")
        eventually(project.serves("PORT", "/health"))
        outside = project.chat()
        assert outside["fallback_source"] == "local_llm_degraded"  # as the gateway answers by itself
        table("compose, beside VX11: chat with it; without it", f"{inside['provider']}; {outside['fallback_source']}")
    finally:
        project.do("down", "--volumes")
    assert OWN not in engine.podman("ps", "--all", "--format={{.Names}}")


@pytest.mark.slow
@pytest.mark.usefixtures("bridge")
def test_another_container_takes_over_in_compose_and_the_first_one_stays_away(engine: Engine, tmp_path: Path) -> None:
    project = Project(engine, tmp_path, "--file=now.yml", "--profile=lab", "--profile=next")
    places = {"VX11_SIDECAR_POLICY": str(ROOT / "deploy/compose/policy")}
    places["VX11_SIDECAR_SECRETS"] = str(ROOT / "deploy/compose/lab-secrets")
    whole = merged(project.environ | places, ROOT / "compose.yaml", ROOT / "deploy/compose/takeover.override.yaml")
    with (tmp_path / "now.yml").open("w") as file:
        YAML().dump(whole, file)
    try:
        said = project.do("up", "--detach", "--no-build", "place", "lab", "sidecar")
        eventually(project.serves("ADMIN_PORT", "/readyz"))
        eventually(project.serves("LAB_PORT", "/"))
        assert project.chat()["provider"] == "switch", said
        for following, leaving in (("sidecar-next", "sidecar"), ("sidecar", "sidecar-next")):
            said = project.do("up", "--detach", "--no-build", "--no-deps", following)
            assert engine.podman("wait", f"{OWN}_{leaving}_1", timeout=30).strip() == "0", said
            assert project.chat()["provider"] == "switch"
            running = engine.podman("ps", "--format={{.Names}}").split()
            assert (f"{OWN}_{following}_1" in running, f"{OWN}_{leaving}_1" in running) == (True, False)
    finally:
        project.do("down", "--volumes")
    assert OWN not in engine.podman("ps", "--all", "--format={{.Names}}")
