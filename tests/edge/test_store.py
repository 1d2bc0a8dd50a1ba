"""The store against a real Redis: answered, silent, gone, back, full, locked, and started again without its memory."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time

import pytest
from canary import REDIS as PASSWORD
from kitchen import until
from replica import needs_redis

from benchmarks.redis_server import RedisServer
from sidecar.core.fact import StoreAsked, StoreMoved
from sidecar.edge.chat.store import Store, UnusableStoreError
from sidecar.policy.model import Shared

pytestmark = needs_redis

ECHO = "return tonumber(ARGV[1])"
COUNT = "return redis.call('INCRBY', KEYS[1], ARGV[1])"


class Asking:
    """A store that is kept, and the facts it told."""

    def __init__(self, url, **policy):
        self.facts = []
        self.policy = Shared(**{"timeout": "500ms", "pause": "20ms", **policy})
        self.store = Store(url, lambda: self.policy, self.facts.append, time.monotonic)

    async def __aenter__(self):
        self._task = asyncio.create_task(self.store.keep())
        return self

    async def __aexit__(self, *_):
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        await self.store.close()

    async def comes_up(self):
        await until(lambda: self.store.up)

    def moves(self):
        return [(fact.up, fact.why) for fact in self.facts if isinstance(fact, StoreMoved)]

    def told(self):
        return [fact.told for fact in self.facts if isinstance(fact, StoreAsked)]


async def test_each_of_a_thousand_at_once_gets_its_own_answer():
    async with RedisServer() as redis, Asking(redis.url) as asking:
        await asking.comes_up()
        answers = await asyncio.gather(*(asking.store.ask(ECHO, b"k", number) for number in range(1000)))
        assert answers == list(range(1000))
        assert asking.moves() == [(True, None)]
        assert asking.told() == ["answered"] * 1000


async def test_before_it_is_connected_nobody_is_asked_and_nobody_waits():
    async with RedisServer() as redis:
        asking = Asking(redis.url)
        assert await asking.store.ask(ECHO, b"k", 1) is None
        assert asking.told() == ["away"]
        await asking.store.close()


async def test_nobody_there():
    redis = RedisServer()
    async with Asking(redis.url) as asking:
        await until(asking.moves)
        assert asking.moves() == [(False, "connect")]
        assert await asking.store.ask(ECHO, b"k", 1) is None
        await asyncio.sleep(0.1)  # tried again some times, which is nobody's news
        assert asking.moves() == [(False, "connect")]


async def test_a_silent_redis_is_waited_for_once_and_is_asked_again_when_it_speaks():
    async with RedisServer() as redis, Asking(redis.url, timeout="80ms") as asking:
        await asking.comes_up()
        redis.hold()
        began = time.monotonic()
        assert await asyncio.gather(*(asking.store.ask(ECHO, b"k", number) for number in range(50))) == [None] * 50
        await until(lambda: not asking.store.up)
        waited = time.monotonic() - began
        assert await asking.store.ask(ECHO, b"k", 1) is None
        assert asking.told() == ["late"] * 50 + ["away"]
        assert waited < 2  # not fifty times the timeout
        redis.release()
        await asking.comes_up()
        assert await asking.store.ask(ECHO, b"k", 7) == 7
        assert asking.moves() == [(True, None), (False, "timeout"), (True, None)]


async def test_a_redis_that_died_is_found_again_with_nothing_in_it():
    async with RedisServer() as redis, Asking(redis.url) as asking:
        await asking.comes_up()
        assert [await asking.store.ask(COUNT, b"k", 1) for _ in range(3)] == [1, 2, 3]
        await redis.kill()
        assert await asking.store.ask(COUNT, b"k", 1) is None
        await until(lambda: not asking.store.up)
        await redis.start()
        await asking.comes_up()
        assert await asking.store.ask(COUNT, b"k", 1) == 1
        assert [up for up, _ in asking.moves()] == [True, False, True]


async def test_a_connection_that_broke_unseen_is_found_out_without_a_chat(monkeypatch):
    monkeypatch.setattr("sidecar.edge.chat.store.LOOK", 0.05)
    async with RedisServer() as redis, Asking(redis.url) as asking:
        await asking.comes_up()
        await redis.kill()
        await until(lambda: not asking.store.up)
        assert asking.moves()[-1] == (False, "connect")


@pytest.mark.parametrize("password", [None, "another"])
async def test_credentials_that_do_not_fit_are_said_and_not_shown(password):
    async with RedisServer(password=PASSWORD) as redis:
        url = redis.url.replace(PASSWORD, password) if password else redis.url.replace(f":{PASSWORD}@", "")
        async with Asking(url) as asking:
            await until(asking.moves)
            assert asking.moves() == [(False, "auth")]
            assert PASSWORD not in repr(asking.facts)


async def test_with_the_password_it_comes_up():
    async with RedisServer(password=PASSWORD) as redis, Asking(redis.url) as asking:
        await asking.comes_up()
        assert await asking.store.ask(ECHO, b"k", 1) == 1


async def test_a_redis_that_is_full_answers_with_an_error_and_is_left_alone():
    async with (
        RedisServer(maxmemory="1", **{"maxmemory-policy": "noeviction"}) as redis,
        Asking(redis.url, pause="5s") as asking,
    ):
        await asking.comes_up()
        assert await asking.store.ask(COUNT, b"k", 1) is None
        assert asking.moves() == [(True, None), (False, "refused")]


async def test_who_leaves_while_asking_disturbs_nobody():
    async with RedisServer() as redis, Asking(redis.url) as asking:
        await asking.comes_up()
        tasks = [asyncio.create_task(asking.store.ask(ECHO, b"k", number)) for number in range(40)]
        await asyncio.sleep(0)
        for task in tasks[::2]:
            task.cancel()
        answers = await asyncio.gather(*tasks, return_exceptions=True)
        assert answers[1::2] == list(range(1, 40, 2))
        assert all(isinstance(answer, asyncio.CancelledError) for answer in answers[::2])
        assert await asking.store.ask(ECHO, b"k", 99) == 99
        assert asking.moves() == [(True, None)]


async def test_where_the_task_has_ended_by_a_fault_nobody_waits(monkeypatch):
    async with RedisServer() as redis:
        asking = Asking(redis.url, timeout="30s")
        keeping = asyncio.create_task(asking.store.keep())
        await asking.comes_up()

        def fail(**_):
            raise RuntimeError

        monkeypatch.setattr(asking.store._redis, "pipeline", fail)
        waiting = asyncio.create_task(asking.store.ask(ECHO, b"k", 1))
        with pytest.raises(RuntimeError):
            await keeping
        assert await asyncio.wait_for(waiting, 2.0) is None
        assert await asking.store.ask(ECHO, b"k", 1) is None
        assert asking.told() == ["late", "away"]
        await asking.store.close()


async def test_a_shorter_timeout_holds_from_the_next_question_on():
    async with RedisServer() as redis, Asking(redis.url, timeout="1h") as asking:
        await asking.comes_up()
        asking.policy = Shared(timeout="20ms", pause="5s")
        redis.hold()
        assert await asyncio.wait_for(asking.store.ask(ECHO, b"k", 1), 20.0) is None
        redis.release()


@pytest.mark.parametrize(
    "url", ["localhost:6379", f"http://user:{PASSWORD}@h:1/", "redis://h:port/", "redis://h:1/?socket_timeout=soon"]
)
async def test_a_url_that_names_no_redis(url):
    with pytest.raises(UnusableStoreError, match=r"write redis://HOST:PORT/DB") as refused:
        Store(url, Shared, print, time.monotonic)
    assert PASSWORD not in str(refused.value)


async def test_without_the_library_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "redis.asyncio", None)
    with pytest.raises(UnusableStoreError, match=r"pip install 'vx11-sidecar\[redis\]'"):
        Store("redis://h:1/0", Shared, print, time.monotonic)
