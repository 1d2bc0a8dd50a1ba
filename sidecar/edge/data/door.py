"""The client's side of the data port: sends each request where it belongs.

Everything that is not chat is relayed: the door is the client of a ``Leg``, passes the body on as it comes, and the answer
back. A chat is gathered and handed over (``chatting``); a command may be the one or the other (``commanding``). Either of them reports
the end of the answer, and the connection goes on to the next head.
"""

from __future__ import annotations

from math import inf

from sidecar.core.fact import ChatRejected, RelayEnded, RequestShed
from sidecar.edge.data import refusal
from sidecar.edge.data.commanding import Commanding
from sidecar.edge.data.connection import (
    BODY,
    CHAT,
    COLLECT,
    COMMAND,
    GONE,
    IDLE,
    LINGER,
    MOST_AHEAD,
    TUNNEL,
    WAIT,
    Port,
)
from sidecar.edge.data.exchange import Way
from sidecar.edge.data.service import Terms
from sidecar.edge.data.tunnel import Tunnel
from sidecar.wire import head, request
from sidecar.wire.body import BY_CHUNKS, NOTHING, reader
from sidecar.wire.inventory import usage


class Door(Commanding):
    """One client connection."""

    __slots__ = ("_due", "_leg", "_tunnel", "complete")

    def __init__(self, port: Port) -> None:
        super().__init__(port)
        self._leg: Way | None = None
        self._tunnel: Tunnel | None = None
        self._due = inf
        self.complete = True

    # The socket.

    def data_received(self, data: bytes) -> None:
        state = self.state
        if state == IDLE:
            self._read(self._ahead + data if self._ahead else data)
        elif state == BODY:
            self._forward(data)
        elif state == TUNNEL:
            if self._tunnel is not None:
                self._tunnel.to_gateway(data)
        elif state == COLLECT:
            self._collect(data)
        elif state == COMMAND:
            self._sift(data)
        elif state in (WAIT, CHAT):
            self._ahead += data
            if len(self._ahead) > MOST_AHEAD:
                self._line.hold()
            self._wait()

    def eof_received(self) -> bool:
        """The client sends no more. It is gone, then, except within a tunnel; a message without its end is told so."""
        if self.state == TUNNEL and self._leg is not None and self._tunnel is not None and not self._tunnel.half_closed:
            self._tunnel.half_closed = True
            self._leg.end()
            return True
        if self.state in (BODY, COLLECT, COMMAND) or (self.state == IDLE and self._ahead):
            self._refuse(head.Refused(400, "incomplete"))
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        tunnel = self.state == TUNNEL
        self.state = GONE
        if self._writing_paused:
            self._port.unread -= 1
        self._port.leave(self)
        leg, self._leg = self._leg, None
        if leg is not None and tunnel and exc is None:
            leg.part()
        elif leg is not None:
            leg.abandon()
        self._give_up()
        self._forget()

    def pause_writing(self) -> None:
        self._writing_paused = True
        self._port.unread += 1
        if self._leg is not None:
            self._leg.hold()

    def resume_writing(self) -> None:
        if self._writing_paused:
            self._port.unread -= 1
        self._writing_paused = False
        if self._leg is not None:
            self._leg.release()
        if self.state == IDLE:
            self._next()

    # Where requests go.

    def turn(self, asked: request.Request, terms: Terms) -> None:
        """Where a request goes."""
        route = asked.route
        if self._port.late > terms.longest_wait:
            self._shed(asked, "lag")
        elif route == "other":
            self._relay(asked, terms)
        elif route == "deny":
            self._not_relayed(asked, "denied", 403, refusal.denial(asked, self._port.date))
        elif route == "reject":
            self._refuse(head.Refused(400, "target"))
        else:
            wrong = terms.judge(asked.tokens)
            word = "auth_required" if wrong == "missing" else "forbidden"
            if route == "chat":
                if wrong is not None:
                    self._reject(asked, word)
                elif self._port.chats >= terms.most_chats:
                    self._shed(asked, "chats")
                else:
                    self._chat(asked, terms)
            elif wrong is None:
                self._tell_apart(asked, terms)
            else:
                status, message = self._own(asked, word)
                self._not_relayed(asked, "unauthorised", status, message)

    def _not_relayed(self, asked: request.Request, error: str, status: int, message: bytes) -> None:
        now = self._terms.now()
        seconds, used = now - self._began, usage(asked)
        fact = RelayEnded(
            now, "http", refusal.method(asked), status, seconds, 0, len(message), error, used.template, used.client
        )
        self._terms.emit(fact)
        self._last(message)

    def _shed(self, asked: request.Request, why: str) -> None:
        """There is too much to do: say so at once and cheaply, and keep the connection where that takes no reading."""
        now = self._terms.now()
        self._terms.emit(RequestShed(now, why))
        over = asked.framing == BY_CHUNKS or asked.length > len(self._ahead)
        if asked.route == "chat":
            status, message = self._own(asked, "overloaded", close=over or self.closing)
            used = usage(asked)
            self._terms.emit(ChatRejected(now, status, "overloaded", now - self._began, used.template, used.client))
        else:
            message = refusal.overload(asked, self._port.date, close=over or self.closing)
            seconds, used = now - self._began, usage(asked)
            fact = RelayEnded(
                now,
                "http",
                refusal.method(asked),
                503,
                seconds,
                0,
                len(message),
                "overload",
                used.template,
                used.client,
            )
            self._terms.emit(fact)
        if over:
            self._last(message)
        else:
            self._ahead = self._ahead[asked.length :]
            self.write(message)
            self._end(close=self.closing)

    # The relay: what we do for it, and what it does to us.

    def _relay(self, asked: request.Request, terms: Terms) -> None:
        if terms.relay.unanswered + self._port.unread >= terms.relays:
            self._shed(asked, "relays")
            return
        outgoing = asked.outgoing(self._peer.encode(), trusted=self._trusts(terms))
        if asked.framing == NOTHING:
            self.state = WAIT
            self._await_answer(self._began, terms)
            self._leg = terms.relay.open(self, asked, outgoing, terms.heads)
            if self._ahead:
                self._wait()
            return
        self.state = BODY
        self.complete = False
        self._body = reader(asked.framing, asked.length, drop=(terms.rules.token,))
        self._due = inf
        self._watch(self._began, terms.look_every)
        data, self._ahead = self._ahead, b""
        self._line.release()
        self._leg = terms.relay.open(self, asked, outgoing, terms.heads)
        if data:
            self._forward(data)

    def _forward(self, data: bytes) -> None:
        body, leg, terms = self._body, self._leg, self._terms
        if body is None or leg is None:
            return
        out = body.feed(data)
        if out:
            leg.send(out)
        if body.refused is not None:
            self._refuse(body.refused)
        elif body.done:
            self._ahead = body.rest
            self._body = None
            self.complete = True
            self.state = WAIT
            self._await_answer(terms.now(), terms)
            if self._ahead:
                self._wait()

    def hold(self) -> None:
        self._line.hold()

    def release(self) -> None:
        if len(self._ahead) <= MOST_AHEAD:
            self._line.release()

    def moved(self, leg: Way) -> None:
        self._leg = leg
        if self._writing_paused:
            leg.hold()

    def switched(self) -> None:
        asked, leg = self._request, self._leg
        if asked is None or leg is None:
            return
        self.state = TUNNEL
        self._tunnel = Tunnel(leg, self._line, asked.upgrade)
        self._watch(self._terms.now(), self._terms.look_every)
        data, self._ahead = self._ahead, b""
        if self._counted:
            self._recount(0)
        self._line.release()
        if data:
            self._tunnel.to_gateway(data)

    def through(self, data: bytes) -> None:
        if self._tunnel is not None and self._tunnel.to_client(data):
            self._part()

    def _part(self) -> None:
        leg, self._leg = self._leg, None
        if leg is not None:
            leg.part()
            self._linger()

    def finished(self) -> None:
        leg = self._leg
        if leg is None or self._tunnel is None or self._tunnel.half_closed:
            self._leg = None
            if leg is not None:
                leg.part()
            self._leave()
        else:
            self._tunnel.half_closed = True
            self._line.finish()

    def answered(self, *, close: bool) -> None:
        self._leg = None
        self._end(close=close)

    def failed(self, status: int, error: str) -> None:
        self._leg = None
        asked = self._request
        close = self.closing or not self.complete or (asked is not None and not asked.minor)
        self.write(refusal.failure(status, error, asked, self._port.date, close=close))
        self._end(close=close)

    def cut(self, *, plain: bool) -> None:
        self._leg = None
        if self.state == GONE:
            return
        if plain:
            self._linger()
        else:
            self._line.reset()

    # Time, and the end.

    def overdue(self, now: float) -> None:
        if self._leg is not None:
            self._look(self._leg, now)
        else:
            super().overdue(now)

    def _await_answer(self, now: float, terms: Terms) -> None:
        self._watch(now, terms.first_look)
        self._due = now + terms.response_head_timeout

    def _look(self, leg: Way, now: float) -> None:
        """Within a relayed message: is the answer due, and if nothing has moved for too long, whose turn was it?"""
        terms = self._terms
        if self.state == WAIT and not leg.answering and now >= self._due:
            leg.timed_out()
            return
        stalled = self._stalled(now, leg.progress)
        if stalled and self.state == BODY and not self._line.paused:
            self._refuse(head.Refused(408, "body_timeout"))
        elif stalled and self._writing_paused:
            self._leg = None
            leg.abandon("client-timeout")
            self._line.reset()
        elif (stalled and leg.paused) or now - self._moved_at >= terms.stream_timeout:
            leg.timed_out()
        else:
            self.deadline = now + terms.look_every
            if self.state == WAIT and not leg.answering:
                self.deadline = min(self.deadline, self._due)

    def break_off(self) -> bool:
        leg, self._leg = self._leg, None
        if leg is None:
            return False
        answering = leg.answering
        leg.abandon("protocol")
        return answering

    def farewell(self) -> None:
        """The grace is nearly over: a WebSocket is told that we go."""
        if self.state == TUNNEL and self._tunnel is not None and self._tunnel.leave():
            self._part()

    def abort(self) -> None:
        leg, self._leg = self._leg, None
        plain = self.state in (IDLE, LINGER) or (leg is not None and (leg.plain or self.state == TUNNEL))
        if leg is not None:
            leg.abandon("drained")
        if plain and not self._line.unsent:
            self._line.close()
        else:
            self._line.reset()
