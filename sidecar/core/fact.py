"""Facts: everything anybody outside may learn, as frozen values through one ``emit(fact)``.

One stream feeds the metrics, the log, the journal, the explain view and the replay report, so they agree by construction.
Facts of the edge (relay, refusals, tokens) travel in the same stream. No fact ever holds a token, a query string or
the text of a message. ``at`` is monotonic seconds of the driver's clock.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from sidecar.core.vocabulary import Binding, Event, Finish, Outcome, Override, Reason, Verdict
from sidecar.policy.model import Policy


class CallBegan(NamedTuple):
    """Input of the engine: a chat was admitted. ``patience`` is the whole time from now to the answer, in seconds."""

    at: float
    call: int
    patience: float
    correlation_id: str
    revision: str


class EventHeard(NamedTuple):
    """Input of the engine: the driver told a plan something."""

    at: float
    call: int
    event: Event


class AttemptStarted(NamedTuple):
    at: float
    call: int
    target: str
    number: int
    timeout: float
    binding: Binding


class AttemptEnded(NamedTuple):
    """``seconds`` is the time the attempt took; ``outcome`` is None when the client left."""

    at: float
    call: int
    target: str
    number: int
    seconds: float
    outcome: Outcome | None
    verdict: Verdict
    binding: Binding


class Retried(NamedTuple):
    """A retry was scheduled: ``delay`` seconds from ``at``, for what ``cause`` names (an error kind or a status)."""

    at: float
    call: int
    target: str
    delay: float
    cause: str
    balance: float


class RetryDenied(NamedTuple):
    """A retryable failure was not retried: ``why`` is attempts, effects, open, deadline or budget."""

    at: float
    call: int
    target: str
    why: str


class Refused(NamedTuple):
    """A target was not asked at all."""

    at: float
    call: int
    target: str
    reason: Reason
    retry_after: float | None


class FellBack(NamedTuple):
    """The call left ``target`` for the next rung of the ladder."""

    at: float
    call: int
    target: str
    reason: Reason


class BreakerMoved(NamedTuple):
    """A breaker changed its state.

    ``why`` is failure_rate, consecutive, slow_rate, probe_failed, recovered, timer, window_opened, override or override_ended.
    """

    at: float
    target: str
    before: str
    after: str
    why: str
    open_for: float | None


class CallEnded(NamedTuple):
    """Exactly one per call. ``first_reason`` is why the primary target did not answer, whatever came later."""

    at: float
    call: int
    seconds: float
    finish: Finish
    first_reason: Reason | None
    attempts: int


class DormancyHeard(NamedTuple):
    """Input of the engine: madre's power state. ``active`` is None when it could not be read."""

    at: float
    active: frozenset[str] | None


class Overridden(NamedTuple):
    """Input of the engine: an operator decided about a target; ``override`` is None when that is over."""

    at: float
    target: str
    override: Override | None


class PolicyAdopted(NamedTuple):
    """Input of the engine: a policy is in force from now on."""

    at: float
    revision: str
    source: str
    policy: Policy


class ReloadEnded(NamedTuple):
    """Somebody wanted the policy read again: ``trigger`` is file, signal or admin, ``result`` changed, unchanged or failed."""

    at: float
    trigger: str
    result: str


class RateLimited(NamedTuple):
    """A chat was refused by the sliding window of its session or peer."""

    at: float
    retry_after: float
    anonymous: bool


class ChatRejected(NamedTuple):
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


class ChatServed(NamedTuple):
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


class RelayEnded(NamedTuple):
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


class MessageRefused(NamedTuple):
    """A message on the data port was not HTTP as we accept it. ``why`` is one of the closed words of ``wire``."""

    at: float
    status: int
    why: str


class RequestShed(NamedTuple):
    """A request was answered 503 at once because there is too much to do: ``why`` is chats or relays (too many at once) or lag."""

    at: float
    why: str


Fact = (
    CallBegan | EventHeard | AttemptStarted | AttemptEnded | Retried | RetryDenied | Refused | FellBack | BreakerMoved | CallEnded
    | DormancyHeard | Overridden | PolicyAdopted | ReloadEnded | RateLimited | ChatRejected | ChatServed | RelayEnded | MessageRefused
    | RequestShed
)  # fmt: skip
Emit = Callable[[Fact], None]
