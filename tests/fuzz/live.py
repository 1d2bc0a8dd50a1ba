"""The data port under fire: raw streams in pieces through a door on loopback, answers of any kind from behind it.

One example is one client connection. What the gateway received is compared, byte by byte, with what the pure parts make
of the same stream; what the client received is read by the second reader.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable, Coroutine, Sequence
from types import TracebackType
from typing import Any, NamedTuple, Self, TypeVar

from hypothesis import strategies as st
from loopback import OK, TOKEN, Stage, stage

from . import checks, messages, reading, routing

T = TypeVar("T")

PATIENCE = 4.0  # seconds, for what takes milliseconds: beyond it a connection hangs
PROBE = b"GET /probe HTTP/1.1\r\nHost: up.test\r\n\r\n"
WELL = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Example(NamedTuple):
    """``stream`` in the pieces that ``cuts`` make; ``replies`` in turn; ``half`` when the client then says no more."""

    stream: bytes
    cuts: Sequence[int]
    replies: Sequence[bytes]
    half: bool


def examples(more: Sequence[bytes] = ()) -> st.SearchStrategy[Example]:
    replies = st.just(WELL) | messages.replies()
    return st.builds(
        Example,
        messages.streams((*messages.REQUESTS, *more), most=2),
        messages.CUTS,
        st.lists(replies, min_size=1, max_size=3),
        st.sampled_from((False, False, False, True)),
    )


class Gateway(asyncio.Protocol):
    """One connection from the sidecar: what came on it, and the next reply to every complete request."""

    def __init__(self, book: list[Gateway], replies: Callable[[], bytes]) -> None:
        self.raw = b""
        self._book = book
        self._replies = replies
        self._answered = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport
        self._book.append(self)

    def data_received(self, data: bytes) -> None:
        self.raw += data
        found = len(reading.requests(self.raw).messages)
        while self._answered < found and not self._transport.is_closing():
            self._answered += 1
            reply = self._replies()
            self._transport.write(reply)
            if reply != WELL:  # whatever it means, it ends here: nobody waits for more of it
                self._transport.close()

    def end(self) -> None:
        self._transport.abort()


class _Errors(logging.Handler):
    """What must not be logged."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(record.getMessage() + (repr(record.exc_info[1]) if record.exc_info else ""))


class Arena:
    """A door, a gateway behind it, and a loop of their own, for as many examples as one likes.

    The loop never stands still between examples: that would be a late loop, and a late loop turns requests away.
    """

    def __init__(self, factory: Callable[[], asyncio.AbstractEventLoop] | None = None) -> None:
        self._loop = (factory or asyncio.SelectorEventLoop)()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._errors = _Errors()
        self._book: list[Gateway] = []
        self._replies: Sequence[bytes] = (WELL,)
        self._turn = 0

    def __enter__(self) -> Self:
        logging.getLogger().addHandler(self._errors)
        self._thread.start()
        self._run(self._open())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._run(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        logging.getLogger().removeHandler(self._errors)

    def check(self, example: Example) -> str:
        return self._run(self._check(example))

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def _open(self) -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: self._errors.said.append(str(context)))
        self._server = await loop.create_server(lambda: Gateway(self._book, self._reply), "127.0.0.1", 0)
        self._stack = contextlib.AsyncExitStack()
        self._stage: Stage = await self._stack.enter_async_context(stage(self._server.sockets[0].getsockname()[1]))

    async def _close(self) -> None:
        await self._stack.aclose()
        for connection in self._book:
            connection.end()
        self._server.close()
        await self._server.wait_closed()

    def _reply(self) -> bytes:
        self._turn += 1
        return self._replies[(self._turn - 1) % len(self._replies)]

    async def _check(self, example: Example) -> str:
        self._replies, self._turn = example.replies, 0
        self._errors.said.clear()
        self._stage.facts.clear()
        began = [(connection, len(connection.raw)) for connection in self._book]
        tasks = asyncio.all_tasks()
        client = _Client(*(await self._stage.connect()))
        try:
            outcome = await client.play(example)
        finally:
            await client.leave()
        await self._stage.until(lambda: not len(self._stage.data_port), PATIENCE)
        await self._stage.until(lambda: asyncio.all_tasks() <= tasks, PATIENCE)
        assert not self._errors.said, self._errors.said
        known = dict(began)
        arrived = [connection.raw[known.get(connection, 0) :] for connection in self._book]
        _only_what_may_pass([raw for raw in arrived if raw], example, probed=client.probed)
        self._book[:] = [connection for connection in self._book if not connection._transport.is_closing()]
        return outcome


class _Client:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._out = b""
        self._ended = False
        self._cut = False
        self.probed = False

    async def play(self, example: Example) -> str:
        """Send, read, and see that the connection is either over or of use."""
        came = reading.requests(example.stream)
        methods = [message.first[0] for message in came.messages]
        await self._send(messages.pieces(example.stream, example.cuts))
        if not example.half:
            await self._read(lambda: len(_finals(self._seen(methods))) >= len(methods))
        if example.half or came.rest:
            self._finish()
            await self._read(lambda: False)
            assert self._ended, "the connection outlives its client"
        seen = self._seen(methods)
        assert seen.wrong is None or seen.wrong == "tunnel" or self._last_of_head(seen, methods), (
            seen.wrong,
            self._out,
        )
        finals = _finals(seen)
        most = len(methods) + bool(came.rest)
        assert len(finals) <= most, (most, finals)
        closing = any(b"close" in one.values(b"connection") for one in finals)
        if not self._ended and seen.wrong is None and not closing:
            assert len(finals) == len(methods), "not every request was answered"
            await self._probe(methods)
        statuses = ",".join(sorted({one.first[1].decode() for one in finals}))
        return f"{statuses or '-'} {'cut' if self._cut else 'over' if self._ended else 'open'} {self.probed}"

    async def _probe(self, methods: list[bytes]) -> None:
        self.probed = True
        self._writer.write(PROBE)
        before = len(self._out)
        await self._read(lambda: len(_finals(self._seen([*methods, b"GET"]))) > len(methods))
        finals = _finals(self._seen([*methods, b"GET"]))
        broken_off = self._ended and len(self._out) > before  # the gateway's own answer was, so ours is
        assert broken_off or len(finals) == len(methods) + 1, "an open connection did not answer"

    async def _send(self, parts: Sequence[bytes]) -> None:
        with contextlib.suppress(ConnectionError):
            for part in parts:
                self._writer.write(part)
                await asyncio.sleep(0)
                if self._writer.is_closing():
                    break

    def _finish(self) -> None:
        with contextlib.suppress(OSError, RuntimeError):
            if not self._writer.is_closing():
                self._writer.write_eof()

    async def _read(self, enough: Callable[[], bool]) -> None:
        try:
            async with asyncio.timeout(PATIENCE):
                while not self._ended and not enough():
                    piece = await self._reader.read(65_536)
                    self._ended = not piece
                    self._out += piece
        except ConnectionError:
            self._ended = self._cut = True
        except TimeoutError:
            raise AssertionError(f"a connection hangs: {self._out!r}") from None

    def _seen(self, methods: list[bytes]) -> reading.Stream:
        return reading.answers(self._out, methods, ended=self._ended and not self._cut)

    def _last_of_head(self, seen: reading.Stream, methods: list[bytes]) -> bool:
        """Whether the trouble is the text of our last word to a HEAD, which we took for no HEAD at all."""
        finals = _finals(seen)
        last = finals[-1] if finals else None
        return (
            last is not None and self._ended and methods[len(finals) - 1 :][:1] == [b"HEAD"] and last.first[1] >= b"400"
        )

    async def leave(self) -> None:
        self._writer.close()
        with contextlib.suppress(ConnectionError, OSError):
            await self._writer.wait_closed()


def _finals(seen: reading.Stream) -> list[reading.Message]:
    return [message for message in seen.messages if message.first[1] >= b"200" or message.first[1] == b"101"]


def _only_what_may_pass(arrived: list[bytes], example: Example, *, probed: bool) -> None:
    """Every byte at the gateway is of a request that may pass, whole and in order, or of the beginning of one."""
    may = checks.relayed(example.stream)
    whole = [*may.requests, *(checks.relayed(PROBE).requests if probed else ())]
    tunnel = any(b"\r\nConnection: Upgrade\r\n" in one for one in whole)
    left = [*whole, may.beginning]
    for raw in arrived:
        read = reading.requests(raw)
        if tunnel:  # frames of any kind may follow
            continue
        assert read.wrong is None, (read.wrong, raw)
        at = 0
        while at < len(raw):
            found = next((one for one in left if one and raw.startswith(one, at)), raw[at:])
            beginning = next((one for one in left if one.startswith(found)), None)
            assert beginning is not None, (raw[at:], left)
            left.remove(beginning)
            at += len(found)
        for message in read.messages:
            if message.first[0] == b"POST" and routing.reaches_chat(message.first[1]):
                assert message.values(b"x-vx11-token") == [TOKEN], raw


assert OK == WELL
