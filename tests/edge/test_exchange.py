"""One request on one connection to the gateway: sent once more only if nothing of it arrived, and counted."""

from __future__ import annotations

import asyncio

import pytest
from loopback import OK, Gateway, get, one_answer, post, serving, stage

LOOPS = ("asyncio", "uvloop")


class Closing(Gateway):
    """Answers once on its first connection; then closes it: before the next request, or when it has come (``late``)."""

    def __init__(self, *, late: bool = False) -> None:
        super().__init__()
        self.late = late
        self.go = asyncio.Event()

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.connections:
            await super().__call__(reader, writer)
            return
        self.connections += 1
        await self.one(reader, writer)
        if self.late:
            self.done.append((await reader.readuntil(b"\r\n\r\n"), b""))
        else:
            await self.go.wait()
        writer.close()


async def meet_the_closing(port, gateway: Closing, message: bytes) -> tuple[int, bytes]:
    """Send ``message`` in the moment in which the kept connection closes, so that nobody can have seen it."""
    reader, writer = await port.connect()
    writer.write(get("/first"))
    assert (await one_answer(reader))[0] == 200
    (kept,) = port.relay._kept
    kept.hold()
    gateway.go.set()
    await asyncio.sleep(0.05)
    kept.release()
    (door,) = port.data_port._doors
    door.data_received(message)
    status, head, _ = await asyncio.wait_for(one_answer(reader), 3)
    writer.close()
    return status, head


@pytest.mark.parametrize("message", [get("/second"), post("/second", b"x" * 1000), post("/second", b"")])
async def test_a_request_that_met_a_closing_connection_goes_out_once_more(message):
    gateway = Closing()
    async with serving(gateway) as upstream, stage(upstream) as port:
        status, _ = await meet_the_closing(port, gateway, message)
        assert status == 200
        assert [head.split()[1] for head, _ in gateway.done] == [b"/first", b"/second"]
        assert gateway.done[1][1] == message.partition(b"\r\n\r\n")[2]
        assert gateway.connections == 2
        assert [fact.error for fact in port.facts] == [None, None]


async def test_a_request_that_the_gateway_has_taken_is_never_sent_again():
    gateway = Closing(late=True)
    async with serving(gateway) as upstream, stage(upstream) as port:
        reader, writer = await port.connect()
        writer.write(get("/first"))
        assert (await one_answer(reader))[0] == 200
        writer.write(get("/second"))
        status, head, _ = await one_answer(reader)
        assert status == 502
        assert b"error=connection_terminated" in head
        assert [head.split()[1] for head, _ in gateway.done] == [b"/first", b"/second"]
        assert gateway.connections == 1
        writer.close()


async def test_what_is_too_large_to_be_remembered_is_not_sent_again():
    gateway = Closing()
    async with serving(gateway) as upstream, stage(upstream) as port:
        status, head = await meet_the_closing(port, gateway, post("/second", b"x" * 100_000))
        assert (status, gateway.connections) == (502, 1)
        assert b"error=connection_terminated" in head


async def test_where_the_system_does_not_tell_nothing_is_sent_again(monkeypatch):
    monkeypatch.setattr("sidecar.edge.data.delivery._TCP_INFO", None)
    gateway = Closing()
    async with serving(gateway) as upstream, stage(upstream) as port:
        status, _ = await meet_the_closing(port, gateway, get("/second"))
        assert (status, gateway.connections) == (502, 1)


async def test_posts_around_the_moment_of_the_gateways_idle_close_are_all_answered_once():
    """Everything ten times as fast: uvicorn closes an idle connection after 5 s, and we let go of it after 4."""
    seen: list[bytes] = []

    async def uvicorn(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            try:
                async with asyncio.timeout(0.5):
                    head = await reader.readuntil(b"\r\n\r\n")
            except TimeoutError:
                writer.close()
                return
            seen.append(head.split()[1])
            writer.write(OK)

    async def client(port, name: int) -> None:
        reader, writer = await port.connect()
        for n in range(10):
            writer.write(post(f"/{name}/{n}", b""))
            assert (await asyncio.wait_for(one_answer(reader), 5))[0] == 200
            await asyncio.sleep(0.35 + (name * 10 + n) % 25 * 0.01)
        writer.close()

    async with serving(uvicorn) as upstream, stage(upstream, kept_for=0.4) as port:
        await asyncio.gather(*(client(port, name) for name in range(24)))
    assert sorted(seen) == sorted(b"/%d/%d" % (name, n) for name in range(24) for n in range(10))


async def test_facts_count_bytes_and_seconds():
    async with serving(Gateway()) as upstream, stage(upstream) as port:
        reader, writer = await port.connect()
        writer.write(post("/x?token=secret", b"x" * 1000))
        await one_answer(reader)
        writer.write(b"FROB /x HTTP/1.1\r\nHost: h\r\n\r\n")
        await one_answer(reader)
        first, second = port.facts
        assert first.sent > 1000
        assert first.received > 2
        assert 0 <= first.seconds < 2
        assert (first.method, second.method) == ("POST", "OTHER")
        assert "secret" not in repr(port.facts)
        writer.close()
