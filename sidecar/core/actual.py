"""What a call really does, as far as its facts tell: the side that a candidate is held beside.

An attempt and a backoff are facts of their own. A wait for a slot is not: a call that has heard something and then neither asks,
backs off nor ends is waiting for a slot of the rung it stands on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from sidecar.core.classify import Classifier
from sidecar.core.fact import AttemptStarted, FellBack, Retried
from sidecar.core.scene import Rung
from sidecar.core.vocabulary import Answered, Backoff, ErrorKind, Event, Outcome, Queue, Reason, Woke
from sidecar.policy.model import DeadlinePolicy, Policy, Target

SLOW_BODY = 0.05
"""Seconds. A client that is this much less patient than the policy says was slow with its body; with less patience left, it said so."""


class Asked(NamedTuple):
    """How the policy in force asks a target, as far as a candidate may ask otherwise."""

    same_request: bool  # the candidate would send the same to the same place
    readable: bool  # everything the candidate's rules look at is kept of an answer
    connect: float


class Terms(NamedTuple):
    """What a candidate has to know of the policy in force."""

    deadline: DeadlinePolicy
    ladder: tuple[str, ...]
    asked: Mapping[str, Asked]


class Attempting(NamedTuple):
    """A request is under way, and times out at ``due``."""

    target: str
    began: float
    due: float


class Backing(NamedTuple):
    """A retry is waited for until ``due``."""

    target: str
    began: float
    due: float


class Waiting(NamedTuple):
    """The call has heard something. If nothing follows at that moment, it waits for a slot."""

    since: float


Doing = Attempting | Backing | Waiting


class Actual:
    """One call. ``same`` is the tolerance, in seconds, within which two moments are one."""

    __slots__ = ("_left", "_passed", "_same", "asked", "doing", "terms")

    def __init__(self, terms: Terms, now: float, same: float) -> None:
        self.terms = terms
        self.doing: Doing = Waiting(now)
        self.asked: set[str] = set()
        self._left: set[str] = set()
        self._passed: set[str] = set()  # over, because the session stays with another; asked when that is left
        self._same = same

    def attempts(self, fact: AttemptStarted) -> None:
        self.asked.add(fact.target)
        self.doing = Attempting(fact.target, fact.at, fact.at + fact.timeout)

    def backs_off(self, fact: Retried) -> None:
        self.doing = Backing(fact.target, fact.at, fact.at + fact.delay)

    def falls(self, fact: FellBack) -> None:
        (self._passed if fact.reason is Reason.AFFINITY else self._left).add(fact.target)

    def hears(self, event: Event) -> Doing:
        """Something; what it waited for until then."""
        done = self.doing
        if not (isinstance(event, Woke) and isinstance(done, Attempting)):  # that it is late is not its end
            self.doing = Waiting(event.now)
        return done

    def attempting(self, target: str, since: float) -> Attempting | None:
        """Its attempt, if that is on ``target`` since the same moment."""
        doing = self.doing
        if not isinstance(doing, Attempting) or doing.target != target or abs(doing.began - since) > self._same:
            return None
        return doing

    def same_queue(self, step: Queue, since: float, doing: Doing) -> bool:
        """Whether ``doing`` is to wait for a slot of the same target since the same moment."""
        if not isinstance(doing, Waiting) or abs(doing.since - since) > self._same:
            return False
        to_come = [name for name in self.terms.ladder if name not in self._left]
        stands = next((name for name in to_come if name not in self._passed), next(iter(to_come), None))
        return stands == step.target

    def same_backoff(self, step: Backoff, since: float, doing: Doing) -> bool:
        """Whether ``doing`` is to wait as long for the same retry."""
        if not isinstance(doing, Backing) or doing.target != step.target:
            return False
        return abs(doing.began - since) <= self._same and abs(doing.due - (since + step.delay)) <= self._same

    def timed_out(self, event: Answered, doing: Attempting) -> bool:
        """Whether its attempt ended only because its own time was over."""
        return event.outcome.error is ErrorKind.TIMEOUT and event.now >= doing.due - self._same


def gave_up_connecting(outcome: Outcome) -> bool:
    return outcome.error is ErrorKind.CONNECT_TIMEOUT


def terms_of(active: Policy, candidate: Policy, ladder: Iterable[Rung]) -> Terms:
    """``ladder`` is the candidate's."""
    ours = {rung.target.name: rung for rung in ladder}
    same_metadata = active.guards.metadata_allow == candidate.guards.metadata_allow
    asked: dict[str, Asked] = {
        target.name: _asked(target, ours.get(target.name), same_metadata=same_metadata) for target in active.ladder
    }
    return Terms(active.deadline, tuple(asked), asked)


def _asked(active: Target, candidate: Rung | None, *, same_metadata: bool) -> Asked:
    connect = active.timeouts.connect
    if candidate is None:
        return Asked(same_request=False, readable=False, connect=connect)
    same = _sent(active) == _sent(candidate.target) and (same_metadata or active.name != "switch")
    readable = set(candidate.classify.paths) <= set(Classifier(active).paths)
    return Asked(same, readable, connect)


def _sent(target: Target) -> tuple[object, ...]:
    """What decides what a target is sent, and where."""
    shield = target.shield and target.name == "switch"  # madre has none
    return target.url, target.path, target.token_from, shield


def patience_of(patience: float, active: DeadlinePolicy, candidate: DeadlinePolicy) -> float:
    """Seconds the candidate would have had for a call that was given ``patience`` seconds.

    Of what it was made from, the client's word and the time its body took, nothing is known, so where both policies have another
    ``client``, something is assumed: a patience within ``SLOW_BODY`` of the whole one is that of a client without a word of its own, a
    shorter one is the client's word.
    """
    if (active.client, active.margin) == (candidate.client, candidate.margin):
        return patience
    spent = active.client - active.margin - patience
    whole = candidate.client - candidate.margin
    if spent <= 0:
        return whole
    if active.client == candidate.client or spent <= SLOW_BODY:
        return max(whole - spent, 0.0)
    return max(min(patience + active.margin, candidate.client) - candidate.margin, 0.0)
