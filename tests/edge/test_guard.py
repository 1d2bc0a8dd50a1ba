"""The guard that replicas share: the same windows as alone, exactly the limit together, and each for itself while the store is away."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kitchen import policy, said, until
from redis import Redis
from replica import LIMIT, STATED, needs_redis, replicas, under_way

from benchmarks.redis_server import RedisServer
from sidecar.core.fact import ChatRejected, ChatServed, RateLimited
from sidecar.core.rate import SlidingWindows
from sidecar.core.value import replace
from sidecar.edge.chat.guard import DIGESTED, LONGEST, MICROSECONDS, PASSES, WINDOW, Counted
from sidecar.policy.units import Rate


async def statuses(chats):
    return sorted(status for status, _ in await asyncio.gather(*chats))


# -- who is counted ---------------------------------------------------------------------------------------------------


@given(st.text(max_size=100), st.text(max_size=100))
def test_who_is_counted_is_remembered_by_something_short_that_nobody_else_has(one, other):
    first, second = (
        Counted(f"session {name}".encode("utf-8", "surrogatepass"), anonymous=False) for name in (one, other)
    )
    assert len(first.key()) <= 1 + LONGEST
    assert (first.key() == second.key()) is (one == other)


def test_no_name_is_the_digest_of_another():
    long = Counted(b"session " + b"x" * 100, anonymous=False)
    assert long.key() == DIGESTED + long.digest()
    assert Counted(long.key(), anonymous=False).key() != long.key()


# -- the window itself -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def asked():
    """The script with a clock that its caller sets, on a Redis of this module's own."""
    script = WINDOW.replace("redis.call('TIME')", "{ARGV[3], ARGV[4]}")
    assert script != WINDOW
    server = RedisServer()
    with asyncio.Runner() as runner:
        runner.run(server.start())
        client = Redis.from_url(server.url)

        def at(now, key, calls, per):
            seconds, micros = divmod(round(now * MICROSECONDS), MICROSECONDS)
            return client.eval(script, 1, key, calls, round(per * MICROSECONDS), seconds, micros)

        at.client = client
        yield at
        client.close()
        runner.run(server.kill())


KNOCKS = st.lists(st.tuples(st.integers(0, 24), st.sampled_from([b"a", b"b"]), st.integers(1, 5)), max_size=60)
BEGAN = 1_790_000_000.0  # a time of day has more digits than Lua writes of a number by itself


@needs_redis
@settings(deadline=None)
@given(KNOCKS, st.sampled_from([1.0, 2.5, 10.0]))
def test_the_window_in_the_store_is_the_one_in_the_engine(asked, knocks, per):
    asked.client.flushall()
    alone, now = SlidingWindows(100), BEGAN
    for gap, key, calls in knocks:
        now += gap / 8
        here, there = alone.admit(now, key, Rate(calls, per)), asked(now, key, calls, per)
        assert (PASSES if here is None else round(here * MICROSECONDS)) == there


@needs_redis
def test_what_is_remembered_is_bounded_and_ends(asked):
    asked.client.flushall()
    for number in range(50):
        asked(BEGAN + number / 1000, b"a", 10, 60.0)
    assert asked.client.llen(b"a") == 10
    assert 0 < asked.client.pttl(b"a") <= 60_000


@needs_redis
def test_a_clock_that_was_set_back_locks_nobody_out(asked):
    asked.client.flushall()
    assert [asked(BEGAN, b"a", 1, 60.0) for _ in range(2)] == [PASSES, 60 * MICROSECONDS]
    assert asked(BEGAN - 3600, b"a", 1, 60.0) == PASSES


# -- chats -------------------------------------------------------------------------------------------------------------


@needs_redis
async def test_three_replicas_under_the_flood_of_one_session_let_exactly_the_limit_pass():
    async with RedisServer() as redis, replicas(3, redis.url) as three:
        found = await statuses(each.chat() for _ in range(60) for each in three)
        assert found == [200] * LIMIT + [429] * (180 - LIMIT)
        assert sum(len(each.place.heard(ChatServed)) for each in three) == LIMIT
        assert sum(len(each.place.heard(RateLimited)) for each in three) == 180 - LIMIT
        assert {told for each in three for told in each.told()} == {"answered"}
        assert [await statuses([each.chat("another")]) for each in three] == [[200]] * 3


@needs_redis
async def test_who_is_refused_is_told_how_long_and_a_refusal_costs_nothing():
    rates = {"guards": {"rate_limit": "2 per 1s"}}
    async with RedisServer() as redis, replicas(2, redis.url, **rates) as (one, other):
        assert await statuses([one.chat(), other.chat()]) == [200, 200]
        assert [await one.chat() for _ in range(5)] == [(429, "1")] * 5
        await asyncio.sleep(1.05)  # by the clock of Redis, which is nobody's to turn
        assert (await other.chat())[0] == 200


@needs_redis
async def test_without_a_session_a_peer_counts_by_the_other_rate():
    async with RedisServer() as redis, replicas(2, redis.url) as (one, other):
        assert await statuses(each.chat(None) for each in (one, other) for _ in range(5)) == [200] * 3 + [429] * 7
        assert (await one.chat(None, peer="127.0.0.2"))[0] == 200


@needs_redis
async def test_while_the_store_is_away_each_replica_counts_on_with_what_it_let_pass(monkeypatch):
    monkeypatch.setattr("sidecar.edge.chat.store.LOOK", 0.05)
    async with RedisServer() as redis, replicas(2, redis.url) as (one, other):
        assert await statuses([*(one.chat() for _ in range(6)), *(other.chat() for _ in range(3))]) == [200] * 9
        await redis.kill()
        await until(lambda: not one.store.up and not other.store.up)
        assert await statuses(one.chat() for _ in range(10)) == [200] * 4 + [429] * 6
        assert await statuses(other.chat() for _ in range(10)) == [200] * 7 + [429] * 3
        assert one.told()[-10:] == ["away"] * 10
        await redis.start()
        await until(lambda: one.store.up and other.store.up)
        # It has lost its memory, and what each replica knows is not asked while it answers.
        assert await statuses(each.chat() for each in (one, other) for _ in range(20)) == [200] * LIMIT + [429] * (
            40 - LIMIT
        )


@needs_redis
async def test_a_silent_store_costs_its_timeout_and_no_chat():
    shared = {"shared": {"timeout": "60ms", "pause": "5s"}}
    async with RedisServer() as redis, replicas(1, redis.url, **shared) as (one,):
        redis.hold()
        assert await statuses(one.chat(f"s-{number}") for number in range(20)) == [200] * 20
        assert one.told() == ["late"] * 20
        redis.release()


@needs_redis
async def test_a_client_that_leaves_while_the_store_is_asked_is_told_of():
    async with RedisServer() as redis, replicas(1, redis.url) as (one,):
        redis.hold()
        task, _ = one.begin()
        await under_way(one.store)
        task.cancel()
        await task.ended()
        assert [(fact.status, fact.reason) for fact in one.place.heard(ChatRejected)] == [(499, "client_gone")]
        redis.release()


@needs_redis
async def test_a_key_that_two_chats_find_free_at_once_is_claimed_by_one():
    keys = {"idempotency": {"mode": "on"}}
    async with RedisServer() as redis, replicas(1, redis.url, **keys) as (one,):
        go = asyncio.Event()

        async def answer(_):
            await go.wait()
            return said()

        one.place.targets._scripts["switch"] = [answer]
        (_, first), (_, second) = one.begin(key="k"), one.begin(key="k")
        refused = await next(asyncio.as_completed([first, second]))
        assert refused.status == 409
        go.set()
        assert sorted(answer.status for answer in await asyncio.gather(first, second)) == [200, 409]
        assert len(one.place.targets.asked) == 1
        assert (await one.chat(key="k"))[0] == 200  # replayed
        assert len(one.place.targets.asked) == 1


@needs_redis
async def test_a_reload_that_ends_keys_while_the_store_is_asked_leaves_the_chat_alone():
    keys = {"idempotency": {"mode": "on"}}
    async with RedisServer() as redis, replicas(1, redis.url, **keys) as (one,):
        redis.hold()
        _, got = one.begin(key="k")
        await under_way(one.store)
        place = one.place
        place.in_force.current = replace(place.in_force.current, policy=policy(**STATED))
        one.answering.adopt()
        redis.release()
        assert (await got).status == 200
