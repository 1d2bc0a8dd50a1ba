"""Follows every fact and every step of a world, and raises ``Violation`` at the first that should not be.

A call stands somewhere (``Place``), and each fact or step is allowed from few places and leads to one. What a fact says is compared
with what the naive machines know, with the table of verdicts and with the policy that the call began under. A *turn* is what the engine does
between two inputs; when it is over nothing may be owed: no move of a breaker, no step, no slot.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable

from sidecar.core.fact import (
    AttemptEnded,
    AttemptStarted,
    BreakerMoved,
    CallBegan,
    CallEnded,
    DormancyHeard,
    EventHeard,
    Fact,
    FellBack,
    Overridden,
    PolicyAdopted,
    Refused,
    Retried,
    RetryDenied,
)
from sidecar.core.vocabulary import Abandoned, Answered, Attempt, Backoff, Queue, Reason, Step, Verdict, Woke
from sidecar.policy.model import Policy

from . import asking, evidence
from .breaker import GOOD, Due, NaiveBreaker
from .chat import Chat, Place
from .machines import Machines, NaiveLimiter, machines_for
from .verdicts import reason_of
from .violation import EPSILON, broken

LEASE = 1.0  # seconds a permit outlives the client's patience
OfTarget = AttemptStarted | AttemptEnded | Retried | RetryDenied | Refused | FellBack


class Watch:
    """Told of every fact (``fact``), step (``step``) and grant (``granted``) in order, and of the end of what had no step (``turn_over``)."""

    def __init__(self) -> None:
        self.now = -math.inf
        self.landed = -math.inf  # where the clock came to rest after its last leap
        self.counts: Counter[str] = Counter()
        self.machines: dict[str, Machines] = {}
        self._limiters: list[NaiveLimiter] = []
        self.under_way: dict[int, Chat] = {}
        self.begun: set[int] = set()
        self.policy: Policy
        self.revision = ""
        self._lease = 0.0
        self._ladder: tuple[str, ...] = ()
        self._off: set[str] = set()
        self._switch_is_off = False  # by the last power state
        self._was_off = False  # by the last one that could be read
        self._owed: tuple[NaiveBreaker, Due] | None = None

    def fact(self, fact: Fact) -> None:
        """Take the next fact."""
        if fact.at != self.now:
            if fact.at < self.now:
                broken("time runs forward", f"{fact} after {self.now}", getattr(fact, "call", None))
            self.now = fact.at
        kind = type(fact)
        if self._owed is not None and kind is not BreakerMoved:
            broken("breaker moves", f"{self._owed[1]} was due, told was {fact}", getattr(fact, "call", None))
        _FACTS[kind](self, fact)  # one that is not there is no fact of the core

    # -- inputs -----------------------------------------------------------------------------------------------------

    def _adopted(self, fact: PolicyAdopted) -> None:
        self.counts["policies"] += 1
        self.policy, self.revision = fact.policy, fact.revision
        self._ladder = tuple(target.name for target in fact.policy.ladder)
        self._lease = max(self._lease, fact.policy.deadline.client + LEASE)
        for target in fact.policy.ladder:
            known = self.machines.get(target.name)
            if known is None:
                machines = self.machines[target.name] = machines_for(target, self._lease)
                self._limiters.append(machines.limiter)
            else:
                known.breaker.adopt(target.breaker, self._lease)
                known.limiter.adopt(target.limiter)
                known.budget.adopt(target.retry_budget)

    def _began(self, fact: CallBegan) -> None:
        if fact.call in self.begun:
            broken("one story per call", f"{fact.call} begins twice", fact.call)
        if fact.revision != self.revision:
            broken(
                "policy in force", f"{fact.call} began under {fact.revision}, in force is {self.revision}", fact.call
            )
        self.counts["calls"] += 1
        self.begun.add(fact.call)
        if fact.ladder != self._ladder:
            broken("explanations", f"the ladder is {self._ladder}: {fact}", fact.call)
        chat = self.under_way[fact.call] = Chat(fact, self.policy)
        self._next_rung(chat)

    def _next_rung(self, chat: Chat) -> None:
        """Turn to the next target of the ladder, with its part of the time that is left: at most half is kept back for those below."""
        chat.depth += 1
        ladder = chat.policy.ladder
        if chat.depth == len(ladder):
            chat.place = Place.BOTTOM
            return
        left = max(chat.deadline - self.now, 0.0)
        chat.came = self.now
        below = 0.0
        for target in ladder[chat.depth + 1 :]:
            below += self.machines[target.name].latency.kept_back(target)
        chat.target = ladder[chat.depth]
        chat.until = chat.deadline - min(below, left / 2)
        chat.forget()
        chat.place = Place.ENTERING

    def _told(self, fact: EventHeard) -> None:
        chat = self._chat(fact.call, fact)
        event, place = fact.event, chat.place
        chat.event = event
        machines = self.machines[chat.target.name]
        if event.now != fact.at:
            broken("time runs forward", f"{fact}", chat.number)
        if isinstance(event, Abandoned):
            self.counts["left"] += 1
            chat.gone = True
            if chat.paid:
                machines.budget.refund()
                chat.paid = False
        elif isinstance(event, Answered) is not (place is Place.ASKING):
            broken("events answer steps", f"{fact} while {place.name}", chat.number)
        elif fact.at > chat.due + EPSILON and fact.at != self.landed:
            broken("nobody waits for longer than agreed", f"{fact}: due at {chat.due}", chat.number)
        if place is Place.ASKING:
            machines.limiter.leave(chat.number)
        elif place is Place.QUEUED:
            let_in = chat.number in machines.limiter.holding
            if isinstance(event, Woke) and let_in:
                chat.place = Place.LET_IN
            else:
                machines.limiter.leave(chat.number)
                chat.place = Place.TOO_LONG
        elif place is Place.BACKING_OFF:
            if fact.at < chat.due and not chat.gone:
                broken("a backoff is waited out", f"{fact}: due at {chat.due}", chat.number)
            chat.place, chat.came = Place.ENTERING, self.now
        else:
            broken("events answer steps", f"{fact} while {place.name}", chat.number)

    def _heard_power(self, fact: DormancyHeard) -> None:
        self.counts["power states"] += 1
        self._switch_is_off = fact.active is not None and "switch" not in fact.active
        if fact.active is None:
            return
        was_off, self._was_off = self._was_off, "switch" not in fact.active
        if was_off and not self._was_off and self.policy.dormant.mode != "ignore" and "switch" in self.machines:
            self._owe(self.machines["switch"].breaker, self.machines["switch"].breaker.hinted())

    def _overridden(self, fact: Overridden) -> None:
        self.counts["overrides"] += 1
        if fact.override == "off":
            self._off.add(fact.target)
        else:
            self._off.discard(fact.target)
        breaker = self.machines[fact.target].breaker
        self._owe(breaker, breaker.held(fact.override))

    def _owe(self, breaker: NaiveBreaker, due: Due | None) -> None:
        self._owed = None if due is None else (breaker, due)

    def _moved(self, fact: BreakerMoved) -> None:
        owed, self._owed = self._owed, None
        self.counts["trips" if fact.after == "open" else "other moves"] += 1
        breaker = self.machines[fact.target].breaker if owed is None else owed[0]
        if fact.counts is None:
            broken("explanations", f"no counts led to {fact}", fact.call)
        evidence.counts(fact, fact.counts, breaker, self.now)
        breaker.moved(fact, None if owed is None else owed[1])

    # -- a call on a rung -------------------------------------------------------------------------------------------

    def _chat(self, number: int, fact: object) -> Chat:
        chat = self.under_way.get(number)
        if chat is None:
            broken("nothing after the end", f"{fact} of a call that is over or never began", number)
        return chat

    def _here(self, fact: OfTarget, *places: Place) -> Chat:
        """The call that a fact is about, which must stand at one of ``places`` and on the target that the fact names."""
        chat = self._chat(fact.call, fact)
        if chat.place not in places:
            broken("one story per call", f"{fact} while {chat.place.name}", chat.number)
        if fact.target != chat.target.name:
            broken("down the ladder", f"{fact} while turned to {chat.target.name}", chat.number)
        if chat.gone and type(fact) is not AttemptEnded:
            broken("nothing for who left", f"{fact}", chat.number)
        return chat

    def _obstacle(self, chat: Chat) -> Reason | None:
        """What must keep a call that is turned to its target from asking it; a full limiter apart."""
        name = chat.target.name
        if chat.place is Place.ENTERING:
            if name in self._off:
                return Reason.OFF
            if self._switch_is_off and name == "switch" and chat.policy.dormant.mode == "obey":
                return Reason.DORMANT
        if chat.until - self.now < asking.LEAST:
            return Reason.TIMEOUT
        return Reason.OPEN if self.machines[name].breaker.refuses(self.now) is not None else None

    def _started(self, fact: AttemptStarted) -> None:
        chat = self._here(fact, Place.ENTERING, Place.LET_IN)
        target, number = chat.target, chat.number
        machines = self.machines[target.name]
        obstacle = self._obstacle(chat)
        if obstacle is not None:
            broken("asked in spite of", f"{obstacle}: {fact}", number)
        if chat.place is Place.ENTERING:
            machines.limiter.pass_at_once(number)
        self.counts["attempts"] += 1
        chat.attempts += 1
        chat.asked += 1
        if fact.number != chat.attempts:
            broken("attempts are counted", f"{fact}, attempt {chat.attempts}", number)
        if chat.asked == 1:
            machines.budget.first_attempt()
        else:
            asking.asked_again(chat, fact)
            chat.paid = False
        machines.budget.attempt(number)
        asking.bounded(chat, fact, self.now)
        left, reserved = chat.deadline - self.now, chat.deadline - chat.until
        evidence.started(fact, left, reserved, self.now - chat.came, machines.breaker)
        machines.breaker.began(self.now, (number, fact.number))
        chat.told, chat.started, chat.place = fact, self.now, Place.ASKING

    def _ended(self, fact: AttemptEnded) -> None:
        chat = self._here(fact, Place.ASKING)
        asking.told_as_it_was(chat, fact, self.now)
        machines, attempt = self.machines[chat.target.name], (chat.number, fact.number)
        expected = Verdict.IGNORED
        if fact.outcome is not None:
            off = self._switch_is_off
            expected = asking.judged(chat, fact.outcome, fact.seconds, machines.latency, switch_is_off=off)
        if fact.verdict is not expected:
            broken("verdicts", f"{fact}, expected {expected}", chat.number)
        chat.verdict, chat.place = expected, Place.JUDGED
        heeded = machines.breaker.heeds(self.now, attempt)
        due = machines.breaker.ended(self.now, attempt, expected)
        evidence.ended(fact, machines, self.now, heeded=heeded)
        self._owe(machines.breaker, due)

    def _retried(self, fact: Retried) -> None:
        chat = self._here(fact, Place.JUDGED)
        asking.retried(chat, fact, self.machines[chat.target.name], self.now)
        self.counts["retries"] += 1
        chat.place = Place.PAID

    def _denied(self, fact: RetryDenied) -> None:
        chat = self._here(fact, Place.JUDGED)
        asking.denied(chat, fact, self.machines[chat.target.name], self.now)
        chat.place = Place.LEAVING

    def _refused(self, fact: Refused) -> None:
        chat = self._here(fact, Place.ENTERING, Place.LET_IN, Place.TOO_LONG)
        machines, number = self.machines[chat.target.name], chat.number
        obstacle = Reason.LIMITED if chat.place is Place.TOO_LONG else self._obstacle(chat)
        if obstacle is None and chat.place is Place.ENTERING:
            machines.limiter.shed(number)
            obstacle = Reason.LIMITED
        if fact.reason is not obstacle:
            broken("refused without need" if obstacle is None else "why it was refused", f"{fact}: {obstacle}", number)
        if chat.place is Place.LET_IN:
            machines.limiter.leave(number)
        refuses = machines.breaker.refuses(self.now) if obstacle is Reason.OPEN else None
        said = fact.retry_after
        if (said is None) is not (refuses is None) or abs((said or 0.0) - (refuses or 0.0)) > EPSILON:
            broken("when to come back", f"{fact}: {refuses}", number)
        if obstacle is Reason.OPEN and machines.breaker.state == "open" and machines.breaker.until <= self.now:
            broken("open time", f"{fact}: it was over at {machines.breaker.until}", number)
        evidence.refused(fact, chat.until - self.now, self.now - chat.came, machines)
        if chat.paid:
            machines.budget.refund()
            chat.paid = False
        self.counts["refused"] += 1
        chat.left_for = chat.failed_for or obstacle
        chat.place = Place.LEAVING

    def _fell_back(self, fact: FellBack) -> None:
        chat = self._here(fact, Place.LEAVING, Place.JUDGED)
        if chat.place is Place.JUDGED:
            assert chat.verdict is not None
            if chat.verdict in GOOD or chat.verdict is Verdict.RETRYABLE:
                broken("one story per call", f"{fact} after {chat.verdict}", chat.number)
            chat.left_for = reason_of(chat.name, chat.verdict)
        if fact.reason is not chat.left_for:
            broken("reasons", f"{fact}: it left for {chat.left_for}", chat.number)
        chat.first_reason = chat.first_reason or fact.reason
        allowed = fact.reason is Reason.OFF or fact.reason in chat.policy.fallback.on
        if fact.allowed is not allowed:
            broken("explanations", f"allowed is {allowed}: {fact}", fact.call)
        if allowed:
            self._next_rung(chat)
        else:
            chat.place = Place.BOTTOM

    def _over(self, fact: CallEnded) -> None:
        chat = self._chat(fact.call, fact)
        finish, expected = fact.finish, chat.ending
        if expected is None:
            broken("one story per call", f"{fact} while {chat.place.name}", chat.number)
        if finish != expected or fact.first_reason is not chat.first_reason or fact.attempts != chat.attempts:
            broken("how calls end", f"{fact}: expected {expected}, {chat.first_reason}, {chat.attempts}", chat.number)
        if fact.seconds != self.now - chat.began:
            broken("how calls end", f"{fact}: it began at {chat.began}", chat.number)
        if self.now > chat.deadline + EPSILON and self.now != self.landed:
            broken("in time", f"{fact}: {self.now - chat.deadline} s late", chat.number)
        if chat.paid:
            broken("retries are paid for", f"{fact}: paid for a retry", chat.number)
        chat.place = Place.OVER

    # -- what drivers see ---------------------------------------------------------------------------------------------

    def step(self, number: int, step: Step) -> None:
        """What the plan asks for. The turn is over."""
        chat = self._chat(number, step)
        if isinstance(step, Attempt):
            told, connect = chat.told, chat.target.timeouts.connect
            exact = told and Attempt(told.target, told.number, told.timeout, connect, told.binding, chat.asked)
            if chat.place is not Place.ASKING or step != exact:
                broken("steps are told", f"{step}, told was {told}", number)
            chat.due = self.now + step.timeout
        elif isinstance(step, Queue):
            self._queued(chat, step)
        elif isinstance(step, Backoff):
            if chat.place is not Place.PAID or step.target != chat.target.name:
                broken("steps are told", f"{step} while {chat.place.name}", number)
            chat.due = self.now + step.delay
            chat.place = Place.BACKING_OFF
        else:
            if chat.place is not Place.OVER:
                broken("steps are told", f"{step} while {chat.place.name}", number)
            del self.under_way[number]
        self.turn_over()

    def _queued(self, chat: Chat, step: Queue) -> None:
        if chat.place is not Place.ENTERING or step.target != chat.target.name or chat.gone:
            broken("steps are told", f"{step} while {chat.place.name}", chat.number)
        obstacle = self._obstacle(chat)
        if obstacle is not None:
            broken("asked in spite of", f"{obstacle}: {step}", chat.number)
        expected = min(chat.target.limiter.queue_timeout, chat.until - self.now)
        if abs(step.timeout - expected) > EPSILON:
            broken("queue timeout", f"{step}: expected {expected}", chat.number)
        self.machines[chat.target.name].limiter.wait(chat.number)
        self.counts["queued"] += 1
        chat.due = self.now + step.timeout
        chat.place = Place.QUEUED

    def granted(self, number: int) -> None:
        """The engine woke who waits in a queue."""
        chat = self._chat(number, "a slot")
        if chat.place is not Place.QUEUED:
            broken("slots", f"one was granted to {number} while {chat.place.name}", number)
        self.machines[chat.target.name].limiter.grant(number)

    def turn_over(self) -> None:
        if self._owed is not None:
            broken("breaker moves", f"{self._owed[1]} was due")
        for limiter in self._limiters:
            if limiter.touched:
                limiter.turn_over()


_FACTS: dict[type, Callable[[Watch, Fact], None]] = {
    PolicyAdopted: Watch._adopted,
    CallBegan: Watch._began,
    EventHeard: Watch._told,
    DormancyHeard: Watch._heard_power,
    Overridden: Watch._overridden,
    BreakerMoved: Watch._moved,
    AttemptStarted: Watch._started,
    AttemptEnded: Watch._ended,
    Retried: Watch._retried,
    RetryDenied: Watch._denied,
    Refused: Watch._refused,
    FellBack: Watch._fell_back,
    CallEnded: Watch._over,
}  # type: ignore[dict-item]
