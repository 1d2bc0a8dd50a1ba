"""Chats with an Idempotency-Key, while a policy has that on: sent again under the same key, a chat is answered once.

Where it stands: after token, size, validation and the length of the message, so that what is refused there never claims a key; before the
rate guard, so that a repetition costs its session nothing. A chat that claims its key passes the guard like any other. Repetitions have
a bound of their own, per key (``idempotency.repeats``).

What is replayed is the first answer as it was, its own correlation id in it; about the exchange at hand are the header fields alone.
"""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Self

from sidecar.core.fact import Emit, KeyUse, KeyUsed
from sidecar.core.idempotency import Claim, Held, Keys, Known
from sidecar.core.value import replace
from sidecar.edge.chat import key, reply
from sidecar.edge.chat.admission import Admitted, Rejected, Replayed
from sidecar.edge.chat.incoming import Incoming
from sidecar.edge.chat.key import Key
from sidecar.edge.chat.reply import Reply
from sidecar.edge.chat.shared_keys import First, SharedClaim, SharedKeys
from sidecar.edge.chat.store import Store
from sidecar.edge.snapshot import Snapshot
from sidecar.policy.model import Idempotency

_MARK = {"Idempotent-Replayed": "true"}
_OF_ONE_EXCHANGE = "Server-Timing"


class Keyed:
    def __init__(self, policy: Idempotency, emit: Emit, now: Callable[[], float], store: Store | None = None) -> None:
        self._policy = policy
        self._shared = None if store is None else SharedKeys(store, now)
        self._keys: Keys[First] = Keys(policy)
        self._emit = emit
        self._now = now

    def adopt(self, policy: Idempotency) -> None:
        self._policy = policy
        self._keys.adopt(self._now(), policy)

    def held(self) -> Held:
        return self._keys.held(self._now())

    def meet(self, incoming: Incoming, snapshot: Snapshot, asked: Admitted) -> Admitted | Rejected | Replayed:
        """A chat against which there is nothing so far: with its key, if that is free; else what a repetition gets."""
        values = incoming.keys(self._policy.header)
        if not values:
            return asked
        sent = key.sent(values)
        if sent is None:
            return Rejected(reply.key_invalid(asked.caller), "key_invalid", asked.caller)
        own = key.remembered(sent, key.whose(incoming, snapshot), asked.chat)
        known = self._keys.meet(self._now(), *own)
        return replace(asked, key=own) if known is None else self._repeated(known, asked)

    async def meet_together(self, asked: Admitted, patience: float) -> Admitted | Rejected | Replayed:
        """The same for a chat whose key is free here, by what other replicas know; claimed for all, it has a ``claim``."""
        if self._shared is None or asked.key is None:
            return asked
        found = await self._shared.meet(self._policy, asked.key, patience)
        if isinstance(found, SharedClaim):
            return replace(asked, claim=found)
        return asked if found is None else self._repeated(found, asked)

    def _repeated(self, known: Known[First], asked: Admitted) -> Rejected | Replayed:
        caller = asked.caller
        if known.answer is not None:
            return Replayed(known.answer.reply, caller, known.answer.correlation_id)
        if known.word == "running":
            return Rejected(reply.key_running(caller, known.retry_after), "key_running", caller)
        if known.word == "mismatch":
            return Rejected(reply.key_mismatch(caller, self._policy.header), "key_mismatch", caller)
        said = reply.rate_limited(caller, str(self._policy.repeats), known.retry_after, asked.session_id)
        return Rejected(said, "key_repeated", caller)

    def hold(self, own: Key, patience: float, shared: SharedClaim | None = None) -> Hold:
        """The claim to a free key, for a chat that is over within ``patience`` seconds; ``shared`` if it is claimed for all, too."""
        now = self._now()
        claim = self._keys.claim(now, own.digest, own.body, now + patience)
        self._tell("full" if claim is None else "claimed")
        if claim is None and shared is not None:  # what is not remembered here is not kept for others either
            shared.free()
            shared = None
        return Hold(self, claim, shared)

    def keep(self, claim: Claim, answer: Reply, correlation_id: str) -> tuple[First, float] | None:
        """What is kept, and for how many seconds. Status 200 is an answer, a degraded one if Proxy-Status says why; of
        anything else nothing is kept.
        """
        if answer.status != 200:
            self.free(claim)
            return None
        fields = {name: value for name, value in answer.fields.items() if name != _OF_ONE_EXCHANGE} | _MARK
        body = bytes(memoryview(answer.body))  # a copy: what orjson made keeps room for 4 KiB as long as it lives
        first, degraded = First(Reply(200, body, fields), correlation_id), "Proxy-Status" in fields
        size = len(body) + sum(len(name) + len(value) for name, value in fields.items())
        gone = self._keys.settle(self._now(), claim, first, size, degraded=degraded)
        if gone is None:
            self._tell("freed")
            return None
        self._tell("kept")
        for _ in range(gone):
            self._tell("evicted")
        return first, self._policy.degraded_ttl if degraded else self._policy.ttl

    def free(self, claim: Claim) -> None:
        self._keys.release(claim)
        self._tell("freed")

    def _tell(self, use: KeyUse) -> None:
        self._emit(KeyUsed(self._now(), use))


class Hold:
    """Claims to a key, here and among replicas, as a context: without an answer at its end, however that comes, the key is free again.

    None: there is nothing to hold.
    """

    __slots__ = ("_claim", "_keyed", "_shared")

    def __init__(self, keyed: Keyed, claim: Claim | None, shared: SharedClaim | None) -> None:
        self._keyed = keyed
        self._claim = claim
        self._shared = shared

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        claim, shared = self._claim, self._shared
        self._claim = self._shared = None
        if claim is not None:
            self._keyed.free(claim)
        if shared is not None:
            shared.free()

    def keep(self, answer: Reply, correlation_id: str) -> None:
        """Let repetitions get ``answer``."""
        claim, self._claim = self._claim, None
        kept = None if claim is None else self._keyed.keep(claim, answer, correlation_id)
        if kept is not None and self._shared is not None:
            self._shared.keep(*kept)
            self._shared = None
