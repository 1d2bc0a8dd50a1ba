"""The words of the core: what a plan asks for (steps), what it is told (events), and what things mean (verdicts).

A *target* is asked by *attempts*; an attempt has an *outcome* (what happened), which is classified into a *verdict*
(what it means); the call ends for a *reason*. All sets are closed, because they end up as metric labels.
Times are monotonic seconds of the driver's clock, durations are seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum

from msgspec import Struct

from sidecar.core.value import Value


class Verdict(StrEnum):
    """What an outcome means for the call and for the breaker of its target."""

    SUCCESS = "success"
    DEGRADED = "degraded"  # an answer, but not a full one (madre's WAITING); a success for the breaker
    RETRYABLE = "retryable"  # failed, in a way that the policy's retry.on names
    FATAL = "fatal"  # failed, and asking the same target again is not for us
    CALLER_ERROR = "caller_error"  # the request is wrong: nobody else needs to be asked
    MISCONFIGURED = "misconfigured"  # our own set-up is wrong: no retry, no breaker penalty, next target
    IGNORED = "ignored"  # says nothing about the target: the client left, the fault is ours, the target is dormant


FAILURES = frozenset({Verdict.RETRYABLE, Verdict.FATAL})
ANSWERS = frozenset({Verdict.SUCCESS, Verdict.DEGRADED})


class ErrorKind(StrEnum):
    """How an attempt went wrong before there was an HTTP answer that could be judged."""

    CONNECT = "connect"  # refused or unreachable: nothing was sent
    DNS = "dns"  # the name did not resolve: nothing was sent
    CONNECT_TIMEOUT = "connect-timeout"  # no connection in time: nothing was sent
    NO_SOCKET = "no-socket"  # the system gave us none: nothing was sent, and the fault is ours
    TIMEOUT = "timeout"  # no complete answer within the attempt timeout
    RESET = "reset"  # closed or reset before the response head
    TRUNCATED = "truncated"  # closed within the response body
    PROTOCOL = "protocol"  # the answer is not HTTP
    TOO_LARGE = "too-large"  # the answer is larger than a chat answer may be
    NOT_JSON = "not-json"  # the answer is no JSON object


UNSENT = frozenset({ErrorKind.CONNECT, ErrorKind.DNS, ErrorKind.CONNECT_TIMEOUT, ErrorKind.NO_SOCKET})


class Reason(StrEnum):
    """Why a call was not answered by the primary target, or why an answer is degraded."""

    OPEN = "open"  # the breaker refused
    FAILURE = "failure"
    TIMEOUT = "timeout"  # silent for its attempt timeout, or no time left to ask
    BUDGET = "budget"  # a retry was due, and the retry budget was empty
    LIMITED = "limited"  # no slot, and no room or patience in the queue
    DORMANT = "dormant"  # off by power policy
    UNHEALTHY = "unhealthy"  # down by its health probes
    OFF = "off"  # switched off by an operator's override
    MISCONFIGURED = "misconfigured"
    CALLER_ERROR = "caller_error"
    WAITING = "waiting"  # answered, but the answerer waits for a confirmation
    AFFINITY = "affinity"  # its session stays for a while with the target it fell back to


class Override(StrEnum):
    """What an operator may decide about a target for a while."""

    FORCED_OPEN = "forced_open"  # its breaker refuses everybody
    FORCED_CLOSED = "forced_closed"  # its breaker lets everybody pass
    OFF = "off"  # it is not asked; its breaker goes on as it is


class Binding(StrEnum):
    """What set an attempt's timeout: its own limit, or the deadline minus the reserves below."""

    ATTEMPT = "attempt"
    DEADLINE = "deadline"


class Outcome(Value):
    """What came of one attempt, as far as the core may know: never a message text, never a header.

    Exactly one of ``error`` and ``status`` is set. ``body`` holds short scalars from the JSON body at the paths the
    rules look at; ``text`` says whether there is an answer to show. ``retry_after`` is what the target asked for.
    """

    error: ErrorKind | None = None
    status: int | None = None
    body: Mapping[str, str] = {}
    text: bool = False
    retry_after: float | None = None

    @property
    def sent(self) -> bool:
        """Whether the target may have seen the request."""
        return self.error not in UNSENT


class Ticket(Struct, eq=False):
    """A place in a limiter's queue.

    The driver of a waiting call sets ``wake``; the limiter calls it once when a slot is granted, and the driver then
    sends ``Woke``. A ticket that nobody waits for any more is dropped by the plan that drew it.
    """

    granted: bool = False
    wake: Callable[[], None] | None = None


class Attempt(Value):
    """Step: send the request to ``target`` and report ``Answered`` within ``timeout`` seconds.

    ``number`` counts a call's attempts from 1, ``turn`` those on this target.
    """

    target: str
    number: int
    timeout: float
    connect_timeout: float
    binding: Binding
    turn: int = 1


class Race(Value):
    """Step: have these ``attempts`` of one target under way; report ``Answered``, with its number, for the first of them that ends.

    Those that are not under way yet begin now; one that was and is not named any more is cancelled. After ``wake`` seconds without an
    answer report ``Woke``; None: wait for the answer.
    """

    attempts: tuple[Attempt, ...]
    wake: float | None


class Backoff(Value):
    """Step: wait ``delay`` seconds, then report ``Woke``. A retry on the same target follows."""

    target: str
    delay: float


class Queue(Value, gc=True):
    """Step: wait until ``ticket`` is granted, at most ``timeout`` seconds, then report ``Woke`` either way."""

    target: str
    ticket: Ticket
    timeout: float


class Finish(Value):
    """Step, the last one: how the call ends.

    ``provider`` is the target whose answer is used (``attempt`` says which of its answers), ``local`` for the own one, None when
    there is none to give (``failed``: a 503 by policy, or the client left).
    """

    provider: str | None
    attempt: int | None
    degraded: bool
    reason: Reason | None
    abandoned: bool = False


Step = Attempt | Race | Backoff | Queue | Finish


class Answered(Value):
    """Event: the attempt under way has ended; in a race ``attempt`` is its number."""

    now: float
    outcome: Outcome
    attempt: int | None = None


class Woke(Value):
    """Event: the backoff is over, the ticket was granted or ran out of time, or a race came to its ``wake``."""

    now: float


class Abandoned(Value):
    """Event: the client left. The driver has cancelled what was under way."""

    now: float


Event = Answered | Woke | Abandoned
