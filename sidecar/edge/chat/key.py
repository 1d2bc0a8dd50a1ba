"""Idempotency-Keys as clients send them: what one may be, whose it is, and the digests that stand for it.

No key leaves this room as it came: what is remembered, and what targets get, are digests from which none can be read.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from hashlib import blake2b
from typing import Any, NamedTuple

import orjson

from sidecar.core.fact import Emit, KeySent
from sidecar.edge.chat.contract import Question
from sidecar.edge.chat.incoming import Incoming
from sidecar.edge.chat.request import Chat, new_id
from sidecar.edge.snapshot import Snapshot
from sidecar.edge.token import Open

ROUTE = b"chat"  # one for all spellings of it: the UI sends a chat again to the other one
_FORM = re.compile(rb"[\x21-\x7e](?:[\x20-\x7e]{0,253}[\x21-\x7e])?")


class Key(NamedTuple):
    """A key as it is remembered, and what was sent under it: digests of both."""

    digest: bytes
    body: bytes


def sent(values: Sequence[bytes]) -> bytes | None:
    """The key in the values of its field; None where that is none: sent twice, empty, too long, or not printable ASCII.

    It is taken as it stands: with quotes around it (a string of RFC 9651) it is another than without.
    """
    return values[0] if len(values) == 1 and _FORM.fullmatch(values[0]) else None


def whose(incoming: Incoming, snapshot: Snapshot) -> bytes:
    """Who a key belongs to, as far as we know our callers: the token they present, or where there is none to present their address."""
    if isinstance(snapshot.tokens, Open):
        return b"peer " + incoming.peer.encode()
    return b"token " + incoming.request.tokens[0].strip(b" \t")


def remembered(key: bytes, owner: bytes, chat: Chat) -> Key:
    """``chat`` is what its members mean: the order and the form of its JSON are nothing, nor is the correlation id, which is
    another with each attempt. No session id is the same as an empty one, and no metadata the same as none in them.
    """
    asked = _json(chat.message, chat.session_id or None, chat.metadata or None)
    return Key(_digest(b"kept", ROUTE, owner, key), _digest(asked))


class Outgoing:
    """The keys that targets get with one call: for each target one, and the same with every attempt.

    Two chats have the same key at a target only if they are the same to it: the client's key, whose it is, and all that the target is
    sent. So a key that two clients both chose, or one client used twice, never makes a target give one chat the answer of another. A
    client that sends no key gets one made, which nobody else can have.
    """

    def __init__(self, key: bytes | None, owner: bytes, question: Question) -> None:
        self._made = key is None
        chat = _json(question.message, question.session_id, question.metadata)
        self._parts = (new_id().encode(),) if key is None else (key, owner, chat)
        self._keys: dict[str, str] = {}

    def key(self, call: int, target: str, now: float, emit: Emit) -> str:
        """The key for a target: 64 hexadecimal digits."""
        known = self._keys.get(target)
        if known is None:
            known = self._keys[target] = _digest(b"sent", target.encode(), *self._parts).hex()
            emit(KeySent(now, call, target, self._made))
        return known


def outgoing(incoming: Incoming, snapshot: Snapshot, question: Question) -> Outgoing:
    """Whether keys are remembered here or not. What is no key is as if it had not been sent: where they are, it was refused."""
    key = sent(incoming.keys(snapshot.policy.idempotency.header))
    return Outgoing(key, b"" if key is None else whose(incoming, snapshot), question)


def _json(*values: Any) -> bytes:
    return orjson.dumps(values, option=orjson.OPT_SORT_KEYS)


def _digest(*parts: bytes) -> bytes:
    """Each part with its length before it, so that no two lists of parts are the same bytes."""
    digest = blake2b(digest_size=32)
    for part in parts:
        digest.update(b"%d " % len(part))
        digest.update(part)
    return digest.digest()
