"""What a run recorded: who came when, what targets answered, what was heard from outside.

Made from the facts of an exact replay, or from what the lines of an incomplete run tell; held compactly, because a day has a million
calls. Worlds are made from it, so that other policies meet what was met.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping

from sidecar.core.fact import (
    AttemptEnded,
    CallBegan,
    CallEnded,
    DormancyHeard,
    Fact,
    FaultInjected,
    HealthHeard,
    Overridden,
    PolicyAdopted,
)
from sidecar.core.scene import Call
from sidecar.core.value import Value, replace
from sidecar.core.vocabulary import ErrorKind, Outcome
from sidecar.policy.model import DeadlinePolicy, Policy
from sidecar.replay.simulate import Arrival

Outside = DormancyHeard | HealthHeard | Overridden
"""What an engine is told besides calls and policies."""
PROMPT = 0.05  # seconds a body may take of a client that waits as long as the policy says; one that has less left asked for less


class Attempted(Value):
    """An attempt that was recorded. ``outcome`` is None where the client left before there was one; seconds are then how long it waited."""

    call: int
    began: float
    seconds: float
    outcome: Outcome | None

    @property
    def cut(self) -> bool:
        """Whether somebody stopped waiting: the target would have taken longer than ``seconds``, how much longer is not known."""
        return self.outcome is None or self.outcome.error is ErrorKind.TIMEOUT


class Came(Value):
    """A chat as it came: ``patience`` seconds under ``deadline``, and after how many its client left (None: it stayed)."""

    at: float
    number: int
    patience: float
    deadline: DeadlinePolicy
    leaves_after: float | None
    session: str = ""

    def patience_under(self, deadline: DeadlinePolicy) -> float:
        """Seconds that the same chat has under a policy with another deadline.

        Whether its client asked for less time than the policy gives is not in the journal; it shows in how much it had. A client that had
        nearly all of it waits as long as any policy says.
        """
        spent = _usable(self.deadline, self.deadline.client) - self.patience
        if spent <= PROMPT:
            return max(_usable(deadline, deadline.client) - max(spent, 0.0), 0.0)
        asked = self.patience + min(self.deadline.margin, self.patience)  # of a short patience half was kept
        return _usable(deadline, min(asked, deadline.client))


def _usable(deadline: DeadlinePolicy, total: float) -> float:
    """Seconds until the answer must leave, of a client that waits ``total``: as the chat's own reader has it."""
    return max(total - deadline.margin, total / 2)


class Record:
    """Takes the facts of one run in order.

    ``chats`` are the calls whose end was recorded, in the order in which they came; ``outside`` what the engine was told besides;
    ``attempts`` by target, in the order in which they began once ``settle`` was called. Those that were broken on purpose say nothing
    about their target: they are left out, and ``broken`` counts them.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.chats: list[Came] = []
        self.outside: list[Outside] = []
        self.attempts: dict[str, list[Attempted]] = defaultdict(list)
        self.policies: list[Policy] = []
        self.broken = 0
        self._breaking: set[tuple[int, int]] = set()  # attempts under way, by call and number
        self.leave_at: dict[int, float] = {}  # by call, when its client left
        self._turns: dict[
            int, tuple[tuple[str, float, Attempted | None], ...]
        ] = {}  # with when they began; None: broken on purpose
        self._under_way: dict[int, Came] = {}
        self._outcomes: dict[object, Outcome] = {}
        self._deadline = DeadlinePolicy()

    def __call__(self, fact: Fact) -> None:
        kind = type(fact)
        if kind is AttemptEnded:
            self._attempted(fact)  # type: ignore[arg-type]
        elif kind is CallBegan:
            self._came(fact)  # type: ignore[arg-type]
        elif kind is CallEnded:
            self._ended(fact)  # type: ignore[arg-type]
        elif isinstance(fact, Outside):
            self.outside.append(fact)
        elif isinstance(fact, FaultInjected):
            self._breaking.add((fact.call, fact.number))
        elif isinstance(fact, PolicyAdopted):
            self.policies.append(fact.policy)
            self._deadline = fact.policy.deadline

    def settle(self) -> None:
        """Called once, after the last fact."""
        self.chats.sort(key=lambda came: came.at)
        for attempts in self.attempts.values():
            attempts.sort(key=lambda attempted: attempted.began)

    def turn(self, call: int, target: str, turn: int) -> Attempted | None:
        """The ``turn``-th attempt (from 1) of a call on a target, if it was made, and not broken on purpose."""
        for name, _, attempted in self._turns.get(call, ()):
            if name == target:
                turn -= 1
                if not turn:
                    return attempted
        return None

    @property
    def span(self) -> tuple[float, float]:
        """When the first chat came and when the last did; both 0 where none did."""
        return (self.chats[0].at, self.chats[-1].at) if self.chats else (0.0, 0.0)

    def arrivals(self, policy: Policy) -> Iterator[Arrival]:
        """The chats in order, as patient as they are under ``policy``."""
        deadline = policy.deadline
        last, same = None, False
        for came in self.chats:
            if came.deadline is not last:  # a comparison of models is dear, and one deadline holds for hours
                last, same = came.deadline, came.deadline == deadline
            patience = came.patience if same else came.patience_under(deadline)
            yield Arrival(came.at, Call(came.number, patience, session=came.session), came.leaves_after)

    def _came(self, fact: CallBegan) -> None:
        self._under_way[fact.call] = Came(fact.at, fact.call, fact.patience, self._deadline, None, fact.session)

    def _attempted(self, fact: AttemptEnded) -> None:
        seconds = max(fact.seconds, 0.0)
        began, attempted = fact.at - seconds, None
        if self._breaking and (fact.call, fact.number) in self._breaking:
            self._breaking.discard((fact.call, fact.number))
            self.broken += 1
        else:
            attempted = Attempted(fact.call, began, seconds, self._same(fact.outcome))
            self.attempts[fact.target].append(attempted)
        turns = (*self._turns.get(fact.call, ()), (fact.target, began, attempted))
        if fact.raced:  # who began first may end last
            turns = tuple(sorted(turns, key=lambda turn: turn[1]))
        self._turns[fact.call] = turns

    def _ended(self, fact: CallEnded) -> None:
        came = self._under_way.pop(fact.call, None)
        if came is None:
            return
        if fact.finish.abandoned:
            came = replace(came, leaves_after=max(fact.seconds, 0.0))
            self.leave_at[fact.call] = fact.at
        self.chats.append(came)

    def _same(self, outcome: Outcome | None) -> Outcome | None:
        """One object for all outcomes that are alike."""
        if outcome is None:
            return None
        key = kind_of(outcome)
        return self._outcomes.setdefault(key, outcome)


def kind_of(outcome: Outcome) -> tuple[object, ...]:
    """What tells one outcome from another."""
    body: Mapping[str, str] = outcome.body
    return outcome.error, outcome.status, tuple(sorted(body.items())), outcome.text, outcome.retry_after
