"""Containers without Docker's engine: podman as root, with runc, on a machine that may have neither systemd nor a registry.

The base image is what the machine has under the Dockerfile's name, else a Debian made by mmdebstrap: with what this machine
needs to reach a package index (its CA bundle, its index), which thus stays out of our files, with Python's headers and without byte code,
as the real one.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent.parent
PACKAGES = ("podman", "buildah", "runc", "mmdebstrap", "nsenter")
STAND_IN = "localhost/vx11-sidecar-test-base:bookworm"
IMAGE = "localhost/vx11-sidecar:0.1.0"
OWN = "vx11-test"  # everything that a test makes is called so
BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")
SETTINGS = """\
[containers]
default_ulimits = ["nofile=20000:20000", "nproc=10000:10000"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
"""
HARDENED = ("--read-only", "--read-only-tmpfs=false", "--cap-drop=ALL", "--security-opt=no-new-privileges")


def missing() -> str:
    """Why no container can be run here; empty if one can."""
    if os.geteuid() != 0:
        return "containers: needs root"
    absent = [name for name in PACKAGES if shutil.which(name) is None]
    return f"containers: {', '.join(absent)} not installed: tests/container/deps.sh installs them" if absent else ""


class Engine:
    """podman, with settings of its own in ``where``."""

    def __init__(self, where: Path) -> None:
        settings = where / "containers.conf"
        settings.write_text(SETTINGS)
        self.environ = os.environ | {"CONTAINERS_CONF": str(settings)}
        self._where = where
        self._names: list[str] = []

    def podman(self, *arguments: str, timeout: float = 60.0, check: bool = True) -> str:
        """Standard output. Raises AssertionError with what it said if it failed."""
        done = subprocess.run(
            ["podman", *arguments],
            env=self.environ,
            capture_output=True,
            text=True,
            timeout=timeout,
            cwd=ROOT,
            check=False,
        )
        assert not check or done.returncode == 0, f"podman {' '.join(arguments)}: {done.stdout}{done.stderr}"
        return done.stdout

    def build(self) -> None:
        """The image of this working tree, under the name that compose.yaml has for it."""
        self.podman(
            "build", "--pull-never", "--format=docker", "--network=host", f"--build-arg=BASE={self._base()}",
            f"--tag={IMAGE}", ".", timeout=600,
        )  # fmt: skip

    def _base(self) -> str:
        found = re.search(r"^ARG BASE=(\S+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
        assert found
        for name in (found[1], STAND_IN):
            if subprocess.run(["podman", "image", "exists", name], env=self.environ, check=False).returncode == 0:
                return name
        self._make_stand_in()
        return STAND_IN

    def _make_stand_in(self) -> None:
        archive, pip = self._where / "base.tar", self._where / "pip.conf"
        index = subprocess.run(
            ["pip3", "config", "get", "global.index-url"], capture_output=True, text=True, check=False
        )
        lines = [f"index-url = {index.stdout.strip()}"] if index.returncode == 0 else []
        lines += [f"cert = {BUNDLE}"] if BUNDLE.exists() else []
        pip.write_text("\n".join(["[global]", *lines, ""]))
        hooks = [f"upload {pip} /etc/pip.conf"] + ([f"upload {BUNDLE} {BUNDLE}"] if BUNDLE.exists() else [])
        hooks.append('find "$1/usr/lib" -name __pycache__ -prune -exec rm -rf {} +')
        try:
            subprocess.run(
                ["mmdebstrap", "--quiet", "--variant=minbase", "--include=python3,python3-dev,python3-venv,ca-certificates",
                 *(f"--customize-hook={hook}" for hook in hooks), "bookworm", str(archive)],
                check=True, timeout=300,
            )  # fmt: skip
            self.podman("import", "--quiet", str(archive), STAND_IN, timeout=120)
        finally:
            archive.unlink(missing_ok=True)

    def run(self, name: str, *options: str, image: str = IMAGE, command: tuple[str, ...] = ()) -> Container:
        """Started in the background. ``name`` is what tests call it."""
        full = f"{OWN}-{name}"
        self.podman("rm", "--force", "--ignore", "--time=0", full)
        self._names.append(full)
        self.podman("run", "--detach", "--no-healthcheck", f"--name={full}", *options, image, *command)
        return Container(self, full)

    def clear(self) -> None:
        """Nothing runs any more that this made; images stay."""
        for name in reversed(self._names):
            self.podman("rm", "--force", "--ignore", "--volumes", "--time=0", name, check=False)


class Container:
    def __init__(self, engine: Engine, name: str) -> None:
        self._engine = engine
        self.name = name

    def inspect(self) -> dict[str, Any]:
        return dict(json.loads(self._engine.podman("inspect", "--type=container", self.name))[0])

    @property
    def pid(self) -> int:
        """Of its first process, as this machine counts."""
        return int(self.inspect()["State"]["Pid"])

    @property
    def logs(self) -> str:
        """What it said, on both streams."""
        done = subprocess.run(
            ["podman", "logs", self.name], env=self._engine.environ, capture_output=True, text=True, check=False
        )
        return done.stdout + done.stderr

    def stop(self, within: int = 15) -> None:
        """The image's stop signal, and SIGKILL after ``within`` seconds."""
        self._engine.podman("stop", f"--time={within}", self.name, timeout=within + 30)

    def start(self) -> None:
        self._engine.podman("start", self.name)

    def ended(self, within: float = 30.0) -> int:
        """Waits for it to end by itself; the exit code."""
        return int(self._engine.podman("wait", self.name, timeout=within))

    def within(self, *command: str) -> subprocess.CompletedProcess[str]:
        """A command in the container, as its user."""
        return subprocess.run(
            ["podman", "exec", self.name, *command],
            env=self._engine.environ, capture_output=True, text=True, timeout=30, check=False,
        )  # fmt: skip

    def status(self, *fields: str) -> dict[str, str]:
        """Of the first process, from /proc."""
        lines = (line.partition(":") for line in Path(f"/proc/{self.pid}/status").read_text().splitlines())
        return {name: value.strip() for name, _, value in lines if name in fields}

    def memory(self) -> Memory:
        lines = Path(f"/proc/{self.pid}/cgroup").read_text().splitlines()
        groups = {controllers: path for _, controllers, path in (line.split(":", 2) for line in lines)}
        if "memory" in groups:
            return Memory(Path("/sys/fs/cgroup/memory" + groups["memory"]), 1)
        return Memory(Path("/sys/fs/cgroup" + groups[""]), 2)


class Memory:
    """Of a container, in MiB."""

    def __init__(self, group: Path, version: int) -> None:
        def number(old: str, new: str) -> int:
            text = (group / (old if version == 1 else new)).read_text().strip()
            return int(text) if text.isdigit() else 0

        facts = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
        self.limit = number("memory.limit_in_bytes", "memory.max") / 2**20
        self.now = number("memory.usage_in_bytes", "memory.current") / 2**20
        self.peak = number("memory.max_usage_in_bytes", "memory.peak") / 2**20
        self.unreclaimable = int(facts["rss" if version == 1 else "anon"]) / 2**20
        """What no pressure can take away: without the page cache."""
        events = (group / ("memory.oom_control" if version == 1 else "memory.events")).read_text()
        self.killed = int(dict(line.split() for line in events.splitlines())["oom_kill"])


def eventually(condition: Callable[[], bool], within: float = 15.0) -> None:
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)
