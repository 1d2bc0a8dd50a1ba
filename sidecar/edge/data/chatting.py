"""Chat on a client's connection: gathered, handed over whole, and what is said to those who are turned away before."""

from __future__ import annotations

from math import inf

from sidecar.core.fact import ChatRejected
from sidecar.edge.chat.incoming import Incoming
from sidecar.edge.chat.reply import Reply
from sidecar.edge.data.connection import CHAT, COLLECT, Connection, Port
from sidecar.edge.data.service import Begun, Terms
from sidecar.wire import request
from sidecar.wire.answer import CONTINUE, answer
from sidecar.wire.body import BY_CHUNKS, reader
from sidecar.wire.inventory import usage


class Chatting(Connection):
    """A connection that can chat."""

    __slots__ = ("_answering", "_chats", "_gathered", "_trusted")

    def __init__(self, port: Port) -> None:
        super().__init__(port)
        self._answering: Begun | None = None
        self._gathered = bytearray()
        self._chats = False  # counts among the chats under way
        self._trusted: tuple[Terms, bool] | None = None

    def _chat(self, asked: request.Request, terms: Terms) -> None:
        if asked.length > terms.max_body:
            self._reject(asked, "too_large")
        elif asked.framing != BY_CHUNKS and len(self._ahead) >= asked.length:  # all there with its head, as most are
            self._count_chat()
            whole, self._ahead = self._ahead[: asked.length], self._ahead[asked.length :]
            self._hand_over(asked, whole)
        else:
            self.state = COLLECT
            self._count_chat()
            self._gathered = bytearray()
            self.deadline = self._began + terms.body_timeout
            self._body = reader(asked.framing, asked.length, bare=True)
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
        peer = self._peer
        if asked.forwarded_for and self._trusts(terms):
            told = asked.forwarded_for.removesuffix(b", ").rpartition(b",")[2]
            peer = told.strip(b" \t").decode("latin-1") or peer
        answering = terms.chats.begin(Incoming(asked, body, peer, self._began), self._chat_answered)
        if self.state != CHAT:  # answered, or gone, already
            return
        self._answering = answering
        if self._ahead:
            self._wait()

    def _chat_answered(self, said: Reply) -> None:
        """The answer, all of it. A client that was not told of the end would send its next request into nothing."""
        self._answering = None
        asked = self._request
        if self.state != CHAT or asked is None:
            return
        self._chat_over()
        close, fields = self.closing, said.fields
        if not close and not asked.minor:
            fields = fields | {"Connection": "keep-alive"}
        self._line.later(answer(said.status, fields, said.body, close=close, date=self._port.date))
        self._end(close=close)

    def _give_up(self) -> None:
        """The client left: its chat ends."""
        answering, self._answering = self._answering, None
        if answering is not None:
            answering.cancel()

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
        now, used = self._terms.now(), usage(asked)
        self._terms.emit(ChatRejected(now, status, word, now - self._began, used.template, used.client))
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
