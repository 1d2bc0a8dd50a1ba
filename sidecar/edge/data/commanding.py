"""A command on a client's connection (``intercept.commands: intercept``): read first, then a chat or relayed.

Inside the gateway ``{"command": "message", "message": …}`` leads to chat, and every other command elsewhere. So the body is gathered
beside its own bytes as they came. If it says that it is a chat, what was gathered is handed over as one. If not, the bytes are put back to
where they were when the head had been read, and the relay begins as if nobody had looked: framing and all pass as ever. What is too
large for a chat, does not come in a chat's time, or is no JSON object that we could answer, is the gateway's to judge.
"""

from __future__ import annotations

from abc import abstractmethod

from sidecar.edge.chat.request import is_message
from sidecar.edge.data.chatting import Chatting
from sidecar.edge.data.connection import COMMAND
from sidecar.edge.data.service import Terms
from sidecar.wire import request
from sidecar.wire.answer import CONTINUE
from sidecar.wire.body import NOTHING, reader


class Commanding(Chatting):
    """A connection that can tell a chat by its body."""

    __slots__ = ("_raw",)

    _raw: bytes  # of a body, as it came; only while there is one to be told apart

    @abstractmethod
    def _relay(self, asked: request.Request, terms: Terms) -> None:
        """Send a request to the gateway, with what there is of its body ahead."""

    @abstractmethod
    def _shed(self, asked: request.Request, why: str) -> None:
        """Turn a request away."""

    def _tell_apart(self, asked: request.Request, terms: Terms) -> None:
        """What is no chat by its head: of a command the body is gathered, which counts among the chats meanwhile, being kept like one."""
        if asked.route != "command" or asked.framing == NOTHING or asked.length > terms.max_body:
            self._relay(asked, terms)
        elif self._port.chats >= terms.most_chats:
            self._shed(asked, "chats")
        else:
            self.state = COMMAND
            self._count_chat()
            self._gathered = bytearray()
            self._raw = b""
            self.deadline = self._began + terms.body_timeout
            self._body = reader(asked.framing, asked.length, bare=True)
            data, self._ahead = self._ahead, b""
            self._line.release()
            if data:
                self._sift(data)
            elif asked.expects:
                self.write(CONTINUE)

    def _sift(self, data: bytes) -> None:
        body, asked = self._body, self._request
        if body is None or asked is None:
            return
        self._raw += data
        self._gathered += body.feed(data)
        if body.refused is not None:
            self._refuse(body.refused)
        elif len(self._gathered) > self._terms.max_body:
            self._put_back(asked)
        elif body.done:
            whole, kind = bytes(self._gathered), asked.field(b"content-type")
            if is_message(whole, None if kind is None else kind.decode("latin-1")):
                self._body, self._raw = None, b""
                self._ahead = body.rest
                self._hand_over(asked, whole)
            else:
                self._put_back(asked)

    def _put_back(self, asked: request.Request) -> None:
        """It is the gateway's, from its first byte on."""
        self._body = None
        self._gathered = bytearray()
        self._ahead, self._raw = self._raw, b""
        self._chat_over()
        self._relay(asked, self._terms)

    def overdue(self, now: float) -> None:
        if self.state == COMMAND and self._request is not None:
            self._put_back(self._request)
        else:
            super().overdue(now)
