"""Who and what may pass, from an authenticated request to a chat that is to be answered: validate, keys, guard.

Alone all of it is decided at once. What replicas know together has to be waited for, and comes after everything that needs no waiting. A
chat that is refused then gives back what it had claimed, and so does one whose client leaves meanwhile. Of everybody who does not pass
there is a fact.
"""

from __future__ import annotations

import asyncio

from sidecar.core.fact import ChatRejected, ChatReplayed
from sidecar.core.idempotency import Held
from sidecar.core.value import Value, replace
from sidecar.edge.chat import reply
from sidecar.edge.chat.admission import Admitted, Rejected, Replayed
from sidecar.edge.chat.guard import Guard
from sidecar.edge.chat.incoming import Incoming, Said
from sidecar.edge.chat.keyed import Keyed
from sidecar.edge.chat.kitchen import Kitchen
from sidecar.edge.chat.reply import Caller
from sidecar.edge.chat.request import Invalid, correlation_id, new_id, patience, read_chat
from sidecar.edge.chat.store import Store
from sidecar.edge.snapshot import Snapshot
from sidecar.wire.inventory import usage

CLIENT_CLOSED = 499  # nginx's code for a client that left; no answer ever carries it

Judged = Admitted | Rejected | Replayed


class Asking(Value):
    """A request and what it is judged by."""

    incoming: Incoming
    said: Said
    snapshot: Snapshot
    began: float


class Judging:
    """``store`` is where replicas share what they know, None where they do not; ``keyed`` None where the policy has keys off."""

    def __init__(self, kitchen: Kitchen) -> None:
        self.store: Store | None = kitchen.store
        self.keyed: Keyed | None = None
        self._kitchen = kitchen
        self._guard = Guard(kitchen.engine, kitchen.now, kitchen.emit)
        self.adopt()

    def adopt(self) -> None:
        """Take over what the snapshot in force says of Idempotency-Keys; whoever is being answered goes on as it began."""
        policy, kitchen = self._kitchen.in_force.current.policy.idempotency, self._kitchen
        if policy.mode == "off":
            self.keyed = None
        elif self.keyed is None:
            self.keyed = Keyed(policy, kitchen.emit, kitchen.now, kitchen.store)
        else:
            self.keyed.adopt(policy)

    def keys(self) -> Held | None:
        """How many keys and answers are remembered; None where the policy has that off."""
        return None if self.keyed is None else self.keyed.held()

    def judge(self, asking: Asking, caller: Caller) -> Judged:
        """By what this replica knows."""
        try:
            judged = self._admit(asking, caller)
        except Exception:
            self._reject(asking, "failed", 500)
            raise
        return self._told(asking, judged)

    async def judge_together(self, store: Store, asking: Asking, admitted: Admitted) -> Judged:
        """By what all replicas know, of a chat against which there is nothing here."""
        judged: Judged = admitted
        claim = None
        try:
            if self.keyed is not None:
                at_hand = asking.snapshot.at_hand
                waits = patience(asking.said.patience, at_hand.client, at_hand.margin)
                judged = await self.keyed.meet_together(admitted, waits)
            if isinstance(judged, Admitted):
                claim = judged.claim
                judged = await self._guard.together(store, asking.incoming.peer, asking.snapshot.policy, judged)
            if isinstance(judged, Admitted) and judged.key is not None:
                judged = self._meet_again(asking, judged)
        except BaseException as error:
            if claim is not None:
                claim.free()
            self._reject(asking, *ending(error))
            raise
        if claim is not None and not (isinstance(judged, Admitted) and judged.claim is claim):
            claim.free()
        return self._told(asking, judged)

    def _meet_again(self, asking: Asking, judged: Admitted) -> Judged:
        """Free a moment ago, a key may have been claimed while the store was asked; and a reload may have ended keys."""
        if self.keyed is None:
            return replace(judged, key=None, claim=None)
        met = self.keyed.meet(asking.incoming, asking.snapshot, judged)
        return replace(met, claim=judged.claim) if isinstance(met, Admitted) else met

    def _admit(self, asking: Asking, caller: Caller) -> Judged:
        asked, said, snapshot = asking.incoming, asking.said, asking.snapshot
        policy = snapshot.policy
        judged = snapshot.tokens.judge(asked.request.tokens)
        if judged is not None:
            word: reply.Rejection = "auth_required" if judged == "missing" else "forbidden"
            return Rejected(reply.rejection(word, caller, policy), word, caller)
        if len(asked.body) > snapshot.at_hand.max_body:
            return Rejected(reply.rejection("too_large", caller, policy), "too_large", caller)
        chat = read_chat(asked.body, said.content_type)
        if isinstance(chat, Invalid):
            return Rejected(reply.invalid(caller, chat.status, chat.detail), "invalid", caller)
        if chat.correlation_id is not None:
            sent = correlation_id(said.correlation_id, chat.correlation_id)
            caller = Caller(sent or caller.correlation_id, caller.origin)
        admitted = Admitted(chat, caller, chat.session_id or new_id())
        length, limit = len(chat.message), snapshot.at_hand.max_message_chars
        if length > limit:
            answer = reply.message_too_long(caller, limit, length, admitted.session_id)
            return Rejected(answer, "message_too_long", caller)
        met = admitted if self.keyed is None else self.keyed.meet(asked, snapshot, admitted)
        # Where replicas share a guard it comes after this, because it has to be waited for.
        if self.store is None and isinstance(met, Admitted):
            return self._guard.alone(asked.peer, policy, met)
        return met

    def _told(self, asking: Asking, judged: Judged) -> Judged:
        if isinstance(judged, Rejected):
            self._reject(asking, judged.reason, judged.answer.status)
        elif isinstance(judged, Replayed):
            self._replay(asking, judged)
        return judged

    def _reject(self, asking: Asking, reason: str, status: int) -> None:
        ended = self._kitchen.now()
        used = usage(asking.incoming.request)
        self._kitchen.emit(ChatRejected(ended, status, reason, ended - asking.began, used.template, used.client))

    def _replay(self, asking: Asking, met: Replayed) -> None:
        ended, who, used = self._kitchen.now(), met.caller.correlation_id, usage(asking.incoming.request)
        self._kitchen.emit(
            ChatReplayed(ended, who, met.first, met.answer.status, ended - asking.began, used.template, used.client)
        )


def ending(error: BaseException) -> tuple[str, int]:
    """How a request ended that got no answer from its plan: in the words of facts, with the status they have."""
    return ("client_gone", CLIENT_CLOSED) if isinstance(error, asyncio.CancelledError) else ("failed", 500)
