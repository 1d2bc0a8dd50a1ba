"""One call under way, as the watch knows it: what it was promised, where it stands, what it did."""

from __future__ import annotations

from enum import Enum, auto

from sidecar.core.fact import AttemptStarted, CallBegan
from sidecar.core.vocabulary import Answered, Event, Finish, Outcome, Reason, Verdict
from sidecar.policy.model import Policy, Target

from .breaker import GOOD
from .verdicts import MEANINGS


class Place(Enum):
    """Where a call stands."""

    ENTERING = auto()  # turned to a target
    QUEUED = auto()
    LET_IN = auto()  # a slot was granted while it waited
    TOO_LONG = auto()  # none was
    ASKING = auto()
    JUDGED = auto()  # the attempt is over and said
    PAID = auto()  # a retry was paid for
    BACKING_OFF = auto()
    LEAVING = auto()  # this target, for the next
    BOTTOM = auto()  # nobody is left to be asked
    OVER = auto()


class Chat:
    __slots__ = (
        "asked", "attempts", "began", "came", "deadline", "depth", "due", "event", "failed_for", "first_reason", "gone", "left_for",
        "name", "number", "paid", "patience", "place", "policy", "retries", "seen", "started", "target", "told", "until", "verdict",
    )  # fmt: skip

    def __init__(self, fact: CallBegan, policy: Policy) -> None:
        self.number = fact.call
        self.began = fact.at
        self.patience = fact.patience
        self.deadline = fact.at + fact.patience
        self.policy = policy
        self.place = Place.ENTERING
        self.depth = -1  # in the ladder
        self.target: Target
        self.came = 0.0  # when it turned to this target, or back to it after a backoff
        self.until = 0.0  # the end of the time of this target
        self.attempts = 0
        self.first_reason: Reason | None = None
        self.event: Event | None = None  # the last that was told
        self.gone = False
        self.paid = False  # for a retry that was not sent yet
        self.told: AttemptStarted | None = None
        self.started = 0.0
        self.due = 0.0  # when what it waits for must be over
        self.name = ""  # of the last outcome
        self.verdict: Verdict | None = None
        self.forget()

    def forget(self) -> None:
        """What was with the target before is nothing to the next."""
        self.asked = 0  # attempts on this target
        self.retries = 0  # that were decided about
        self.seen = False  # this target may have seen a request
        self.failed_for: Reason | None = None
        self.left_for: Reason | None = None

    @property
    def outcome(self) -> Outcome:
        """Of the attempt that was judged last."""
        assert isinstance(self.event, Answered)
        return self.event.outcome

    @property
    def unsafe(self) -> bool:
        """Whether another attempt could be a second execution of what the last one sent."""
        return MEANINGS[self.name].sent and self.target.effects == "unsafe" and self.target.retry.only_if_unsent

    @property
    def delays(self) -> tuple[float, float]:
        """The shortest and the longest wait there may be before the retry that is decided about: full jitter on what the target asked for."""
        backoff, asked = self.target.retry.backoff, self.outcome.retry_after
        least = asked if backoff.respect_retry_after and asked is not None else 0.0
        return least, least + min(backoff.max, backoff.base * 2 ** (self.retries - 1))

    @property
    def ending(self) -> Finish | None:
        """How it must end where it stands; None where it cannot."""
        if self.gone:
            if self.place is Place.ASKING:
                return None
            return Finish(None, None, degraded=False, reason=None, abandoned=True)
        if self.place is Place.BOTTOM:
            provider = "local" if self.policy.fallback.local == "answer" else None
            return Finish(provider, None, degraded=True, reason=self.first_reason)
        if self.place is Place.JUDGED and self.verdict in GOOD:
            reason = Reason.WAITING if self.verdict is Verdict.DEGRADED else self.first_reason
            return Finish(self.target.name, self.attempts, degraded=reason is not None, reason=reason)
        return None
