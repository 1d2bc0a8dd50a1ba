"""One image for all tests, and a small VX11 in containers: a network of their own, in which nothing but loopback exists."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.container.engine import HARDENED, OWN, ROOT, Container, Engine, eventually, missing

TOKEN = "VX11_TENTACULO_LINK_TOKEN=vx11-local-token"
LAB = ("lab", "--only-services", "--gateway-port=8010", "--switch-port=8002", "--madre-port=8001", "--control=8019")
LIMIT = ("--memory=64m", "--memory-swap=64m")
HANDOVER = "/run/vx11-sidecar"


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    if reason := missing():
        pytest.skip(reason)
    made = Engine(tmp_path_factory.mktemp("engine"))
    made.build()
    try:
        yield made
    finally:
        made.clear()


class Asking:
    def __init__(self, client: subprocess.Popen[str]) -> None:
        assert client.stdin is not None
        assert client.stdout is not None
        self._into, self._out = client.stdin, client.stdout

    def next(self) -> dict[str, Any]:
        """The next thing it says."""
        line = self._out.readline()
        assert line, "the client ended without a word; what it said is on standard error"
        return dict(json.loads(line))

    def end(self) -> dict[str, Any]:
        """Tells it that it is over; the last thing it says."""
        self._into.close()
        return self.next()


class Town:
    """``place`` owns the network namespace, so that sidecars come and go in it."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.place = engine.run("place", "--network=none", *HARDENED, "--entrypoint=sleep", command=("infinity",))
        self._network = f"--network=container:{self.place.name}"
        self.lab = engine.run("lab", self._network, *HARDENED, command=LAB)
        eventually(lambda: '"ready"' in self.lab.logs)

    def sidecar(self, name: str = "sidecar", *more: str, options: tuple[str, ...] = ()) -> Container:
        """As compose.yaml has it; ``more`` are further flags of ``serve``."""
        flags = ("serve", "--listen=0.0.0.0:8000", "--admin=0.0.0.0:9180", "--policy=/etc/vx11-sidecar", *more)
        return self.engine.run(name, self._network, *HARDENED, *LIMIT, f"--env={TOKEN}", *options, command=flags)

    @contextmanager
    def asking(self, *what: str) -> Iterator[Asking]:
        """A client in this network, at work as long as the block."""
        with subprocess.Popen(
            ["nsenter", f"--net=/proc/{self.place.pid}/ns/net", sys.executable, "-m", "tests.container.inside", *what],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT,
        ) as client:  # fmt: skip
            try:
                yield Asking(client)
            finally:
                client.kill()

    def ask(self, *what: str) -> dict[str, Any]:
        with self.asking(*what) as said:
            return said.next()


@pytest.fixture
def town(engine: Engine) -> Iterator[Town]:
    built = Town(engine)
    try:
        yield built
    finally:
        engine.clear()


@pytest.fixture
def handover(engine: Engine) -> Iterator[tuple[str, ...]]:
    """Options that give a container the volume of the takeover socket."""
    name = f"{OWN}-handover"
    engine.podman("volume", "rm", "--force", name, check=False)
    engine.podman("volume", "create", name)
    try:
        yield (f"--volume={name}:{HANDOVER}",)
    finally:
        engine.clear()
        engine.podman("volume", "rm", "--force", name, check=False)


ROWS: list[tuple[str, str]] = []


@pytest.fixture(scope="session")
def table() -> Callable[[str, str], None]:
    """Adds a figure to the table that is printed when all is over."""
    return lambda name, value: ROWS.append((name, value))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if ROWS:
        terminalreporter.section("containers, measured")
        for name, value in ROWS:
            terminalreporter.write_line(f"{name:<56}{value}")
