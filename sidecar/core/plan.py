"""How one chat is answered: the ladder, as a pure generator.

The plan yields steps and is sent events; it never sleeps, logs, counts or does I/O. Whoever has the time drives it: the live driver with
sockets, the replay with a heap, a test with a list. Read from top to bottom it is what happens to a call:

    for each rung:  off?  dormant?  time left?  breaker?  slot (maybe queue)?  permit?  -> Attempt -> classify, settle
                    answered -> Finish;  may be retried and is paid for -> Backoff, same rung;  else -> next rung
    below the last: Finish with the own answer

Every step is answered by exactly one event: ``Attempt`` by ``Answered``, ``Backoff`` and ``Queue`` by ``Woke``, and any of them by
``Abandoned`` instead, when the client left. After ``Finish`` there is nothing more to send. What is held (slot, permit,
retry budget) is given back before the next step that does not need it, also when the client leaves.
"""

from __future__ import annotations

from collections.abc import Container, Generator

from sidecar.core.backoff import backoff
from sidecar.core.breaker import Breaker, Permit, Refusal
from sidecar.core.budget import RetryBudget
from sidecar.core.classify import Classifier, Judged
from sidecar.core.deadline import MIN_ATTEMPT, bounded, part
from sidecar.core.dormancy import Dormancy
from sidecar.core.draw import draw
from sidecar.core.fact import (
    AttemptEnded,
    AttemptStarted,
    BreakerMoved,
    CallEnded,
    Emit,
    FellBack,
    Refused,
    Retried,
    RetryDenied,
    RetryInputs,
)
from sidecar.core.limiter import Limiter
from sidecar.core.record import LatencyRecord
from sidecar.core.value import Value, replace
from sidecar.core.vocabulary import (
    ANSWERS,
    UNSENT,
    Abandoned,
    Answered,
    Attempt,
    Backoff,
    Binding,
    ErrorKind,
    Event,
    Finish,
    Outcome,
    Queue,
    Reason,
    Step,
    Ticket,
    Verdict,
    Woke,
)
from sidecar.policy.model import Dormant, Policy, Target

RESERVE_LEAST, RESERVE_MOST = 0.3, 1.5  # seconds: what `reserve: auto` stays within
SUSPICIOUS = 0.5  # share of a slow call after which silence counts against a target even if the client was impatient
SHORTENED = 0.9  # share of the policy's patience below which a client is impatient: reading a request takes some, too

# What judges an attempt before its classifier is asked, in words beside those of the classifier.
_GONE = Judged(Verdict.IGNORED, "client left")
_DORMANT = Judged(Verdict.IGNORED, "dormant")
_IMPATIENT = Judged(Verdict.IGNORED, "short patience")


class Call(Value):
    """One chat, as far as the core may know it.

    ``number`` is unique and seeds the call's draws; ``patience`` is seconds until the answer must leave.
    """

    number: int
    patience: float
    correlation_id: str = ""


class Machines(Value, gc=True):
    """What is remembered of a target from call to call. Survives a change of policy."""

    breaker: Breaker
    limiter: Limiter
    budget: RetryBudget
    latency: LatencyRecord


class Rung(Value, gc=True):
    """One target under one policy. What every call asks for stands beside the target, because an attribute of a model is dear."""

    target: Target
    machines: Machines
    classify: Classifier
    name: str
    reserved: float | None
    timeout: float | None
    connect_timeout: float

    @classmethod
    def of(cls, target: Target, machines: Machines) -> Rung:
        own = target.timeouts
        return cls(target, machines, Classifier(target), target.name, target.reserve, own.attempt, own.connect)

    def reserve(self) -> float:
        """Seconds that the rungs above keep back for this one."""
        if self.reserved is not None:
            return self.reserved
        observed = self.machines.latency.quantile(0.95)
        return RESERVE_MOST if observed is None else min(max(observed, RESERVE_LEAST), RESERVE_MOST)


class Scene(Value, gc=True):
    """What a call meets: the policy it began with, and the machines as they are."""

    policy: Policy
    ladder: tuple[Rung, ...]
    dormancy: Dormancy
    off: Container[str]  # targets an operator has switched off, as they are now
    seed: int
    dormant: Dormant
    patient: float  # seconds below which a client is impatient

    @classmethod
    def of(cls, policy: Policy, ladder: tuple[Rung, ...], dormancy: Dormancy, off: Container[str], seed: int) -> Scene:
        patience = policy.deadline.client - policy.deadline.margin
        return cls(policy, ladder, dormancy, off, seed, policy.dormant, patience * SHORTENED)


_LEFT = Finish(None, None, degraded=False, reason=None, abandoned=True)  # the client left: nobody needs an answer

_Plan = Generator[Step, Event, Finish]
_Asked = Generator[Step, Event, Finish | Reason]
_Queued = Generator[Step, Event, Ticket | Finish | Reason]
_Tried = Generator[Step, Event, "tuple[Outcome, Verdict] | Finish | Reason"]


class _Course:
    """Where one call stands: its clock (the time of the last event), its deadline, its attempts."""

    __slots__ = ("attempts", "call", "deadline", "emit", "first_reason", "now", "scene", "shortened")

    def __init__(self, now: float, call: Call, scene: Scene, emit: Emit) -> None:
        self.now = now
        self.call = call
        self.scene = scene
        self.emit = emit
        self.attempts = 0
        self.first_reason: Reason | None = None  # why the primary did not answer
        self.deadline = now + call.patience
        self.shortened = call.patience < scene.patient


def plan_call(now: float, call: Call, scene: Scene, emit: Emit) -> _Plan:
    """The plan of one call. The last step it yields is a ``Finish``, always, and it returns the same."""
    course = _Course(now, call, scene, emit)
    finish = yield from _descend(course)
    emit(CallEnded(course.now, call.number, course.now - now, finish, course.first_reason, course.attempts))
    yield finish
    return finish


def _descend(course: _Course) -> Generator[Step, Event, Finish]:
    """Down the ladder until somebody answers."""
    scene = course.scene
    for depth, rung in enumerate(scene.ladder):
        reserved = 0.0
        for below in scene.ladder[depth + 1 :]:
            reserved += below.reserve()
        result = yield from _ask(course, rung, part(course.deadline, course.now, reserved))
        if isinstance(result, Finish):
            return result
        course.first_reason = course.first_reason or result
        # Switched off by an operator is no question of policy.
        allowed = result in (*scene.policy.fallback.on, Reason.OFF)
        course.emit(FellBack(course.now, course.call.number, rung.name, result, allowed))
        if not allowed:
            break
    provider = "local" if scene.policy.fallback.local == "answer" else None
    return Finish(provider, None, degraded=True, reason=course.first_reason)


def _ask(course: _Course, rung: Rung, until: float) -> _Asked:
    """Everything that happens on one rung, ``until`` its part of the deadline: the first attempt and its retries."""
    machines = rung.machines
    retries = 0
    failed_for: Reason | None = None  # why the attempt before the retry failed: that is the reason, not a refused retry
    while True:
        sent_before, came = course.attempts, course.now
        place: Ticket | Finish | Reason = _enter(course, rung, until)
        if isinstance(place, Ticket) and not place.granted:
            place = yield from _queue(course, rung, until, place)
        if isinstance(place, Ticket):
            result = yield from _attempt(course, rung, until, place, turn=retries + 1, waited=course.now - came)
        else:
            result = place
        if not isinstance(result, tuple):
            if retries and course.attempts == sent_before:
                machines.budget.refund(course.now)  # the retry was paid for and never sent
            return result if failed_for is None or isinstance(result, Finish) else failed_for
        outcome, verdict = result
        if verdict in ANSWERS:
            reason = course.first_reason if verdict is Verdict.SUCCESS else Reason.WAITING
            return Finish(rung.name, course.attempts, degraded=reason is not None, reason=reason)
        retries += 1
        failed_for = _reason(outcome, verdict)
        delay = _retry_delay(course, rung, until, result, retries)
        if isinstance(delay, Reason):
            return delay
        event = yield Backoff(rung.name, delay)
        course.now = event.now
        if isinstance(event, Abandoned):
            machines.budget.refund(course.now)
            return _LEFT


def _enter(course: _Course, rung: Rung, until: float) -> Ticket | Reason:
    """Past override, dormancy, deadline, breaker and limiter: a ticket, granted or for the queue, or why not."""
    machines = rung.machines
    if rung.name in course.scene.off:
        return _refuse(course, rung, until, Reason.OFF)
    if course.scene.dormancy.forbids(rung.name, course.scene.dormant):
        return _refuse(course, rung, until, Reason.DORMANT)
    left = until - course.now
    if left < MIN_ATTEMPT:
        return _refuse(course, rung, until, Reason.TIMEOUT)
    _tick(course, rung)
    refusal = machines.breaker.refusal(course.now)
    if refusal:  # before the queue: waiting for a target that would refuse helps nobody
        return _refuse(course, rung, until, Reason.OPEN, refusal.retry_after)
    ticket = machines.limiter.enter(course.now)
    return _refuse(course, rung, until, Reason.LIMITED) if ticket is None else ticket


def _queue(course: _Course, rung: Rung, until: float, ticket: Ticket) -> _Queued:
    """Wait for a slot as long as policy and deadline allow."""
    limiter, target, came = rung.machines.limiter, rung.target, course.now
    timeout = min(target.limiter.queue_timeout, until - came)
    event = yield Queue(rung.name, ticket, timeout)
    course.now = event.now
    if isinstance(event, Woke) and ticket.granted:
        _tick(course, rung)
        return ticket
    limiter.leave(course.now, ticket)
    if isinstance(event, Abandoned):
        return _LEFT
    return _refuse(course, rung, until, Reason.LIMITED, waited=course.now - came)


def _attempt(course: _Course, rung: Rung, until: float, ticket: Ticket, *, turn: int, waited: float) -> _Tried:
    """One request to the target, holding a slot and a permit exactly as long as it lasts."""
    machines, call = rung.machines, course.call.number
    timeout, binding = bounded(until, course.now, rung.timeout)
    in_time = until - course.now >= MIN_ATTEMPT
    permit = machines.breaker.admit(course.now) if in_time else Reason.TIMEOUT
    if not isinstance(permit, Permit):  # the breaker moved, or the time ran out, while this call was queued
        machines.limiter.leave(course.now, ticket)
        if isinstance(permit, Refusal):
            return _refuse(course, rung, until, Reason.OPEN, permit.retry_after, waited=waited)
        return _refuse(course, rung, until, permit, waited=waited)
    if turn == 1:
        machines.budget.deposit(course.now)
    course.attempts += 1
    number, began = course.attempts, course.now
    left, reserved, state = course.deadline - began, course.deadline - until, machines.breaker.state
    course.emit(AttemptStarted(began, call, rung.name, number, timeout, binding, left, reserved, waited, state))
    event = yield Attempt(rung.name, number, timeout, rung.connect_timeout, binding, turn)
    now = course.now = event.now
    machines.limiter.leave(now, ticket)
    seconds = now - began
    outcome = event.outcome if isinstance(event, Answered) else None
    verdict, rule = _GONE if outcome is None else _judge(course, rung, outcome, seconds, binding)
    heeded = machines.breaker.heeds(now, permit)
    moved = machines.breaker.settle(now, permit, verdict)
    counts = moved.counts if moved else machines.breaker.counts(now)
    course.emit(AttemptEnded(now, call, rung.name, number, seconds, outcome, verdict, binding, rule, counts, heeded))
    if moved:
        _tell(course, moved)
    return _LEFT if outcome is None else (outcome, verdict)


def _tick(course: _Course, rung: Rung) -> None:
    moved = rung.machines.breaker.tick(course.now)
    if moved:
        _tell(course, moved)


def _tell(course: _Course, moved: BreakerMoved) -> None:
    """A breaker knows nothing of calls; that it moved in the course of this one is part of its story."""
    course.emit(replace(moved, call=course.call.number))


def _judge(course: _Course, rung: Rung, outcome: Outcome, seconds: float, binding: Binding) -> Judged:
    """Classify, with what only the plan knows: dormancy, and how much patience this client had."""
    if course.scene.dormancy.explains(rung.name, course.scene.dormant, outcome):
        return _DORMANT
    judged = rung.classify.judge(outcome)
    timed_out = outcome.error is ErrorKind.TIMEOUT
    cut_short = course.shortened and binding is Binding.DEADLINE
    if timed_out and cut_short and seconds < rung.target.breaker.slow_call.duration * SUSPICIOUS:
        # A client may shorten its patience; that the target missed it must not open the breaker for everybody else.
        return _IMPATIENT
    if judged.verdict in ANSWERS:
        rung.machines.latency.observe(seconds)
    elif timed_out:
        # How long it would have taken nobody knows. Recorded at its own length, an attempt cut off by a small reserve would
        # keep that reserve small and so be cut off again, for ever.
        rung.machines.latency.observe(max(seconds, RESERVE_MOST))
    return judged


def _retry_delay(
    course: _Course, rung: Rung, until: float, result: tuple[Outcome, Verdict], retry: int
) -> float | Reason:
    """Seconds until the target is asked again, paid for; or the reason to leave it."""
    target, machines, call = rung.target, rung.machines, course.call.number
    outcome, verdict = result
    reason = _reason(outcome, verdict)
    if verdict is not Verdict.RETRYABLE:
        return reason
    u = draw(course.scene.seed, call, course.attempts)
    delay = backoff(target.retry.backoff, retry, u, outcome.retry_after)
    inputs = _retry_inputs(course, rung, until, retry, delay)
    why = None
    if retry >= target.retry.max_attempts:
        why = "attempts"
    elif outcome.sent and target.effects == "unsafe" and target.retry.only_if_unsent:
        why = "effects"
    elif inputs.refuses_for is not None and inputs.refuses_for > delay:
        why = "open"  # this failure, or another call's, opened the breaker: after the wait it would only refuse
    elif inputs.left < delay + MIN_ATTEMPT:
        why = "deadline"
    elif not machines.budget.withdraw(course.now):
        why = "budget"
    if why is not None:
        course.emit(RetryDenied(course.now, call, rung.name, why, inputs))
        return Reason.BUDGET if why == "budget" else reason
    cause = outcome.error.value if outcome.error else str(outcome.status)
    course.emit(Retried(course.now, call, rung.name, delay, cause, machines.budget.balance(course.now), inputs))
    return delay


def _retry_inputs(course: _Course, rung: Rung, until: float, asked: int, delay: float) -> RetryInputs:
    now, machines, target = course.now, rung.machines, rung.target
    refusal, balance = machines.breaker.refusal(now), machines.budget.balance(now)
    refuses_for = refusal.retry_after if refusal else None
    burst = machines.budget.burst
    return RetryInputs(asked, target.retry.max_attempts, delay, until - now, balance, burst, refuses_for)


def _reason(outcome: Outcome, verdict: Verdict) -> Reason:
    if verdict is Verdict.MISCONFIGURED:
        return Reason.MISCONFIGURED
    if verdict is Verdict.CALLER_ERROR:
        return Reason.CALLER_ERROR
    if outcome.error is ErrorKind.TIMEOUT:
        return Reason.TIMEOUT
    # An unsent request is ignored only where the power state explained it.
    return Reason.DORMANT if verdict is Verdict.IGNORED and outcome.error in UNSENT else Reason.FAILURE


def _refuse(
    course: _Course,
    rung: Rung,
    until: float,
    reason: Reason,
    retry_after: float | None = None,
    *,
    waited: float = 0.0,
) -> Reason:
    """Say that the target is not asked, and how its machines stand."""
    now, breaker, limiter = course.now, rung.machines.breaker, rung.machines.limiter
    stand = (breaker.state, breaker.moved, limiter.in_flight, limiter.queued, limiter.limits)
    course.emit(Refused(now, course.call.number, rung.name, reason, retry_after, until - now, waited, *stand))
    return reason
