"""The reference design: the switch with 30 seconds, then madre with 5, then a text of its own; a new client for each call."""

from __future__ import annotations

import os

import httpx
from fastapi import FastAPI, Request

SWITCH, MADRE = (f"http://127.0.0.1:{os.environ[name]}" for name in ("SWITCH", "MADRE"))
app = FastAPI(openapi_url=None)


@app.get("/health")
async def health() -> dict[str, str]:
    return {"status": "ok"}


@app.post("/operator/api/chat")
async def chat(request: Request) -> dict[str, object]:
    asked = await request.json()
    said = {"messages": [{"role": "user", "content": asked["message"]}], "metadata": {}}
    for url, body, field, timeout in (
        (f"{SWITCH}/switch/chat", said, "reply", 30.0),
        (f"{MADRE}/madre/chat", {"message": asked["message"], "session_id": "s"}, "response", 5.0),
    ):
        try:
            async with httpx.AsyncClient(timeout=timeout) as client:
                answer = await client.post(url, json=body)
                answer.raise_for_status()
                return {"response": answer.json()[field], "degraded": field != "reply"}
        except (httpx.HTTPError, ValueError, KeyError, TypeError):
            continue
    return {"response": "degraded", "degraded": True}
