"""Chats that are sent again: which key is under way, and what a finished one was answered.

A client that lost its answer (a dropped connection, a page that gave up after five seconds) can only send the chat again, and
nobody can tell that from a new one. With a key it is the same one (draft-ietf-httpapi-idempotency-key-header, section 2):

    free -- claim --> running -- settle --> kept -- its time is over, or an older answer has to go --> free
                      running -- release -> free

What may be relied on:

* Of one key at most one claim is running. A repetition is told when that must be over.
* An answer is given only for the digest of the body that led to it, and only in its time: kept at t it is there while now < t + ttl,
  by the ttl in force now. Another body under the same key is a mismatch, whether the key is running or its answer kept.
* A claim is settled or released exactly once. Released, nothing is left of it: a chat that failed, or whose client left, may be tried
  again under its key.
* Memory is bounded: at most ``max`` keys run, at most ``max`` answers are kept, and those have at most ``max_size`` bytes with what is
  kept around them. The answer kept longest goes first. A key that runs is never forgotten: where ``max`` run already a further one is
  not claimed, and its chat is answered as if it had none.
* Repetitions are bounded: ``repeats`` of a key are let in, by a sliding window of its own, and the others are refused.

Keys and bodies are digests; what goes into them is for the edge to say. Answers are handed back as they came and never looked into.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Generic, Literal, NamedTuple, TypeVar

from msgspec import Struct

from sidecar.core.rate import SlidingWindows
from sidecar.policy.model import Idempotency

AROUND = 1024
"""Bytes that count for an answer beside its own: the objects and digests around it. Measured, and rounded up."""

Answer = TypeVar("Answer")
Word = Literal["replayed", "running", "mismatch", "repeated"]


class Claim(Struct, eq=False):
    """A key under way for one body; ``until`` is when it must be over at the latest."""

    key: bytes
    body: bytes
    until: float


class Known(Struct, Generic[Answer], frozen=True):
    """What a repetition meets: ``replayed`` has the ``answer``, ``running`` and ``repeated`` (too often) the seconds to wait."""

    word: Word
    answer: Answer | None = None
    retry_after: float = 0.0


class Held(NamedTuple):
    """How full it is: keys under way, answers kept, and their bytes with what is kept around them."""

    running: int
    kept: int
    size: int


class _Kept(Struct, Generic[Answer], frozen=True):
    at: float
    body: bytes
    answer: Answer
    size: int


class Keys(Generic[Answer]):
    """What is remembered under a policy that has it on."""

    def __init__(self, policy: Idempotency) -> None:
        self._policy = policy
        self._running: dict[bytes, Claim] = {}
        # In the order in which they were kept, which is the order in which they end: all in one have the same time to live.
        self._whole: OrderedDict[bytes, _Kept[Answer]] = OrderedDict()
        self._degraded: OrderedDict[bytes, _Kept[Answer]] = OrderedDict()
        self._size = 0
        self._repeats = SlidingWindows(2 * policy.max)

    def adopt(self, now: float, policy: Idempotency) -> None:
        """Let other numbers hold, for what is remembered as well. Keys under way go on, even if they are too many now."""
        self._forget(now)  # a longer time to live brings nothing back
        self._policy = policy
        self._repeats.max_keys = 2 * policy.max
        self._forget(now)
        self._shrink()

    def meet(self, now: float, key: bytes, body: bytes) -> Known[Answer] | None:
        """What is known of a key; None: it is free. A repetition counts, whatever it meets."""
        self._forget(now)
        running, kept = self._running.get(key), self._whole.get(key) or self._degraded.get(key)
        found = running or kept
        if found is None:
            return None
        retry_after = self._repeats.admit(now, key, self._policy.repeats)
        if retry_after is not None:
            return Known("repeated", retry_after=retry_after)
        if found.body != body:
            return Known("mismatch")
        if running is not None:
            return Known("running", retry_after=max(running.until - now, 0.0))
        return Known("replayed", kept.answer if kept else None)

    def claim(self, now: float, key: bytes, body: bytes, until: float) -> Claim | None:
        """The claim to a free key. None: it is not free, or too many are running, and nothing will be remembered."""
        self._forget(now)
        known = key in self._running or key in self._whole or key in self._degraded
        if known or len(self._running) >= self._policy.max:
            return None
        claim = self._running[key] = Claim(key, body, until)
        return claim

    def settle(self, now: float, claim: Claim, answer: Answer, size: int, *, degraded: bool) -> int | None:
        """Keep an answer of ``size`` bytes; how many others had to go for it. None: it is too large or would be over at once."""
        self.release(claim)
        self._forget(now)
        size += AROUND
        if size > self._policy.max_size or (degraded and not self._policy.degraded_ttl):
            return None
        kept = self._degraded if degraded else self._whole
        kept[claim.key] = _Kept(now, claim.body, answer, size)
        self._size += size
        return self._shrink()

    def release(self, claim: Claim) -> None:
        """End a claim without an answer. Raises KeyError for one that has ended."""
        if self._running.get(claim.key) is not claim:
            raise KeyError("this claim has ended")
        del self._running[claim.key]

    def held(self, now: float) -> Held:
        self._forget(now)
        return Held(len(self._running), len(self._whole) + len(self._degraded), self._size)

    def _forget(self, now: float) -> None:
        """Let go of what is over by ``now``."""
        for kept, ttl in ((self._whole, self._policy.ttl), (self._degraded, self._policy.degraded_ttl)):
            while kept and now >= next(iter(kept.values())).at + ttl:
                self._drop(kept)

    def _shrink(self) -> int:
        """Let go of the oldest until the rest fits; of how many."""
        gone = 0
        while self._size > self._policy.max_size or len(self._whole) + len(self._degraded) > self._policy.max:
            self._drop(min((kept for kept in (self._whole, self._degraded) if kept), key=_oldest))
            gone += 1
        return gone

    def _drop(self, kept: OrderedDict[bytes, _Kept[Answer]]) -> None:
        self._size -= kept.popitem(last=False)[1].size


def _oldest(kept: OrderedDict[bytes, _Kept[Answer]]) -> float:
    return next(iter(kept.values())).at
