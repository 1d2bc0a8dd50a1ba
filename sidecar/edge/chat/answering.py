"""The intercepted route, from an authenticated request to its answer: validate, guard, plan, drive, reply.

The door has matched the path, judged the token and bounded the body before a chat gets here. Token and size are judged once more,
because a door that failed must not be a door that is open. Each chat is a task, so that it ends when its client leaves.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Iterator, Mapping
from hashlib import blake2b

from sidecar.core.fact import ChatRejected, ChatServed
from sidecar.core.plan import Call, Scene
from sidecar.core.value import Value
from sidecar.core.vocabulary import Attempt, Finish, Reason
from sidecar.edge.chat import reply
from sidecar.edge.chat.contract import Question
from sidecar.edge.chat.drive import Drive
from sidecar.edge.chat.incoming import Incoming, Said
from sidecar.edge.chat.kitchen import Kitchen
from sidecar.edge.chat.reply import Caller, Reply
from sidecar.edge.chat.request import Chat, Invalid, correlation_id, new_id, patience, read_chat
from sidecar.edge.chat.upstream import Asked
from sidecar.edge.snapshot import Snapshot
from sidecar.policy.model import Policy
from sidecar.wire import trace
from sidecar.wire.inventory import usage

LOCAL_MODEL = "local"
CLIENT_CLOSED = 499  # nginx's code for a client that left; no answer ever carries it


class Admitted(Value):
    """A chat that passed token, validation and guards."""

    chat: Chat
    caller: Caller
    session_id: str


class Rejected(Value):
    """A request that did not; ``reason`` is a closed word."""

    answer: Reply
    reason: str


class _Served(Value):
    """What is told of a chat when it is over, from before its plan begins."""

    call: Call
    context: trace.Context | None
    asked: Incoming
    began: float


Done = Callable[[Reply], None]


class Answering:
    """Answers chats. One for the life of the process."""

    def __init__(self, kitchen: Kitchen) -> None:
        """Needs a running loop."""
        self._kitchen = kitchen
        self._loop = asyncio.get_running_loop()
        self._running: set[asyncio.Task[None]] = set()
        self._numbers: Iterator[int] = itertools.count(1)

    def begin(self, asked: Incoming, done: Done) -> asyncio.Task[None]:
        """Answer one chat; ``done`` gets the answer, unless the task is cancelled first, as it is to be when the client leaves."""
        task = self._loop.create_task(self._answer(asked, done))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task

    async def close(self) -> None:
        """Cancel whatever is left, and wait until it has ended."""
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    async def _answer(self, asked: Incoming, done: Done) -> None:
        done(await self.answer(asked))

    async def answer(self, asked: Incoming) -> Reply:
        """The whole answer to one chat. Raises only when cancelled: what goes wrong in here is a 500 in VX11's shape."""
        began = self._kitchen.now()
        snapshot = self._kitchen.in_force.current
        said = asked.said(snapshot.policy.deadline.header)
        caller = Caller(correlation_id(said.correlation_id, None) or new_id(), said.origin)
        try:
            admitted = self._judge(asked, said, snapshot, caller, began)
            if isinstance(admitted, Admitted):
                caller = admitted.caller
                answer = await self._serve(asked, said, admitted, began)
            else:
                answer = admitted.answer
        except Exception as error:  # noqa: BLE001 - the last line before the client
            # Without the error's text or trace, which may quote the chat.
            self._kitchen.log.error("chat_crashed", error=type(error).__name__)  # noqa: TRY400
            answer = reply.internal(caller)
        fields = reply.common_fields(caller, snapshot.policy.cors)
        fields.update(answer.fields)
        return Reply(answer.status, answer.body, fields)

    # -- who and what may pass ------------------------------------------------------------------------------------

    def _judge(
        self, asked: Incoming, said: Said, snapshot: Snapshot, caller: Caller, began: float
    ) -> Admitted | Rejected:
        """``_admit``, and the fact about everybody who is not admitted."""
        try:
            admitted = self._admit(asked, said, snapshot, caller)
        except Exception:
            self._reject(asked, "failed", 500, began)
            raise
        if isinstance(admitted, Rejected):
            self._reject(asked, admitted.reason, admitted.answer.status, began)
        return admitted

    def _admit(self, asked: Incoming, said: Said, snapshot: Snapshot, caller: Caller) -> Admitted | Rejected:
        policy = snapshot.policy
        judged = snapshot.tokens.judge(asked.request.tokens)
        if judged is not None:
            word: reply.Rejection = "auth_required" if judged == "missing" else "forbidden"
            return Rejected(reply.rejection(word, caller, policy), word)
        if len(asked.body) > policy.guards.max_body:
            return Rejected(reply.rejection("too_large", caller, policy), "too_large")
        chat = read_chat(asked.body, said.content_type)
        if isinstance(chat, Invalid):
            return Rejected(reply.invalid(caller, chat.status, chat.detail), "invalid")
        if chat.correlation_id is not None:
            sent = correlation_id(said.correlation_id, chat.correlation_id)
            caller = Caller(sent or caller.correlation_id, caller.origin)
        return self._guard(asked.peer, policy, Admitted(chat, caller, chat.session_id or new_id()))

    def _guard(self, peer: str, policy: Policy, asked: Admitted) -> Admitted | Rejected:
        guards, length = policy.guards, len(asked.chat.message)
        if length > guards.max_message_chars:
            limit = guards.max_message_chars
            return Rejected(reply.message_too_long(asked.caller, limit, length, asked.session_id), "message_too_long")
        anonymous = not asked.chat.session_id
        who = f"peer {peer}" if anonymous else f"session {asked.chat.session_id}"
        key = blake2b(who.encode(), digest_size=16).digest()
        retry_after = self._kitchen.engine.admit(self._kitchen.now(), key, anonymous=anonymous)
        if retry_after is None:
            return asked
        rate = str(guards.anonymous_rate_limit if anonymous else guards.rate_limit)
        return Rejected(reply.rate_limited(asked.caller, rate, retry_after, asked.session_id), "rate_limited")

    # -- the answer -----------------------------------------------------------------------------------------------

    async def _serve(self, incoming: Incoming, said: Said, asked: Admitted, began: float) -> Reply:
        kitchen = self._kitchen
        snapshot = kitchen.in_force.current
        policy = snapshot.policy
        waits = patience(said.patience, policy.deadline.client, policy.deadline.margin)
        # A client's patience does not wait for its own slow body.
        waits = max(waits - (kitchen.now() - incoming.came), 0.0)
        call = Call(next(self._numbers), waits, asked.caller.correlation_id)
        came = trace.read(said.parents, said.states) if said.parents else None
        context = kitchen.tracing.begin(call.number, came)
        served = _Served(call, context, incoming, began)
        # The plan keeps the policy the engine has now; the same scene tells how its targets are asked.
        scene = kitchen.engine.scene
        drive = Drive(
            kitchen.engine.begin(kitchen.now(), call), self._asker(scene, snapshot, asked, served), kitchen.now
        )
        try:
            finish = await drive.run()
            seconds = kitchen.now() - began
            answered, timing = _answered(finish, drive.answers, policy, said.language), _timing(drive, seconds)
            if answered is None:
                answer = reply.unavailable(asked.caller, finish.reason or Reason.FAILURE, timing)
            else:
                answer = reply.chat_answer(asked.caller, asked.session_id, answered, seconds, timing)
        except BaseException as error:
            self._note(served, *_ending(error), drive)
            raise
        self._note(served, _outcome(finish), answer.status, drive)
        return answer

    def _asker(
        self, scene: Scene, snapshot: Snapshot, asked: Admitted, served: _Served
    ) -> Callable[[Attempt], Awaitable[Asked]]:
        metadata = asked.chat.metadata or {}
        if metadata:
            allowed = scene.policy.guards.metadata_allow
            metadata = {key: value for key, value in metadata.items() if key in allowed}
        came = served.context.fields if served.context else {}
        question = Question(asked.chat.message, asked.session_id, asked.caller.correlation_id, metadata, came)

        def ask(step: Attempt) -> Awaitable[Asked]:
            rung = next(rung for rung in scene.ladder if rung.name == step.target)
            destination = snapshot.destinations[step.target]
            own = self._kitchen.tracing.outgoing(served.call.number, step.number)
            put = question if own is None else question._replace(trace=own)
            return self._kitchen.upstream.ask(step, rung.target, rung.classify, destination, put)

        return ask

    def _reject(self, asked: Incoming, reason: str, status: int, began: float) -> None:
        ended = self._kitchen.now()
        self._kitchen.emit(ChatRejected(ended, status, reason, ended - began, *usage(asked.request)))

    def _note(self, served: _Served, outcome: str, status: int, drive: Drive) -> None:
        call, context, ended = served.call, served.context, self._kitchen.now()
        seconds = ended - served.began
        overhead = max(seconds - drive.waited, 0.0)
        traced = (context.trace_id, context.sampled) if context else (None, False)
        who = (call.number, call.correlation_id)
        used = usage(served.asked.request)
        self._kitchen.emit(ChatServed(ended, *who, outcome, status, seconds, overhead, *used, *traced))


def _ending(error: BaseException) -> tuple[str, int]:
    """How a request ended that got no answer from its plan: in the words of facts, with the status they have."""
    return ("client_gone", CLIENT_CLOSED) if isinstance(error, asyncio.CancelledError) else ("failed", 500)


def _outcome(finish: Finish) -> str:
    if finish.provider is None:
        return "failed"
    if finish.attempt is None:
        return "local"
    return "fallback" if finish.degraded else "primary"


def _answered(
    finish: Finish, answers: Mapping[int, Asked], policy: Policy, language: str | None
) -> reply.Answered | None:
    """Who answered with what; None where the policy prefers an error to an answer of our own."""
    if finish.provider is None:
        return None
    said = answers[finish.attempt].answer if finish.attempt is not None else None
    text = said.text if said else local_text(policy.fallback.local_text, language)
    model = said.model if said else LOCAL_MODEL
    return reply.Answered(finish.provider, text, model, finish.degraded, finish.reason, new_id())


def local_text(texts: Mapping[str, str], accept_language: str | None) -> str:
    """The text in the first language that the client names and we have, by its own order; else the first we have."""
    for part in (accept_language or "").split(","):
        language = part.split(";")[0].strip().lower()[:2]
        if language in texts:
            return texts[language]
    return next(iter(texts.values()))


def _timing(drive: Drive, seconds: float) -> str:
    """Server-Timing: our own part, then each attempt, in milliseconds."""
    timing = f"sidecar;dur={max(seconds - drive.waited, 0.0) * 1000:.3f}"
    for name, duration in drive.attempts:
        timing += f", {name};dur={duration * 1000:.3f}"
    return timing
