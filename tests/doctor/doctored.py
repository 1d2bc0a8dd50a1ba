"""A whole deployment on loopback for the doctor to look at: the lab, a sidecar in front of it, and whatever is broken."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import canary
from aiohttp import web

from sidecar.doctor.examine import examine
from sidecar.doctor.host import Host
from sidecar.doctor.report import Look, as_json, as_text, verdict
from sidecar.doctor.result import Result, Told
from sidecar.doctor.setup import Wanted
from sidecar.edge.app import Sidecar
from sidecar.edge.environment import read_environment
from sidecar.edge.outlets.log import Logging
from sidecar.edge.settings import resolve
from sidecar.lab.power import WindowRequest
from sidecar.lab.town import Lab
from sidecar.policy.load import load

LINK, ADMIN = "VX11_TENTACULO_LINK_TOKEN", "VX11_SIDECAR_ADMIN_TOKEN"
TOKENS = {LINK: canary.TOKEN, ADMIN: canary.ADMIN}
POLICY = "overload: {wait: 30s}\nrelay: {limits: {connections: 400}}\n"  # whatever else this machine does, and few descriptors
QUIET = Host(membership=Path("/nonexistent"), mounts=Path("/nonexistent"), descriptors=lambda: 65536)
POST_TASK = "/madre/power/maintenance/post_task"


class Examined:
    """What the doctor said. Whatever was found, no secret may be in it."""

    def __init__(self, told: Sequence[Told]) -> None:
        self.told = told
        self.results: Mapping[str, Result] = {each.check: each.result for each in told}
        self.text = as_text(told, 0.0, Look())
        self.json = as_json(told, 0.0)
        for said in (self.text, self.json):
            assert not [name for name, secret in canary.SECRETS.items() if secret in said], said
            canary.keep("doctor", said)

    @property
    def code(self) -> int:
        return verdict(self.told)

    def states(self, state: str) -> set[str]:
        return {check for check, result in self.results.items() if result.state == state}

    def says(self, check: str, state: str, seen: str, cause: str = "", remedy: str = "") -> None:
        """Assert what a check says; of warnings and failures always all three."""
        found = self.results[check]
        assert found.state == state, found
        assert seen in found.seen, found
        assert cause in found.cause, found
        assert remedy in found.remedy, found
        if state in ("warn", "fail"):
            assert cause, "say which cause is expected"
            assert remedy, "say which remedy is expected"
            assert f"cause   {found.cause[:20]}" in self.text
        else:
            assert (found.cause, found.remedy) == ("", "")


class Deployment:
    def __init__(self, lab: Lab, flags: dict[str, str | None], environ: dict[str, str], policy: Path) -> None:
        self.lab = lab
        self.flags = flags
        self.environ = environ
        self.policy = policy
        self.sidecar: Sidecar | None = None

    async def examine(
        self,
        *only: str,
        host: Host = QUIET,
        flags: Mapping[str, str | None] | None = None,
        environ: Mapping[str, str] | None = None,
        **wanted: Any,
    ) -> Examined:
        asked = Wanted({**self.flags, **(flags or {})}, wanted.pop("policy", self.policy), only=only, **wanted)
        return Examined(await examine(asked, {**self.environ, **(environ or {})}, host))

    def open_window(self) -> None:
        """From now on the switch is meant to be on."""
        self.lab.madre.power.open(WindowRequest(services=["switch"], mode="hold"))

    def teach_post_task(self, answer: Mapping[str, Any]) -> list[Any]:
        """Have madre know the step; what she is sent."""
        sent: list[Any] = []

        async def post_task(ask: Any) -> web.Response:
            sent.append(json.loads(ask.body))
            return web.json_response(answer)

        self.lab.madre._table.add(POST_TASK, self.lab.madre._guarded(post_task), "POST")
        return sent


@contextlib.asynccontextmanager
async def deployment(
    tmp_path: Path,
    *faults: str,
    policy: str = POLICY,
    running: bool = True,
    environ: Mapping[str, str] | None = None,
    **places: str,
) -> AsyncIterator[Deployment]:
    """``places`` stand in for services of the lab. The sidecar has the tokens of ``TOKENS``, the doctor those of ``environ`` as well."""
    folder = tmp_path / "policies"
    folder.mkdir(exist_ok=True)
    (folder / "policy.yaml").write_text(policy)
    async with contextlib.AsyncExitStack() as stack:
        lab = await stack.enter_async_context(Lab(token=canary.TOKEN, faults=faults))
        behind = {"gateway": lab.gateway_url, "switch": lab.switch_url, "madre": lab.madre_url} | places
        flags: dict[str, str | None] = {"listen": "127.0.0.1:0", "admin": "127.0.0.1:0", "journal": None, **behind}
        found = Deployment(lab, flags, {**TOKENS, **(environ or {})}, folder)
        if running:
            logging = Logging("error")
            stack.callback(logging.close)
            settings = resolve(flags, read_environment(TOKENS), TOKENS, load(folder))
            found.sidecar = await stack.enter_async_context(Sidecar(settings, logging))
            serving = found.sidecar.serving
            found.flags = {**flags, "listen": str(serving.listen), "admin": str(serving.admin)}
        yield found


Answering = Callable[[web.Request], Awaitable[web.StreamResponse]]


@contextlib.asynccontextmanager
async def serving(handler: Answering) -> AsyncIterator[str]:
    """Somebody else who answers everything; the address."""
    runner = web.ServerRunner(web.Server(handler), shutdown_timeout=0.1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        yield f"127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def answers(*, module: str, otherwise: web.Response | None = None, **fields: str) -> Answering:
    """A service that is healthy, and answers all else with ``otherwise``."""

    async def answer(request: web.Request) -> web.StreamResponse:
        if request.path == "/health" or otherwise is None:
            return web.json_response({"status": "ok", "module": module}, headers=fields)
        return web.Response(status=otherwise.status, body=otherwise.body, headers=otherwise.headers)

    return answer


def prometheus(*values: str) -> Answering:
    """Prometheus with a sample of ``up`` for each of ``values``."""

    async def answer(request: web.Request) -> web.StreamResponse:
        assert request.path == "/api/v1/query"
        assert request.query["query"] == 'up{job="vx11-sidecar"}'
        result = [
            {"metric": {"instance": f"sidecar-{number}:9180"}, "value": [1.0, value]}
            for number, value in enumerate(values)
        ]
        return web.json_response({"status": "success", "data": {"resultType": "vector", "result": result}})

    return answer


def operator_backend(**fields: Any) -> Answering:
    """The operator backend's health and its eight fields; ``fields`` replace some, None leaves one out."""

    async def answer(request: web.Request) -> web.StreamResponse:
        if request.path == "/health":
            return web.json_response({"ok": True, "status": "ok", "module": "operator"})
        sent = await request.json()
        reply = {
            "response": "hola",
            "model_used": "general-7b",
            "latency_ms": 23.1,
            "correlation_id": sent["correlation_id"],
            "session_id": sent["session_id"],
            "provider": "switch",
            "status": "ok",
            "degraded": False,
        } | fields
        return web.json_response({name: value for name, value in reply.items() if value is not None})

    return answer


@contextlib.asynccontextmanager
async def forwarding(port: Callable[[], int]) -> AsyncIterator[str]:
    """Another address for the same port, as a published container port is."""

    async def pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while piece := await reader.read(65536):
                writer.write(piece)
                await writer.drain()
        writer.close()

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there, here = await asyncio.open_connection("127.0.0.1", port())
            await asyncio.gather(pipe(reader, here), pipe(there, writer))
        except asyncio.CancelledError:
            pass  # the end of the test

    server = await asyncio.start_server(take, "127.0.0.1", 0)
    try:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


def free() -> str:
    """An address that nobody listens at."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{bound.getsockname()[1]}"
