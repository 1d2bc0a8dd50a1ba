"""Replicas as far as chats go: each with an engine, targets and a store of its own, and all of them on one Redis."""

from __future__ import annotations

import asyncio
import contextlib
import json

import pytest
from kitchen import TOKEN, Place, Targets, policy, said, until

from benchmarks.redis_server import REDIS
from sidecar.core.fact import StoreAsked
from sidecar.core.value import replace
from sidecar.edge.chat.answering import Answering
from sidecar.edge.chat.incoming import Incoming
from sidecar.edge.chat.store import Store
from sidecar.wire import head, request
from sidecar.wire.target import Routes

needs_redis = pytest.mark.skipif(REDIS is None, reason="redis-server is not installed: tests/deps.sh installs it")
RULES = head.rules(Routes(("/operator/api/chat",)), pseudonym=b"p", authority=b"a")
LIMIT = 10  # chats of a session, in a minute
STATED = {
    "guards": {"rate_limit": f"{LIMIT} per 60s", "anonymous_rate_limit": "3 per 60s"},
    "shared": {"timeout": "2s", "pause": "20ms"},
}


class Replica:
    """A sidecar as far as chats go: an answerer with an engine and a store of its own."""

    def __init__(self, url: str, **stated) -> None:
        self.place = Place(policy(**{**STATED, **stated}), Targets(switch=[said()]))
        place = self.place
        self.store = Store(url, lambda: place.in_force.current.policy.shared, place.emit, place.kitchen.now)
        self.answering = Answering(replace(place.kitchen, store=self.store))

    async def __aenter__(self):
        self._task = asyncio.create_task(self.store.keep())
        return self

    async def __aexit__(self, *_):
        await self.answering.close()
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        await self.store.close()

    async def chat(self, session="s-1", *, key=None, peer="127.0.0.1", **body):
        """The status, and Retry-After."""
        answer = await self.begin(session, key=key, peer=peer, **body)[1]
        return answer.status, dict(answer.fields).get("Retry-After")

    def begin(self, session="s-1", *, key=None, peer="127.0.0.1", **body):
        content = json.dumps({"message": "hi", "session_id": session, **body}).encode()
        fields = [f"Content-Length: {len(content)}", f"X-VX11-Token: {TOKEN}"] + (
            [f"Idempotency-Key: {key}"] if key else []
        )
        read = request.read(
            "\r\n".join(["POST /operator/api/chat HTTP/1.1", "Host: h", *fields, "", ""]).encode(), RULES
        )
        assert isinstance(read, request.Request)
        got = asyncio.get_running_loop().create_future()
        return self.answering.begin(Incoming(read, content, peer, self.place.kitchen.now()), got.set_result), got

    def told(self):
        return [fact.told for fact in self.place.heard(StoreAsked)]


@contextlib.asynccontextmanager
async def replicas(many, url, **stated):
    async with contextlib.AsyncExitStack() as stack:
        made = [await stack.enter_async_context(Replica(url, **stated)) for _ in range(many)]
        for each in made:
            await until(lambda each=each: each.store.up)
        yield made


async def under_way(store: Store) -> None:
    """Until what was asked is on its way to a Redis that says nothing."""
    await until(lambda: store._wanted.is_set() and not store._asked)
