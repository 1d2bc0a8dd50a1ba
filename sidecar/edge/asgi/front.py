"""In front of an application: sends each request where it belongs.

    other              goes to the application, with the very objects the server gave
    chat               token first, then the body, then the answerer; the application never hears of it
    alias, commands    cost a valid token, then go to the application untouched
    command            the same, and its body says whether it is a chat (``intercept.commands: intercept``)
    deny, reject       are answered here

The decisions, their order and their words are those of the data port (``edge/data/door`` and what it stands on). Connections are the
server's: nothing is said of them, and what a client still sends after its answer is the server's to read or to cut.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from sidecar.core.fact import ChatRejected, Emit, MessageRefused, RelayEnded, RequestShed
from sidecar.edge.asgi import head as heads
from sidecar.edge.asgi.hearing import Hearing
from sidecar.edge.asgi.protocol import App, Receive, Saying, Scope, Send
from sidecar.edge.asgi.terms import Terms
from sidecar.edge.chat import reply
from sidecar.edge.chat.incoming import Incoming
from sidecar.edge.chat.reply import Caller, Reply
from sidecar.edge.chat.request import is_message, new_id
from sidecar.edge.data.refusal import DENIED, OVERLOADED, Word, method, refused_as
from sidecar.edge.data.service import Chats
from sidecar.edge.outlets.log import Log
from sidecar.wire.answer import JSON, detailed
from sidecar.wire.body import NOTHING
from sidecar.wire.head import Refused
from sidecar.wire.inventory import usage
from sidecar.wire.request import Request


class Behind(NamedTuple):
    """What answers. ``now`` is monotonic seconds."""

    chats: Chats
    emit: Emit
    now: Callable[[], float]
    log: Log


class Front:
    """One for the life of an application. ``terms`` is replaced by a reload."""

    def __init__(
        self,
        app: App,
        terms: Terms,
        ready: Callable[[], Awaitable[Behind]],
        root: str,
        failed: Callable[[Exception], None],
    ) -> None:
        """``ready`` gives what answers and may raise; ``failed`` is told of faults of ours; ``root`` as in ``head.asked_target``."""
        self._app = app
        self.terms = terms
        self._ready = ready
        self._root = root
        self._failed = failed
        self.chats = 0
        """Chats under way, those whose body is still being read included."""

    def __len__(self) -> int:
        """Connections of ours: each chat is all we see of one."""
        return self.chats

    def under_way(self, kind: str) -> int:
        """How much of a ``chat``, a ``relay`` or a ``tunnel`` is under way; the last two are the application's."""
        return self.chats if kind == "chat" else 0

    def passes(self, scope: Scope) -> bool:
        """Whether a request is nothing to us. False also where that is in doubt."""
        try:
            return scope in self.terms.others
        except Exception:  # noqa: BLE001 - it is looked at again, where a fault has an answer
            return False

    def closed(self, scope: Scope) -> bool:
        """Whether a request of type ``websocket`` is for what the policy denies. True also where that is in doubt."""
        terms = self.terms
        try:
            return scope not in terms.others and heads.is_denied(heads.asked_target(scope, self._root), terms.routes)
        except Exception as error:  # noqa: BLE001 - a fault of ours must not open the way
            self._failed(error)
            return True

    async def turn_away(self, scope: Scope, send: Send) -> None:
        """Refuse a WebSocket before it stands: the server makes a 403 of that."""
        try:
            by = await self._ready()
            used = heads.counted(scope, heads.asked_target(scope, self._root))
            by.emit(RelayEnded(by.now(), "http", "GET", DENIED.status, 0.0, 0, 0, "denied", used.template, used.client))
        except Exception as error:  # noqa: BLE001 - it is refused, whether that can be told of or not
            self._failed(error)
        await Saying(send, head_only=False).close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """A request of type ``http`` that may be ours."""
        hearing = Hearing(receive)
        try:
            if not await self._answered(scope, hearing, send):
                await self._app(scope, hearing.again if hearing.began else receive, send)
        finally:
            hearing.stop()

    async def _answered(self, scope: Scope, hearing: Hearing, send: Send) -> bool:
        """Whether the request was ours, and has its answer."""
        terms = self.terms
        saying = Saying(send, head_only=scope.get("method") == "HEAD")
        try:
            target = heads.asked_target(scope, self._root)
            if heads.route(scope, target, terms.routes) == "other":
                return False
            return await _Visit(self, terms, await self._ready(), _Client(scope, hearing, saying)).judge(target)
        except Exception as error:  # noqa: BLE001 - a fault of ours must neither open the way to the application nor break it
            await self._crashed(error, saying)
            return True

    async def _crashed(self, error: Exception, saying: Saying) -> None:
        self._failed(error)
        if not saying.begun:
            caller = Caller(new_id())
            said = reply.internal(caller)
            fields = {"Content-Type": "application/json", "X-Correlation-Id": caller.correlation_id, **said.fields}
            await saying.say(said.status, fields, said.body)


class _Client(NamedTuple):
    """Who asks: what the server tells of the request, what is heard and what is said."""

    scope: Scope
    hearing: Hearing
    saying: Saying


class _Visit:
    """One request that may be ours."""

    __slots__ = ("_asked", "_began", "_by", "_front", "_hearing", "_saying", "_scope", "_terms")

    _asked: Request

    def __init__(self, front: Front, terms: Terms, by: Behind, client: _Client) -> None:
        self._front = front
        self._terms = terms
        self._by = by
        self._scope, self._hearing, self._saying = client
        self._began = by.now()

    async def judge(self, target: bytes) -> bool:
        """Where the request goes: True if it was answered here."""
        raw, terms = heads.head(self._scope, target), self._terms
        judged = Refused(400, "field") if raw is None else terms.heads.request(raw)
        if isinstance(judged, Refused):
            return await self._refuse(judged)
        self._asked = asked = judged
        if asked.route == "other":
            return False
        if asked.route == "deny":
            return await self._not_passed("denied", DENIED)
        if asked.route == "reject":
            return await self._refuse(Refused(400, "target"))
        wrong = terms.judge(asked.tokens)
        if wrong is None:
            return await (self._chat() if asked.route == "chat" else self._tell_apart())
        word = "auth_required" if wrong == "missing" else "forbidden"
        if asked.route == "chat":
            return await self._reject(word)
        return await self._unauthorised(word)

    # -- chats ----------------------------------------------------------------------------------------------------

    async def _chat(self) -> bool:
        front, terms = self._front, self._terms
        if front.chats >= terms.most_chats:
            self._by.emit(RequestShed(self._by.now(), "chats"))
            return await self._reject("overloaded")
        if self._asked.length > terms.max_body:
            return await self._reject("too_large")
        front.chats += 1
        try:
            ended, body = await self._hearing.body(terms.max_body, self._began + terms.body_timeout, self._by.now)
            if ended == "too_large":
                return await self._reject("too_large")
            if ended == "late":
                return await self._reject("body_timeout")
            if ended == "left":
                return self._incomplete()
            return await self._answer(body)
        finally:
            front.chats -= 1

    async def _answer(self, body: bytes) -> bool:
        """Let it be answered; a client that leaves meanwhile ends that."""
        said: list[Reply] = []
        peer = heads.peer(self._scope)
        answering = self._by.chats.begin(Incoming(self._asked, body, peer, self._began), said.append)
        try:
            await asyncio.wait((answering.ended(), self._hearing.next()), return_when=asyncio.FIRST_COMPLETED)
            # A further message means nothing, and whatever is said after it cannot be told from that: the answer is waited for.
            if not answering.done() and not self._hearing.left():
                await asyncio.wait((answering.ended(),))
            over = answering.done()
        finally:
            answering.cancel()
        if said:
            await self._saying.say(said[0].status, said[0].fields, said[0].body)
        elif over:  # by our own end
            return await self._reject("overloaded")
        return True

    async def _tell_apart(self) -> bool:
        """What is no chat by its head. Of a command the body is heard; it counts among the chats meanwhile, being kept like one."""
        front, terms, asked = self._front, self._terms, self._asked
        if asked.route != "command" or self._empty() or asked.length > terms.max_body:
            return False
        if front.chats >= terms.most_chats:
            self._by.emit(RequestShed(self._by.now(), "chats"))
            return await self._not_passed("overload", OVERLOADED)
        front.chats += 1
        try:
            ended, body = await self._hearing.body(terms.max_body, self._began + terms.body_timeout, self._by.now)
            if ended != "whole" or not is_message(body, self._content_type()):
                return False
            return await self._answer(body)
        finally:
            front.chats -= 1

    def _empty(self) -> bool:
        """Whether there is no body. From HTTP/2 on a head need not say."""
        return self._asked.framing == NOTHING and self._scope.get("http_version", "1.1").startswith("1")

    def _content_type(self) -> str | None:
        kind = self._asked.field(b"content-type")
        return None if kind is None else kind.decode("latin-1")

    # -- what is turned away --------------------------------------------------------------------------------------

    def _incomplete(self) -> bool:
        """The client left within its body: there is nobody to tell."""
        self._by.emit(MessageRefused(self._by.now(), 400, "incomplete"))
        return True

    async def _reject(self, word: str) -> bool:
        status, fields, body = self._terms.own_answer(word, self._asked)
        now = self._by.now()
        used = usage(self._asked)
        self._by.emit(ChatRejected(now, status, word, now - self._began, used.template, used.client))
        await self._saying.say(status, fields, body)
        return True

    async def _unauthorised(self, word: str) -> bool:
        status, fields, body = self._terms.own_answer(word, self._asked)
        self._ended(status, len(body), "unauthorised")
        await self._saying.say(status, fields, body)
        return True

    async def _not_passed(self, error: str, said: Word) -> bool:
        body = detailed(said.word)
        self._ended(said.status, len(body), error)
        await self._saying.say(said.status, JSON | said.fields, body)
        return True

    def _ended(self, status: int, size: int, error: str) -> None:
        now, asked = self._by.now(), self._asked
        seconds, used = now - self._began, usage(asked)
        fact = RelayEnded(now, "http", method(asked), status, seconds, 0, size, error, used.template, used.client)
        self._by.emit(fact)

    async def _refuse(self, refused: Refused) -> bool:
        now = self._by.now()
        if refused.why == "loop":
            self._by.emit(RelayEnded(now, "http", "OTHER", refused.status, now - self._began, 0, 0, "loop"))
        else:
            self._by.emit(MessageRefused(now, refused.status, refused.why))
        said = refused_as(refused)
        await self._saying.say(said.status, JSON | said.fields, detailed(said.word))
        return True
