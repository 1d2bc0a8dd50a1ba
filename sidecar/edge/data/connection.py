"""A client's connection as HTTP/1.1 orders it: one head after the other, one answer to each, and how it ends.

States::

    IDLE     between requests; a part of a head may be here
    BODY     a relayed request: its body is on its way to the gateway
    WAIT     a relayed request went out whole; the answer is on its way, or to come
    COLLECT  a chat: its body is being gathered
    COMMAND  what may be a chat: its body is being gathered, and will say
    CHAT     a chat was handed over; the answer is on its way, or to come
    TUNNEL   101 went out: bytes in both directions
    LINGER   the last answer went out; what still comes is discarded, so that no reset overtakes the answer
    GONE     nobody is there

    IDLE -> BODY -> WAIT -> IDLE | LINGER      any -> LINGER (refused)      any -> GONE (client left)
    IDLE -> WAIT, WAIT -> TUNNEL               IDLE -> COLLECT -> CHAT -> IDLE | LINGER
                                               IDLE -> COMMAND -> CHAT | BODY | WAIT

Bytes that come before their turn (pipelined requests, early frames) share one bounded buffer, and parts of heads have the limit of a head.
All that waits so in all connections has a bound as well: what one may take, a crowd would take ten thousand times.

Deadlines are plain numbers that one tick a second compares, for all doors, so that no request costs a timer. A stall is found by looks,
each of which compares how far the bytes have come with the look before.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from math import inf
from typing import Protocol, cast

from sidecar.core.fact import MessageRefused, RelayEnded
from sidecar.edge.cork import Cork
from sidecar.edge.data import refusal
from sidecar.edge.data.line import Line, peer
from sidecar.edge.data.service import Terms
from sidecar.wire import head, request
from sidecar.wire.body import Body
from sidecar.wire.head import Refused

IDLE, BODY, WAIT, COLLECT, CHAT, TUNNEL, LINGER, GONE, COMMAND = range(9)

CROWDED = Refused(503, "connections")
LINGER_FOR = 1.0
CR = 0x0D
MOST_AHEAD = 65_536  # bytes that may wait for their turn before we stop reading
MOST_WAITING = 16 << 20  # bytes of all connections that wait; beyond, nobody new may wait with more than ``FEW``
FEW = 1_024


class Port(Protocol):
    """What all connections share."""

    terms: Terms
    date: bytes
    cork: Cork
    draining: bool
    idle_until: float
    """While draining: how long a connection without a request is still kept."""
    chats: int
    """Chats under way."""
    late: float
    """Seconds that requests have to wait for their turn."""
    waiting: int
    """Bytes that wait for their turn, of all connections."""
    unread: int
    """Connections whose client does not read what there is for it: each holds a read of the gateway's answer, 256 KiB at most."""

    def enter(self, connection: Connection, /) -> bool: ...
    def leave(self, connection: Connection, /) -> None: ...


class Connection(asyncio.Protocol, ABC):
    """What is the same wherever requests go. ``turn`` says where."""

    __slots__ = (
        "_ahead", "_began", "_body", "_counted", "_line", "_moved_at", "_peer", "_port", "_progress", "_request", "_scanned", "_seen",
        "_terms", "_writing_paused", "closing", "deadline", "state",
    )  # fmt: skip

    def __init__(self, port: Port) -> None:
        self._port = port
        self._terms = port.terms
        self.state = IDLE
        self.closing = False  # with the answer to the request under way
        self.deadline = inf
        self._ahead = b""
        self._counted = 0  # of what waits, as far as the port knows
        self._scanned = 0
        self._seen = False
        self._request: request.Request | None = None
        self._body: Body | None = None
        self._writing_paused = False
        self._began = 0.0
        self._progress = -1
        self._moved_at = 0.0

    @abstractmethod
    def turn(self, asked: request.Request, terms: Terms) -> None:
        """A request was read: send it where it belongs."""

    @abstractmethod
    def break_off(self) -> bool:
        """The request under way will not be finished. Returns whether its answer has begun."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._line = Line(cast("asyncio.Transport", transport), self._port.cork)
        self._peer = peer(transport)
        self._wait_for_request()
        if not self._port.enter(self) and self.state == IDLE:
            self._refuse(CROWDED)
        elif self.deadline <= self._terms.now():  # the last request of the process has been answered
            self._leave()

    def write(self, data: bytes) -> None:
        if self.state != GONE:
            self._line.write(data)

    # A head.

    def _read(self, data: bytes) -> None:
        if self._writing_paused:  # the client does not read its answers: it gets no further ones
            self._ahead = data
            self._line.hold()
            self._wait()
            return
        if data[0] == CR:
            data = head.without_empty_lines(data)
            self._scanned = 0
        end = data.find(b"\r\n\r\n", self._scanned) + 4
        terms = self._port.terms
        if end < 4:
            self._wait_for_head(data, terms)
            return
        self._terms = terms
        self._began = terms.now()
        self._scanned = 0
        self._seen = False
        self._ahead = ahead = data[end:]
        if self._counted:
            self._recount(0)
        if self._line.paused and len(ahead) <= MOST_AHEAD:
            self._line.release()
        judged = terms.heads.request(data[:end])
        if isinstance(judged, Refused):
            self._request = None
            self._refuse(judged)
        else:
            self._request = judged
            self.closing = judged.close or self._port.draining
            self.turn(judged, terms)

    def _wait_for_head(self, data: bytes, terms: Terms) -> None:
        """Part of a head. The time for the rest runs from its first byte on."""
        self._ahead = data
        self._line.release()
        crowded = not self._recount(len(data))
        if not data:
            return
        if not self._seen:
            self._seen = True
            self.deadline = terms.now() + terms.head_timeout
        broken = head.partial(data, terms.rules, self._scanned) or (CROWDED if crowded else None)
        self._scanned = max(len(data) - 3, 0)  # before there, no end of a head begins
        if broken is not None:
            self._request = None
            self._refuse(broken)

    # What waits.

    def _recount(self, size: int) -> bool:
        """So much of what we have waits for its turn. Returns whether it may."""
        port = self._port
        port.waiting += size - self._counted
        self._counted = size
        return size <= FEW or port.waiting <= MOST_WAITING

    def _wait(self) -> None:
        """What came ahead of its turn waits, unless there is too much of that in all: no answer says so, for it is nobody's turn."""
        if not self._recount(len(self._ahead)):
            self._terms.emit(MessageRefused(self._terms.now(), CROWDED.status, CROWDED.why))
            self._line.drop()

    # Ends.

    def _end(self, *, close: bool) -> None:
        """The one place where an answer is over."""
        if self.state == GONE:
            return
        self._request = None
        self._body = None
        if self._counted:
            self._recount(0)
        if close:
            self._linger()
        else:
            self.state = IDLE
            self._wait_for_request()
            self._next()

    def _next(self) -> None:
        """Whatever came ahead of its turn. Not at once: whoever reported the end is still at work."""
        if self._ahead:
            asyncio.get_running_loop().call_soon(self._resume)
        elif self._line.paused:
            self._line.release()

    def _resume(self) -> None:
        if self.state == IDLE and self._ahead:
            self._read(self._ahead)

    def _refuse(self, refused: Refused) -> None:
        """The message is not HTTP as we accept it, or not in time."""
        terms, asked = self._terms, self._request
        now = terms.now()
        if refused.why == "loop":
            terms.emit(RelayEnded(now, "http", "OTHER", refused.status, now - self._began, 0, 0, "loop"))
        else:
            terms.emit(MessageRefused(now, refused.status, refused.why))
        if self.break_off():  # no word of ours belongs into an answer that has begun
            self._line.reset()
        else:
            self._last(refusal.refusal(refused, asked, self._port.date))

    def _last(self, message: bytes) -> None:
        self.write(message)
        self._linger()

    def _linger(self) -> None:
        """Say no more, and listen a little longer, so that the client reads the answer and not a reset."""
        self.state = LINGER
        self._watch(self._terms.now(), LINGER_FOR)
        self._forget()
        self._line.finish()
        self._line.release()

    def _forget(self) -> None:
        self._ahead = b""
        self._body = None
        if self._counted:
            self._recount(0)

    def _leave(self) -> None:
        """Close as soon as everything that was written has gone out."""
        self.state = GONE
        self._watch(self._terms.now(), LINGER_FOR)
        self._line.close()

    def drain(self) -> None:
        """No request after the next one. Without any, the connection ends a little later: a client may be about to send."""
        self.closing = True
        if self.state == IDLE and not self._ahead:
            self._wait_for_request()

    def farewell(self) -> None:
        """The time for draining is nearly over: the last moment to say something."""

    def drop(self) -> None:
        """End without a word."""
        self.state = GONE
        self._line.drop()

    def abort(self) -> None:
        """The time for draining is over."""
        self._line.reset()

    # Time.

    def overdue(self, now: float) -> None:
        """The deadline has passed."""
        if self.state == IDLE and self._ahead:
            self._refuse(Refused(408, "head_timeout"))
        elif self.state == IDLE:
            self._leave()
        elif self._line.unsent and not self._stalled(now):
            self.deadline = now + LINGER_FOR
        else:
            self._line.drop()

    def _wait_for_request(self) -> None:
        port, terms = self._port, self._port.terms
        self.deadline = terms.now() + terms.idle_timeout
        if port.draining:
            self.deadline = min(self.deadline, port.idle_until)

    def _watch(self, now: float, patience: float) -> None:
        """From now on something must move."""
        self._progress = -1
        self._moved_at = now
        self.deadline = now + patience

    def _stalled(self, now: float, moved: int = 0) -> bool:
        """Whether everything has stood still for too long: the client's reading, and what ``moved`` measures."""
        progress = moved + self._line.taken
        if progress != self._progress:
            self._progress = progress
            self._moved_at = now
        return now - self._moved_at >= self._terms.stall_timeout
