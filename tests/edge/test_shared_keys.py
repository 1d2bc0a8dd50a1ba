"""Keys that replicas know together: one of them carries a chat out, the others wait, replay or refuse; and nobody waits for a dead one."""

from __future__ import annotations

import asyncio
import contextlib
import json

import msgspec
import pytest
from kitchen import TOKEN, failed, said, until
from redis import Redis
from replica import needs_redis, replicas, under_way

from benchmarks.redis_server import RedisServer
from sidecar.core.fact import ChatReplayed, KeyUsed
from sidecar.core.idempotency import Known
from sidecar.edge.chat.key import Key
from sidecar.edge.chat.reply import Reply
from sidecar.edge.chat.shared_keys import First, SharedClaim, SharedKeys
from sidecar.edge.chat.store import Store
from sidecar.policy.model import Idempotency, Shared

pytestmark = needs_redis

ON = {"idempotency": {"mode": "on"}}
OWN, OTHER = Key(b"k" * 32, b"b" * 32), Key(b"k" * 32, b"c" * 32)
FIRST = First(Reply(200, b'{"response":"hi"}', {"Idempotent-Replayed": "true"}), "first-id")
POLICY, MANY = Idempotency(mode="on"), Idempotency(mode="on", repeats="100000 per 60s")


@contextlib.asynccontextmanager
async def kept(many, redis):
    """``many`` replicas' keys, each over a store of its own."""
    facts = []
    stores = [Store(redis.url, lambda: Shared(timeout="2s"), facts.append, lambda: 0.0) for _ in range(many)]
    tasks = [asyncio.create_task(store.keep()) for store in stores]
    await until(lambda: all(store.up for store in stores))
    yield [SharedKeys(store, lambda: 0.0) for store in stores]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    for store in stores:
        await store.close()


async def gets(keys, own, wanted):
    """What is heard of a key as soon as that is ``wanted``: what was told goes its way, and nobody waits for it."""
    async with asyncio.timeout(3.0):
        while True:
            found = await keys.meet(MANY, own, 5.0)
            if ("claim" if isinstance(found, SharedClaim) else found.word) == wanted:
                return found
            await asyncio.sleep(0.005)


# -- the life of a key -------------------------------------------------------------------------------------------------


async def test_one_claims_the_others_wait_and_then_get_the_answer():
    async with RedisServer() as redis, kept(3, redis) as (one, two, three):
        claim = await one.meet(POLICY, OWN, 5.0)
        assert isinstance(claim, SharedClaim)
        running = await two.meet(POLICY, OWN, 5.0)
        assert running.word == "running"
        assert 4.0 < running.retry_after <= 5.0
        assert await three.meet(POLICY, OTHER, 5.0) == Known("mismatch")
        claim.keep(FIRST, 60.0)
        assert await gets(two, OWN, "replayed") == Known("replayed", FIRST)
        assert await three.meet(POLICY, OTHER, 5.0) == Known("mismatch")


async def test_of_a_hundred_at_once_one_claims():
    async with RedisServer() as redis, kept(2, redis) as (one, two):
        met = await asyncio.gather(*(keys.meet(MANY, OWN, 5.0) for _ in range(50) for keys in (one, two)))
        assert sum(isinstance(found, SharedClaim) for found in met) == 1
        assert {found.word for found in met if isinstance(found, Known)} == {"running"}


async def test_a_freed_key_is_free_for_all():
    async with RedisServer() as redis, kept(2, redis) as (one, two):
        (await one.meet(POLICY, OWN, 5.0)).free()
        assert isinstance(await gets(two, OTHER, "claim"), SharedClaim)


async def test_what_a_dead_replica_had_claimed_ends_by_itself_and_its_late_word_changes_nothing():
    async with RedisServer() as redis, kept(2, redis) as (one, two):
        stale = await one.meet(POLICY, OWN, 0.03)
        await asyncio.sleep(0.06)  # by the clock of Redis
        claim = await two.meet(POLICY, OWN, 5.0)
        assert isinstance(claim, SharedClaim)
        stale.free()
        stale.keep(First(Reply(200, b"wrong", {}), "x"), 60.0)
        assert (await one.meet(POLICY, OWN, 5.0)).word == "running"
        claim.keep(FIRST, 60.0)
        assert await gets(one, OWN, "replayed") == Known("replayed", FIRST)


async def test_an_answer_ends_and_nothing_of_it_is_left():
    async with RedisServer() as redis, kept(1, redis) as (one,):
        (await one.meet(POLICY, OWN, 5.0)).keep(FIRST, 0.05)
        await gets(one, OWN, "claim")
        with Redis.from_url(redis.url) as client:
            assert len(client.keys("*")) == 1  # the claim of a moment ago


async def test_repetitions_of_what_another_has_are_bounded():
    few = Idempotency(mode="on", repeats="2 per 60s")
    async with RedisServer() as redis, kept(2, redis) as (one, two):
        await one.meet(few, OWN, 5.0)
        words = [(await two.meet(few, OWN, 5.0)).word for _ in range(4)]
        assert words == ["running", "running", "repeated", "repeated"]


async def test_a_claim_that_nobody_heard_of_is_given_back():
    async with RedisServer() as redis, kept(2, redis) as (one, two):
        redis.hold()
        leaving = asyncio.create_task(one.meet(POLICY, OWN, 5.0))
        await under_way(one._store)
        leaving.cancel()
        await asyncio.gather(leaving, return_exceptions=True)
        redis.release()
        assert isinstance(await gets(two, OTHER, "claim"), SharedClaim)


async def test_what_nobody_of_our_kind_has_written_is_as_if_it_were_not_there():
    async with RedisServer() as redis, kept(1, redis) as (one,):
        with Redis.from_url(redis.url) as client:
            name = "vx11-sidecar:key:" + OWN.digest.hex()
            client.hset(name, mapping={"body": OWN.body, "claim": b"x", "answer": b"\xff no answer"})
        assert await one.meet(POLICY, OWN, 5.0) is None


@pytest.mark.parametrize(
    ("body", "fields", "correlation_id"),
    [
        (b"{}", {"Idempotent-Replayed": "true\r\nSet-Cookie: a=b"}, "first-id"),
        (b"{}", {"Idempotent-Replayed": "true", "Proxy-Status": "x\r\n\r\nHTTP/1.1 200 OK"}, "first-id"),
        (b"{}", {"Idempotent-Replayed": "true", "X: y\r\nSet-Cookie": "a=b"}, "first-id"),
        (b"{}", {"Idempotent-Replayed": "true", "Set-Cookie": "a=b"}, "first-id"),
        (b"<script>", {"Idempotent-Replayed": "true", "Content-Type": "text/html"}, "first-id"),
        (b"{}", {"Idempotent-Replayed": "true", "Access-Control-Allow-Origin": "*"}, "first-id"),
        (b"{}", {"Idempotent-Replayed": "true", "Transfer-Encoding": "chunked"}, "first-id"),
        (b"<script>", {"Idempotent-Replayed": "true"}, "first-id"),
        (b"[]", {"Idempotent-Replayed": "true"}, "first-id"),
        (b"{}", {}, "first-id"),
        (b"{}", {"Idempotent-Replayed": "true"}, "a\x1b[2J\nb"),
        (b"{}", {"Idempotent-Replayed": "true"}, "a" * 129),
    ],
)
async def test_whoever_writes_the_store_adds_no_field_to_an_answer_and_no_line_to_the_log(body, fields, correlation_id):
    async with RedisServer() as redis, kept(1, redis) as (one,):
        name = "vx11-sidecar:key:" + OWN.digest.hex()
        with Redis.from_url(redis.url) as client:
            forged = msgspec.msgpack.encode((body, fields, correlation_id))
            client.hset(name, mapping={"body": OWN.body, "claim": b"x", "answer": forged})
            assert await one.meet(POLICY, OWN, 5.0) is None
            good = msgspec.msgpack.encode((b"{}", {"Idempotent-Replayed": "true", "Proxy-Status": "x; y"}, "first-id"))
            client.hset(name, "answer", good)
        assert (await one.meet(POLICY, OWN, 5.0)).word == "replayed"


# -- chats -------------------------------------------------------------------------------------------------------------


async def test_a_chat_sent_again_to_another_replica_is_not_carried_out_again():
    async with RedisServer() as redis, replicas(2, redis.url, **ON) as (one, other):
        first = await one.begin(key="k")[1]
        await until(lambda: not one.store._asked)
        again = await other.begin(key="k")[1]
        assert (first.status, again.status) == (200, 200)
        assert again.body == first.body
        assert again.fields["Idempotent-Replayed"] == "true"
        assert (len(one.place.targets.asked), len(other.place.targets.asked)) == (1, 0)
        told = other.place.heard(ChatReplayed)
        assert [fact.first for fact in told] == [json.loads(first.body)["correlation_id"]]
        assert (await other.begin(key="k", message="another")[1]).status == 422


async def test_while_one_answers_the_other_says_409():
    go = asyncio.Event()

    async def slowly(_):
        await go.wait()
        return said()

    async with RedisServer() as redis, replicas(2, redis.url, **ON) as (one, other):
        one.place.targets._scripts["switch"] = [slowly]
        _, got = one.begin(key="k")
        await until(lambda: one.place.targets.asked)
        assert (await other.chat(key="k"))[0] == 409
        go.set()
        assert (await got).status == 200


@pytest.mark.parametrize("ends", ["left", "degraded"])
async def test_a_chat_that_came_to_nothing_frees_its_key_for_all(ends):
    async def never(_):
        await asyncio.Event().wait()

    async with RedisServer() as redis, replicas(2, redis.url, **ON) as (one, other):
        one.place.targets._scripts.update(switch=[never if ends == "left" else failed()])
        task, got = one.begin(key="k")
        await until(lambda: one.place.targets.asked)
        if ends == "left":
            task.cancel()
            await task.ended()
        else:
            assert (await got).status == 200
        await until(lambda: not one.store._asked)
        answer = await other.begin(key="k")[1]
        assert answer.status == 200
        assert "Idempotent-Replayed" not in answer.fields


async def test_a_chat_that_the_guard_refuses_frees_its_key():
    stated = {**ON, "guards": {"rate_limit": "1 per 60s"}}
    async with RedisServer() as redis, replicas(2, redis.url, **stated) as (one, other):
        assert (await one.chat())[0] == 200
        assert (await one.chat(key="k"))[0] == 429
        await until(lambda: not one.store._asked)
        with Redis.from_url(redis.url) as client:
            assert client.keys("vx11-sidecar:key:*") == []
        assert (await other.chat("another", key="k"))[0] == 200


async def test_without_the_store_each_replica_knows_its_own_keys():
    async with RedisServer() as redis, replicas(2, redis.url, **ON) as (one, other):
        await redis.kill()
        assert [(await each.chat(key="k"))[0] for each in (one, other, one, other)] == [200] * 4
        assert [len(each.place.targets.asked) for each in (one, other)] == [1, 1]
        assert [fact.use for fact in one.place.heard(KeyUsed)] == ["claimed", "kept"]


async def test_no_key_no_session_and_no_message_is_in_the_store_as_it_came():
    async with RedisServer() as redis, replicas(1, redis.url, **ON) as (one,):
        await one.chat("session-canary", key="key-canary", message="message-canary")
        await until(lambda: not one.store._asked)
        with Redis.from_url(redis.url) as client:
            names = client.keys("*")
            held = b"".join([*names, *(repr(client.hgetall(name)).encode() for name in names if b":key:" in name)])
        assert len(names) == 2
        assert not [word for word in (b"key-canary", b"message-canary", TOKEN.encode()) if word in held]
