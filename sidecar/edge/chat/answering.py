"""The intercepted route, from an authenticated request to its answer: judge, plan, drive, reply.

The door has matched the path, judged the token and bounded the body before a chat gets here. Token and size are judged once more,
because a door that failed must not be a door that is open. Each chat is a task, so that it ends when its client leaves.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Iterator, Mapping
from hashlib import blake2b
from secrets import token_bytes

from sidecar.core.fact import ChatServed
from sidecar.core.idempotency import Held
from sidecar.core.scene import Call, Scene
from sidecar.core.value import Value, replace
from sidecar.core.vocabulary import Attempt, Finish, Reason
from sidecar.edge.chat import key, reply
from sidecar.edge.chat.admission import Admitted
from sidecar.edge.chat.alarm import Alarm
from sidecar.edge.chat.contract import Question
from sidecar.edge.chat.drive import Drive
from sidecar.edge.chat.eager import EagerTask
from sidecar.edge.chat.incoming import Incoming, Said
from sidecar.edge.chat.injection import Injection
from sidecar.edge.chat.judging import Asking, Judging, ending
from sidecar.edge.chat.kitchen import Kitchen
from sidecar.edge.chat.reply import Caller, Reply
from sidecar.edge.chat.request import correlation_id, new_id, patience
from sidecar.edge.chat.upstream import Asked
from sidecar.edge.microseconds import milliseconds_text
from sidecar.edge.snapshot import Snapshot
from sidecar.policy.model import Policy
from sidecar.wire import trace
from sidecar.wire.inventory import usage

LOCAL_MODEL = "local"


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
        self._alarm = Alarm(self._loop)
        self._running: dict[int, EagerTask] = {}
        self._begun: Iterator[int] = itertools.count(1)
        self._numbers: Iterator[int] = itertools.count(1)
        self._judging = Judging(kitchen)
        self._key = token_bytes(16)  # not the seed, which stands in the journal beside what was made with it

    def adopt(self) -> None:
        """Take over what the snapshot in force says; whoever is being answered goes on as it began."""
        self._judging.adopt()

    def keys(self) -> Held | None:
        """How many keys and answers are remembered; None where the policy has that off."""
        return self._judging.keys()

    def begin(self, asked: Incoming, done: Done) -> EagerTask:
        """Answer one chat; ``done`` gets the answer, unless the task is cancelled first, as it is to be when the client leaves.

        What needs no waiting for is answered before this returns.
        """
        number = next(self._begun)
        task = self._running[number] = EagerTask(self._loop, self._answer(number, asked, done))
        task.start()
        return task

    async def close(self) -> None:
        """Cancel whatever is left, and wait until it has ended."""
        running = [*self._running.values()]
        for task in running:
            task.cancel()
        await asyncio.gather(*(task.ended() for task in running))
        self._running.clear()

    async def _answer(self, number: int, asked: Incoming, done: Done) -> None:
        try:
            done(await self.answer(asked))
        finally:
            self._running.pop(number, None)

    async def answer(self, asked: Incoming) -> Reply:
        """The whole answer to one chat. Raises only when cancelled: what goes wrong in here is a 500 in VX11's shape."""
        began = self._kitchen.now()
        snapshot = self._kitchen.in_force.current
        said = asked.said(snapshot.at_hand.patience_header)
        caller = Caller(correlation_id(said.correlation_id, None) or new_id(), said.origin)
        try:
            judging, asking = self._judging, Asking(asked, said, snapshot, began)
            admitted = judging.judge(asking, caller)
            if judging.store is not None and isinstance(admitted, Admitted):
                admitted = await judging.judge_together(judging.store, asking, admitted)
            caller = admitted.caller
            if not isinstance(admitted, Admitted):
                answer = admitted.answer
            elif admitted.key is None:
                answer = await self._serve(asked, said, admitted, began)
            else:
                answer = await self._serve_once(asked, said, admitted, began, admitted.key)
        except Exception as error:  # noqa: BLE001 - the last line before the client
            # Without the error's text or trace, which may quote the chat.
            self._kitchen.log.error("chat_crashed", error=type(error).__name__)  # noqa: TRY400
            answer = reply.internal(caller)
        fields = reply.common_fields(caller, snapshot.at_hand.cors)
        fields.update(answer.fields)
        return Reply(answer.status, answer.body, fields)

    async def _serve(self, incoming: Incoming, said: Said, asked: Admitted, began: float) -> Reply:
        kitchen = self._kitchen
        snapshot = kitchen.in_force.current
        policy, at_hand = snapshot.policy, snapshot.at_hand
        waits = patience(said.patience, at_hand.client, at_hand.margin)
        # A client's patience does not wait for its own slow body.
        waits = max(waits - (kitchen.now() - incoming.came), 0.0)
        # The plan keeps the policy the engine has now; the same scene tells how its targets are asked.
        scene = kitchen.engine.scene
        session = self._digest(asked.chat.session_id) if scene.affinity is not None else ""
        call = Call(next(self._numbers), waits, asked.caller.correlation_id, session)
        came = trace.read(said.parents, said.states) if said.parents else None
        context = kitchen.tracing.begin(call.number, came)
        served = _Served(call, context, incoming, began)
        drive = Drive(
            kitchen.engine.begin(kitchen.now(), call),
            self._asker(scene, snapshot, asked, served),
            kitchen.now,
            alarm=self._alarm,
        )
        try:
            finish = await drive.run()
            seconds = kitchen.now() - began
            answered, timing = _answered(finish, drive.answers, policy, said.language), _timing(drive, seconds)
            if answered is None:
                answer = reply.unavailable(asked.caller, finish.reason or Reason.FAILURE, timing)
            elif (shape := at_hand.shape) == "stub":
                answer = reply.stub_answer(asked.caller, asked.session_id, answered, kitchen.clock(), timing)
            else:
                eight = shape == "reference"
                answer = reply.chat_answer(asked.caller, asked.session_id, answered, seconds, timing, eight=eight)
        except BaseException as error:
            self._note(served, *ending(error), drive)
            raise
        self._note(served, _outcome(finish), answer.status, drive)
        return answer

    async def _serve_once(self, incoming: Incoming, said: Said, asked: Admitted, began: float, own: key.Key) -> Reply:
        """``_serve`` for a chat with a key that is free: it is under way until there is an answer or none."""
        at_hand, keyed = self._kitchen.in_force.current.at_hand, self._judging.keyed
        assert keyed is not None  # noqa: S101 - it has just said that the key is free
        with keyed.hold(own, patience(said.patience, at_hand.client, at_hand.margin), asked.claim) as held:
            answer = await self._serve(incoming, said, asked, began)
            held.keep(answer, asked.caller.correlation_id)
        return answer

    def _digest(self, session: str | None) -> str:
        """A digest of the client's session that only this process can make, since it gets into the journal; empty without one."""
        return blake2b(session.encode(), digest_size=8, key=self._key).hexdigest() if session else ""

    def _asker(
        self, scene: Scene, snapshot: Snapshot, asked: Admitted, served: _Served
    ) -> Callable[[Attempt], Awaitable[Asked]]:
        metadata = asked.chat.metadata or {}
        if metadata:
            allowed = scene.policy.guards.metadata_allow
            metadata = {name: value for name, value in metadata.items() if name in allowed}
        came = served.context.fields if served.context else {}
        question = Question(asked.chat.message, asked.session_id, asked.caller.correlation_id, metadata, came)
        keys: key.Outgoing | None = None

        def ask(step: Attempt) -> Awaitable[Asked]:
            nonlocal keys
            rung = scene.rung(step.target)
            destination = snapshot.destinations[step.target]
            own = self._kitchen.tracing.outgoing(served.call.number, step.number)
            put = question if own is None else replace(question, trace=own)
            if destination.dedup:
                keys = keys or key.outgoing(served.asked, snapshot, question)
                own_key = keys.key(served.call.number, step.target, self._kitchen.now(), self._kitchen.emit)
                put = replace(put, key=own_key)
            return self._kitchen.upstream.ask(step, rung.target, rung.classify, destination, put)

        kitchen = self._kitchen
        if not kitchen.chaos.live:
            return ask
        request = served.asked.request
        return Injection(ask, kitchen.chaos, scene.seed, served.call.number, request, kitchen.now, kitchen.emit)

    def _note(self, served: _Served, outcome: str, status: int, drive: Drive) -> None:
        call, context, ended = served.call, served.context, self._kitchen.now()
        seconds = ended - served.began
        overhead = max(seconds - drive.waited, 0.0)
        used, trace_id, sampled = usage(served.asked.request), None, False
        if context is not None:
            trace_id, sampled = context.trace_id, context.sampled
        who, whose = call.number, call.correlation_id
        self._kitchen.emit(
            ChatServed(
                ended, who, whose, outcome, status, seconds, overhead, used.template, used.client, trace_id, sampled
            )
        )


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
    timing = "sidecar;dur=" + milliseconds_text(max(seconds - drive.waited, 0.0))
    for name, duration in drive.attempts:
        timing += f", {name};dur={milliseconds_text(duration)}"
    return timing
