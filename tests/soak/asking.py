"""What must hold for one attempt and for the decision about the next: timeouts, verdicts, retries."""

from __future__ import annotations

from sidecar.core.fact import AttemptEnded, AttemptStarted, Retried, RetryDenied
from sidecar.core.vocabulary import Answered, Binding, Outcome, Reason, Verdict

from . import evidence
from .breaker import GOOD
from .chat import Chat
from .machines import Machines, NaiveLatency
from .verdicts import MEANINGS, name_of, reason_of, verdict_of
from .violation import EPSILON, broken

LEAST = 0.05  # seconds: with less left nobody is asked
PRUDENT = 1.5  # seconds: a silent target is remembered to take at least so long


def asked_again(chat: Chat, fact: AttemptStarted) -> None:
    """The promises that need no model: what was sent to an unsafe target is not sent again, and silence is left alone."""
    retry = chat.target.retry
    if not chat.paid:
        broken("retries are paid for", f"{fact}", chat.number)
    if chat.asked > retry.max_attempts:
        broken("attempts per target", f"{fact} of {retry.max_attempts}", chat.number)
    if chat.seen and chat.target.effects == "unsafe" and retry.only_if_unsent:
        broken("never sent twice", f"{fact} after {chat.name}", chat.number)
    if chat.name == "timeout" and not retry.on_timeout:
        broken("silence is left alone", f"{fact}", chat.number)


def bounded(chat: Chat, fact: AttemptStarted, now: float) -> None:
    """The timeout of an attempt: its own, or what is left of the target's part of the time."""
    own, left = chat.target.timeouts.attempt, chat.until - now
    expected = left if own is None else min(own, left)
    if abs(fact.timeout - expected) > EPSILON or now + fact.timeout > chat.deadline + EPSILON:
        broken("attempt timeout", f"{fact}, expected within {expected}", chat.number)
    if (fact.binding is Binding.ATTEMPT) is not (own is not None and own <= left):
        broken("binding constraint", f"{fact}: own {own}, left {left}", chat.number)


def told_as_it_was(chat: Chat, fact: AttemptEnded, now: float) -> None:
    """The end of an attempt is that of the one that was begun, and its outcome the one that the driver reported."""
    told, event = chat.told, chat.event
    outcome = event.outcome if isinstance(event, Answered) else None
    if told is None or event is None or event.now != now or (fact.number, fact.binding) != (told.number, told.binding):
        broken("one story per call", f"{fact} after {told}", chat.number)
    if fact.seconds != now - chat.started or fact.outcome != outcome:
        broken("attempts are told as they were", f"{fact} began at {chat.started}, told was {event}", chat.number)


def judged(chat: Chat, outcome: Outcome, seconds: float, latency: NaiveLatency, *, switch_is_off: bool) -> Verdict:
    """The verdict that an outcome must have; how long it took is remembered."""
    target, told, deadline = chat.target, chat.told, chat.policy.deadline
    name = chat.name = name_of(outcome)
    chat.seen = chat.seen or MEANINGS[name].sent
    asked_for_less = chat.patience < deadline.client - deadline.margin
    bound = told is not None and told.binding is Binding.DEADLINE
    verdict = verdict_of(
        name,
        target,
        explained=switch_is_off and target.name == "switch" and chat.policy.dormant.mode != "ignore",
        hurried=asked_for_less and bound and seconds < target.breaker.slow_call.duration / 2,
    )
    if verdict in GOOD:
        latency.took(seconds)
    elif name == "timeout" and verdict is not Verdict.IGNORED:
        latency.took(max(seconds, PRUDENT))
    return verdict


def _decided(chat: Chat, fact: Retried | RetryDenied, machines: Machines, now: float) -> None:
    """A decision about a retry was made: only after a failure that may be retried, and by what is said."""
    if chat.verdict is not Verdict.RETRYABLE:
        broken("what may be retried", f"{fact} after {chat.name}, which is {chat.verdict}", chat.number)
    chat.failed_for = reason_of(chat.name, chat.verdict)
    chat.retries += 1
    evidence.retry(fact, chat, machines, now)


def retried(chat: Chat, fact: Retried, machines: Machines, now: float) -> None:
    """None of five obstacles was there; the retry is paid for."""
    _decided(chat, fact, machines, now)
    refuses, (least, most) = machines.breaker.refuses(now), chat.delays
    if chat.retries >= chat.target.retry.max_attempts:
        broken("attempts per target", f"{fact}", chat.number)
    if chat.unsafe:
        broken("never sent twice", f"{fact} after {chat.name}", chat.number)
    if refuses is not None and refuses > fact.delay + EPSILON:
        broken("no wait for a refusal", f"{fact}: refuses for {refuses} s", chat.number)
    if fact.delay + LEAST > chat.until - now + EPSILON:
        broken("backoff within the deadline", f"{fact}: {chat.until - now} s left", chat.number)
    if not least <= fact.delay <= most:
        broken("full jitter", f"{fact}: not within {least}..{most}", chat.number)
    outcome = chat.outcome
    if fact.cause != (outcome.error.value if outcome.error else str(outcome.status)):
        broken("causes", f"{fact} after {outcome}", chat.number)
    machines.budget.pay(chat.number, fact.balance)
    chat.paid = True


def denied(chat: Chat, fact: RetryDenied, machines: Machines, now: float) -> None:
    """The first of five obstacles is told, and was there."""
    _decided(chat, fact, machines, now)
    assert fact.inputs is not None
    delay, refuses, (least, most) = fact.inputs.delay, machines.breaker.refuses(now), chat.delays
    if not least <= delay <= most:
        broken("full jitter", f"{fact}: not within {least}..{most}", chat.number)
    obstacles = {
        "attempts": chat.retries >= chat.target.retry.max_attempts,
        "effects": chat.unsafe,
        "open": refuses is not None and refuses > delay,
        "deadline": chat.until - now < delay + LEAST,
        "budget": not machines.budget.pays,
    }
    first = next((why for why, there in obstacles.items() if there), None)
    if fact.why != first:
        broken("why there was no retry", f"{fact}: {obstacles}", chat.number)
    chat.left_for = Reason.BUDGET if fact.why == "budget" else chat.failed_for
