"""The whole picture on loopback: a lab, the sidecar as a process, perhaps a proxy before both; and ears between them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import uuid
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.zero_loss import Process
from sidecar.lab.town import DEFAULT_TOKEN, Lab
from tests.deploy.proxies.inside import inside
from tests.deploy.proxies.peers import Peer, serving
from tests.deploy.proxies.tap import Tap

ALONE, INSIDE = "sidecar", "middleware"  # in the gateway's place, and in the gateway itself
CHAT = "/operator/api/chat"
POLICY = """
deadline: {client: 5s}
guards: {rate_limit: 100000 per 1s}
relay: {trusted_proxies: [127.0.0.1/32]}
auth: {sources: [header, bearer, query]}
dormant: {mode: ignore}
"""
PATIENCE = 12.0  # seconds: longer than any wait of a configuration


class Answer(NamedTuple):
    """``status`` is 0 where the connection ended without an answer."""

    status: int
    fields: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        try:
            value = json.loads(self.body)
        except ValueError:
            return {}
        return value if isinstance(value, dict) else {}


class Picture(NamedTuple):
    """``port`` is where clients ask. ``gateway`` hears what the gateway gets, ``sidecar`` and ``admin`` what the sidecar's ports get."""

    name: str
    port: int
    lab: Lab
    gateway: Tap
    sidecar: Tap
    admin: Tap

    @property
    def behind_a_proxy(self) -> bool:
        return self.name not in (ALONE, INSIDE)

    def forget(self) -> None:
        for tap in (self.gateway, self.sidecar, self.admin):
            tap.forget()

    async def ask(self, method: str, target: str, *fields: str, body: bytes = b"", local: str = "127.0.0.1") -> Answer:
        """One request on a connection of its own from ``local``, its target and fields as they stand."""
        head = [f"{method} {target} HTTP/1.1", "Host: vx11.test", "Connection: close", *fields]
        if body or method == "POST":
            head += [f"Content-Length: {len(body)}", "Content-Type: application/json"]
        async with asyncio.timeout(PATIENCE):
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port, local_addr=(local, 0))
            try:
                writer.write("\r\n".join([*head, "", ""]).encode("latin-1") + body)
                return await answer(reader)
            except (ConnectionError, asyncio.IncompleteReadError):
                return Answer(0, {}, b"")
            finally:
                writer.close()

    async def chat(self, *fields: str, method: str = "POST", target: str = CHAT) -> Answer:
        """A chat in a session of its own."""
        said = {"command": "message", "message": "hola", "session_id": f"proxies-{uuid.uuid4()}"}
        return await self.ask(method, target, *fields, body=json.dumps(said).encode())


def bearer(value: str = DEFAULT_TOKEN) -> str:
    return f"Authorization: Bearer {value}"


def token(value: str = DEFAULT_TOKEN) -> str:
    return f"X-VX11-Token: {value}"


async def answer(reader: asyncio.StreamReader) -> Answer:
    """By its framing: some keep a connection open for a second that they have said to close."""
    lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    status = re.match(r"HTTP/1\.[01] (\d{3})", lines[0])
    fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:-2])}
    if fields.get("transfer-encoding") == "chunked":
        body = await _chunks(reader)
    else:
        length = fields.get("content-length")
        body = await (reader.read() if length is None else reader.readexactly(int(length)))
    return Answer(int(status[1]) if status else 0, fields, body)


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    found = b""
    while size := int(await reader.readline(), 16):
        found += (await reader.readexactly(size + 2))[:-2]
    return found


@contextlib.asynccontextmanager
async def picture(peer: Peer | str, where: Path) -> AsyncIterator[Picture]:
    """With ``peer`` before gateway and sidecar, or the sidecar alone: in the gateway's place, or inside an application."""
    policy = _written(where)
    if peer == INSIDE:
        async with (
            Lab() as lab,
            Tap(_port(lab.gateway_url)) as gateway,
            inside(policy, gateway.port, lab.switch_url, lab.madre_url) as port,
        ):
            yield Picture(INSIDE, port, lab, gateway, gateway, gateway)
        return
    async with Lab() as lab, Tap(_port(lab.gateway_url)) as gateway:
        places = {"gateway": f"127.0.0.1:{gateway.port}", "switch": lab.switch_url, "madre": lab.madre_url}
        flags = [part for name, place in places.items() for part in (f"--{name}", place)]
        free = ("--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--policy", str(policy), "--log-level", "warning")
        process = await Process.start("serve", *free, *flags, log=where / "sidecar.log")
        try:
            async with Tap(_port(process.said["listen"])) as data, Tap(_port(process.said["admin"])) as admin:
                if isinstance(peer, str):
                    yield Picture(ALONE, _port(process.said["listen"]), lab, gateway, data, admin)
                    return
                ports = {"gateway": gateway.port, "sidecar": data.port, "admin": admin.port}
                async with serving(peer, where / peer.name, **ports) as port:
                    yield Picture(peer.name, port, lab, gateway, data, admin)
        finally:
            await process.end()


def _written(where: Path) -> Path:
    """The sidecar's policy."""
    where.mkdir(parents=True, exist_ok=True)
    policy = where / "policy.yaml"
    policy.write_text(POLICY)
    return policy


def _port(address: str) -> int:
    return int(address.rpartition(":")[2])
