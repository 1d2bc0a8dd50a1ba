"""A client within the network of the containers: ``python -m tests.container.inside WHAT``. Says what happened as lines of JSON.

revision          of the policy in force
ready             waits until the sidecar is
chats COUNT       so many, four at a time
crowd COUNT       so many open streams, until its standard input ends
under-way         chats, relayed requests, a stream and a WebSocket; says when all are open, then what became of each
load              chats and relayed requests all the time, until its standard input ends
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import Any

import aiohttp
import websockets

from benchmarks.zero_loss import TOKEN, Load

DATA, ADMIN, LAB = (f"http://127.0.0.1:{port}" for port in (8000, 9180, 8019))
CHATS, RELAYED = 3, 5


def say(**what: Any) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


async def chat(session: aiohttp.ClientSession, number: int) -> tuple[int, str]:
    """Status and who answered."""
    payload = {"message": "hola", "session_id": f"container-{number}"}
    async with session.post(f"{DATA}/operator/api/chat", json=payload, headers={"X-VX11-Token": TOKEN}) as answer:
        return answer.status, (await answer.json())["provider"]


async def ready(within: float = 30.0) -> None:
    async with asyncio.timeout(within), aiohttp.ClientSession() as session:
        while True:
            try:
                async with session.get(ADMIN + "/readyz") as answer:
                    if answer.status == 200:
                        break
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.005)
    say(ready=time.time())


async def revision() -> None:
    async with aiohttp.ClientSession() as session, session.get(ADMIN + "/readyz?verbose") as answer:
        say(revision=(await answer.json())["policy"]["revision"])


async def chats(count: int) -> None:
    began = time.perf_counter()
    async with aiohttp.ClientSession() as session:
        numbers = iter(range(count))

        async def one_after_the_other() -> list[tuple[int, str]]:
            return [await chat(session, number) for number in numbers]

        answers = [
            answer for part in await asyncio.gather(*(one_after_the_other() for _ in range(4))) for answer in part
        ]
    good = sum(status == 200 for status, _ in answers)
    say(answered=good, by_switch=sum(who == "switch" for _, who in answers), seconds=time.perf_counter() - began)


async def stream() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Open, and its first event read."""
    reader, writer = await asyncio.open_connection("127.0.0.1", 8000)
    writer.write(b"GET /operator/api/events HTTP/1.1\r\nHost: gateway\r\nAccept: text/event-stream\r\n\r\n")
    await reader.readuntil(b"established")
    return reader, writer


async def crowd(count: int) -> None:
    streams = [part for _ in range(0, count, 50) for part in await asyncio.gather(*(stream() for _ in range(50)))]
    say(open=len(streams))
    await asyncio.to_thread(sys.stdin.read)
    for _, writer in streams:
        writer.close()
    say(open=0)


async def under_way() -> None:
    reader, writer = await stream()
    async with websockets.connect("ws://127.0.0.1:8000/ws?client_id=c1") as socket, aiohttp.ClientSession() as session:
        await socket.recv()
        for service in ("gateway", "switch"):
            async with session.post(f"{LAB}/fault/{service}/slow:1") as answer:
                assert answer.status == 200
        asked = [asyncio.create_task(chat(session, number)) for number in range(CHATS)]
        asked += [asyncio.create_task(relayed(session)) for _ in range(RELAYED)]
        while (  # noqa: ASYNC110 - the lab is to be asked
            await in_flight(session, "gateway") < RELAYED or await in_flight(session, "switch") < 1
        ):
            await asyncio.sleep(0.01)
        say(under_way=True, done_before=sum(task.done() for task in asked))
        async with asyncio.timeout(20):
            answers = [await task for task in asked]
            how = await end_of(reader)
            await socket.wait_closed()
        writer.close()
        async with session.delete(f"{LAB}/fault"):
            pass
    say(
        chats=[status for status, _ in answers[:CHATS]],
        relayed=[status for status, _ in answers[CHATS:]],
        stream=how,
        websocket=socket.close_code,
    )


async def end_of(reader: asyncio.StreamReader) -> str:
    """How a stream ends: in good order, or by force, which may take away what had not been read yet."""
    try:
        await reader.read()
    except ConnectionResetError:
        return "reset"
    return "closed"


async def relayed(session: aiohttp.ClientSession) -> tuple[int, str]:
    async with session.get(f"{DATA}/health") as answer:
        return answer.status, await answer.text()


async def in_flight(session: aiohttp.ClientSession, service: str) -> int:
    async with session.get(LAB) as answer:
        return int((await answer.json())["services"][service]["in_flight"])


async def load() -> None:
    work = Load(8000, TOKEN)
    loop = asyncio.get_running_loop()
    over = loop.run_in_executor(None, sys.stdin.read)
    gap = 0.0
    async with work.at_work():
        while not work.answered:  # noqa: ASYNC110 - the load has no event
            await asyncio.sleep(0.01)
        say(loading=True)
        last, seen = time.monotonic(), 0
        while not over.done():
            await asyncio.sleep(0.005)
            if (answered := work.answered.total()) != seen:
                last, seen = time.monotonic(), answered
            gap = max(gap, time.monotonic() - last)
    say(answered=work.answered.total(), failed=work.failed.total(), how=dict(work.failed), longest_gap=gap)


def main() -> None:
    match sys.argv[1:]:
        case ["ready"]:
            asyncio.run(ready())
        case ["revision"]:
            asyncio.run(revision())
        case ["chats", count]:
            asyncio.run(chats(int(count)))
        case ["crowd", count]:
            asyncio.run(crowd(int(count)))
        case ["under-way"]:
            asyncio.run(under_way())
        case ["load"]:
            asyncio.run(load())
        case _:
            raise SystemExit(__doc__)


if __name__ == "__main__":
    main()
