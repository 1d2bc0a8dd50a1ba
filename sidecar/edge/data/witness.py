"""What is seen of one relayed chat (``mode: shadow``): copies of both messages, read along and dropped as soon as they have told.

Whatever goes wrong in here, nobody is to notice: it leaves things undecided. Of a request ``guards.max_body`` bytes are copied, of an
answer ``MOST_READ``, of ``overload.chats`` chats at once; beyond that a chat passes uncopied. A copy lives as long as its request, at most.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from sidecar.core.fact import ChatObserved, Emit, Gave, Would
from sidecar.core.rate import SlidingWindows
from sidecar.edge.chat.observation import SUCCESS, Guard, gave
from sidecar.wire import response
from sidecar.wire.body import Body, reader
from sidecar.wire.head import Refused
from sidecar.wire.heads import Heads
from sidecar.wire.request import Request
from sidecar.wire.target import Route

MOST_READ = 65_536
CODED = re.compile(rb"\r\ncontent-encoding:[\t ]*+(?!(?:identity)?[\t ]*\r)", re.IGNORECASE)


class Memory:
    """What stays from policy to policy: who chatted when, and how many chats are copied in this moment."""

    def __init__(self) -> None:
        self.windows = SlidingWindows(1)
        self.copies = 0


class Watch(NamedTuple):
    """What chats are looked at by and with: one snapshot's guard, and where what was seen is told."""

    guard: Guard
    memory: Memory
    emit: Emit
    now: Callable[[], float]


class Witness:
    """Of one chat: what we would have said, and what the gateway gave. Tells it once, when that is over."""

    def __init__(self, by: Watch, request: Request, route: Route, peer: str, heads: Heads) -> None:
        self._by = by
        self._began = by.now()
        self._request = request
        self._command = route == "command"
        self._route: Route = "commands" if self._command else route  # a command is no chat until its body says so
        self._peer = peer
        self._would: Would | None = None
        self._sent: _Copy | None = None
        self._came = _Answer(request.method, heads)
        self._copied = self._over = False
        self._careful(self._begin)

    def sent(self, data: bytes) -> None:
        """More of the request's body went on."""
        if self._sent is not None:
            self._careful(self._judge, data)

    def came(self, data: bytes) -> None:
        """More of the answer went on."""
        self._careful(self._came.feed, data)

    def over(self, ended: Gave | None, status: int | None = None) -> None:
        """It is over; ``ended`` None: as it should, and the answer itself says what was given."""
        if self._over:
            return
        self._over = True
        self._by.memory.copies -= self._copied
        self._sent = None
        self._careful(self._tell, ended, status)

    def _careful(self, step: Callable[..., None], *told: object) -> None:
        try:
            step(*told)
        except Exception:  # noqa: BLE001 - whoever looks on must not be in the way
            self._sent = None
            self._came.content = None

    def _begin(self) -> None:
        by, request = self._by, self._request
        most = by.guard.policy.overload.chats
        self._copied = (self._command or self._route == "chat") and by.memory.copies < most
        by.memory.copies += self._copied
        if self._copied:
            self._came.content = _Copy(None, MOST_READ)
        self._would = by.guard.of_head(request, self._route)
        open_ = self._would is None or (self._command and self._would == "pass")
        if open_ and self._copied:
            self._sent = _Copy(reader(request.framing, request.length, bare=True), by.guard.policy.guards.max_body)

    def _judge(self, data: bytes) -> None:
        copy = self._sent
        assert copy is not None  # noqa: S101 - asked before
        copy.feed(data)
        if copy.too_large:
            self._sent = None
            self._would = "pass" if self._command else "too_large"
        elif copy.done:
            self._sent = None
            guard, body = self._by.guard, bytes(copy.content)
            if self._command and not guard.is_chat(body, self._request):
                return
            self._route = "chat"
            self._would = guard.of_body(self._by.now(), body, self._request, self._peer)

    def _tell(self, ended: Gave | None, status: int | None) -> None:
        by, came = self._by, self._came
        now = by.now()
        seconds = now - self._began
        status = came.status if status is None else status
        if ended is None:
            ended = "unreadable" if status is None else gave(status, came.whole)
        late = seconds > by.guard.patience(self._request)
        by.emit(ChatObserved(now, self._route, self._would or "undecided", ended, status, seconds, late))


class _Copy:
    """The content of a message as it passes, chunks undone; ``body`` says where it ends, None: there is none."""

    def __init__(self, body: Body | None, most: int) -> None:
        self.body = body
        self._most = most
        self.content = bytearray()
        self.too_large = False

    @property
    def done(self) -> bool:
        return self.body is None or self.body.done

    def feed(self, data: bytes) -> None:
        if self.body is None or self.too_large or not data:
            return
        self.content += self.body.feed(data)
        if len(self.content) > self._most:
            self.too_large = True
            self.content = bytearray()


class _Answer:
    """The answer as the client gets it. Each head comes in one piece, as ``leg`` writes it."""

    def __init__(self, method: bytes, heads: Heads) -> None:
        self._method = method
        self._heads = heads
        self.status: int | None = None
        self.content: _Copy | None = None
        """None: not to be read along."""

    @property
    def whole(self) -> bytes | None:
        """The content; None where it was not read, or not all of it."""
        return None if self.content is None or self.content.too_large else bytes(self.content.content)

    def feed(self, data: bytes) -> None:
        if self.status is None:
            data = self._head(data)
        if self.content is not None:
            self.content.feed(data)

    def _head(self, data: bytes) -> bytes:
        """Read a head; what follows it. An interim one leaves the status open."""
        end = data.index(b"\r\n\r\n") + 4
        head = self._heads.response(data[:end], self._method)
        if isinstance(head, Refused):
            raise ValueError(head.why)  # noqa: TRY004 - what was written to the client was judged before
        if head.status >= response.FINAL:
            self.status = head.status
            if head.status // 100 != SUCCESS or CODED.search(data, 0, end):
                self.content = None
            elif self.content is not None:
                self.content.body = reader(head.framing, head.length, bare=True)
        return data[end:]
