"""The client's side of the data port: sends each request where it belongs.

Everything that is not chat is relayed: the door is the client of a ``Leg``, passes the body on as it comes, and the answer
back. A chat is gathered and handed over: the door is the owner of a ``Face``. Either of them reports the end of the
answer, and the connection goes on to the next head.
"""

from __future__ import annotations

from math import inf

from sidecar.core.fact import ChatRejected, RelayEnded
from sidecar.edge.data import handover, refusal
from sidecar.edge.data.connection import BODY, CHAT, COLLECT, GONE, IDLE, MOST_AHEAD, TUNNEL, WAIT, Connection, Port
from sidecar.edge.data.leg import Leg
from sidecar.edge.data.service import Terms
from sidecar.wire import head, request
from sidecar.wire.answer import CONTINUE, answer
from sidecar.wire.body import BY_CHUNKS, BY_LENGTH, NOTHING, Chunked, Length


class Door(Connection):
    """One client connection."""

    __slots__ = ("_face", "_gathered", "_half_closed", "_leg", "_progress", "_trusted")

    def __init__(self, port: Port) -> None:
        super().__init__(port)
        self._leg: Leg | None = None
        self._face: handover.Face | None = None
        self._gathered = bytearray()
        self._half_closed = False
        self._progress = -1
        self._trusted: tuple[Terms, bool] | None = None

    # The socket.

    def data_received(self, data: bytes) -> None:
        state = self.state
        if state == IDLE:
            self._read(self._ahead + data if self._ahead else data)
        elif state == BODY:
            self._forward(data)
        elif state == TUNNEL:
            if self._leg is not None:
                self._leg.send(data)
        elif state == COLLECT:
            self._collect(data)
        elif state in (WAIT, CHAT):
            self._ahead += data
            if len(self._ahead) > MOST_AHEAD:
                self._line.hold()

    def eof_received(self) -> bool:
        """The client sends no more. It is gone, then, except within a tunnel; a message without its end is told so."""
        if self.state == TUNNEL and self._leg is not None and not self._half_closed:
            self._half_closed = True
            self._leg.end()
            return True
        if self.state in (BODY, COLLECT) or (self.state == IDLE and self._ahead):
            self._refuse(head.Refused(400, "incomplete"))
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self.state = GONE
        self._port.leave(self)
        leg, self._leg = self._leg, None
        if leg is not None:
            leg.abandon()
        if self._face is not None:
            self._face.lost(exc)
            self._face = None
        self._forget()

    def pause_writing(self) -> None:
        self._writing_paused = True
        if self._leg is not None:
            self._leg.hold()
        if self._face is not None:
            self._face.pause_writing()

    def resume_writing(self) -> None:
        self._writing_paused = False
        if self._leg is not None:
            self._leg.release()
        if self._face is not None:
            self._face.resume_writing()
        if self.state == IDLE:
            self._next()

    # Where requests go.

    def turn(self, asked: request.Request, terms: Terms) -> None:
        """Where a request goes."""
        route = asked.route
        if route == "other":
            self._relay(asked, terms)
        elif route == "deny":
            self._not_relayed(asked, "denied", 403, refusal.denial(asked, self._port.date))
        elif route == "reject":
            self._refuse(head.Refused(400, "target"))
        else:
            wrong = terms.judge(asked.tokens)
            word = "auth_required" if wrong == "missing" else "forbidden"
            if route == "chat":
                if wrong is None:
                    self._chat(asked, terms)
                else:
                    self._reject(asked, word)
            elif wrong is None:
                self._relay(asked, terms)
            else:
                status, message = self._own(asked, word)
                self._not_relayed(asked, "unauthorised", status, message)

    def _not_relayed(self, asked: request.Request, error: str, status: int, message: bytes) -> None:
        now = self._terms.now()
        fact = RelayEnded(now, "http", refusal.method(asked), status, now - self._began, 0, len(message), error)
        self._terms.emit(fact)
        self._last(message)

    def _trusts(self, terms: Terms) -> bool:
        """Whether this client may say where requests came from. Asked once per connection and snapshot."""
        if self._trusted is None or self._trusted[0] is not terms:
            self._trusted = (terms, terms.trusted(self._peer))
        return self._trusted[1]

    # The relay: what we do for it, and what it does to us.

    def _relay(self, asked: request.Request, terms: Terms) -> None:
        outgoing = asked.outgoing(self._peer.encode(), trusted=self._trusts(terms))
        self._progress = -1
        if asked.framing == NOTHING:
            self.state = WAIT
            self._body = None
            self.deadline = self._began + terms.response_head_timeout
            self._leg = terms.relay.open(self, asked, outgoing, terms.rules)
            return
        self.state = BODY
        self._body = Length(asked.length) if asked.framing == BY_LENGTH else Chunked(drop=(terms.rules.token,))
        self.deadline = self._began + terms.stream_timeout
        data, self._ahead = self._ahead, b""
        self._line.release()
        self._leg = terms.relay.open(self, asked, outgoing, terms.rules)
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
            self.state = WAIT
            self.deadline = terms.now() + (terms.stream_timeout if leg.answering else terms.response_head_timeout)

    @property
    def complete(self) -> bool:
        return self._body is None

    def hold(self) -> None:
        self._line.hold()

    def release(self) -> None:
        if len(self._ahead) <= MOST_AHEAD:
            self._line.release()

    def switched(self) -> None:
        self.state = TUNNEL
        self.deadline = self._terms.now() + self._terms.stream_timeout
        data, self._ahead = self._ahead, b""
        self._line.release()
        if data and self._leg is not None:
            self._leg.send(data)

    def finished(self) -> None:
        if self._half_closed:
            self._line.close()
        else:
            self._half_closed = True
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

    def cut(self) -> None:
        self._leg = None
        if self.state == TUNNEL:
            self._line.close()
        elif self.state != GONE:
            self._line.reset()

    # Chat: up to the hand-over, and after it.

    def _chat(self, asked: request.Request, terms: Terms) -> None:
        if asked.length > terms.max_body:
            self._reject(asked, "too_large")
        elif asked.framing == NOTHING:
            self._hand_over(asked, b"")
        else:
            self.state = COLLECT
            self._gathered = bytearray()
            self.deadline = self._began + terms.body_timeout
            self._body = Chunked(bare=True) if asked.framing == BY_CHUNKS else Length(asked.length)
            data, self._ahead = self._ahead, b""
            self._line.release()
            if asked.expects and not data:
                self.write(CONTINUE)
            if data:
                self._collect(data)

    def _collect(self, data: bytes) -> None:
        body, asked = self._body, self._request
        if body is None or asked is None:
            return
        self._gathered += body.feed(data)
        if len(self._gathered) > self._terms.max_body:
            self._reject(asked, "too_large")
        elif body.refused is not None:
            self._refuse(body.refused)
        elif body.done:
            whole = bytes(self._gathered)
            self._body = None
            self._ahead = body.rest
            self._hand_over(asked, whole)

    def _hand_over(self, asked: request.Request, body: bytes) -> None:
        self.state = CHAT
        self.deadline = inf
        self._gathered = bytearray()
        terms = self._terms
        origin = asked.forwarded_for if asked.forwarded_for and self._trusts(terms) else b""
        message = handover.canonical(
            asked, body, terms.rules.token, terms.chat_fields, forwarded_for=origin, close=self.closing
        )
        if self._face is None or not self._face.usable:
            self._face = handover.face(self, self._line.transport, terms.chat)
        self._face.chat(message, writing_paused=self._writing_paused)

    def chat_answered(self, *, close: bool) -> None:
        if self.state == CHAT:
            self._end(close=close or self.closing)

    def chat_cut(self) -> None:
        if self.state == CHAT:
            self._leave()

    def _own(self, asked: request.Request, word: str) -> tuple[int, bytes]:
        """An error of the chat path, worded by its owner."""
        status, fields, body = self._terms.own_answer(word, asked)
        return status, answer(status, fields, body, close=True, date=self._port.date)

    def _reject(self, asked: request.Request, word: str) -> None:
        status, message = self._own(asked, word)
        now = self._terms.now()
        self._terms.emit(ChatRejected(now, status, word, now - self._began))
        self._last(message)

    # Time.

    def overdue(self, now: float) -> None:
        if self.state == COLLECT and self._request is not None:
            self._reject(self._request, "body_timeout")
        elif self._leg is not None:
            self._silence(self._leg, now)
        else:
            super().overdue(now)

    def break_off(self) -> bool:
        leg, self._leg = self._leg, None
        if leg is None:
            return False
        answering = leg.answering
        leg.abandon("protocol")
        return answering

    def _silence(self, leg: Leg, now: float) -> None:
        """Within a relayed message: the answer may have begun, or bytes may have moved since the last look."""
        moved = leg.sent + leg.received
        if (self.state == WAIT and not leg.answering) or moved == self._progress:
            leg.timed_out()
        else:
            self._progress = moved
            self.deadline = now + self._terms.stream_timeout
