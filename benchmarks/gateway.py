"""Gateway, switch and madre in one process, for streams and large bodies: ``python -m benchmarks.gateway``; says where it listens.

``GET /events?frames=N&every=SECONDS``      server-sent events; each holds its number and the time it was written
``GET /body?bytes=N&framing=length|chunked`` a body of N bytes
``POST /sink?rate=BYTES``                    reads a body (at most so many bytes a second), says how long it was and its CRC-32
``POST /switch/chat``                        the answer of a switch that is well; whatever else: a small JSON object
"""

from __future__ import annotations

import asyncio
import json
import time
import zlib

from aiohttp import web

from benchmarks.parts import ANSWER

PIECE = bytes(range(256)) * 1_024  # 256 KiB


async def events(request: web.Request) -> web.StreamResponse:
    frames, every = int(request.query["frames"]), float(request.query["every"])
    answer = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-cache"})
    await answer.prepare(request)
    began = time.monotonic()
    for number in range(frames):
        await asyncio.sleep(began + number * every - time.monotonic())
        await answer.write(f"id: {number}\ndata: {time.monotonic_ns()}\n\n".encode())
    return answer


async def body(request: web.Request) -> web.StreamResponse:
    left = int(request.query["bytes"])
    answer = web.StreamResponse(headers={"Content-Type": "application/octet-stream"})
    if request.query.get("framing") != "chunked":
        answer.content_length = left
    await answer.prepare(request)
    while left:
        piece = PIECE[:left]
        await answer.write(piece)
        left -= len(piece)
    return answer


async def sink(request: web.Request) -> web.Response:
    rate = float(request.query.get("rate", "0"))
    length = crc = 0
    began = time.monotonic()
    async for piece in request.content.iter_any():
        length += len(piece)
        crc = zlib.crc32(piece, crc)
        if rate:
            await asyncio.sleep(began + length / rate - time.monotonic())
    return web.json_response({"bytes": length, "crc": crc})


async def chat(request: web.Request) -> web.Response:
    await request.read()
    return web.json_response(ANSWER)


async def anything(_: web.Request) -> web.Response:
    return web.json_response({"status": "ok"})


async def _serve() -> None:
    app = web.Application(client_max_size=1 << 62)
    app.router.add_get("/events", events)
    app.router.add_get("/body", body)
    app.router.add_post("/sink", sink)
    app.router.add_post("/switch/chat", chat)
    app.router.add_route("*", "/{rest:.*}", anything)
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, backlog=4_096).start()
    print(json.dumps({"listen": f"127.0.0.1:{runner.addresses[0][1]}"}), flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as loop:
        loop.run(_serve())
