"""What the door serves requests by."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from math import inf
from typing import Protocol

from sidecar.core.fact import Emit
from sidecar.core.value import Value, settle
from sidecar.edge.chat.incoming import Incoming
from sidecar.edge.chat.reply import Reply
from sidecar.edge.data.exchange import Client, Way
from sidecar.wire.answer import Fields
from sidecar.wire.head import Rules
from sidecar.wire.heads import Heads
from sidecar.wire.request import Request

LOOKS = 4  # at what may have stalled, within the time that makes it stalled


class Relay(Protocol):
    """The way to the gateway."""

    @property
    def unanswered(self) -> int:
        """Requests on it whose answer has not begun."""

    def open(self, client: Client, request: Request, head: bytes, heads: Heads, /) -> Way: ...
    def tick(self, now: float, date: bytes, /) -> None: ...


class Begun(Protocol):
    """A chat that is being answered, or has been."""

    def cancel(self) -> object: ...
    def done(self) -> bool: ...
    def ended(self) -> asyncio.Future[None]:
        """Done when the chat is over, whatever came of it."""


class Chats(Protocol):
    """Who answers chats."""

    def begin(self, asked: Incoming, done: Callable[[Reply], None], /) -> Begun:
        """``done`` gets the answer, maybe before this returns, unless the chat is cancelled before."""


class Terms(Value, gc=True):
    """What a request is served by: one snapshot, read once per request, replaced as a whole on a reload.

    ``judge`` takes the tokens of a request: None when one is valid, else ``missing`` or ``wrong``. ``own_answer``
    words the errors of the chat path: it takes ``auth_required``, ``forbidden``, ``too_large``, ``body_timeout`` or
    ``overloaded`` and the request, and gives status, fields (no Content-Length, no Connection) and body. Durations are in seconds.
    """

    heads: Heads
    relay: Relay
    chats: Chats
    judge: Callable[[Sequence[bytes]], str | None]
    own_answer: Callable[[str, Request], tuple[int, Fields, bytes]]
    emit: Emit
    now: Callable[[], float]
    trusted: Callable[[str], bool] = lambda _peer: False
    max_body: int = 65_536
    head_timeout: float = 10.0
    idle_timeout: float = 75.0
    body_timeout: float = 10.0
    response_head_timeout: float = 30.0
    stream_timeout: float = inf
    stall_timeout: float = 60.0
    connections: int = 10_000
    most_chats: int = 256
    relays: int = 512
    longest_wait: float = 0.5
    look_every: float = inf
    """Seconds between two looks at whether bytes still move; worked out from the others, once for all requests."""
    first_look: float = inf
    """Seconds until the first look at a request of which the gateway has everything; worked out, too."""

    def __post_init__(self) -> None:
        settle(self, "look_every", min(self.stall_timeout, self.stream_timeout) / LOOKS)
        settle(self, "first_look", min(self.look_every, self.response_head_timeout))

    @property
    def rules(self) -> Rules:
        """What heads are judged by."""
        return self.heads.rules
