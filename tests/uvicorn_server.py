"""A real uvicorn on a port of its own, on the loop of whoever asks for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import uvicorn

PATIENCE = 20.0  # seconds until it serves


@asynccontextmanager
async def uvicorn_on(app: Any, **options: Any) -> AsyncIterator[str]:
    config = uvicorn.Config(app, port=0, log_config=None, http="h11", ws="websockets-sansio", **options)
    server = uvicorn.Server(config)
    with server.capture_signals():
        serving = asyncio.create_task(server._serve())
        async with asyncio.timeout(PATIENCE):
            while not (server.started or serving.done()):  # noqa: ASYNC110 - there is nothing to await that would tell
                await asyncio.sleep(0.005)
        assert server.started
        try:
            yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
        finally:
            server.should_exit = True
            await serving
