"""The proxy that most would write: FastAPI, and one shared httpx client. Run by uvicorn, in the peers' own environment."""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator

import httpx
from fastapi import FastAPI, Request, Response

GATEWAY, SWITCH = (f"http://127.0.0.1:{os.environ[name]}" for name in ("GATEWAY", "SWITCH"))
TOKEN = os.environ["TOKEN"]
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
KEPT = {"content-type", "x-request-id", "x-vx11-token"}
client = httpx.AsyncClient(timeout=5.0)


@contextlib.asynccontextmanager
async def _life(_: FastAPI) -> AsyncIterator[None]:
    yield
    await client.aclose()


app = FastAPI(lifespan=_life, openapi_url=None)


@app.post("/operator/api/chat")
async def chat(request: Request) -> Response:
    if request.headers.get("x-vx11-token") != TOKEN:
        return Response(status_code=401)
    asked = await request.json()
    body = {"messages": [{"role": "user", "content": asked["message"]}], "metadata": {}}
    answer = await client.post(f"{SWITCH}/switch/chat", json=body, headers={"X-VX11-Token": TOKEN})
    return Response(answer.content, answer.status_code, media_type=answer.headers.get("content-type"))


@app.api_route("/{path:path}", methods=METHODS)
async def relay(request: Request, path: str) -> Response:
    kept = {name: value for name, value in request.headers.items() if name in KEPT}
    kept["x-forwarded-for"] = request.client.host if request.client else ""
    answer = await client.request(
        request.method, f"{GATEWAY}/{path}", params=request.query_params, content=await request.body(), headers=kept
    )
    return Response(answer.content, answer.status_code, media_type=answer.headers.get("content-type"))
