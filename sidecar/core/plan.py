"""How one chat is answered: the ladder, as a pure generator.

The plan yields steps and is sent events; it never sleeps, logs, counts or does I/O. Whoever has the time drives it: the live driver with
sockets, the replay with a heap, a test with a list. Read from top to bottom it is what happens to a call:

    for each rung:  off, unhealthy?  dormant?  time left?  breaker?  slot (maybe queue)?  permit?  -> Attempt -> classify, settle
                    answered -> Finish;  may be retried and is paid for -> Backoff, same rung;  else -> next rung
    below the last: Finish with the own answer

A target that may be asked twice can be hedged (``hedge``): its first attempt is then a ``Race``, of which there may be two.

Every step is answered by exactly one event: ``Attempt`` by ``Answered``, ``Backoff`` and ``Queue`` by ``Woke``, ``Race`` by either, and
any of them by ``Abandoned`` instead, when the client left. After ``Finish`` there is nothing more to send. What is held (slot,
permit, retry budget) is given back before the next step that does not need it, also when the client leaves.
"""

from __future__ import annotations

from collections.abc import Generator

from sidecar.core.affinity import Affinity
from sidecar.core.attempt import Landed, attempt
from sidecar.core.backoff import backoff
from sidecar.core.course import LEFT, Course, limited, refuse, tick
from sidecar.core.deadline import MIN_ATTEMPT, part
from sidecar.core.draw import draw
from sidecar.core.fact import CallEnded, Emit, FellBack, Retried, RetryDenied, RetryInputs
from sidecar.core.hedge import race
from sidecar.core.probing import shut
from sidecar.core.scene import Call, Rung, Scene
from sidecar.core.vocabulary import (
    ANSWERS,
    UNSENT,
    Abandoned,
    Backoff,
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

_Plan = Generator[Step, Event, Finish]
_Asked = Generator[Step, Event, Finish | Reason]
_Queued = Generator[Step, Event, Ticket | Finish | Reason]


def plan_call(now: float, call: Call, scene: Scene, emit: Emit) -> _Plan:
    """The plan of one call. The last step it yields is a ``Finish``, always, and it returns the same."""
    course = Course(now, call, scene, emit)
    affinity = scene.affinity
    if affinity is None:
        finish = yield from _descend(course, scene.ladder)
    else:
        finish = yield from _descend(course, _turned(course, affinity))
        affinity.settle(course.now, call.session, finish, scene.ladder[0].name, scene.stick)
    emit(CallEnded(course.now, call.number, course.now - now, finish, course.first_reason, course.attempts))
    yield finish
    return finish


def _turned(course: Course, affinity: Affinity) -> tuple[Rung, ...]:
    """The ladder in the order in which this call goes down: a session that stays with a target begins with that."""
    ladder = course.scene.ladder
    stay = affinity.of(course.now, course.call.session)
    depth = next((depth for depth, rung in enumerate(ladder) if stay and rung.name == stay.target), 0)
    if stay is None or not depth:
        return ladder
    for rung in ladder[:depth]:
        refuse(course, rung, course.deadline, Reason.AFFINITY, stay.until - course.now)
        course.emit(FellBack(course.now, course.call.number, rung.name, Reason.AFFINITY))
    course.first_reason = Reason.AFFINITY
    return (ladder[depth], *ladder[:depth], *ladder[depth + 1 :])


def _descend(course: Course, ladder: tuple[Rung, ...]) -> Generator[Step, Event, Finish]:
    """Down the ladder until somebody answers."""
    scene, primary = course.scene, course.scene.ladder[0] if ladder else None
    for depth, rung in enumerate(ladder):
        reserved = 0.0
        for below in ladder[depth + 1 :]:
            reserved += below.reserve()
        result = yield from _ask(course, rung, part(course.deadline, course.now, reserved))
        if isinstance(result, Finish):
            return result
        stayed = not depth and rung is not primary
        # Back to those that were passed over is no fallback; and switched off by an operator is no question of policy.
        falls = result is Reason.OFF or result.value in scene.policy.fallback.on
        allowed = result is not Reason.CALLER_ERROR if stayed else falls
        # The primary's reason is the first one, also where it comes later because the session stayed with another.
        if course.first_reason is None or rung is primary or (stayed and not allowed):
            course.first_reason = result
        course.emit(FellBack(course.now, course.call.number, rung.name, result, allowed))
        if not allowed:
            break
    provider = "local" if scene.policy.fallback.local == "answer" else None
    return Finish(provider, None, degraded=True, reason=course.first_reason)


def _ask(course: Course, rung: Rung, until: float) -> _Asked:
    """Everything that happens on one rung, ``until`` its part of the deadline: the first attempt and its retries."""
    machines, before = rung.machines, course.attempts
    retries = 0
    failed_for: Reason | None = None  # why the attempt before the retry failed: that is the reason, not a refused retry
    while True:
        sent_before, came = course.attempts, course.now
        place: Ticket | Finish | Reason = _enter(course, rung, until)
        if isinstance(place, Ticket) and not place.granted:
            place = yield from _queue(course, rung, until, place)
        if isinstance(place, Ticket):
            ask = attempt if rung.hedge is None or retries else race
            turn, waited = course.attempts - before + 1, course.now - came
            result = yield from ask(course, rung, until, place, turn=turn, waited=waited)
        else:
            result = place
        if not isinstance(result, Landed):
            if retries and course.attempts == sent_before:
                machines.budget.refund(course.now)  # the retry was paid for and never sent
            return result if failed_for is None or isinstance(result, Finish) else failed_for
        outcome, verdict = result.outcome, result.verdict
        if verdict in ANSWERS:
            if rung is course.scene.ladder[0]:
                course.first_reason = None  # a session that had stayed with another is back
            reason = course.first_reason if verdict is Verdict.SUCCESS else Reason.WAITING
            return Finish(rung.name, result.number, degraded=reason is not None, reason=reason)
        retries += 1
        failed_for = _reason(outcome, verdict)
        delay = _retry_delay(course, rung, until, result, retries)
        if isinstance(delay, Reason):
            return delay
        event = yield Backoff(rung.name, delay)
        course.now = event.now
        if isinstance(event, Abandoned):
            machines.budget.refund(course.now)
            return LEFT


def _enter(course: Course, rung: Rung, until: float) -> Ticket | Reason:
    """Past override, health, dormancy, deadline, breaker and limiter: a ticket, granted or for the queue, or why not."""
    machines = rung.machines
    if rung.name in course.scene.shut and (reason := shut(course.now, course.scene, rung)) is not None:
        return refuse(course, rung, until, reason)
    if course.scene.dormancy.forbids(rung.name, course.scene.dormant):
        return refuse(course, rung, until, Reason.DORMANT)
    left = until - course.now
    if left < MIN_ATTEMPT:
        return refuse(course, rung, until, Reason.TIMEOUT)
    tick(course, rung)
    refusal = machines.breaker.refusal(course.now)
    if refusal:  # before the queue: waiting for a target that would refuse helps nobody
        return refuse(course, rung, until, Reason.OPEN, refusal.retry_after)
    if machines.limiter.moving:
        limited(course, machines.limiter.tick(course.now))
    ticket = machines.limiter.enter(course.now)
    return refuse(course, rung, until, Reason.LIMITED) if ticket is None else ticket


def _queue(course: Course, rung: Rung, until: float, ticket: Ticket) -> _Queued:
    """Wait for a slot as long as policy and deadline allow."""
    limiter, target, came = rung.machines.limiter, rung.target, course.now
    timeout = min(target.limiter.queue_timeout, until - came)
    event = yield Queue(rung.name, ticket, timeout)
    course.now = event.now
    if isinstance(event, Woke) and ticket.granted:
        tick(course, rung)
        return ticket
    limiter.leave(course.now, ticket)
    if isinstance(event, Abandoned):
        return LEFT
    return refuse(course, rung, until, Reason.LIMITED, waited=course.now - came)


def _retry_delay(course: Course, rung: Rung, until: float, result: Landed, retry: int) -> float | Reason:
    """Seconds until the target is asked again, paid for; or the reason to leave it."""
    target, machines, call = rung.target, rung.machines, course.call.number
    outcome, verdict = result.outcome, result.verdict
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


def _retry_inputs(course: Course, rung: Rung, until: float, asked: int, delay: float) -> RetryInputs:
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
    # An unsent request is ignored only where the power state explained it, or where we had no socket.
    explained = verdict is Verdict.IGNORED and outcome.error in UNSENT and outcome.error is not ErrorKind.NO_SOCKET
    return Reason.DORMANT if explained else Reason.FAILURE
