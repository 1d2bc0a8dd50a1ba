"""Facts: everything anybody outside may learn, as frozen values through one ``emit(fact)``.

One stream feeds the metrics, the log, the journal, the explain view and the replay report, so they agree by construction.
Facts of the edge (relay, refusals, tokens) travel in the same stream. No fact ever holds a token, a query string or
the text of a message. ``at`` is monotonic seconds of the driver's clock.

A fact about a decision holds what it was decided by, so that it can be explained when the machines have long moved on. These inputs
come last and have defaults: who reads only what happened (metrics, log, traces, the record of a replay) never meets them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from sidecar.core.value import Value, asdict
from sidecar.core.vocabulary import Binding, Event, Finish, Outcome, Override, Reason, Verdict
from sidecar.policy.model import Policy


class Thresholds(Value):
    """What a breaker's counts are held against, as its policy has it; ``consecutive`` 0 means never."""

    consecutive: int
    min_calls: int
    failure_rate: float
    slow_rate: float
    slow_seconds: float
    close_after: int


class Counts(Value):
    """How a breaker stood when it decided: its state then, calls, failures and slow calls of its window, failures and probes in a row."""

    state: str
    calls: int
    failures: int
    slow: int
    failures_in_row: int
    good_probes: int
    thresholds: Thresholds


class CallBegan(Value):
    """Input of the engine: a chat was admitted. ``patience`` is the whole time from now to the answer, in seconds.

    ``ladder`` names the targets of its policy, in order.
    """

    at: float
    call: int
    patience: float
    correlation_id: str
    revision: str
    ladder: tuple[str, ...] = ()


class EventHeard(Value):
    """Input of the engine: the driver told a plan something."""

    at: float
    call: int
    event: Event


class AttemptStarted(Value):
    """A target is asked.

    Decided by: ``left`` seconds until the call must be answered, ``reserved`` of them kept back for the targets below, ``waited`` seconds
    spent in the queue for a slot, and the state of the target's ``breaker``: a half-open one makes it a probe.
    """

    at: float
    call: int
    target: str
    number: int
    timeout: float
    binding: Binding
    left: float | None = None
    reserved: float | None = None
    waited: float = 0.0
    breaker: str | None = None


class AttemptEnded(Value):
    """``seconds`` is the time the attempt took; ``outcome`` is None when the client left.

    Decided by: the ``rule`` that led to the verdict, in the words of ``core/classify`` and ``core/plan``. ``counts`` are those of the
    breaker with this attempt in them, unless it was not ``heeded``: a straggler from before the breaker's last move, or a permit that
    had run out.
    """

    at: float
    call: int
    target: str
    number: int
    seconds: float
    outcome: Outcome | None
    verdict: Verdict
    binding: Binding
    rule: str | None = None
    counts: Counts | None = None
    heeded: bool = True


class RetryInputs(Value):
    """What it was decided by whether a target is asked again.

    ``asked`` attempts of at most ``most`` so far; the wait would be ``delay`` seconds; ``left`` seconds remain for this target; the
    budget holds ``balance`` of at most ``burst`` retries; the target's breaker refuses for ``refuses_for`` seconds, None: not at all.
    """

    asked: int
    most: int
    delay: float
    left: float
    balance: float
    burst: float
    refuses_for: float | None


class Retried(Value):
    """A retry was scheduled: ``delay`` seconds from ``at``, for what ``cause`` names (an error kind or a status)."""

    at: float
    call: int
    target: str
    delay: float
    cause: str
    balance: float
    inputs: RetryInputs | None = None


class RetryDenied(Value):
    """A retryable failure was not retried: ``why`` is attempts, effects, open, deadline or budget, the first that forbids it."""

    at: float
    call: int
    target: str
    why: str
    inputs: RetryInputs | None = None


class BreakerMoved(Value):
    """A breaker changed its state.

    ``why`` is failure_rate, consecutive, slow_rate, probe_failed, recovered, timer, window_opened, override or override_ended;
    ``counts`` are those that it moved by. ``call`` is the chat in whose course it moved, None where there was none.
    """

    at: float
    target: str
    before: str
    after: str
    why: str
    open_for: float | None
    counts: Counts | None = None
    call: int | None = None


class Refused(Value):
    """A target was not asked at all.

    Decided by: ``left`` seconds that it would have had, the state of its ``breaker`` and the move that led to it, ``in_flight``
    attempts and ``queued`` calls against their ``limits``, after ``waited`` seconds in that queue.
    """

    at: float
    call: int
    target: str
    reason: Reason
    retry_after: float | None
    left: float | None = None
    waited: float = 0.0
    breaker: str | None = None
    moved: BreakerMoved | None = None
    in_flight: int = 0
    queued: int = 0
    limits: tuple[int, int] | None = None


class FellBack(Value):
    """The call left ``target``, for the next rung of the ladder if it is ``allowed``: the policy's fallback.on names the reason."""

    at: float
    call: int
    target: str
    reason: Reason
    allowed: bool = True


class CallEnded(Value):
    """Exactly one per call. ``first_reason`` is why the primary target did not answer, whatever came later."""

    at: float
    call: int
    seconds: float
    finish: Finish
    first_reason: Reason | None
    attempts: int


class DormancyHeard(Value):
    """Input of the engine: madre's power state. ``active`` is None when it could not be read."""

    at: float
    active: frozenset[str] | None


class Overridden(Value):
    """Input of the engine: an operator decided about a target; ``override`` is None when that is over."""

    at: float
    target: str
    override: Override | None


class PolicyAdopted(Value):
    """Input of the engine: a policy is in force from now on."""

    at: float
    revision: str
    source: str
    policy: Policy


class ReloadEnded(Value):
    """Somebody wanted the policy read again: ``trigger`` is file, signal or admin, ``result`` changed, unchanged or failed."""

    at: float
    trigger: str
    result: str


class RateLimited(Value):
    """A chat was refused by the sliding window of its session or peer."""

    at: float
    retry_after: float
    anonymous: bool


class ChatRejected(Value):
    """A chat got an answer before any plan was made: 401, 403, 413, 422, 429, … ``reason`` is a closed word.

    Here as in the other facts about requests, ``template`` is the known path that was asked for and ``client`` the kind of program
    that asked: words of the inventory in ``wire``, ``other`` where it has none.
    """

    at: float
    status: int
    reason: str
    seconds: float
    template: str = "other"
    client: str = "other"


class ChatServed(Value):
    """The answer to an admitted chat left. ``overhead`` is our own part of ``seconds``: no target, queue or backoff.

    ``outcome`` is primary, fallback, local, failed or client_gone; ``status`` is 499 when the client left. ``trace_id`` is that of the
    trace this chat is part of, in 32 hexadecimal digits, and ``sampled`` whether anybody keeps that trace.
    """

    at: float
    call: int
    correlation_id: str
    outcome: str
    status: int
    seconds: float
    overhead: float
    template: str = "other"
    client: str = "other"
    trace_id: str | None = None
    sampled: bool = False


class RelayEnded(Value):
    """One relayed request is over. ``kind`` is http, sse or websocket; ``status`` None when there was no answer.

    ``error`` is a closed word (connect, timeout, reset, protocol, truncated, client-gone, loop, denied, unauthorised) or None.
    """

    at: float
    kind: str
    method: str
    status: int | None
    seconds: float
    sent: int
    received: int
    error: str | None
    template: str = "other"
    client: str = "other"


class MessageRefused(Value):
    """A message on the data port was not HTTP as we accept it. ``why`` is one of the closed words of ``wire``."""

    at: float
    status: int
    why: str


class RequestShed(Value):
    """A request was answered 503 at once because there is too much to do: ``why`` is chats or relays (too many at once) or lag."""

    at: float
    why: str


Would = Literal[
    "pass", "auth_required", "forbidden", "too_large", "invalid", "message_too_long", "rate_limited", "target", "undecided"
]  # fmt: skip
"""What we would have said to a chat that was relayed: pass, or why we would have refused it."""

Gave = Literal["answered", "degraded", "rejected", "error", "unreadable", "client_gone"]
"""What a chat got from the gateway instead."""


class ChatObserved(Value):
    """A chat was relayed under ``mode: shadow`` and looked at, and that is over.

    ``route`` is chat; alias or commands for what looks like it and would need a token; reject for what we would not pass on at all.
    ``status`` is that of the answer the client got, None where none began; ``seconds`` go from the request's head to the end of the
    answer, and are ``late`` where an answer of ours would have left before, whoever ended it.
    """

    at: float
    route: str
    would: Would
    gateway: Gave
    status: int | None
    seconds: float
    late: bool


Fact = (
    CallBegan | EventHeard | AttemptStarted | AttemptEnded | Retried | RetryDenied | Refused | FellBack | BreakerMoved | CallEnded
    | DormancyHeard | Overridden | PolicyAdopted | ReloadEnded | RateLimited | ChatRejected | ChatServed | RelayEnded | MessageRefused
    | RequestShed | ChatObserved
)  # fmt: skip
Emit = Callable[[Fact], None]


def as_json(fact: Fact, began: float) -> dict[str, Any]:
    """A fact of a call as JSON has it: its name, its seconds since the call ``began``, and its fields but the number of the call.

    What stands within it becomes an object that says what it ``is``. One form for whoever explains a call, from wherever its facts come.
    """
    return {"fact": type(fact).__name__, **_fields(fact, began)}


def _fields(value: Any, began: float) -> dict[str, Any]:
    fields = asdict(value)
    fields.pop("call", None)
    at = fields.pop("at", None)
    timed = {} if at is None else {"after_seconds": round(at - began, 6)}
    return timed | {name: _plain(part, began) for name, part in fields.items()}


def _plain(value: Any, began: float) -> Any:
    return {"is": type(value).__name__, **_fields(value, began)} if isinstance(value, Value) else value
