"""The story of one call, from its admission to its end."""

from __future__ import annotations

from typing import Literal

from sidecar.core.fact.machines import BreakerMoved, Counts, HealthMoved
from sidecar.core.value import Value
from sidecar.core.vocabulary import Binding, Event, Finish, Outcome, Reason, Verdict


class CallBegan(Value):
    """Input of the engine: a chat was admitted. ``patience`` is the whole time from now to the answer, in seconds.

    ``ladder`` names the targets of its policy, in order; ``session`` is a digest, empty where there is none or nobody asks.
    """

    at: float
    call: int
    patience: float
    correlation_id: str
    revision: str
    ladder: tuple[str, ...] = ()
    session: str = ""


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
    """``seconds`` is the time the attempt took; ``outcome`` is None when the client left, or another attempt won the race.

    Decided by: the ``rule`` that led to the verdict, in the words of ``core/classify`` and ``core/attempt``. ``counts`` are those of the
    breaker with this attempt in them, unless it was not ``heeded``: a straggler from before the breaker's last move, or a permit that
    had run out. ``raced``: it was late enough for a hedge, or is one.
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
    raced: bool = False


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


class Hedged(Value):
    """A second attempt was sent beside the first: ``number`` is its own, ``waited`` the seconds the first had been silent for.

    Decided by: the ``load`` that hedges had saved up and the ``balance`` of the retry budget, each before it paid 1.
    """

    at: float
    call: int
    target: str
    number: int
    waited: float
    load: float
    balance: float


class HedgeDenied(Value):
    """The first attempt is late, and there is no second: ``why`` is open, deadline, limited, load or budget, the first that forbids it."""

    at: float
    call: int
    target: str
    why: str
    waited: float


class HedgeEnded(Value):
    """A hedged attempt is over: ``won`` is first or hedge (who answered), none (both failed) or left (the client did)."""

    at: float
    call: int
    target: str
    won: str


class Refused(Value):
    """A target was not asked at all.

    Decided by: ``left`` seconds that it would have had, the state of its ``breaker`` and the move that led to it, ``in_flight``
    attempts and ``queued`` calls against their ``limits``, after ``waited`` seconds in that queue. ``health`` is the last move of its
    health, where that is the reason.
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
    health: HealthMoved | None = None


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


Fault = Literal["delay", "abort", "body", "cut"]
"""What is done to an attempt that is broken on purpose."""


class FaultInjected(Value):
    """An attempt was broken on purpose, by the ``rule`` of the policy's chaos that has this name.

    It comes between the attempt's begin and its end; an attempt that is delayed and then spoiled has two.
    """

    at: float
    call: int
    target: str
    number: int
    fault: Fault
    rule: str
