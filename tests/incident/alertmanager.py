"""A real Alertmanager with the example's configuration, an hour of it in a minute, and somebody who writes down what it tells whom."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

from ruamel.yaml import YAML

from tests.dashboards.prometheus import Server, binary

EXAMPLE = Path(__file__).parents[2] / "dashboards" / "alertmanager" / "alertmanager.yaml"
TIMES = ("group_wait", "group_interval", "repeat_interval", "resolve_timeout")
UNITS = {"s": 1, "m": 60, "h": 3600}


class Alertmanager(Server):
    """Ready when it takes alerts; alone, without a cluster."""

    def __init__(self, where: Path, webhook: str, scale: float) -> None:
        """``where`` is an empty directory; the receiver NAME of the example posts to ``webhook``/NAME."""
        program = binary("prometheus-alertmanager")
        config = where / "alertmanager.json"  # JSON is YAML
        config.write_text(json.dumps(configuration(webhook, scale)), encoding="utf-8")

        def command(port: int) -> Sequence[str]:
            return (
                program,
                f"--config.file={config}",
                f"--storage.path={where / 'data'}",
                f"--web.listen-address=127.0.0.1:{port}",
                "--cluster.listen-address=",
                "--log.level=warn",
            )

        super().__init__(where, command)

    def alerts(self) -> list[dict[str, Any]]:
        """What fires, also what nobody is told of."""
        found = self.get("/api/v2/alerts")
        assert isinstance(found, list)
        return found


def configuration(webhook: str, scale: float) -> dict[str, Any]:
    """The example: its routes, its inhibitions and its receivers, with all times divided and other addresses."""
    config = YAML(typ="safe", pure=True).load(EXAMPLE)
    for receiver in config["receivers"]:
        for hook in receiver.get("webhook_configs", ()):
            hook["url"] = f"{webhook}/{receiver['name']}"
    faster = _faster(config, scale)
    assert isinstance(faster, dict)
    return faster


def _faster(value: Any, scale: float) -> Any:
    if isinstance(value, list):
        return [_faster(each, scale) for each in value]
    if isinstance(value, dict):
        return {key: _divided(each, scale) if key in TIMES else _faster(each, scale) for key, each in value.items()}
    return value


def _divided(text: str, scale: float) -> str:
    """``5m`` by 60 is ``5000ms``; a second at least, which is how often rules are evaluated."""
    amount, unit = re.fullmatch(r"([0-9]+)([smh])", text).groups()  # type: ignore[union-attr]
    return f"{max(1000, round(int(amount) * UNITS[unit] * 1000 / scale))}ms"


class Told(NamedTuple):
    """One alert in one notification. ``at`` in Unix seconds."""

    at: float
    receiver: str
    status: str
    labels: Mapping[str, str]


class Receivers:
    """Takes the notifications of all receivers on a free port of loopback; ``told`` is what came so far."""

    def __init__(self) -> None:
        self.told: list[Told] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        told = self.told

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                now, receiver = time.time(), self.path.strip("/")
                told.extend(Told(now, receiver, each["status"], each["labels"]) for each in body["alerts"])
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Nothing: the run says what it found."""

        return Handler
