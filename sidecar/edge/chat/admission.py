"""What is decided about a chat before anybody is asked."""

from __future__ import annotations

from sidecar.core.value import Value
from sidecar.edge.chat.key import Key
from sidecar.edge.chat.reply import Caller, Reply
from sidecar.edge.chat.request import Chat
from sidecar.edge.chat.shared_keys import SharedClaim


class Admitted(Value):
    """A chat that passed token, validation and guards; with ``key`` if it has to be answered only once, ``claim`` if by all replicas."""

    chat: Chat
    caller: Caller
    session_id: str
    key: Key | None = None
    claim: SharedClaim | None = None


class Rejected(Value):
    """A request that did not; ``reason`` is a closed word."""

    answer: Reply
    reason: str
    caller: Caller


class Replayed(Value):
    """A chat that was answered before: ``first`` is the correlation id it had then."""

    answer: Reply
    caller: Caller
    first: str
