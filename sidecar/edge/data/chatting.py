"""Chat on a client's connection: gathered, handed over to aiohttp, and what is said to those who are turned away before."""

from __future__ import annotations

from math import inf

from sidecar.core.fact import ChatRejected
from sidecar.edge.data import handover
from sidecar.edge.data.connection import CHAT, COLLECT, Connection, Port
from sidecar.edge.data.service import Terms
from sidecar.wire import request
from sidecar.wire.answer import CONTINUE, answer
from sidecar.wire.body import BY_CHUNKS, NOTHING, Chunked, Length
from sidecar.wire.inventory import usage


class Chatting(Connection):
    """A connection that can chat: the owner of a ``Face``."""

    __slots__ = ("_chats", "_face", "_gathered", "_trusted")

    def __init__(self, port: Port) -> None:
        super().__init__(port)
        self._face: handover.Face | None = None
        self._gathered = bytearray()
        self._chats = False  # counts among the chats under way
        self._trusted: tuple[Terms, bool] | None = None

    def _chat(self, asked: request.Request, terms: Terms) -> None:
        if asked.length > terms.max_body:
            self._reject(asked, "too_large")
        elif asked.framing == NOTHING:
            self._count_chat()
            self._hand_over(asked, b"")
        else:
            self.state = COLLECT
            self._count_chat()
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
        self._face.chat(message, began=self._began, writing_paused=self._writing_paused)

    def chat_answered(self, *, close: bool) -> None:
        if self.state == CHAT:
            self._chat_over()
            self._end(
                close=close
            )  # as the answer said: a client that was not told would send its next request into nothing

    def chat_cut(self) -> None:
        if self.state == CHAT:
            self._chat_over()
            self._leave()

    def _count_chat(self) -> None:
        self._chats = True
        self._port.chats += 1

    def _chat_over(self) -> None:
        if self._chats:
            self._chats = False
            self._port.chats -= 1

    def _forget(self) -> None:
        super()._forget()
        self._chat_over()

    def _own(self, asked: request.Request, word: str, *, close: bool = True) -> tuple[int, bytes]:
        """An error of the chat path, worded by its owner."""
        status, fields, body = self._terms.own_answer(word, asked)
        return status, answer(status, fields, body, close=close, date=self._port.date)

    def _reject(self, asked: request.Request, word: str) -> None:
        status, message = self._own(asked, word)
        now = self._terms.now()
        self._terms.emit(ChatRejected(now, status, word, now - self._began, *usage(asked)))
        self._last(message)

    def _trusts(self, terms: Terms) -> bool:
        """Whether this client may say where requests came from. Asked once per connection and snapshot."""
        if self._trusted is None or self._trusted[0] is not terms:
            self._trusted = (terms, terms.trusted(self._peer))
        return self._trusted[1]

    def overdue(self, now: float) -> None:
        if self.state == COLLECT and self._request is not None:
            self._reject(self._request, "body_timeout")
        else:
            super().overdue(now)
