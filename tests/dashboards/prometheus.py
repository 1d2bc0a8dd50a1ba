"""Real servers of the monitoring side on free ports of loopback: started, asked, and ended with the test."""

from __future__ import annotations

import json
import math
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self
from urllib.parse import urlencode

import pytest

from benchmarks.proxies.process import free_port
from tests.acceptance.running import ask

ATTEMPTS = 3  # a free port may be taken by somebody else before the server has it


def binary(name: str) -> str:
    """Where the program is; skips the test, loudly, if it is not installed."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed: tests/deps.sh installs it from Debian's packages")
    return found


class Server:
    """A process that listens on one port and says on ``/-/ready`` when it serves. Ended with the ``with`` block."""

    def __init__(self, where: Path, command: Callable[[int], Sequence[str]]) -> None:
        """``where`` is an empty directory for its output; ``command`` takes the port to listen on."""
        self._log = where / "server.log"
        self._command = command
        self._popen: subprocess.Popen[bytes] | None = None
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        """Everything it wrote."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    def __enter__(self) -> Self:
        for attempt in range(1, ATTEMPTS + 1):
            self.port = free_port()
            with self._log.open("wb") as output:
                self._popen = subprocess.Popen(self._command(self.port), stdout=output, stderr=subprocess.STDOUT)
            if self._serves(within=30.0):
                return self
            self.stop()
            assert attempt < ATTEMPTS, f"it does not serve:\n{self.log}"
        raise AssertionError

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        if self._popen is not None and self._popen.poll() is None:
            self._popen.terminate()
            try:
                self._popen.wait(10)
            except subprocess.TimeoutExpired:
                self._popen.kill()
                self._popen.wait()

    def get(self, path: str, **query: Any) -> Any:
        """The JSON at ``path``; AssertionError with what it said for anything but 200."""
        answer = ask("GET", self.url + path + (f"?{urlencode(query)}" if query else ""), timeout=30.0)
        assert answer.status == 200, answer.raw
        return json.loads(answer.body)

    def _serves(self, within: float) -> bool:
        deadline = time.monotonic() + within
        while time.monotonic() < deadline and self._popen is not None and self._popen.poll() is None:
            try:
                if ask("GET", self.url + "/-/ready", timeout=2.0).status == 200:
                    return True
            except OSError:
                pass
            time.sleep(0.05)
        return False


class Series(NamedTuple):
    """``samples`` are times in Unix seconds and values; what is no number is left out."""

    labels: Mapping[str, str]
    samples: Sequence[tuple[float, float]]


class Prometheus(Server):
    """Scrapes ``targets`` (addresses by job) every ``every`` seconds, evaluates ``rules``, tells ``alertmanagers``."""

    def __init__(
        self,
        where: Path,
        targets: Mapping[str, Sequence[str]],
        *,
        rules: Sequence[Path] = (),
        alertmanagers: Sequence[str] = (),
        every: float = 1.0,
    ) -> None:
        """``where`` is an empty directory; addresses are HOST:PORT."""
        program = binary("prometheus")
        config = where / "prometheus.json"  # JSON is YAML
        config.write_text(json.dumps(configuration(targets, rules, alertmanagers, every)), encoding="utf-8")

        def command(port: int) -> Sequence[str]:
            return (
                program,
                f"--config.file={config}",
                f"--storage.tsdb.path={where / 'data'}",
                f"--web.listen-address=127.0.0.1:{port}",
                "--log.level=warn",
            )

        super().__init__(where, command)

    def reload(self) -> None:
        """Have it read its configuration and rules again; it does so soon, not at once."""
        assert self._popen is not None
        self._popen.send_signal(signal.SIGHUP)

    def query(self, expr: str, at: float | None = None) -> list[Series]:
        """The value of ``expr`` at a moment (Unix seconds; now)."""
        at = time.time() if at is None else at
        return _series(self.get("/api/v1/query", query=expr, time=f"{at:.3f}"))

    def query_range(self, expr: str, start: float, end: float, step: float = 1.0) -> list[Series]:
        """The values of ``expr`` from ``start`` to ``end``."""
        bounds = {"start": f"{start:.3f}", "end": f"{end:.3f}", "step": f"{step:g}"}
        return _series(self.get("/api/v1/query_range", query=expr, **bounds))

    def wait(self, expr: str, within: float = 20.0) -> list[Series]:
        """The value of ``expr`` as soon as it has one."""
        deadline = time.monotonic() + within
        while not (found := [each for each in self.query(expr) if each.samples]):
            assert time.monotonic() < deadline, f"never seen: {expr}"
            time.sleep(0.2)
        return found


def configuration(
    targets: Mapping[str, Sequence[str]], rules: Sequence[Path], alertmanagers: Sequence[str], every: float
) -> dict[str, Any]:
    """What stands in Prometheus' configuration file."""
    interval = f"{int(every * 1000)}ms"
    return {
        "global": {"scrape_interval": interval, "scrape_timeout": interval, "evaluation_interval": interval},
        "rule_files": [str(path) for path in rules],
        "scrape_configs": [
            {"job_name": job, "static_configs": [{"targets": list(addresses)}]} for job, addresses in targets.items()
        ],
        "alerting": {
            "alertmanagers": [{"static_configs": [{"targets": list(alertmanagers)}]}] if alertmanagers else []
        },
    }


def _series(answer: Mapping[str, Any]) -> list[Series]:
    data = answer["data"]
    if data["resultType"] == "scalar":
        return [Series({}, _numbers([data["result"]]))]
    return [Series(each["metric"], _numbers(each.get("values") or [each["value"]])) for each in data["result"]]


def _numbers(samples: Sequence[tuple[float, str]]) -> list[tuple[float, float]]:
    pairs = ((float(at), float(value)) for at, value in samples)
    return [(at, value) for at, value in pairs if math.isfinite(value)]
