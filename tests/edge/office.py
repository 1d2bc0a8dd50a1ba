"""A whole sidecar with its policy file, its log, and a client of both its ports."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, redirect_stderr
from pathlib import Path

import aiohttp
from canary import ADMIN, LINK, MESSAGE, keep
from kitchen import TOKEN, until
from prometheus_client.parser import text_string_to_metric_families

from sidecar.core.value import replace
from sidecar.edge.admin.colleagues import Colleagues
from sidecar.edge.app import Sidecar
from sidecar.edge.environment import Environment
from sidecar.edge.listening import NONE
from sidecar.edge.outlets.log import Logging
from sidecar.edge.reload import Source
from sidecar.edge.settings import renew, resolve
from sidecar.policy.load import load

CANARIES = (ADMIN, LINK, TOKEN, MESSAGE)
BASE = "deadline: {client: 5s}\n"


class Office:
    """A sidecar, its log, its policy file, and a client of its admin port."""

    def __init__(self, sidecar, client, path):
        self.sidecar = sidecar
        self.client = client
        self.path = path

    async def ask(self, method, path, body=None, token=ADMIN, host="localhost"):
        headers = {"Host": host} | ({} if token is None else {"X-VX11-Admin-Token": token})
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        url = f"http://{self.sidecar.serving.admin}{path}"
        async with self.client.request(method, url, data=data, headers=headers) as got:
            text = await got.text()
            assert not [canary for canary in CANARIES if canary in text + str(got.headers)]
            keep("admin", text)
            return got.status, json.loads(text) if text.startswith("{") else text

    async def post(self, path, body=None, **asked):
        return await self.ask("POST", path, body, **asked)

    async def state(self):
        return (await self.ask("GET", "/state", token=None))[1]

    async def metric(self, name, **labels):
        _, text = await self.ask("GET", "/metrics", token=None)
        (value,) = (
            sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == f"vx11_sidecar_{name}" and sample.labels == labels
        )
        return value

    async def chat(self, **fields):
        url = f"http://{self.sidecar.serving.listen}/operator/api/chat"
        headers = {"X-VX11-Token": TOKEN} | fields
        async with self.client.post(url, json={"message": MESSAGE}, headers=headers) as got:
            return await got.json()

    def log(self):
        text = self.path.with_name("log").read_text()
        return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]

    async def logged(self, event):
        """The lines of this event, once there is one: the log is written by a thread of its own."""
        await until(lambda: [line for line in self.log() if line["event"] == event])
        return [line for line in self.log() if line["event"] == event]


@asynccontextmanager
async def standing(
    path: Path,
    *,
    admin: str | None = ADMIN,
    at: str = "127.0.0.1:0",
    mode: str | None = None,
    allow_chaos: bool = False,
    colleagues: Colleagues | None = None,
    **places: str,
) -> AsyncIterator[Office]:
    """With the policy at ``path``; nobody is behind it but whom ``places`` name."""
    said = Environment(LINK, frozenset({TOKEN}), admin, mode, None, None, None)
    nobody = dict.fromkeys(("gateway", "switch", "madre"), "127.0.0.1:9")
    flags = {"listen": "127.0.0.1:0", "admin": at, "journal": None, **nobody, **places}
    settings = replace(resolve(flags, said, {}, load(path)), allow_chaos=allow_chaos)

    def read() -> Source:
        renewed = renew(settings, flags, said, {}, load(path))
        return Source(renewed.snapshot, renewed.files, renewed.mutators)

    with path.with_name("log").open("w") as log:
        with redirect_stderr(log):
            logging = Logging("info")
        try:
            async with aiohttp.ClientSession() as client, Sidecar(settings, logging, read, NONE, colleagues) as sidecar:
                yield Office(sidecar, client, path)
        finally:
            logging.close()
