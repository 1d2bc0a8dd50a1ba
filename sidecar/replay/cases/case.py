"""A case as values: what is given, what happens in the middle, and what is expected.

Times are seconds from the beginning of the case, durations are seconds, shares are 0..1. Every value that can fail knows its place.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from sidecar.core.vocabulary import Outcome, Override
from sidecar.policy.load import Loaded
from sidecar.policy.problem import Place


class Answer(NamedTuple):
    """What comes of one attempt, after a time drawn evenly from ``least`` to ``most``; infinite for a target that is silent."""

    least: float
    most: float
    outcome: Outcome


class Phase(NamedTuple):
    """From ``start`` on the first, second, … attempt on a target meets ``answers`` in this order; the last one repeats."""

    start: float
    answers: tuple[Answer, ...]


class Chat(NamedTuple):
    """One that comes at ``at``. ``patience`` is what its client says it waits (None: nothing); it leaves after ``leaves_after``."""

    at: float
    patience: float | None
    leaves_after: float | None


class Overriding(NamedTuple):
    """An operator decides about a target; None ends it."""

    at: float
    place: Place
    target: str
    override: Override | None


class Power(NamedTuple):
    """madre's power state: the active services, None where it cannot be read."""

    at: float
    active: frozenset[str] | None


class Reload(NamedTuple):
    at: float
    loaded: Loaded


Event = Overriding | Power | Reload


class Sign(NamedTuple):
    """What an attempt is known by: its target, and its verdict, kind of error or status as a word; None: whatever came of it."""

    target: str
    word: str | None

    def __str__(self) -> str:
        return self.target if self.word is None else f"{self.target} {self.word}"


class OfChats(NamedTuple):
    """About each of the chats ``first`` to ``last``, counted from 1. What is None is not looked at.

    ``provider`` is a target, local, nobody or client_gone; ``reason`` a reason or none. The answer came ``within`` so many seconds
    and not before ``after``. ``attempts`` are all of them, in order; ``number`` is how many; on ``untouched`` there was none.
    """

    place: Place
    first: int
    last: int
    provider: str | None = None
    degraded: bool | None = None
    reason: str | None = None
    within: float | None = None
    after: float | None = None
    attempts: tuple[Sign, ...] | None = None
    number: int | None = None
    untouched: tuple[str, ...] = ()


class OfBreaker(NamedTuple):
    """About the state of a breaker at a moment, with everything that happened in it."""

    place: Place
    target: str
    at: float
    state: str


class OfCount(NamedTuple):
    """About the number of ``what`` (attempts, trips) over the whole case, on ``target`` or on all."""

    place: Place
    what: str
    target: str | None
    least: int | None
    most: int | None


class OfShare(NamedTuple):
    """About the share of all chats that were answered by ``provider``, or that were ``degraded`` or not."""

    place: Place
    provider: str | None
    degraded: bool | None
    least: float | None
    most: float | None


Expectation = OfChats | OfBreaker | OfCount | OfShare


class Case(NamedTuple):
    """``given`` says how targets behave; one that it does not name is well. ``chats`` are in the order of time."""

    name: str
    place: Place
    given: Mapping[str, tuple[Phase, ...]]
    chats: tuple[Chat, ...]
    events: tuple[Event, ...]
    expect: tuple[Expectation, ...]


class Cases(NamedTuple):
    """One file: the policy under test and its cases."""

    file: str
    loaded: Loaded
    cases: tuple[Case, ...]
