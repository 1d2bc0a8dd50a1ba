"""What replicas share, in a Redis: one connection, kept by one task, asked in batches.

    away -- connected, and it answers --> up -- an error, or no answer within shared.timeout --> away, for shared.pause

Fails open: whoever asks waits ``shared.timeout`` at most and gets None where there is no answer, and has something of its own to go by.
No chat waits for a connection: it is made in the background, and while there is none nobody is asked. What is asked while a batch is
under way is the next batch, so one connection is enough, and a client that leaves never leaves half an answer on it. A script is sent
whole each time (EVAL): a Redis that was started again has forgotten all it was told, and the next question finds it as good as before.

Nothing of the URL, which may hold a password, is ever said. What stands in the store is for those who ask to decide: sessions, keys and
messages as digests alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from sidecar.core.fact import Emit, StoreAsked, StoreMoved, Told, Trouble
from sidecar.policy.model import Shared

if TYPE_CHECKING:
    from redis.asyncio import Redis

CONNECT = 2.0  # seconds until a connection stands, TLS and login included; nobody waits for it
LOOK = 5.0  # seconds without a question after which the store is looked at, so that no chat finds out that it is gone
BATCH = 256  # questions in one go: more at once would keep a single-threaded Redis from everybody else
PREFIX = b"vx11-sidecar:"


class UnusableStoreError(ValueError):
    """The URL names no Redis that could be asked; the text holds nothing of it."""


class _Question(NamedTuple):
    script: str
    key: bytes
    arguments: tuple[int | bytes, ...]
    answer: asyncio.Future[Any]


class Store:
    """One for the life of the process; ``keep`` is its task."""

    def __init__(self, url: str, policy: Callable[[], Shared], emit: Emit, now: Callable[[], float]) -> None:
        """Needs a running loop. Nothing is connected yet. Raises UnusableStoreError."""
        self._redis = _client(url)
        self._policy = policy
        self._emit = emit
        self._now = now
        self._asked: list[_Question] = []
        self._wanted = asyncio.Event()
        self.up: bool | None = None  # None: not tried yet

    async def ask(self, script: str, key: bytes, *arguments: int | bytes) -> Any:
        """What ``script`` answers, run at once and alone over what is remembered of ``key``; it must not answer nil. None: no answer."""
        told: Told = "away"
        answer = None
        if self.up:
            told = "late"
            asked = self._put(script, key, arguments)
            # A timer and no timeout of asyncio's: a chat is no task of asyncio's.
            late = asyncio.get_running_loop().call_later(self._policy().timeout, _tell, asked, None)
            try:
                answer = await asked
            finally:
                late.cancel()
        if answer is not None:
            told = "answered"
        self._emit(StoreAsked(self._now(), told))
        return answer

    def tell(self, script: str, key: bytes, *arguments: int | bytes) -> None:
        """Have ``script`` run, after all that was asked before; nobody hears what becomes of it."""
        if self.up:
            self._put(script, key, arguments)

    def _put(self, script: str, key: bytes, arguments: tuple[int | bytes, ...]) -> asyncio.Future[Any]:
        question = _Question(script, PREFIX + key, arguments, asyncio.get_running_loop().create_future())
        self._asked.append(question)
        self._wanted.set()
        return question.answer

    async def keep(self) -> NoReturn:
        """Connect, ask, and begin again when that fails."""
        try:
            while True:
                trouble = await self._serve()
                await self._lose(trouble)
                await asyncio.sleep(self._policy().pause)
        finally:
            self._leave_alone()  # whatever ended us: nobody waits for an answer that cannot come

    async def close(self) -> None:
        """Let go of the connection. ``keep`` must have ended."""
        await self._lose("connect", said=False)

    async def _serve(self) -> Trouble:
        """Ask for whoever wants to know, until that fails, and why it did."""
        from redis import exceptions  # noqa: PLC0415 - an extra, and only where it is wanted

        try:
            async with asyncio.timeout(CONNECT):
                await self._send([])
            self._move(up=True)
            while True:
                await self._next()
                batch, self._asked = self._asked[:BATCH], self._asked[BATCH:]
                async with asyncio.timeout(self._policy().timeout):
                    await self._send(batch)
        except (exceptions.AuthenticationError, exceptions.AuthorizationError):
            return "auth"
        except (TimeoutError, exceptions.TimeoutError):
            return "timeout"
        except (OSError, exceptions.ConnectionError):
            return "connect"
        except exceptions.RedisError:
            return "refused"

    async def _next(self) -> None:
        """Until somebody asks, or for ``LOOK`` seconds."""
        if not self._asked:
            self._wanted.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK):
                    await self._wanted.wait()

    async def _send(self, batch: list[_Question]) -> None:
        """Ask all of a batch, or, where it is empty, whether anybody is there. Raises the first error among the answers."""
        try:
            async with self._redis.pipeline(transaction=False) as pipeline:
                for script, key, arguments, _ in batch:
                    pipeline.eval(script, 1, key, *arguments)
                if not batch:
                    pipeline.ping()
                answers = await pipeline.execute(raise_on_error=False)
            for question, answer in zip(batch, answers, strict=False):
                if not isinstance(answer, Exception):
                    _tell(question.answer, answer)
            for answer in answers:
                if isinstance(answer, Exception):
                    raise answer
        finally:
            _dismiss(batch)

    async def _lose(self, why: Trouble, *, said: bool = True) -> None:
        """Nobody is there: those who wait go on alone."""
        if said:
            self._move(up=False, why=why)
        self._leave_alone()
        await self._redis.connection_pool.disconnect()

    def _leave_alone(self) -> None:
        self.up = False
        asked, self._asked = self._asked, []
        _dismiss(asked)

    def _move(self, *, up: bool, why: Trouble | None = None) -> None:
        if self.up is not up:
            self.up = up
            self._emit(StoreMoved(self._now(), up, why))


def _client(url: str) -> Redis:
    try:
        from redis.asyncio import Redis  # noqa: PLC0415 - an extra, and only where it is wanted
        from redis.asyncio.retry import Retry  # noqa: PLC0415
        from redis.backoff import NoBackoff  # noqa: PLC0415
    except ImportError:
        raise UnusableStoreError("the extra redis is not installed: pip install 'vx11-sidecar[redis]'") from None
    try:
        # Protocol 2: there is nothing in it that we need of 3, and every server speaks it.
        return Redis.from_url(
            url,
            protocol=2,
            max_connections=1,
            retry=Retry(NoBackoff(), 0),
            socket_timeout=None,
            client_name="vx11-sidecar",
        )
    except ValueError:
        raise UnusableStoreError(
            "no address of a Redis: write redis://HOST:PORT/DB, rediss:// for TLS, or unix://PATH"
        ) from None


def _tell(asked: asyncio.Future[Any], answer: Any) -> None:
    if not asked.done():
        asked.set_result(answer)


def _dismiss(batch: list[_Question]) -> None:
    for question in batch:
        _tell(question.answer, None)
