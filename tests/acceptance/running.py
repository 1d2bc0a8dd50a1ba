"""Things that run: the sidecar in front of a lab within the test, and its commands as processes of their own."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import os
import selectors
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self
from urllib.parse import urlsplit

import aiohttp
from canary import MESSAGE, keep
from prometheus_client.parser import text_string_to_metric_families

from sidecar.edge.app import Sidecar
from sidecar.edge.environment import read_environment
from sidecar.edge.outlets.log import Logging
from sidecar.edge.settings import resolve
from sidecar.lab.town import DEFAULT_TOKEN, Lab
from sidecar.policy.load import Loaded, parse

CHAT = "/operator/api/chat"
LINK = "VX11_TENTACULO_LINK_TOKEN"
ROOT = Path(__file__).parent.parent.parent


class Answer(NamedTuple):
    """``raw`` is everything the client got to read: status, fields and body."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    seconds: float

    @property
    def json(self) -> dict[str, Any]:
        value = json.loads(self.body)
        assert isinstance(value, dict), value
        return value

    @property
    def raw(self) -> str:
        fields = "\n".join(f"{name}: {value}" for name, value in self.headers.items())
        return f"{self.status}\n{fields}\n\n{self.body.decode('utf-8', 'replace')}"


class Metrics:
    """One scrape."""

    def __init__(self, text: str) -> None:
        self.text = text
        keep("metrics", text)
        self._samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]

    def total(self, name: str, **labels: str) -> float:
        """The sum over all samples of ``name`` that have these labels."""
        wanted = labels.items()
        return sum(s.value for s in self._samples if s.name == f"vx11_sidecar_{name}" and wanted <= s.labels.items())

    def breaker(self, target: str) -> str:
        """The state a target's breaker is in."""
        states = [
            s.labels["state"]
            for s in self._samples
            if s.name == "vx11_sidecar_breaker_state" and s.labels["target"] == target and s.value
        ]
        assert len(states) == 1, states
        return states[0]


class Standing:
    """A sidecar in front of a lab, and a client of it."""

    def __init__(self, lab: Lab, sidecar: Sidecar, session: aiohttp.ClientSession) -> None:
        self.lab = lab
        self.session = session
        self.url = f"http://{sidecar.serving.listen}"
        self.admin = f"http://{sidecar.serving.admin}"

    async def ask(self, method: str, url: str, **sent: Any) -> Answer:
        began = time.perf_counter()
        async with self.session.request(method, url, allow_redirects=False, **sent) as answer:
            body = await answer.read()
            return Answer(answer.status, answer.headers, body, time.perf_counter() - began)

    async def chat(
        self, message: str = MESSAGE, *, session: str | None = None, token: str = DEFAULT_TOKEN, **headers: str
    ) -> Answer:
        """One chat, in a session of its own unless told otherwise; ``X_Name`` is the field X-Name."""
        fields = {"X-VX11-Token": token} | {name.replace("_", "-"): value for name, value in headers.items()}
        payload = {"message": message, "session_id": session or f"acceptance-{uuid.uuid4()}"}
        return await self.ask("POST", self.url + CHAT, json=payload, headers=fields)

    async def metrics(self) -> Metrics:
        return Metrics((await self.ask("GET", self.admin + "/metrics")).body.decode())

    async def metrics_when(self, condition: Callable[[Metrics], bool], within: float = 5.0) -> Metrics:
        """The first scrape for which ``condition`` holds: what is counted follows the answer, and polls have their pace."""
        async with asyncio.timeout(within):
            while not condition(scrape := await self.metrics()):  # noqa: ASYNC110 - a scrape is all there is to look at
                await asyncio.sleep(0.02)
        return scrape


@contextlib.asynccontextmanager
async def standing(
    *faults: str,
    policy: str | Loaded = "",
    tempo: float = 1.0,
    environ: Mapping[str, str] | None = None,
    switch: str | None = None,
) -> AsyncIterator[Standing]:
    """``policy`` is YAML; ``switch`` stands in for the lab's."""
    loaded = parse(policy, "acceptance.yaml") if isinstance(policy, str) else policy
    environ = {LINK: DEFAULT_TOKEN} if environ is None else environ
    logging = Logging("error")
    try:
        async with (
            Lab(faults=faults, tempo=tempo) as lab,
            aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=4.0),
                timeout=aiohttp.ClientTimeout(total=30),
                cookie_jar=aiohttp.DummyCookieJar(),
            ) as session,
        ):
            places = {"gateway": lab.gateway_url, "switch": switch or lab.switch_url, "madre": lab.madre_url}
            flags = {"listen": "127.0.0.1:0", "admin": "127.0.0.1:0", "journal": None, **places}
            async with Sidecar(resolve(flags, read_environment(environ), environ, loaded), logging) as sidecar:
                yield Standing(lab, sidecar, session)
    finally:
        logging.close()


class Process:
    """``python -m sidecar ...`` with an environment that holds nothing of the caller's VX11. Killed if the test forgets it.

    What it says on standard error is in ``errors``, what it said on standard output lies beside it in the end.
    """

    def __init__(self, *arguments: str, environ: Mapping[str, str] | None = None, errors: Path) -> None:
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith(("VX11_", "API_TOKEN", "LAB_"))
        }
        self._errors = errors
        with errors.open("wb") as stderr:
            self._popen = subprocess.Popen(
                [sys.executable, "-m", "sidecar", *arguments],
                cwd=ROOT,
                env=kept | dict(environ or {}),
                stdout=subprocess.PIPE,
                stderr=stderr,
                bufsize=0,
            )
        self._said: list[bytes] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._output().closed:  # by a test that could not wait
            return
        if self._popen.poll() is None:
            self._popen.kill()
        self._popen.wait()
        while self._more():
            pass
        self._output().close()
        self._errors.with_name(self._errors.name.replace("stderr", "stdout")).write_bytes(b"".join(self._said))

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def stdout(self) -> str:
        return b"".join(self._said).decode()

    @property
    def stderr(self) -> str:
        return self._errors.read_text()

    def ready(self, within: float = 20.0) -> dict[str, Any]:
        """Waits for the line that says where it listens."""
        deadline = time.monotonic() + within
        with selectors.DefaultSelector() as selector:
            selector.register(self._output(), selectors.EVENT_READ)
            while not (line := self._line()).startswith(b"{"):
                if not selector.select(max(deadline - time.monotonic(), 0.0)) or not self._more():
                    raise AssertionError(f"not ready: {self.stdout}{self.stderr}")
        said = json.loads(line)
        assert isinstance(said, dict)
        return said

    def end(self, number: int = signal.SIGTERM, within: float = 15.0) -> int:
        """Sends a signal, and returns the exit code."""
        self._popen.send_signal(number)
        return self.ended(within)

    def ended(self, within: float = 15.0) -> int:
        """Waits for it to end by itself; the exit code."""
        code = self._popen.wait(within)
        while self._more():
            pass
        return code

    def _output(self) -> Any:
        assert self._popen.stdout is not None
        return self._popen.stdout

    def _more(self) -> bool:
        piece = self._output().read(65536)
        self._said.append(piece)
        return bool(piece)

    def _line(self) -> bytes:
        """The last whole line so far."""
        lines = b"".join(self._said).split(b"\n")
        return lines[-2] if len(lines) > 1 else b""


class LabProcess:
    """``python -m sidecar lab``: a whole deployment, and the places of its services."""

    def __init__(self, process: Process) -> None:
        said = process.ready()
        self.url = f"http://{said['listen']}"
        self.control = said["control"]
        self.token = DEFAULT_TOKEN
        services = ask("GET", self.control + "/").json["services"]
        self.urls = {name: str(service["url"]) for name, service in services.items()}

    def flags(self) -> list[str]:
        """What puts another sidecar in front of it."""
        ports = ["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]
        return ports + [part for name in ("gateway", "switch", "madre") for part in (f"--{name}", self.urls[name])]


def ask(
    method: str, url: str, body: bytes | None = None, headers: Mapping[str, str] | None = None, timeout: float = 15.0
) -> Answer:
    """One request on a connection of its own, with nothing but the standard library."""
    place = urlsplit(url)
    began = time.perf_counter()
    with contextlib.closing(http.client.HTTPConnection(place.netloc, timeout=timeout)) as connection:
        connection.request(method, place.path + (f"?{place.query}" if place.query else ""), body, dict(headers or {}))
        with connection.getresponse() as answer:
            content = answer.read()
            return Answer(answer.status, dict(answer.getheaders()), content, time.perf_counter() - began)


def chat(url: str, token: str | None, message: str = MESSAGE, **members: Any) -> Answer:
    """One chat, in a session of its own unless told otherwise."""
    headers = {"Content-Type": "application/json"} | ({} if token is None else {"X-VX11-Token": token})
    payload = {"message": message, "session_id": f"acceptance-{uuid.uuid4()}"} | members
    return ask("POST", url + CHAT, json.dumps(payload).encode(), headers)
