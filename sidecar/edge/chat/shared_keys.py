"""Idempotency-Keys that replicas know together: of a key's life (``core.idempotency``) the store has what others need to know.

    free -- claimed by a replica, for as long as its client waits --> running -- kept, as long as the policy says --> free
                                                                      running -- freed -> free

A claim has a mark that nobody else can have, and only who has it may keep an answer or free the key: a replica that was held up until its
claim had ended takes nothing from whoever claimed the key then. What a dead replica had claimed ends by itself.

An answer is in the store as its client got it, until it ends: whoever may read that Redis may read it. Whoever may write it may put words
of theirs in its place and no more: what is read there is an answer of ours only if it has its form, so that nobody's line ends get into a
head, no field gets to a browser that we would not send, and nothing gets into the log that is no id.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from secrets import token_bytes
from typing import NamedTuple

import msgspec
import orjson

from sidecar.core.idempotency import Known
from sidecar.core.rate import SlidingWindows
from sidecar.edge.chat.key import Key
from sidecar.edge.chat.reply import Reply
from sidecar.edge.chat.request import correlation_id
from sidecar.edge.chat.store import Store
from sidecar.policy.model import Idempotency

MEET = """
local found = redis.call('HMGET', KEYS[1], 'body', 'answer')
if not found[1] then
  redis.call('HSET', KEYS[1], 'body', ARGV[1], 'claim', ARGV[2])
  redis.call('PEXPIRE', KEYS[1], ARGV[3])
  return {'free'}
end
if found[1] ~= ARGV[1] then return {'mismatch'} end
if not found[2] then return {'running', redis.call('PTTL', KEYS[1])} end
return {'replayed', found[2]}
"""
KEEP = """
if redis.call('HGET', KEYS[1], 'claim') ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'answer', ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1
"""
FREE = """
if redis.call('HGET', KEYS[1], 'claim') ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])
"""
MARK = 16  # bytes
_STATUS = re.compile(r"[\x20-\x7e]{0,256}")  # not the reasons that we know: a replica of the next version may know more


class First(NamedTuple):
    """What a chat was answered, as its repetitions get it, and the correlation id it had."""

    reply: Reply
    correlation_id: str


class _Written(msgspec.Struct, array_like=True, frozen=True):
    """A ``First`` as it stands in the store."""

    body: bytes
    fields: dict[str, str]
    correlation_id: str


_written = msgspec.msgpack.Encoder()
_read = msgspec.msgpack.Decoder(_Written)


class SharedClaim:
    """A key that this replica has claimed for all. What is said of it goes its way; nobody waits."""

    __slots__ = ("_key", "_mark", "_store")

    def __init__(self, store: Store, key: bytes, mark: bytes) -> None:
        self._store = store
        self._key = key
        self._mark = mark

    def keep(self, first: First, ttl: float) -> None:
        """Let repetitions anywhere get this, for ``ttl`` seconds."""
        written = _written.encode(_Written(first.reply.body, dict(first.reply.fields), first.correlation_id))
        self._store.tell(KEEP, self._key, self._mark, written, _milliseconds(ttl))

    def free(self) -> None:
        self._store.tell(FREE, self._key, self._mark)


class SharedKeys:
    def __init__(self, store: Store, now: Callable[[], float]) -> None:
        self._store = store
        self._now = now
        self._repeats = SlidingWindows(0)

    async def meet(self, policy: Idempotency, own: Key, patience: float) -> Known[First] | SharedClaim | None:
        """What others know of a key that is free here; a claim to it, for ``patience`` seconds; None: the store does not say.

        Repetitions of a key that another replica has are bounded here as one's own are: by ``repeats`` on each replica.
        """
        key, mark = b"key:" + own.digest.hex().encode(), token_bytes(MARK)
        claim, answer = SharedClaim(self._store, key, mark), None
        try:
            answer = await self._store.ask(MEET, key, own.body, mark, _milliseconds(patience))
        finally:
            if answer is None:
                claim.free()  # too late to be heard, or the client left: the claim may stand all the same
        if answer is None:
            return None
        word, *rest = answer
        if word == b"free":
            return claim
        self._repeats.max_keys = 2 * policy.max
        retry_after = self._repeats.admit(self._now(), own.digest, policy.repeats)
        if retry_after is not None:
            return Known("repeated", retry_after=retry_after)
        return _known(word, rest)


def _known(word: bytes, rest: list[bytes | int]) -> Known[First] | None:
    """None for what nobody of our kind has written: a chat is answered all the same."""
    if word == b"mismatch":
        return Known("mismatch")
    if word == b"running" and isinstance(rest[0], int):
        return Known("running", retry_after=max(rest[0], 0) / 1000)
    try:
        found = _read.decode(rest[0] if isinstance(rest[0], bytes) else b"")
    except msgspec.MsgspecError:
        return None
    if not _is_ours(found):
        return None
    return Known("replayed", First(Reply(200, found.body, found.fields), found.correlation_id))


def _is_ours(found: _Written) -> bool:
    """Whether what was read has the form of what ``keep`` writes."""
    fields = dict(found.fields)
    marked = fields.pop("Idempotent-Replayed", None) == "true"
    status = fields.pop("Proxy-Status", "")
    if not marked or fields or _STATUS.fullmatch(status) is None:
        return False
    if correlation_id(found.correlation_id, None) is None:
        return False
    try:
        return isinstance(orjson.loads(found.body), dict)
    except orjson.JSONDecodeError:
        return False


def _milliseconds(seconds: float) -> int:
    return max(round(seconds * 1000), 1)
